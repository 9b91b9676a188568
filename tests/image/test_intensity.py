"""Data to unit range and back: one range per stack and channel, nothing lost, nothing clipped."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_srgan.errors import InputError
from napari_srgan.image.intensity import Intensity, looks_linear, measure
from napari_srgan.image.sampling import sample
from napari_srgan.image.stack import Stack


def twelve_bit(shape=(6, 40, 50), seed=0):
    """12-bit data in a 16-bit file whose slices differ much in brightness."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0.05, 1, shape[0]).reshape(-1, 1, 1)
    return (rng.random(shape) * 4095 * ramp).astype(np.uint16)


def test_uint8_keeps_its_full_range_however_dark_the_image_is():
    dark = np.full((8, 9), 3, np.uint8)
    assert measure(Stack(dark)) == Intensity((0.0,), (255.0,), "auto", "none")


def test_auto_is_the_percentiles_of_the_whole_stack():
    data = twelve_bit()
    found = measure(Stack(data))
    lo, hi = np.percentile(data, (0.1, 99.9))
    assert found.lo == (pytest.approx(lo),) and found.hi == (pytest.approx(hi),)


def test_a_slice_maps_as_it_does_in_its_stack():
    data = twelve_bit()
    found = measure(Stack(data))
    whole = found.to_unit(data)
    for z in range(len(data)):
        assert np.array_equal(found.to_unit(data[z]), whole[z])
    assert whole[0].max() < 0.1, "a dark slice must stay dark"


def test_a_large_stack_is_sampled_the_same_way_each_time(monkeypatch):
    data = twelve_bit((40, 64, 64))
    few = sample(Stack(data), size=10_000)
    assert len(few) <= 12_000
    assert np.array_equal(few, sample(Stack(data.copy()), size=10_000))
    truth, seen = np.percentile(data, (5, 50, 95)), np.percentile(few, (5, 50, 95))
    np.testing.assert_allclose(seen, truth, atol=150)


def test_a_sample_reaches_the_whole_plane_and_all_planes():
    data = np.zeros((50, 400, 30), np.uint16)
    data += (np.arange(50)[:, None, None] * 10 + np.arange(400)[None, :, None] // 50).astype("u2")
    seen = np.unique(sample(Stack(data), size=60_000))
    assert len(np.unique(seen // 10)) == 50 and len(np.unique(seen % 10)) == 8


def test_channels_have_ranges_of_their_own():
    data = np.stack([twelve_bit(), twelve_bit() * 10], axis=1)
    found = measure(Stack(data, "ZCYX"))
    assert found.hi[1] == pytest.approx(10 * found.hi[0])
    np.testing.assert_allclose(
        found.to_unit(data[:, 1], channel=1), found.to_unit(data[:, 0], channel=0), atol=1e-6
    )


def test_colours_share_one_range_and_alpha_has_no_say():
    rng = np.random.default_rng(0)
    data = rng.integers(0, 1000, (20, 20, 4)).astype(np.uint16)
    data[..., 3] = 65535
    found = measure(Stack(data, "YXS"), "minmax")
    assert found.lo == (data[..., :3].min(),) and found.hi == (data[..., :3].max(),)


def test_modes():
    data = twelve_bit()
    assert measure(Stack(data), "minmax").hi == (float(data.max()),)
    assert measure(Stack(data), "dtype").hi == (65535.0,)
    assert measure(Stack(data.astype(np.float32)), "dtype").hi == (1.0,)
    assert measure(Stack(data), "0:4095").hi == (4095.0,)
    assert measure(Stack(data), "-1.5:2e3").lo == (-1.5,)
    median = measure(Stack(data), "percentile:0,50").hi[0]
    assert median == pytest.approx(np.median(data))


@pytest.mark.parametrize(
    ("mode", "transform", "word"),
    [
        ("nonsense", "none", "nonsense"),
        ("10:10", "none", "LO below HI"),
        ("20:10", "none", "LO below HI"),
        ("percentile:99,1", "none", "percentile"),
        ("percentile:1,101", "none", "percentile"),
        ("auto", "sqrt", "sqrt"),
        ("auto", "power:0", "above zero"),
        ("auto", "power:-1", "above zero"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(mode, transform, word):
    with pytest.raises(InputError, match=word):
        measure(Stack(twelve_bit()), mode, transform)


def test_nan_is_left_out_and_a_stack_of_nothing_else_is_refused():
    data = twelve_bit().astype(np.float32)
    holed = data.copy()
    holed[0, :5] = np.nan
    holed[1, 0, 0] = np.inf
    assert measure(Stack(holed), "minmax").hi[0] == data[np.isfinite(holed)].max()
    with pytest.raises(InputError, match="no finite value"):
        measure(Stack(np.full((9, 9), np.nan, np.float32)))


def test_percentiles_that_coincide_give_way_to_the_extremes():
    data = np.zeros((100, 100), np.uint16)
    data[5, 5] = 700
    assert measure(Stack(data)).hi == (700.0,)


def test_a_constant_stack_survives():
    data = np.full((9, 9), 1234, np.uint16)
    found = measure(Stack(data))
    assert np.array_equal(found.from_unit(found.to_unit(data), data.dtype), data)


def test_a_hot_pixel_stays_a_hot_pixel():
    data = twelve_bit()
    data[2, 3, 4] = 65000
    found = measure(Stack(data))
    unit = found.to_unit(data)
    assert unit[2, 3, 4] > 10
    assert found.from_unit(unit, data.dtype)[2, 3, 4] == 65000


def test_integers_are_rounded_and_clipped_never_wrapped():
    found = Intensity((0.0,), (255.0,))
    unit = np.array([-0.5, 0.4999 / 255, 0.5001 / 255, 1.5, 254.6 / 255])
    assert found.from_unit(unit, np.uint8).tolist() == [0, 0, 1, 255, 255]


def test_64_bit_integers_on_a_pedestal_keep_their_digits():
    data = 2**52 + np.arange(100, dtype=np.int64).reshape(10, 10)
    found = measure(Stack(data), "minmax")
    assert np.array_equal(found.from_unit(found.to_unit(data), data.dtype), data)
    wild = Intensity((0.0,), (1e19,)).from_unit(np.array([5.0, -5.0]), np.int64)
    assert wild[0] > 0 > wild[1]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["uint8", "uint16", "int16", "int32", "float16", "float32", "float64"]),
    st.sampled_from(["none", "log", "power:0.5", "power:0.25"]),
    st.integers(0, 1000),
)
def test_round_trip_keeps_dtype_and_values(dtype, transform, seed):
    rng = np.random.default_rng(seed)
    data = rng.exponential(50, (12, 13))
    data = (data * 20 if dtype not in ("uint8", "float16") else data).clip(0, 255 * 200)
    data = data.clip(0, 255).astype(dtype) if dtype == "uint8" else data.astype(dtype)
    found = measure(Stack(data, "YX"), "auto", transform)
    back = found.from_unit(found.to_unit(data), data.dtype)
    assert back.dtype == data.dtype
    if data.dtype.kind in "iu":
        assert np.array_equal(back, data)
    else:
        np.testing.assert_allclose(back, data, rtol=2e-3 if dtype == "float16" else 1e-4, atol=1e-4)


def test_transforms_bend_dark_data_upwards_and_keep_the_order():
    data = np.geomspace(1e-3, 10, 100).reshape(10, 10).astype(np.float32)
    for transform in ("log", "power:0.25"):
        found = measure(Stack(data), "minmax", transform)
        unit = found.to_unit(data)
        assert unit.flat[0] == pytest.approx(0, abs=1e-6) and unit.flat[-1] == pytest.approx(1)
        assert unit.flat[50] > 0.2, "without a transform it is 0.01"
        assert np.all(np.diff(unit.ravel()) > 0)


def test_values_below_zero_pass_through_the_transforms():
    data = np.array([-3.0, -0.5, 0.0, 0.5, 3.0])
    for transform in ("log", "power:0.5"):
        found = Intensity((0.0,), (3.0,), "minmax", transform)
        np.testing.assert_allclose(found.from_unit(found.to_unit(data), "f8"), data, atol=1e-5)


def test_log_takes_a_black_channel_and_a_constant_stack():
    data = np.stack([np.zeros((9, 10)), np.random.default_rng(0).random((9, 10))])
    found = measure(Stack(data, "CYX"), transform="log")
    for channel, plane in enumerate(data):
        back = found.from_unit(found.to_unit(plane, channel), plane.dtype, channel)
        assert np.allclose(back, plane, atol=1e-6)
    assert measure(Stack(np.full((9, 10), -3.0)), transform="log").lo == (-3.0,)


def test_log_of_decibels_is_refused():
    with pytest.raises(InputError, match="decibels"):
        measure(Stack(np.linspace(-90, -10, 100).reshape(10, 10)), "auto", "log")


def test_linear_intensities_are_told_from_log_compressed_ones():
    rng = np.random.default_rng(0)
    layers = np.zeros((100, 100))
    layers[40:50] = 40  # dB above the noise
    intensity = rng.exponential(1, (100, 100)) * 10 ** (layers / 10)
    assert looks_linear(Stack(intensity.astype(np.float32)))
    decibels = 10 * np.log10(intensity)
    assert not looks_linear(Stack(decibels.astype(np.float32)))
    display = np.clip((decibels + 10) / 60 * 255, 0, 255).astype(np.uint8)
    assert not looks_linear(Stack(display))
    assert not looks_linear(Stack(np.zeros((20, 20), np.uint16)))


@pytest.mark.parametrize("mode", ["0:1e308", "-1e308:1e308", "-1e39:0"])
def test_limits_that_float32_cannot_hold_are_refused(mode):
    with pytest.raises(InputError, match="the largest value of float32"):
        measure(Stack(np.zeros((9, 11), np.uint16)), mode)
