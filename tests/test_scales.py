"""Models of every scale through every face: Y and X may grow by different numbers."""

import json

import numpy as np
import pytest
import small_models
import tifffile

import napari_srgan
from napari_srgan.cli import main
from napari_srgan.engine.record import Record, methods_text
from napari_srgan.image.geometry import plain_scale, scale_text
from napari_srgan.image.resampling import bicubic_shrink
from napari_srgan.io.open import open_stack
from napari_srgan.models.catalogue import find_model
from napari_srgan.tasks.self_test import self_test
from napari_srgan.tasks.steps import drain

SCALES = [(2, 2), (3, 3), (8, 8), (1, 3)]
RNG = np.random.default_rng(5)


@pytest.fixture(params=SCALES, ids=scale_text)
def scale(request, tmp_path, monkeypatch):
    """Two models of a scale, a fidelity one and a perceptual one, in the user's own folder."""
    folder = tmp_path / "models"
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(folder))
    monkeypatch.chdir(tmp_path)
    sy, sx = request.param
    perceptual = {"role": "perceptual"}
    if sy == sx:
        small_models.save(folder, "sure", 1, scale=sy, degradation="area")
        small_models.save(folder, "sharp", 1, scale=sy, degradation="area", **perceptual)
        return request.param
    for name, said in (("sure", {}), ("sharp", perceptual)):
        small_models.save_lateral(folder, name, sx, degradation="area", **said)
    return request.param


def run(capsys, *arguments):
    assert main([str(a) for a in arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def test_python_and_command_make_the_same_in_any_tiles(scale, tmp_path, capsys):
    sy, sx = scale
    data = RNG.integers(0, 256, (2, 41, 37)).astype(np.uint8)
    result = napari_srgan.upscale(data, "sharp", device="cpu", precision="float32")
    assert result.data.shape == (2, 41 * sy, 37 * sx)
    assert result.scale == (1, 1 / sy, 1 / sx)
    assert result.translate == (0, (1 / sy - 1) / 2, (1 / sx - 1) / 2)
    assert result.metadata["napari_srgan"]["scale_factor"] == plain_scale(scale)
    tiles = napari_srgan.upscale(data, "sharp", device="cpu", precision="float32", tile=16)
    np.testing.assert_allclose(tiles.data.astype(int), result.data, atol=1)
    tifffile.imwrite("scan.tif", data, metadata={"axes": "ZYX"})
    told = json.loads(
        run(capsys, "upscale", "scan.tif", "--out-dir", "out", "--model", "sharp",
            "--device", "cpu", "--precision", "float32", "--roi", "5:30,4:20", "--json")
    )  # fmt: skip
    made = open_stack(f"out/scan_sharp_{scale_text(scale)}_y5-30_x4-20.tif")
    assert told["factor"] == plain_scale(scale)
    np.testing.assert_array_equal(made.data[:], result.data[:, 5 * sy : 30 * sy, 4 * sx : 20 * sx])
    assert pytest.approx(made.translate[1] - made.scale[1] / 2) == (5 - 0.5)
    assert pytest.approx(made.translate[2] - made.scale[2] / 2) == (4 - 0.5)
    record = Record.of(result.metadata)
    times = f"{sy} times" if sy == sx else f"{sy} and {sx} times"
    assert f"super-resolved {times} laterally" in methods_text(record)


def test_back_projection_meets_the_data(scale):
    sy, sx = scale
    data = RNG.integers(0, 256, (20, 24)).astype(np.uint8)
    result = napari_srgan.upscale(data, "sharp", device="cpu", back_project=True)
    sums = result.data.reshape(20, sy, 24, sx).sum(axis=(1, 3), dtype=int)
    np.testing.assert_array_equal(sums, sy * sx * data.astype(int))
    assert result.metadata["napari_srgan"]["back_projection"]["max_residual"] < 1e-12


def test_nan_keeps_its_place(scale):
    sy, sx = scale
    data = RNG.random((20, 24)).astype(np.float32)
    data[3, 5] = np.nan
    arguments = ["upscale", "holes.npy", "whole.npy", "--nan", "fill", "--model", "sharp"]
    np.save("holes.npy", data)
    assert main([*arguments, "--device", "cpu"]) == 0
    found = np.isnan(np.load("whole.npy"))
    assert found.sum() == sy * sx and found[3 * sy, 5 * sx] and found[4 * sy - 1, 6 * sx - 1]


def test_trust_maps_have_their_sizes_and_agree_with_the_record(scale, capsys):
    sy, sx = scale
    tifffile.imwrite("eye.tif", RNG.integers(0, 256, (24, 28)).astype(np.uint8))
    run(capsys, "trust", "eye.tif", "--model", "sharp", "--out", "maps", "--device", "cpu")
    for kind, size in (("consistency", (1, 1)), ("invention", scale), ("spread", scale)):
        stack = open_stack(f"maps/eye_sharp_{kind}.tif")
        assert stack.shape == (24 * size[0], 28 * size[1])
        assert stack.scale == pytest.approx((1 / size[0], 1 / size[1]))
        if kind == "invention":
            assert stack.metadata["trust_map"]["models"] == ["sharp", "sure"]
    result = napari_srgan.upscale(open_stack("eye.tif"), "sharp", device="cpu")
    means = result.data.reshape(24, sy, 28, sx).mean(axis=(1, 3))
    low = open_stack("maps/eye_sharp_consistency.tif").data[:]
    np.testing.assert_allclose(low, open_stack("eye.tif").data[:] - means, atol=1e-3)


def test_compare_evaluate_and_report_take_the_smaller_image(scale, tmp_path, capsys):
    sy, sx = scale
    blocks = RNG.integers(0, 256, (4, 5)).astype(np.uint8)
    truth = np.kron(blocks, np.ones((4 * sy, 4 * sx), np.uint8))
    low = np.rint(bicubic_shrink(truth, scale)).clip(0, 255).astype(np.uint8)
    for name, image in (("truth", truth), ("low", low)):
        tifffile.imwrite(f"{name}.tif", image)
    run(capsys, "upscale", "low.tif", "made.tif", "--model", "sharp", "--device", "cpu")
    compare = ("compare", "truth.tif", "made.tif", "--low", "low.tif")
    rows = [json.loads(line) for line in run(capsys, *compare, "--json").splitlines()]
    enlarged = {r["candidate"]: r["enlarged"] for r in rows if r.get("slice") == "all"}
    assert enlarged == {"made.tif": 1, "bicubic": plain_scale(scale)}
    assert f"enlarged {scale_text(scale)} by bicubic" in run(capsys, *compare)
    (tmp_path / "hr").mkdir()
    tifffile.imwrite("hr/truth.tif", np.tile(truth, (3, 3)))
    assert "psnr" in run(capsys, "evaluate", "hr", "--model", "sharp", "--device", "cpu", "--json")
    run(
        capsys, "report", "low.tif", "--reference", "truth.tif", "--model", "sharp",
        "--device", "cpu", "-o", "page.html",
    )  # fmt: skip
    assert f"sharp, {scale_text(scale)}," in (tmp_path / "page.html").read_text("utf-8")


def test_self_test_places_its_layers(scale):
    pytest.importorskip("napari")
    from napari.components import ViewerModel

    from napari_srgan._gui.compare.self_test import show_self_test
    from napari_srgan._gui.layers import layer_stack

    sy, sx = scale
    viewer = ViewerModel()
    layer = viewer.add_image(RNG.integers(0, 256, (16 * sy, 20 * sx)).astype(np.uint8), name="eye")
    model = find_model("sharp")
    tested = drain(self_test(layer_stack(layer), model))
    reference, made, low = show_self_test(viewer, layer, {}, model.card, tested)
    assert low.data.shape == (16, 20) and made.data.shape == layer.data.shape
    assert low.name == f"eye [LR {scale_text(scale)}]"
    assert made.name == f"eye [sharp {scale_text(scale)}]"
    for other in (made, low):
        np.testing.assert_allclose(other.extent.world[0] - 0.5 * other.scale, [-0.5, -0.5])
    assert reference is layer
    np.testing.assert_allclose(made.scale, layer.scale)


def test_the_model_of_the_lateral_axis_is_taken_where_only_that_is_wanted():
    pixels = RNG.integers(0, 256, (16, 20)).astype(np.uint8)
    made = napari_srgan.upscale(pixels, kind="oct", factor_axes="lateral")
    record = Record.of(made.metadata)
    assert (record.model, record.scale, record.resized_to) == ("oct-lateral", (1, 4), None)
    assert made.data.shape == (16, 80)
    # Of other kinds and of all axes it is not the model.
    for options in ({"kind": "em", "factor_axes": "lateral"}, {"kind": "oct"}):
        other = napari_srgan.upscale(pixels, **options)
        assert Record.of(other.metadata).model != "oct-lateral"
