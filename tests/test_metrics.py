"""The measures against worked figures, an independent SSIM, and the answers to bad input."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve

from napari_srgan.errors import InputError
from napari_srgan.metrics import data_range, psnr, ssim


def texture(shape=(40, 52), seed=0):
    return np.random.default_rng(seed).uniform(0, 255, shape)


def ssim_by_the_paper(x, y, level):
    """SSIM from the formula of Wang et al. 2004, with a window laid out by hand."""
    r = np.arange(-5, 6)
    window = np.exp(-(r[:, None] ** 2 + r[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(a):
        return convolve(a, window)[5:-5, 5:-5]

    c1, c2 = (0.01 * level) ** 2, (0.03 * level) ** 2
    mx, my = mean(x), mean(y)
    vx, vy, cov = mean(x * x) - mx**2, mean(y * y) - my**2, mean(x * y) - mx * my
    top = (2 * mx * my + c1) * (2 * cov + c2)
    return float((top / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


def test_psnr_of_a_known_error():
    reference = np.zeros((16, 16), np.uint8)
    assert psnr(reference, reference + 1, 255) == pytest.approx(48.1308, abs=1e-4)
    assert psnr(reference, reference + 10, 255) == pytest.approx(28.1308, abs=1e-4)


def test_unsigned_differences_do_not_wrap_around():
    low, high = np.full((12, 12), 10, np.uint16), np.full((12, 12), 20, np.uint16)
    assert psnr(low, high, 4095) == psnr(high, low, 4095) == pytest.approx(52.245, abs=1e-2)


def test_equal_images_are_infinitely_good_even_when_constant():
    for image in (texture(), np.full((20, 20), 7.0), texture((20, 20, 3))):
        assert psnr(image, image.copy(), 255) == math.inf
        assert ssim(image, image.copy(), 255) == pytest.approx(1.0)


@pytest.mark.parametrize("level", [1.0, 255.0, 4095.0])
def test_ssim_agrees_with_the_paper(level):
    x = texture(seed=1) / 255 * level
    y = 0.8 * x + 0.2 * texture(seed=2) / 255 * level
    assert ssim(x, y, level) == pytest.approx(ssim_by_the_paper(x, y, level), abs=1e-10)


def test_rgb_ssim_is_the_mean_over_the_samples():
    x, y = texture((30, 30, 3), 3), texture((30, 30, 3), 4)
    single = [ssim(x[..., s], y[..., s], 255) for s in range(3)]
    assert ssim(x, y, 255) == pytest.approx(np.mean(single))
    assert np.std(single) > 1e-4


@given(gain=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_the_unit_of_the_data_does_not_matter(gain, seed):
    x, y = texture((16, 18), seed), texture((16, 18), seed + 100)
    assert psnr(x * gain, y * gain, 255 * gain) == pytest.approx(psnr(x, y, 255))
    assert ssim(x * gain, y * gain, 255 * gain) == pytest.approx(ssim(x, y, 255), abs=1e-9)


def test_the_range_is_255_for_bytes_and_the_stored_range_otherwise():
    assert data_range(np.array([3, 9], np.uint8)) == 255
    assert data_range(np.array([100, 4095], np.uint16)) == 3995
    assert data_range(np.array([-0.5, 1.5], np.float32)) == 2
    assert data_range(np.array([-30000, 30000], np.int16)) == 60000


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda a: psnr(a, a[:-1], 255), r"different shapes.*\(40, 52\).*\(39, 52\)"),
        (lambda a: ssim(a, a.T, 255), "different shapes"),
        (lambda a: psnr(np.where(a > 250, np.nan, a), a, 255), "reference holds .* NaN"),
        (lambda a: ssim(a, np.where(a > 250, np.inf, a), 255), "candidate holds .* infinite"),
        (lambda a: psnr(a, a, 0), "above 0"),
        (lambda a: ssim(a, a, math.nan), "above 0"),
        (lambda a: ssim(a[:10], a[:10], 255), "at least 11 x 11 px.*10 x 52"),
        (lambda a: ssim(a[None], a[None], 255), "plane by plane"),
        (lambda a: psnr(a[:0], a[:0], 255), "empty"),
        (lambda a: psnr(a + 1j, a, 255), "complex128"),
        (lambda a: data_range(np.full(9, 2.5)), r"constant \(2.5"),
        (lambda a: data_range(np.array([0, np.nan])), "NaN"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(call, said):
    with pytest.raises(InputError, match=said) as caught:
        call(texture())
    assert "\n" not in str(caught.value)
