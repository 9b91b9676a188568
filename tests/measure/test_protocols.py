"""The two protocols against independent computations, and means over images."""

import numpy as np
import pytest
import skimage.data
from skimage.metrics import peak_signal_noise_ratio

from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.degradation import NAMES, degradation
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.measure.protocols import (
    degraded_plane,
    evaluate_plane,
    evaluate_plane_paper,
    matlab_enlarge,
    matlab_shrink,
    score,
    summary,
)


def blobs(seed, shape=(70, 90)):
    """A smooth uint8 image with something to see in it."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    image = np.zeros(shape)
    for cy, cx, r in random.uniform((0, 0, 2), (*shape, 8), (25, 3)):
        image += np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * r * r))
    return (255 * image / image.max()).astype(np.uint8)


# The paper protocol, written out once more.


def cubic(x):
    """Keys' kernel with a = -1/2."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))


def resize_matrix(length, out, scale):
    """MATLAB's imresize along one axis as a matrix (out, length), `scale` = out / length."""
    matrix = np.zeros((out, length))
    widening = min(scale, 1)
    for i in range(out):
        centre = (i + 1) / scale + 0.5 * (1 - 1 / scale)  # counted from 1
        reach = int(np.ceil(2 / widening)) + 1
        at = np.arange(int(np.floor(centre)) - reach, int(np.floor(centre)) + reach + 1)
        weights = widening * cubic(widening * (centre - at))
        weights /= weights.sum()
        mirror = np.concatenate([np.arange(length), np.arange(length)[::-1]])
        for j, weight in zip(at, weights, strict=True):
            matrix[i, mirror[(j - 1) % (2 * length)]] += weight
    return matrix


def imresize(image, scale):
    height, width = (round(n * scale) for n in image.shape[:2])
    rows = resize_matrix(image.shape[0], height, scale)
    columns = resize_matrix(image.shape[1], width, scale)
    resized = np.einsum("iy,yx...,jx->ij...", rows, image.astype(float), columns)
    return np.clip(np.floor(resized + 0.5), 0, 255).astype(np.uint8)


def compared(image):
    if image.ndim == 3:
        r, g, b = (image[..., k] / 255 for k in range(3))
        image = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    return image[4:-4, 4:-4].astype(float)


@pytest.mark.parametrize(
    ("name", "gray"), [("astronaut", False), ("chelsea", False), ("coffee", True), ("camera", True)]
)
def test_bicubic_of_the_paper_protocol_is_that_of_matlab(name, gray):
    hr = getattr(skimage.data, name)()[40:203, 100:266]
    if gray and hr.ndim == 3:
        hr = np.ascontiguousarray(hr[..., 1])
    whole = hr[:160, :164]
    lr = imresize(whole, 1 / 4)
    given = []
    found = evaluate_plane_paper(
        hr, 4, lambda x: given.append(x) or np.repeat(x.repeat(4, 0), 4, 1)
    )
    reference, enlarged = compared(whole), compared(imresize(lr, 4))
    expected = peak_signal_noise_ratio(reference, enlarged, data_range=255)
    assert found.bicubic["psnr"] == pytest.approx(expected, abs=0.01)
    pixelated = compared(lr.repeat(4, 0).repeat(4, 1))
    expected = peak_signal_noise_ratio(reference, pixelated, data_range=255)
    assert found.model["psnr"] == pytest.approx(expected, abs=0.01)
    # float32 and float64 may round a tie to different sides.
    assert np.abs(given[0] * 255 - lr).max() < 1.001
    assert (np.rint(given[0] * 255) != lr).mean() < 1e-3


def test_the_border_is_mirrored_as_matlab_does():
    image = np.zeros((32, 40))
    image[:2] = 200
    for made, scale in ((matlab_shrink(image, 4), 1 / 4), (matlab_enlarge(image, 4), 4)):
        rows = resize_matrix(32, round(32 * scale), scale)
        np.testing.assert_allclose(
            made, (rows @ image)[:, : made.shape[1]][:, :1] + 0 * made, atol=1e-3
        )


# The protocol of the data.


def unit(seed=3, shape=(64, 72)):
    return blobs(seed, shape).astype(np.float32) / 255


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_score_and_bicubic_as_restoration_gains_nothing(name):
    operator = degradation(name)
    scores = [
        evaluate_plane(
            unit(),
            operator,
            4,
            lambda lr: bicubic_enlarge(lr, 4),
            np.random.default_rng((0, seed)),
        )
        for seed in (1, 1, 2)
    ]
    assert scores[0] == scores[1]
    assert (scores[0] != scores[2]) == (name in ("decimate", "blur-noise"))
    assert scores[0].model == scores[0].bicubic
    assert scores[0].model["psnr"] > 20, "LR and target lie at the same place"


def test_a_perfect_restoration_wins_and_both_candidates_are_clipped():
    hr = unit()
    lr, target = degraded_plane(hr, degradation("bicubic"), 4, np.random.default_rng(0))
    assert lr.shape == (16, 18) and np.array_equal(target, hr)
    found = score(hr, np.where(hr == 1, 1.5, hr + 0.01).astype(np.float32), hr * 0.5)
    low = np.minimum(hr + 0.01, 1) - hr
    assert found.model["mse"] == pytest.approx(np.square(low).mean(), rel=1e-3)
    assert found.model["mae"] == pytest.approx(np.abs(low).mean(), rel=1e-3)
    assert found.model["ms_ssim"] is None, "too small for five scales"
    assert found.row()["psnr"] > 39 and found.row()["ms_ssim_bicubic"] is None


def test_rgb_and_large_images_are_measured_by_every_measure():
    hr = np.stack([unit(s, (176, 180)) for s in range(3)], axis=-1)
    found = evaluate_plane(
        hr, degradation("area"), 4, lambda lr: bicubic_enlarge(lr, 4), np.random.default_rng(0)
    )
    assert 0.5 < found.model["ms_ssim"] < 1
    assert found.model["ssim"] < found.model["ms_ssim"]


def test_constant_images_are_left_out_of_the_mean():
    hr = unit()
    scores = [score(hr, hr + d, hr + 0.1) for d in (np.float32(0.02), np.float32(0.04))]
    flat = np.full_like(hr, 0.25)
    found = summary([*scores, score(flat, flat + 0.01, flat)])
    assert (found.images, found.left_out) == (2, 1)
    assert found.mean.model["psnr"] == pytest.approx(np.mean([s.model["psnr"] for s in scores]))
    assert found.mean.model["ms_ssim"] is None
    assert summary([score(flat, flat, flat)]).mean is None


def test_vgg_distances_are_mean_squared_differences_of_the_maps():
    torch = pytest.importorskip("torch")

    class Doubled(torch.nn.Module):
        layer, smallest_side = "vgg22", 2

        def forward(self, images):
            return 2 * images

    hr = unit()
    found = score(hr, hr * 0.9, hr * 0.5, features=[Doubled()])
    assert found.model["vgg22"] == pytest.approx(4 * found.model["mse"], rel=1e-4)
    assert found.row()["vgg22_bicubic"] == pytest.approx(4 * found.bicubic["mse"], rel=1e-4)
    assert summary([found, found]).mean.model == pytest.approx(found.model)


def test_what_is_too_small_is_refused_with_its_name():
    with pytest.raises(InputError, match="tiny has 30 x 72 px, and 32 x 32 px"):
        evaluate_plane(
            unit()[:30], degradation("area"), 4, None, np.random.default_rng(0), name="tiny"
        )


def test_colour_becomes_gray_by_its_luma():
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, range(3), range(3)] = 200
    np.testing.assert_array_equal(as_channels(rgba, 1), [[60, 117, 23]])
    assert as_channels(rgba, 3).shape == (1, 3, 3)
