"""Fourier ring correlation: images of a known limit, along both axes, in physical units."""

import math

import numpy as np
import pytest

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.measure.frc import (
    AGAINST_REFERENCE,
    HALF_ANGLE,
    TWO_ACQUISITIONS,
    plane_spacing,
    ring_correlation,
)


def limited(shape, spacing, limit, seed=0, box=False):
    """Make noise without frequencies beyond `limit` (Y, X), of standard deviation 1."""
    fy = np.fft.fftfreq(shape[0], spacing[0])[:, None]
    fx = np.fft.fftfreq(shape[1], spacing[1])[None]
    if box:
        passed = (np.abs(fy) <= limit[0]) & (np.abs(fx) <= limit[1])
    else:
        passed = np.hypot(fy / limit[0], fx / limit[1]) <= 1
    noise = np.random.default_rng(seed).normal(size=shape)
    image = np.fft.ifft2(np.fft.fft2(noise) * passed).real
    return image / image.std()


def noisy(image, level, seed):
    return image + np.random.default_rng(seed).normal(0, level, image.shape)


def ring_width(shape, spacing):
    return max(1 / (shape[0] * spacing[0]), 1 / (shape[1] * spacing[1]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("shape", "spacing", "limit"),
    [
        ((256, 256), (1.0, 1.0), 0.2),
        ((256, 256), (1.0, 1.0), 0.35),
        ((201, 300), (2.0, 5.0), 0.06),
        ((300, 400), (3.87, 11.6), 0.03),
    ],
)
def test_two_noisy_copies_agree_up_to_the_limit_of_the_object(shape, spacing, limit, seed):
    truth = limited(shape, spacing, (limit, limit), seed)
    pair = noisy(truth, 0.5, seed + 10), noisy(truth, 0.5, seed + 20)
    width = ring_width(shape, spacing)
    for direction in ("all", "axial", "lateral"):
        found = ring_correlation(*pair, spacing=spacing, direction=direction)
        assert (found.outcome, found.threshold) == ("crossing", TWO_ACQUISITIONS)
        # Sectors hold few coefficients, so the fall is found less exactly.
        rings = 3 if direction == "all" else 6
        assert 1 / found.resolution == pytest.approx(limit, abs=rings * width)
    against = ring_correlation(truth, pair[0], spacing=spacing, threshold=AGAINST_REFERENCE)
    assert 1 / against.resolution == pytest.approx(limit, abs=2 * width)


def test_the_curve_follows_the_signal_to_noise_ratio():
    shape = (256, 256)
    truth = limited(shape, (1, 1), (0.25, 0.25))
    power = shape[0] * shape[1] / (np.pi * (0.25 * 256) ** 2)  # of a coefficient within
    for level in (0.5, 2.0):
        found = ring_correlation(noisy(truth, level, 1), noisy(truth, level, 2))
        expected = power / (power + level**2)  # S / (S + N)
        inside = (found.frequency > 0.05) & (found.frequency < 0.22)
        weights = found.samples[inside]
        mean = np.average(found.correlation[inside], weights=weights)
        assert mean == pytest.approx(expected, abs=0.03)
        outside = found.frequency > 0.28
        assert abs(np.average(found.correlation[outside], weights=found.samples[outside])) < 0.03


def test_axial_and_lateral_limits_are_told_apart():
    shape, spacing = (300, 320), (2.0, 5.0)
    truth = limited(shape, spacing, (0.1, 0.05), box=True)
    pair = noisy(truth, 0.5, 1), noisy(truth, 0.5, 2)
    width = ring_width(shape, spacing)
    # Within the sector the box reaches a little beyond its side.
    slack = 1 / math.cos(math.radians(HALF_ANGLE))
    for direction, limit in (("axial", 0.1), ("lateral", 0.05)):
        found = ring_correlation(*pair, spacing=spacing, direction=direction)
        assert limit - width < 1 / found.resolution < slack * limit + 2 * width
    turned = [np.ascontiguousarray(image.T) for image in pair]
    axial = ring_correlation(*pair, spacing=spacing, direction="axial")
    other = ring_correlation(*turned, spacing=spacing[::-1], direction="lateral")
    assert other.resolution == pytest.approx(axial.resolution)
    np.testing.assert_array_equal(other.samples, axial.samples)


def test_the_unit_of_the_spacing_is_that_of_the_resolution():
    truth = limited((128, 160), (1, 1), (0.2, 0.2))
    pair = noisy(truth, 0.3, 1), noisy(truth, 0.3, 2)
    pixels = ring_correlation(*pair)
    scaled = ring_correlation(*pair, spacing=(0.25, 0.25))
    assert scaled.resolution == pytest.approx(0.25 * pixels.resolution)
    np.testing.assert_allclose(scaled.frequency, 4 * pixels.frequency)


def test_the_whole_plane_is_counted_and_no_ring_beyond_the_sampling():
    found = ring_correlation(limited((64, 64), (1, 1), (0.3, 0.3)), np.eye(64))
    fy, fx = np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64))
    ring = np.rint(np.hypot(fy, fx) * 64).astype(int)
    expected = [np.count_nonzero(ring == k) for k in range(1, found.samples.size + 1)]
    np.testing.assert_array_equal(found.samples, expected)
    assert found.frequency[-1] < 0.5


def test_no_crossing_is_an_answer():
    random = np.random.default_rng(0)
    white, other = random.normal(size=(2, 128, 128))
    same = ring_correlation(white, white + 0.1 * other)
    assert (same.resolution, same.outcome) == (None, "above")
    nothing = ring_correlation(white, other)
    assert (nothing.resolution, nothing.outcome) == (None, "below")
    constant = ring_correlation(white, np.full((128, 128), 0.1))
    assert (constant.resolution, constant.outcome) == (None, "undefined")
    assert not constant.correlation.any()
    inverted = ring_correlation(white, -white)
    assert inverted.outcome == "below" and inverted.correlation.max() == pytest.approx(-1)


def test_a_slope_across_the_image_does_not_correlate_at_high_frequencies():
    random = np.random.default_rng(0)
    slope = np.add.outer(np.arange(128.0), np.arange(128.0))
    found = ring_correlation(*(slope + 5 * random.normal(size=(2, 128, 128))))
    high = found.frequency > 0.1
    assert abs(np.average(found.correlation[high], weights=found.samples[high])) < 0.03


def test_spacing_comes_from_the_stack_where_it_is_known():
    data = np.zeros((4, 40, 40), np.uint8)
    units = ("micrometer", "micrometer", "millimeter")
    known = Stack(data, scale=(120, 3.9, -0.0116), units=units, spacing_source="file")
    spacing, unit = plane_spacing(known)
    assert spacing == pytest.approx((3.9, 11.6)) and unit == "micrometer"
    guessed = Stack(data, scale=(120, 3.9, 11.6), units=("micrometer",) * 3)
    assert plane_spacing(guessed) == ((1.0, 1.0), "pixel")
    assert plane_spacing(Stack(data, spacing_source="file")) == ((1.0, 1.0), "pixel")


WHITE = np.random.default_rng(0).normal(size=(64, 64))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: ring_correlation(WHITE, WHITE[:-1]), "different shapes"),
        (lambda: ring_correlation(WHITE[:20], WHITE[:20]), "at least 32 x 32"),
        (lambda: ring_correlation(np.where(WHITE > 2, np.nan, WHITE), WHITE), "NaN"),
        (lambda: ring_correlation(WHITE, WHITE, direction="up"), "all, axial or lateral"),
        (lambda: ring_correlation(WHITE, WHITE, spacing=(0, 1)), "above 0"),
        (lambda: ring_correlation(WHITE, WHITE, threshold=1), "between 0 and 1"),
        (lambda: ring_correlation(WHITE, WHITE, spacing=(1, 50)), "too few frequencies"),
    ],
)
def test_bad_input_is_a_sentence(call, said):
    with pytest.raises(InputError, match=said):
        call()
