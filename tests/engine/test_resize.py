"""A result that is resized after the model: the pixels, their place, and what is said of them."""

import itertools

import numpy as np
import pytest
import small_models
import torch
from torch.nn import functional

from napari_srgan import upscale
from napari_srgan.engine.plan import preflight
from napari_srgan.engine.record import Record, methods_text
from napari_srgan.engine.resize import ResizedSink
from napari_srgan.engine.run import Upscaler
from napari_srgan.errors import InputError
from napari_srgan.image.resampling import cubic_weights
from napari_srgan.image.stack import Stack
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import MemorySink
from napari_srgan.options import RestoreOptions

RNG = np.random.default_rng(3)

pytestmark = pytest.mark.usefixtures("tiny_models")


def antialiased(pixels, height, width):
    """What torch makes of it, in float64."""
    given = torch.from_numpy(pixels.astype(np.float64))[None, None]
    made = functional.interpolate(given, (height, width), mode="bicubic", antialias=True)
    return made[0, 0].numpy()


def resized(plane, scale, factor, tile=(7, 9)):
    """Send a plane through the sink in tiles."""
    height, width = plane.shape[:2]
    shape = [int(n / s * f) for n, s, f in zip((height, width), scale, factor, strict=True)]
    axes = "YX" if plane.ndim == 2 else "YXS"
    spec = OutputSpec((*shape, *plane.shape[2:]), axes, plane.dtype, (1, 1), (0, 0), ("pixel",) * 2)
    sink = ResizedSink(MemorySink(), (height, width), scale, factor)
    sink.open(spec)
    for y, x in itertools.product(range(0, height, tile[0]), range(0, width, tile[1])):
        sink.write((), y, x, plane[y : y + tile[0], x : x + tile[1]])
    return sink.commit()


@pytest.mark.parametrize("factor", [(2, 2), (1, 4), (3, 1), (2.5, 1.6), (4, 4)])
def test_the_weights_are_those_of_an_antialiased_library(factor):
    high = RNG.random((80, 160))
    sides = [int(n / 4 * f) for n, f in zip(high.shape, factor, strict=True)]
    rows, cols = (
        cubic_weights(n, m, 4 / f) for n, m, f in zip(high.shape, sides, factor, strict=True)
    )
    np.testing.assert_allclose(rows @ (cols @ high.T).T, antialiased(high, *sides), atol=1e-9)


@pytest.mark.parametrize("tile", [(80, 120), (4, 120), (13, 17), (1, 120)])
def test_bands_and_tiles_make_no_difference(tile, monkeypatch):
    plane = RNG.integers(0, 65536, (80, 120)).astype(np.uint16)
    whole = resized(plane, (4, 4), (2.5, 1.5), (80, 120))
    monkeypatch.setattr("napari_srgan.engine.resize.AT_ONCE", 900)
    np.testing.assert_array_equal(resized(plane, (4, 4), (2.5, 1.5), tile), whole)
    assert whole.shape == (50, 45)


def test_no_more_is_held_than_a_row_of_tiles_and_the_reach_of_the_kernel(monkeypatch):
    held = []
    give = ResizedSink._give

    def watched(sink):
        give(sink)
        held.append(len(sink._held))

    monkeypatch.setattr(ResizedSink, "_give", watched)
    resized(np.ones((4000, 8), np.uint8), (4, 4), (2, 2), (16, 8))
    assert max(held) <= 16 + 2 * 4


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32", "float64"])
def test_a_constant_plane_stays_constant_in_every_dtype(dtype):
    plane = np.full((40, 60), 93, dtype)
    made = resized(plane, (4, 4), (1.7, 2.3))
    assert made.dtype == dtype and made.shape == (17, 34)
    np.testing.assert_allclose(made, 93, rtol=1e-15)


def test_overshoot_is_clipped_to_the_dtype():
    edge = np.zeros((40, 40), np.uint8)
    edge[:, 20:] = 255
    made = resized(edge, (4, 4), (3, 3))
    assert made[:, :13].max() == 0 and made[:, -13:].min() == 255


def test_missing_values_stay_where_they_are_and_spread_to_no_other():
    plane = np.full((64, 64), 5, np.float32)
    plane[16:32, 20:36] = np.nan
    plane[40:48, 40:48] = np.inf
    made = resized(plane, (4, 4), (2, 2))
    wanted = np.full((32, 32), 5, np.float32)
    wanted[8:16, 10:18], wanted[20:24, 20:24] = np.nan, np.inf
    np.testing.assert_allclose(made, wanted, rtol=1e-6)


def test_a_result_is_the_models_own_resized_at_the_right_place():
    pixels = RNG.integers(0, 256, (3, 24, 31)).astype(np.uint8)
    stack = Stack(pixels, "ZYX", scale=(5, 2, 3), translate=(1, 10, 20))
    own = upscale(stack, "tiny-gray")
    made = upscale(stack, "tiny-gray", outscale=(2, 2.5), tile=16)
    assert made.data.shape == (3, 48, 77) and made.data.dtype == np.uint8
    for low, high in zip(made.data, own.data, strict=True):
        np.testing.assert_array_equal(low[:, :75], resized(high[:, :], (4, 4), (2, 2.5))[:, :75])
    # Pixel 0 begins at the corner of the input's pixel 0: its centre is half of its size further.
    np.testing.assert_allclose(made.scale, (5, 1, 1.2))
    corner = np.subtract(made.translate, np.divide(made.scale, 2))
    np.testing.assert_allclose(corner[1:], (10 - 1, 20 - 1.5))
    record = Record.of(made.metadata)
    assert (record.scale, record.resized_to, record.factor) == ((4, 4), (2, 2.5), (2, 2.5))
    assert record.consistency == Record.of(own.metadata).consistency
    assert "model's own 4x result, before it was resized to 2x2.5x" in record.sentence
    assert "2 and 2.5 times finer" in methods_text(record)


def test_a_ramp_lies_where_the_input_has_it():
    ramp = np.tile(np.arange(64, dtype=np.float32) * 4, (64, 1))
    high = np.interp((np.arange(256) + 0.5) / 4 - 0.5, np.arange(64), ramp[0]).astype(np.float32)
    made = resized(np.tile(high, (256, 1)), (4, 4), (2, 1.5))
    centres = (np.arange(96) + 0.5) / 1.5 - 0.5
    np.testing.assert_allclose(made[40, 8:-8], 4 * centres[8:-8], atol=0.01)


def test_colours_and_alpha_are_resized_alike():
    pixels = RNG.integers(0, 256, (16, 20, 4)).astype(np.uint8)
    own = upscale(pixels, "tiny-rgb")
    made = upscale(pixels, "tiny-rgb", outscale=2)
    assert made.data.shape == (32, 40, 4)
    for s in range(4):
        np.testing.assert_array_equal(made.data[..., s], resized(own.data[..., s], (4, 4), (2, 2)))


def test_back_projection_is_recorded_as_of_the_models_own_result(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    small_models.save(tmp_path, "sure", 1, degradation="area")
    pixels = RNG.integers(0, 256, (16, 16)).astype(np.uint8)
    made = upscale(pixels, "sure", back_project=True, outscale=2)
    sentence = Record.of(made.metadata).sentence
    assert "after back-projection" in sentence and "before it was resized to 2x" in sentence


def test_lateral_leaves_the_rows_as_they_are():
    pixels = RNG.integers(0, 256, (16, 20)).astype(np.uint8)
    made = upscale(pixels, "tiny-gray", factor_axes="lateral")
    assert made.data.shape == (16, 80) and made.scale == (1, 0.25)
    assert Record.of(made.metadata).resized_to == (1, 4)
    assert upscale(pixels, "tiny-gray", factor_axes="lateral", outscale=2).data.shape == (16, 40)


def test_the_file_is_named_and_laid_out_by_the_factor(tmp_path, capsys):
    from napari_srgan.cli import main

    np.save(tmp_path / "a.npy", RNG.integers(0, 256, (16, 20)).astype(np.uint8))
    typed = [str(tmp_path / "a.npy"), "--out-dir", str(tmp_path), "--model", "tiny-gray"]
    assert main(["upscale", *typed, "--outscale", "1,2.5"]) == 0, capsys.readouterr().err
    assert (tmp_path / "a_tiny-gray_1x2.5x.tif").is_file()


@pytest.mark.parametrize("given", ["0.5", "two", "1,2,3", "nan", "inf", "", 0, (1, 2, 3), None])
def test_what_is_no_factor_is_refused(given):
    with pytest.raises(InputError, match="must be auto, a number from 1 on, or two of them"):
        RestoreOptions(outscale=given)


@pytest.mark.parametrize("given", ["auto", 2, 2.5, (1, 2), "1, 2", "AUTO"])
def test_what_is_a_factor_is_not(given):
    RestoreOptions(outscale=given)


def test_more_than_the_model_makes_is_refused():
    stack = Stack(np.zeros((16, 16), np.uint8))
    with pytest.raises(InputError, match="6x is beyond the 4x of the model tiny-gray"):
        preflight(stack, RestoreOptions(model="tiny-gray", outscale=6))
    with pytest.raises(InputError, match="2x3x makes Y finer"):
        preflight(stack, RestoreOptions(model="tiny-gray", outscale="2,3", factor_axes="lateral"))


def test_a_run_that_is_cancelled_leaves_the_sink_clean():
    from napari_srgan.engine.plan import plan

    stack = Stack(RNG.integers(0, 256, (3, 24, 24)).astype(np.uint8), "ZYX")
    planned = plan(stack, RestoreOptions(model="tiny-gray", outscale=2))
    sink = MemorySink()
    steps = Upscaler.of(planned).run(planned, sink)
    next(steps)
    steps.close()
    assert sink._array is None
