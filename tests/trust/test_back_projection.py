"""Back-projection: the measured data come out again, to within rounding, whatever the tiles."""

import dataclasses

import numpy as np
import pytest
import small_models
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.ndimage import gaussian_filter
from small_models import restore_stack

from napari_srgan import open_stack
from napari_srgan.cli import main
from napari_srgan.engine.plan import plan
from napari_srgan.engine.progress import drain
from napari_srgan.engine.record import Record
from napari_srgan.errors import InputError
from napari_srgan.image.intensity import to_dtype
from napari_srgan.image.resampling import bicubic_enlarge, bicubic_shrink
from napari_srgan.image.stack import Stack
from napari_srgan.models.catalogue import load_model, save_model
from napari_srgan.options import RestoreOptions
from napari_srgan.trust.back_projection import back_project, with_block_sums
from napari_srgan.trust.operators import Operator
from napari_srgan.trust.shrinking import shrinking


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Write gray models of all degradations, and RGB ones of area."""
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for channels, kind in ((1, "gray"), (3, "rgb")):
        base = load_model(small_models.save(folder, kind, channels))
        for name in ("area", "bicubic", "decimate", "blur-noise", "measured"):
            card = dataclasses.replace(base.card, name=f"{name}-{kind}", degradation=name)
            path = folder / f"{name}-{kind}.safetensors"
            found[name, kind] = save_model(path, base.network, card)
    return found


def run(data, axes, model, **more):
    options = RestoreOptions(model=model, device="cpu", **more)
    return drain(restore_stack(Stack(data, axes), options))


def blocks(data):
    """Mean of every 4 x 4 block, in exact arithmetic."""
    y, x = data.shape[-2] // 4, data.shape[-1] // 4
    return data.reshape(*data.shape[:-2], y, 4, x, 4).astype(np.float64).mean(axis=(-3, -1))


def pictures(dtype):
    """Ordinary, dark, clipped and noisy planes."""
    rng = np.random.default_rng(0)
    top = np.iinfo(dtype).max
    smooth = gaussian_filter(rng.random((26, 34)), 2)
    smooth = (smooth - smooth.min()) / np.ptp(smooth)
    dark = rng.integers(0, 3, (26, 34))
    clipped = np.clip(smooth * 3 - 1, 0, 1) * top
    noisy = rng.integers(0, top, (26, 34), endpoint=True)
    extremes = np.where(rng.random((26, 34)) < 0.5, 0, top)
    return np.stack([smooth * top, dark, clipped, noisy, extremes]).astype(dtype)


def test_without_it_the_small_models_do_not_reproduce_the_data(models):
    data = pictures(np.uint8)
    assert np.abs(blocks(run(data, "ZYX", models["area", "gray"]).data) - data).max() > 20


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
@pytest.mark.parametrize("tile", [64, 9])
def test_area_reproduces_the_data_exactly_tiled_or_not(models, dtype, tile):
    data = pictures(dtype)
    result = run(data, "ZYX", models["area", "gray"], tile=tile, back_project=True)
    assert result.data.dtype == dtype
    assert np.abs(blocks(result.data) - data).max() <= 0.5  # what is promised
    np.testing.assert_array_equal(blocks(result.data), data)  # what is kept
    whole = run(data, "ZYX", models["area", "gray"], back_project=True)
    np.testing.assert_array_equal(result.data, whole.data)
    record = result.metadata["napari_srgan"]
    plain = run(data, "ZYX", models["area", "gray"]).metadata["napari_srgan"]
    assert record["consistency"] == plain["consistency"] | {
        "rmse_percent": pytest.approx(plain["consistency"]["rmse_percent"]),
        "max_percent": pytest.approx(plain["consistency"]["max_percent"]),
    }
    assert record["consistency"]["rmse_percent"] > 1
    assert record["back_projection"]["rmse_percent"] == 0


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.data(),
    st.sampled_from([np.uint8, np.int8, np.uint16, np.int32]),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
)
def test_block_sums_are_met_exactly_by_the_nearest_values(data, dtype, scale):
    sy, sx = scale
    low = data.draw(arrays.arrays(dtype, (2, 3)))
    high = data.draw(arrays.arrays(dtype, (2 * sy, 3 * sx)))
    made = with_block_sums(low, high, scale)
    split = made.reshape(2, sy, 3, sx).astype(object)
    np.testing.assert_array_equal(split.sum(axis=(1, 3)), low.astype(object) * sy * sx)
    # Within a block, pixels that have room are shifted alike, by t or t + 1.
    whole = np.iinfo(dtype)
    change = (made.astype(object) - high.astype(object)).reshape(2, sy, 3, sx)
    free = ((made > whole.min) & (made < whole.max)).reshape(2, sy, 3, sx)
    for y in range(2):
        for x in range(3):
            shifts = change[y, :, x][free[y, :, x]]
            assert shifts.size == 0 or shifts.max() - shifts.min() <= 1


@pytest.mark.parametrize("tile", [64, 9])
def test_bicubic_reproduces_what_can_be_measured(models, tile):
    rng = np.random.default_rng(1)
    truth = np.clip(gaussian_filter(rng.normal(0, 900, (3, 104, 136)), (0, 2, 2)) + 60, 0, 255)
    data = np.stack([to_dtype(bicubic_shrink(p, 4), np.uint8) for p in truth])
    assert (data == 0).mean() > 0.1 and (data == 255).any()  # dark and clipped
    result = run(data, "ZYX", models["bicubic", "gray"], tile=tile, back_project=True)
    again = np.stack([bicubic_shrink(p, 4) for p in result.data])
    worst = np.abs(again - data).max()
    record = result.metadata["napari_srgan"]["back_projection"]
    assert record["max_residual"] == pytest.approx(worst, abs=1e-4)
    assert worst <= 0.5 and record["within_rounding"]
    assert record["rmse_percent"] < 0.05
    whole = run(data, "ZYX", models["bicubic", "gray"], back_project=True)
    np.testing.assert_array_equal(result.data, whole.data)


def test_bicubic_finds_the_nearest_image_that_fits():
    rng = np.random.default_rng(2)
    low, high = rng.random((6, 7)), rng.random((24, 28))
    shrink = shrinking(Operator("bicubic", (4, 4)), 6, 7)
    made = _project(low, high, shrink)
    np.testing.assert_allclose(shrink.down(made.data), low, atol=1e-9)
    dense = np.kron(shrink.rows.matrix.toarray(), shrink.cols.matrix.toarray())
    change = np.linalg.pinv(dense) @ (low.ravel() - dense @ high.ravel())
    np.testing.assert_allclose((made.data - high).ravel(), change, atol=1e-9)


def test_data_that_no_image_could_give_are_met_nearly_and_said_so(models):
    data = np.zeros((24, 24), np.uint8)
    data[::6, ::6] = 255
    result = run(data, "YX", models["bicubic", "gray"], back_project=True)
    record = result.metadata["napari_srgan"]
    assert not record["back_projection"]["within_rounding"]
    assert record["back_projection"]["rmse_percent"] < record["consistency"]["rmse_percent"] / 2
    assert "no image of this model's degradation" in Record.of(result.metadata).sentence


@pytest.mark.parametrize("name", ["area", "bicubic"])
def test_floats_are_reproduced_to_the_last_digits_and_nan_stays(models, name):
    data = np.random.default_rng(3).normal(5, 2, (20, 24)).astype(np.float32)
    data[4, 5] = np.nan
    result = run(data, "YX", models[name, "gray"], nan="fill", back_project=True)
    assert np.isnan(result.data[16:20, 20:24]).all()
    assert np.isnan(result.data).sum() == 16
    record = result.metadata["napari_srgan"]["back_projection"]
    assert record["max_residual"] < 1e-5
    far = np.s_[10:, 10:]
    shrink = shrinking(Operator(name, (4, 4)), 20, 24)
    again = shrink.down(np.nan_to_num(result.data))
    np.testing.assert_allclose(again[far], data[far], atol=1e-5)


def test_colours_are_projected_and_alpha_is_left(models):
    data = np.random.default_rng(4).integers(0, 256, (16, 20, 4)).astype(np.uint8)
    result = run(data, "YXS", models["area", "rgb"], back_project=True)
    means = blocks(np.moveaxis(result.data, -1, 0))
    np.testing.assert_array_equal(means[:3], np.moveaxis(data, -1, 0)[:3])
    alpha = to_dtype(bicubic_enlarge(data[..., 3], 4), np.uint8)
    np.testing.assert_array_equal(result.data[..., 3], alpha)


def test_a_region_is_reproduced_but_where_its_side_cuts_the_kernel(models):
    data = gaussian_filter(np.random.default_rng(5).random((40, 40)) * 999, 1).astype(np.uint16)
    region = {"Y": (8, 30), "X": (0, 25)}
    area = run(data, "YX", models["area", "gray"], region=region, back_project=True)
    np.testing.assert_array_equal(blocks(area.data), data[8:30, :25])
    cubic = run(data, "YX", models["bicubic", "gray"], region=region, back_project=True)
    again = bicubic_shrink(cubic.data, 4)
    inside = np.abs(again - data[8:30, :25])[2:-2, :-2]
    assert inside.max() <= 0.5


@pytest.mark.parametrize("name", ["decimate", "blur-noise", "measured"])
def test_models_of_other_degradations_are_refused(models, name):
    with pytest.raises(InputError, match="cannot be back-projected"):
        run(np.zeros((16, 16), np.uint8), "YX", models[name, "gray"], back_project=True)


def test_transforms_are_refused_and_memory_is_counted(models):
    stack = Stack(np.ones((16, 16), np.uint16), "YX")
    options = RestoreOptions(model=models["area", "gray"], device="cpu", back_project=True)
    with pytest.raises(InputError, match="leave one of the two out"):
        plan(stack, dataclasses.replace(options, transform="log"))
    without = dataclasses.replace(options, back_project=False)
    assert plan(stack, options).memory - plan(stack, without).memory >= 2 * 2 * 64 * 64


def test_a_cancelled_projection_leaves_nothing(models):
    from napari_srgan.io.sinks import MemorySink

    ended = []

    class Sink(MemorySink):
        def abort(self):
            ended.append("aborted")
            super().abort()

    data = pictures(np.uint8)
    options = RestoreOptions(model=models["bicubic", "gray"], device="cpu", back_project=True)
    steps = restore_stack(Stack(data, "ZYX"), options, Sink())
    first = next(steps)
    assert first.done == 0  # in the middle of a projection, before its plane is done
    steps.close()
    assert ended == ["aborted"]


def test_on_the_command_line(models, tmp_path, capsys):
    data = pictures(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack")
    command = ["upscale", str(tmp_path / "a.tif"), str(tmp_path / "b.tif"), "--back-project"]
    assert main([*command, "--device", "cpu", "--model", str(models["area", "gray"])]) == 0
    assert "after back-projection" in capsys.readouterr().out
    made = open_stack(tmp_path / "b.tif")
    np.testing.assert_array_equal(blocks(np.stack([made.read((k,)) for k in range(5)])), data)
    assert made.metadata["napari_srgan"]["back_projection"]["rmse_percent"] == 0


def _project(low, high, shrink):
    return drain(back_project(low, high, shrink))
