"""Profiles along a line against edges, lines and spots whose widths are known."""

import numpy as np
import pytest
from scipy.special import erf

from napari_srgan.errors import InputError
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.measure.profile import (
    Crossed,
    edge_width,
    line_profiles,
    sampled,
    width_at_half_height,
)

FWHM = 2 * np.sqrt(2 * np.log(2))
EDGE = 2 * np.sqrt(2) * 0.9061938024368232  # 2 sqrt(2) erfinv(0.8)
X = np.linspace(0, 40, 801)


def spot(sigma, at=20.0):
    return np.exp(-((X - at) ** 2) / (2 * sigma**2))


def edge(sigma, at=20.0):
    return (1 + erf((X - at) / (np.sqrt(2) * sigma))) / 2


@pytest.mark.parametrize("sigma", [0.5, 1.7, 3.0])
@pytest.mark.parametrize(("gain", "offset"), [(200, 10), (-50, 300)])
def test_a_gaussian_is_as_wide_as_its_sigma_says(sigma, gain, offset):
    values = gain * spot(sigma, at=18.3) + offset
    assert width_at_half_height(X, values) == pytest.approx(FWHM * sigma, rel=2e-3)
    assert edge_width(X, values) is None


def test_a_structure_on_a_slope_is_measured_from_the_slope():
    values = spot(1.5) + X * 0.01
    assert width_at_half_height(X, values) == pytest.approx(FWHM * 1.5, rel=0.03)


@pytest.mark.parametrize("sigma", [0.5, 1.7, 3.0])
@pytest.mark.parametrize("gain", [255, -3])
def test_an_edge_is_as_wide_as_its_sigma_says(sigma, gain):
    values = gain * edge(sigma, at=21.1) + 7
    assert edge_width(X, values) == pytest.approx(EDGE * sigma, rel=2e-3)
    assert width_at_half_height(X, values) is None


def test_a_sharp_edge_is_no_wider_than_a_sample():
    assert edge_width(X, (X > 20).astype(float)) == pytest.approx(0.8 * X[1])


def test_noise_does_not_move_the_edge_far():
    values = edge(1.5) + np.random.default_rng(0).normal(0, 0.01, X.size)
    assert edge_width(X, values) == pytest.approx(EDGE * 1.5, rel=0.1)


@pytest.mark.parametrize("values", [np.full(X.size, 3.1), np.full(X.size, np.nan)])
def test_of_a_constant_there_is_no_width(values):
    assert width_at_half_height(X, values) is None
    assert edge_width(X, values) is None


def test_a_structure_that_the_line_ends_in_has_no_width():
    assert width_at_half_height(X, spot(3.0, at=39.5)) is None


def test_all_images_are_measured_at_the_structure_of_the_last():
    """In the first one another structure stands out most."""
    rows = [2 * spot(1.0, 10) + 1.0 * spot(2.0, 25), 1.2 * spot(1.0, 10) + 1.5 * spot(1.5, 25.4)]
    images = [
        Crossed(name, np.tile(values, (5, 1)), (2, 0), (2, X.size - 1))
        for name, values in zip("ab", rows, strict=True)
    ]
    first, last = line_profiles(images, X[-1])
    assert first.fwhm == pytest.approx(FWHM * 2.0, rel=5e-3)
    assert last.fwhm == pytest.approx(FWHM * 1.5, rel=5e-3)


def test_missing_values_are_left_out():
    values = spot(1.5)
    values[:40] = np.nan
    assert width_at_half_height(X, values) == pytest.approx(FWHM * 1.5, rel=0.01)


# --- sampling ---------------------------------------------------------------------------------


def test_cubic_is_bicubic_enlargement_at_its_pixels():
    low = np.random.default_rng(0).integers(0, 255, (12, 9)).astype(np.uint8)
    rows, columns = np.meshgrid(
        *[(np.arange(4 * n) + 0.5) / 4 - 0.5 for n in low.shape], indexing="ij"
    )
    assert np.allclose(sampled(low, rows, columns, "cubic"), bicubic_enlarge(low, 4), atol=1e-3)


@pytest.mark.parametrize("kernel", ["linear", "cubic"])
def test_pixels_are_themselves_and_a_ramp_is_straight(kernel):
    plane = np.add.outer(3.0 * np.arange(10), np.arange(12))
    rows, columns = np.array([0.0, 9.0, 3.25, 6.5]), np.array([11.0, 0.0, 4.75, 2.0])
    assert np.allclose(sampled(plane, rows, columns, kernel), 3 * rows + columns)


def test_outside_nothing_is_measured():
    values = sampled(np.ones((4, 4)), np.array([-0.5, -0.51, 3.5, 3.51]), np.zeros(4))
    assert np.array_equal(np.isfinite(values), [True, False, True, False])


def test_images_of_other_pixels_line_up():
    """An LR, and an HR image of pixels that are as long as wide there, and not here."""
    fine_y, fine_x = np.meshgrid(
        (np.arange(160) + 0.5) * 0.5, (np.arange(80) + 0.5) * 1.0, indexing="ij"
    )
    coarse_y, coarse_x = np.meshgrid(*[(np.arange(40) + 0.5) * 2.0] * 2, indexing="ij")

    def wave(y, x):
        return np.sin(y / 7) + np.cos(x / 9)

    start, end = (9.0, 12.0), (63.0, 70.0)
    length = np.hypot(54, 58)
    normal = np.array([-58, 54]) / length

    def crossed(name, plane, size):
        def pixels(point):
            return tuple(np.array(point) / size - 0.5)

        return Crossed(name, plane, pixels(start), pixels(end), tuple(normal / size))

    fine, coarse = line_profiles(
        [
            crossed("fine", wave(fine_y, fine_x), np.array([0.5, 1.0])),
            crossed("coarse", wave(coarse_y, coarse_x), np.array([2.0, 2.0])),
        ],
        length,
        width=3.0,
    )
    assert np.array_equal(fine.distance, coarse.distance)
    assert fine.distance[-1] == pytest.approx(length)
    t = fine.distance / length
    truth = wave(start[0] + 54 * t, start[1] + 58 * t)
    assert np.abs(fine.values - truth).max() < 0.02
    assert np.abs(coarse.values - truth).max() < 0.04


def test_a_wide_line_averages_across():
    plane = np.zeros((21, 40))
    plane[::2] = 1.0
    line = Crossed("stripes", plane, (10.0, 2.0), (10.0, 37.0), (1.0, 0.0))
    (narrow,), (wide,) = line_profiles([line], 35.0), line_profiles([line], 35.0, width=12.0)
    assert np.allclose(narrow.values, 1.0)
    assert np.allclose(wide.values, 0.5, atol=0.05)


def test_colour_is_measured_by_its_luma():
    plane = np.zeros((8, 8, 3), np.uint8)
    plane[..., 1] = 100
    (profile,) = line_profiles([Crossed("green", plane, (4, 1), (4, 6))], 5.0)
    assert np.allclose(profile.values, 59)


@pytest.mark.parametrize("length", [0.0, float("nan")])
def test_a_line_without_length_is_refused(length):
    with pytest.raises(InputError, match="no length"):
        line_profiles([Crossed("a", np.ones((8, 8)), (1, 1), (1, 1))], length)


def test_a_line_beside_the_image_is_refused():
    with pytest.raises(InputError, match="outside scan"):
        line_profiles([Crossed("scan", np.ones((8, 8)), (20, 20), (30, 30))], 10.0)
