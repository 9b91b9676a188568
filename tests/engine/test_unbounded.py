"""A generator that looks over the whole image: planes are restored whole, by every face."""

import numpy as np
import pytest
import tifffile
import torch
from unbounded_model import AverageNet, Undeclared, registered

from napari_srgan.api import upscale
from napari_srgan.cli import main
from napari_srgan.engine.plan import footprint, plan
from napari_srgan.engine.progress import drain
from napari_srgan.engine.record import Record, methods_text
from napari_srgan.engine.run import Upscaler
from napari_srgan.engine.window import WindowNetwork
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.models.catalogue import load_model
from napari_srgan.options import RestoreOptions


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    return registered("average", AverageNet, tmp_path, monkeypatch)


def texture(*shape, dtype=np.float32):
    return (np.random.default_rng(0).random(shape) * 200).astype(dtype)


def expected(path, pixels, lo=0.0, hi=200.0):
    """Restore a plane at once, with the margin that the engine continues every plane by."""
    unit = torch.from_numpy(np.pad((pixels - lo) / (hi - lo), 4, mode="edge").astype(np.float32))
    with torch.inference_mode():
        made = load_model(path).network(unit[None, None])[0, 0].numpy()
    return made[16:-16, 16:-16] * (hi - lo) + lo


OPTIONS = {"device": "cpu", "precision": "float32", "intensity": "0:200"}


@pytest.mark.parametrize("shape", [(9, 11), (40, 70), (33, 12)])
def test_a_plane_is_one_tile_that_sees_all_of_it(model, shape):
    """Also a plane smaller than the frame that bounded networks are given."""
    pixels = texture(*shape)
    assert footprint(load_model(model)).halo is None
    made = upscale(pixels, str(model), axes="YX", **OPTIONS)
    np.testing.assert_allclose(made.data, expected(model, pixels), atol=1e-3)
    planned = plan(Stack(pixels), RestoreOptions(model=model, **OPTIONS))
    (tile,) = planned.tiles
    assert tile.read_shape == shape and planned.halo is None


def test_a_region_is_cut_from_the_whole_result(model):
    pixels = texture(3, 40, 70)
    whole = upscale(pixels, str(model), axes="ZYX", **OPTIONS).data
    region = {"Z": (1, 3), "Y": (8, 30), "X": (20, 61)}
    part = upscale(pixels, str(model), axes="ZYX", region=region, **OPTIONS).data
    np.testing.assert_array_equal(part, whole[1:3, 32:120, 80:244])


def test_the_command_line_restores_whole_planes_and_refuses_tiles(model, tmp_path, capsys):
    pixels = texture(2, 24, 30, dtype=np.uint8)
    source, target = str(tmp_path / "in.tif"), str(tmp_path / "out.tif")
    tifffile.imwrite(source, pixels, photometric="minisblack")
    typed = ["upscale", source, target, "--model", "average", "--device", "cpu"]
    assert main([*typed, "--tile", "16"]) == 2
    assert "sees each plane whole" in capsys.readouterr().err
    assert main([*typed, "--intensity", "0:255", "--back-project"]) == 0
    small = tifffile.imread(target).astype(float).reshape(2, 24, 4, 30, 4).mean(axis=(2, 4))
    assert np.abs(small - pixels).max() <= 0.5
    assert main([*typed, "--overwrite", "--tile", "30"]) == 0


def test_a_record_claims_no_tiles(model):
    made = upscale(texture(16, 16), str(model), axes="YX", **OPTIONS)
    record = Record.of(made.metadata)
    assert record.tile == 0
    assert "float32 arithmetic." in methods_text(record)


def test_the_other_commands_see_whole_planes(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hr").mkdir()
    tifffile.imwrite("in.tif", texture(48, 64, dtype=np.uint8))
    tifffile.imwrite("hr/truth.tif", texture(96, 128, dtype=np.uint8))
    chosen = ["--model", "average", "--device", "cpu"]
    assert main(["trust", "in.tif", "--out", "maps", *chosen, "--maps", "consistency,spread"]) == 0
    assert len(list((tmp_path / "maps").glob("*_average_*.tif"))) == 2
    assert main(["evaluate", "hr", *chosen]) == 0
    assert main(["report", "in.tif", "-o", "page.html", *chosen]) == 0
    assert "average" in (tmp_path / "page.html").read_text("utf-8")


def test_validation_in_training_sees_whole_planes(model):
    from training.validation import _restorer

    pixels = texture(40, 52) / 200
    made = _restorer(load_model(model).network, torch.device("cpu"))(pixels)
    np.testing.assert_allclose(made, expected(model, pixels, 0, 1), atol=1e-5)


def test_memory_is_held_against_what_is_free(model, monkeypatch):
    stack = Stack(np.broadcast_to(np.uint8(5), (40_000, 40_000)), name="scan")
    monkeypatch.setattr("napari_srgan.engine.plan.free_memory", lambda device: 10**9)
    with pytest.raises(InputError, match=r"sees each plane whole, .* 1 GB are free"):
        plan(stack, RestoreOptions(model=model, **OPTIONS))


def test_memory_that_runs_out_is_a_sentence(model, monkeypatch):
    def fail(self, unit):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(WindowNetwork, "__call__", fail)
    planned = plan(Stack(texture(40, 40)), RestoreOptions(model=model, **OPTIONS))
    with pytest.raises(InputError, match="sees each plane whole, and the memory of cpu"):
        drain(Upscaler(load_model(model), "cpu", "float32").run(planned))


def test_a_module_of_unknown_reach_that_is_not_declared_is_refused(tmp_path, monkeypatch):
    path = registered("undeclared", Undeclared, tmp_path, monkeypatch)
    with pytest.raises((InputError, TypeError), match="No halo is known for Linear"):
        plan(Stack(texture(16, 16)), RestoreOptions(model=path, **OPTIONS))
