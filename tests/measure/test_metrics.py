"""The measures against worked figures, independent SSIMs, and the answers to bad input."""

import math

import numpy as np
import pytest
import skimage.metrics
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import convolve, gaussian_filter

from napari_srgan.errors import InputError
from napari_srgan.measure.metrics import (
    MS_SSIM_SIDE,
    data_range,
    mae,
    ms_ssim,
    mse,
    pearson,
    psnr,
    rmse,
    ssim,
)


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


def smooth_pair(height, width, seed):
    """Two alike images in [0, 1] with structure at all scales."""
    random = np.random.default_rng(seed)
    pair = []
    for _ in range(2):
        layers = [gaussian_filter(random.normal(size=(height, width)), s) * s for s in (1, 4, 16)]
        pair.append(np.sum(layers, axis=0))
    mixed = 0.8 * pair[0] + 0.2 * pair[1]
    low, span = min(pair[0].min(), mixed.min()), max(np.ptp(pair[0]), np.ptp(mixed)) * 1.1
    return (pair[0] - low) / span, (mixed - low) / span


@pytest.mark.parametrize("shape", [(448, 450), (401, 467)])
def test_ms_ssim_agrees_with_torchmetrics_where_the_border_hardly_counts(shape):
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    for seed in range(2):
        x, y = smooth_pair(*shape, seed)
        theirs = functional.multiscale_structural_similarity_index_measure(
            torch.tensor(y)[None, None], torch.tensor(x)[None, None], data_range=1.0
        )
        assert ms_ssim(x, y, 1) == pytest.approx(float(theirs), abs=1e-3)
        assert ms_ssim(x, y, 1) < 0.99


def test_ms_ssim_of_whole_windows_only_is_assembled_from_torchmetrics_parts():
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.image")
    measure = functional.structural_similarity_index_measure
    x, y = smooth_pair(182, 200, 5)
    a, b = torch.tensor(x)[None, None], torch.tensor(y)[None, None]
    product = 1.0
    for weight in (0.0448, 0.2856, 0.3001, 0.2363):
        _, contrast = measure(b, a, data_range=1.0, return_contrast_sensitivity=True)
        product *= float(contrast) ** weight
        a, b = (torch.nn.functional.avg_pool2d(image, 2) for image in (a, b))
    _, whole = measure(b, a, data_range=1.0, return_full_image=True)
    product *= float(whole[..., 5:-5, 5:-5].mean()) ** 0.1333
    assert ms_ssim(x, y, 1) == pytest.approx(product, abs=1e-9)


def test_ms_ssim_of_equal_of_opposed_and_of_rgb_images():
    x, y = smooth_pair(180, 190, 1)
    assert ms_ssim(x, x.copy(), 1) == pytest.approx(1)
    assert ms_ssim(x, 1 - x, 1) == 0
    rgb = np.stack([x, y, x], axis=-1), np.stack([y, y, x], axis=-1)
    assert ms_ssim(*rgb, 1) == pytest.approx((ms_ssim(x, y, 1) + 2) / 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("shape", [(11, 11), (74, 40), (75, 33), (203, 60), (90, 41, 3)])
def test_all_measures_agree_with_scikit_image_and_torchmetrics(shape, dtype):
    torch = pytest.importorskip("torch")
    image = pytest.importorskip("torchmetrics.functional.image")
    general = pytest.importorskip("torchmetrics.functional")
    x = texture(shape, 7).astype(dtype)
    y = (0.7 * x + 0.3 * texture(shape, 8)).astype(dtype)
    a, b = (torch.tensor(v.astype(np.float64)) for v in (x, y))
    if a.ndim == 2:
        planes = a[None, None], b[None, None]
    else:
        planes = a.permute(2, 0, 1)[None], b.permute(2, 0, 1)[None]
    wide = x.astype(float), y.astype(float)
    assert mse(x, y) == pytest.approx(skimage.metrics.mean_squared_error(*wide))
    assert mse(x, y) == pytest.approx(float(general.mean_squared_error(b, a)))
    assert rmse(x, y) == pytest.approx(float(general.mean_squared_error(b, a, squared=False)))
    assert mae(x, y) == pytest.approx(float(general.mean_absolute_error(b, a)))
    expected = skimage.metrics.peak_signal_noise_ratio(*wide, data_range=255)
    assert psnr(x, y, 255) == pytest.approx(expected)
    expected = float(image.peak_signal_noise_ratio(b, a, data_range=255.0))
    assert psnr(x, y, 255) == pytest.approx(expected, abs=1e-4)
    correlation = float(general.pearson_corrcoef(b.flatten(), a.flatten()))
    assert pearson(x, y) == pytest.approx(correlation)
    assert pearson(x, y) == pytest.approx(np.corrcoef(wide[0].ravel(), wide[1].ravel())[0, 1])
    expected = skimage.metrics.structural_similarity(
        *wide,
        data_range=255,
        channel_axis=2 if x.ndim == 3 else None,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(x, y, 255) == pytest.approx(expected, abs=1e-10)
    _, whole = image.structural_similarity_index_measure(
        *planes[::-1], data_range=255.0, return_full_image=True
    )
    # torchmetrics mirrors the border, whole windows begin 5 px within it.
    assert ssim(x, y, 255) == pytest.approx(float(whole[..., 5:-5, 5:-5].mean()), abs=1e-6)


def test_pearson_is_blind_to_gain_and_offset_and_undefined_for_constants():
    x = texture()
    assert pearson(x, 3 * x - 7) == pytest.approx(1)
    assert pearson(x, -0.1 * x) == pytest.approx(-1)
    assert abs(pearson(x, texture(seed=9))) < 0.1
    assert pearson(x, np.full_like(x, 0.1)) is None
    assert pearson(np.full_like(x, 0.1), x) is None
    assert pearson(x * 1e-200, x * 1e200) == pytest.approx(1)


def test_errors_of_a_known_difference():
    low, high = np.full((12, 12), 10, np.uint16), np.full((12, 12), 13, np.uint16)
    high[:6] = 9
    assert mse(low, high) == mse(high, low) == pytest.approx((9 + 1) / 2)
    assert mae(low, high) == mae(high, low) == pytest.approx((3 + 1) / 2)


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
        (lambda a: mse(a, a[:-1]), "different shapes"),
        (lambda a: pearson(a, a[:-1]), "different shapes"),
        (lambda a: rmse(np.where(a > 250, np.nan, a), a), "reference holds .* NaN"),
        (lambda a: mae(a, np.where(a > 250, np.nan, a)), "candidate holds .* NaN"),
        (lambda a: ms_ssim(a, a, 255), "MS-SSIM needs at least 176 x 176 px.*40 x 52"),
        (lambda a: ms_ssim(np.ones((MS_SSIM_SIDE - 1, 200)), np.ones((175, 200)), 1), "175 x 200"),
        (lambda a: data_range(np.full(9, 2.5)), r"constant \(2.5"),
        (lambda a: data_range(np.array([0, np.nan])), "NaN"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(call, said):
    with pytest.raises(InputError, match=said) as caught:
        call(texture())
    assert "\n" not in str(caught.value)
