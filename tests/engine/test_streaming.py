"""Planes of any size in bounded memory: bands, what waits for other tiles, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import small_models
import torch

from napari_srgan.engine.plan import plan
from napari_srgan.engine.progress import drain
from napari_srgan.engine.restore import PlanePixels
from napari_srgan.engine.run import Upscaler
from napari_srgan.engine.tiles import auto_tile, plan_tiles
from napari_srgan.errors import InputError
from napari_srgan.image.intensity import Intensity
from napari_srgan.image.stack import Stack
from napari_srgan.options import RestoreOptions, read_memory
from napari_srgan.tasks import restore as task
from napari_srgan.trust.meter import Meter
from napari_srgan.trust.operators import Operator
from napari_srgan.trust.shrinking import shrinking


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    return small_models.save(tmp_path_factory.mktemp("m"), "gray", 1, degradation="bicubic")


class Counted:
    def __init__(self, data):
        self._data, self.shape, self.dtype, self.values = data, data.shape, data.dtype, 0

    def __getitem__(self, key):
        part = self._data[key]
        self.values += part.size
        return part


@pytest.mark.parametrize("at_once", [1, 3000, 10**6])
def test_a_plane_is_the_same_whole_by_bands_and_by_windows(at_once):
    data = np.random.default_rng(0).integers(0, 255, (70, 90)).astype(np.uint8)
    tiles = plan_tiles(70, 90, 20, 5)
    pixels = PlanePixels(Stack(data, "YX"), (), tiles, at_once=at_once)
    for tile in tiles:
        np.testing.assert_array_equal(
            pixels.window(tile), data[tile.ry0 : tile.ry1, tile.rx0 : tile.rx1]
        )


def test_by_bands_a_row_is_read_once_for_its_row_of_tiles():
    data = Counted(np.random.default_rng(0).integers(0, 255, (400, 900)).astype(np.uint8))
    tiles = plan_tiles(400, 900, 40, 5)
    pixels = PlanePixels(Stack(data, "YX"), (), tiles, at_once=50_000)
    for tile in tiles:
        pixels.window(tile)
    assert data.values < 1.4 * 400 * 900  # the halo of each row of tiles is read twice


def test_what_waits_for_other_tiles_does_not_grow_with_the_plane():
    operator = Operator("bicubic", (4, 4))
    rng = np.random.default_rng(0)

    def measured(height, pass_rows):
        low = rng.random((height, 40), np.float32)
        high = rng.random((4 * height, 160), np.float32)
        whole = shrinking(operator, height, 40)
        meter, most = Meter(operator, Intensity((0.0,), (1.0,), "0:1"), whole), 0
        meter.begin(())
        for tile in plan_tiles(height, 40, 20, 4):
            y, x = slice(tile.y0, tile.y1), slice(tile.x0, tile.x1)
            fine = high[4 * tile.y0 : 4 * tile.y1, 4 * tile.x0 : 4 * tile.x1]
            meter.see(tile, low[y, x], fine)
            if pass_rows and tile.x1 == 40:
                meter.passed(tile.y1)
            most = max(most, sum(at.size for at, _ in meter._parts[()]))
        meter.end()
        return meter.finding(), most

    rng = np.random.default_rng(0)
    expected, _ = measured(400, pass_rows=False)
    rng = np.random.default_rng(0)
    found, most = measured(400, pass_rows=True)
    assert found == expected
    assert most <= 1.1 * measured(100, pass_rows=True)[1]


@pytest.mark.parametrize("memory", [2 * 10**8, 10**9, 4 * 10**9])
def test_the_memory_that_is_allowed_decides_the_tile(monkeypatch, memory):
    monkeypatch.setattr("napari_srgan.engine.tiles.free_memory", lambda device: 64 * 2**30)
    cpu, per_pixel, halo, finishing = torch.device("cpu"), 4096, 40, 900
    side = auto_tile(cpu, per_pixel, halo, 20_000, 20_000, None, memory, finishing)
    needed = (side + 2 * halo) ** 2 * per_pixel + side**2 * finishing
    assert 0.6 * memory < needed < 0.8 * memory


def test_the_result_does_not_depend_on_the_memory(gray):
    data = np.random.default_rng(0).integers(0, 4000, (1, 300, 260)).astype(np.uint16)
    results = []
    for memory, tile in (("4GB", "auto"), ("100MB", 64)):
        options = RestoreOptions(model=gray, device="cpu", memory=memory, tile=tile)
        planned = plan(Stack(data, "ZYX"), replace(options, precision="float32"))
        results.append(drain(Upscaler.of(planned).run(planned)).data.astype(int))
    assert np.abs(results[0] - results[1]).max() <= 1  # a last bit of float32, rounded


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"back_project": True}, r"Back-projection holds planes whole, which takes [\d.]+GB here"),
        ({"nan": "fill"}, r"Filling NaN holds planes whole, which takes [\d.]+GB here, and 100MB"),
    ],
)
def test_what_holds_planes_whole_is_refused_if_it_takes_too_much(gray, changed, said):
    data = np.broadcast_to(np.linspace(0, 1, 2000, dtype=np.float32), (1600, 2000))
    with pytest.raises(InputError, match=said):
        plan(Stack(data, "YX"), RestoreOptions(model=gray, memory="100MB", tile=64, **changed))


@pytest.mark.parametrize(
    ("text", "nbytes"), [("1GB", 10**9), ("500 mb", 5 * 10**8), ("1.5GiB", 3 * 2**29)]
)
def test_an_amount_of_memory_is_read(text, nbytes):
    assert read_memory(text) == nbytes


@pytest.mark.parametrize("text", ["", "1 XB", "-1GB", "5MB", "all"])
def test_what_is_no_amount_of_memory_is_refused(text):
    with pytest.raises(InputError, match="The memory '"):
        RestoreOptions(memory=text)


def test_of_a_large_result_it_is_said_before_what_it_takes(gray, tmp_path, monkeypatch):
    monkeypatch.setattr(task, "LARGE", 1)
    data = np.random.default_rng(0).integers(0, 255, (2, 20, 20)).astype(np.uint8)
    options = RestoreOptions(model=gray, device="cpu")
    steps = list(task.restore(Stack(data, "ZYX"), options, tmp_path / "a.npy"))
    notes = " ".join(step.note for step in steps)
    assert "a.npy will take 12.8 kB; " in notes and "are free on its disk. That will take" in notes
