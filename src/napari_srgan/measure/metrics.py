"""How alike two images are: PSNR, SSIM, MS-SSIM, MSE, RMSE, MAE and Pearson, as in the literature.

The measures work on plain arrays of the same shape and know nothing of models or files. The
range of the data is stated by the caller where a measure depends on it: a PSNR without its range
cannot be compared with another.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.metrics import structural_similarity

from napari_srgan.errors import InputError
from napari_srgan.measure.checks import check_range, checked_pair, checked_planes, real_array

# Wang et al. 2004, "Image quality assessment": an 11 x 11 Gaussian window of 1.5 px, K1, K2, and
# the covariance divided by N. scikit-image's own defaults are a uniform 7 x 7 window and N - 1.
SSIM_SIGMA = 1.5
SSIM_TRUNCATE = 3.5  # with sigma 1.5: a radius of 5 px, the 11 x 11 window
SSIM_WINDOW = 11
SSIM_K1 = 0.01
SSIM_K2 = 0.03

# Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment",
# Asilomar 2003, section 3.2: the weights of the scales, the finest first.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

MS_SSIM_SIDE = SSIM_WINDOW * 2 ** (len(_SCALE_WEIGHTS) - 1)
"""The smallest side, 176 px: at the coarsest scale one window must fit."""

# Work is done in blocks that fit the processor's cache, each in float64.
_BLOCK = 2**16  # values
_BAND = 64  # rows


def data_range(array: Any) -> float:
    """Give the range that PSNR and SSIM of this image refer to.

    Parameters
    ----------
    array : array, any shape, real or boolean dtype
        The reference image, best the whole stack, so that every slice refers to one range.

    Returns
    -------
    float
        255 for uint8; otherwise the largest stored value less the smallest. The range of the
        dtype is not used for other types: 12-bit data in a 16-bit file would gain 24 dB by it.

    Raises
    ------
    InputError
        If the array is empty, not real, holds NaN or infinity, or is constant (and not uint8).
    """
    values = real_array(array, "the image")
    if values.dtype == np.uint8:
        return 255.0
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(
            "The image holds NaN or infinity, so it has no range: fill those pixels first."
        )
    if low == high:
        raise InputError(
            f"The image is constant ({low:g} everywhere), so PSNR and SSIM have no range to "
            "refer to: give the range by hand."
        )
    return high - low


def psnr(reference: Any, candidate: Any, data_range: float) -> float:
    """Peak signal-to-noise ratio in decibels.

    Parameters
    ----------
    reference, candidate : array, the same shape, real dtype
        A plane, an RGB image or a whole stack; all pixels count alike.
    data_range : float
        The range of the data in the same unit as the pixels, above 0 (see `data_range`).

    Returns
    -------
    float
        10 log10(data_range^2 / mean squared error) in dB; infinity if the images are equal.

    Raises
    ------
    InputError
        If the shapes differ, a pixel is NaN or infinite, or the range is not above 0.
    """
    check_range(data_range)
    return psnr_of_mse(mse(reference, candidate), data_range)


def psnr_of_mse(error: float, data_range: float) -> float:
    """Return the PSNR in dB that belongs to a mean squared error; infinity if that is 0."""
    if error == 0.0:
        return math.inf
    return 20.0 * math.log10(data_range) - 10.0 * math.log10(error)


def mse(reference: Any, candidate: Any) -> float:
    """Mean squared error.

    Parameters
    ----------
    reference, candidate : array, the same shape, real dtype
        A plane, an RGB image or a whole stack; all pixels count alike.

    Returns
    -------
    float
        In the square of the pixels' unit.

    Raises
    ------
    InputError
        If the shapes differ, or a pixel is NaN or infinite.
    """
    first, second = checked_pair(reference, candidate)
    return sum(float(np.vdot(d, d)) for d in _differences(first, second)) / first.size


def mae(reference: Any, candidate: Any) -> float:
    """Mean absolute error, in the pixels' unit; parameters and errors are those of `mse`."""
    first, second = checked_pair(reference, candidate)
    return sum(float(np.abs(d).sum()) for d in _differences(first, second)) / first.size


def rmse(reference: Any, candidate: Any) -> float:
    """Root of the mean squared error, in the pixels' unit; see `mse`."""
    return math.sqrt(mse(reference, candidate))


def pearson(reference: Any, candidate: Any) -> float | None:
    """Pearson's correlation coefficient of the pixels.

    Parameters
    ----------
    reference, candidate : array, the same shape, real dtype
        A plane, an RGB image or a whole stack; all pixels count alike.

    Returns
    -------
    float or None
        From -1 to 1; blind to a gain above 0 and to an offset. None if one of the images is
        constant: there is nothing that could vary together.

    Raises
    ------
    InputError
        If the shapes differ, or a pixel is NaN or infinite.

    Notes
    -----
    Covariance by the product of the standard deviations (Pearson, Proc. R. Soc. Lond. 58:240
    (1895)).
    """
    first, second = (image.astype(np.float64) for image in checked_pair(reference, candidate))
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    for values in (first, second):
        values -= values.mean()
        values /= np.abs(values).max()  # so that no square overflows or vanishes
    norm = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return float(np.clip(np.vdot(first, second) / norm, -1.0, 1.0))


def ssim(reference: Any, candidate: Any, data_range: float) -> float:
    """Mean structural similarity with the settings of Wang et al. 2004.

    Parameters
    ----------
    reference, candidate : array (Y, X) or (Y, X, S) with S = 3 or 4, the same shape, real dtype
        One plane. RGB samples are measured one by one and averaged. Stacks are measured plane
        by plane, because SSIM is a measure of the structure within a plane.
    data_range : float
        The range of the data in the same unit as the pixels, above 0 (see `data_range`).

    Returns
    -------
    float
        At most 1, which means equal. The 5 px at each border, where the window does not fit,
        are left out.

    Raises
    ------
    InputError
        If the shapes differ, the array is not a plane or has fewer than 11 px on a side, a pixel
        is NaN or infinite, or the range is not above 0.
    """
    check_range(data_range)
    first, second = checked_planes(reference, candidate, SSIM_WINDOW, "SSIM")
    inside = slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2))
    total, count = 0.0, 0
    for start in range(0, first.shape[0] - SSIM_WINDOW + 1, _BAND):
        # A band and the rows around it that its windows reach.
        rows = slice(start, start + _BAND + SSIM_WINDOW - 1)
        _, local = structural_similarity(
            first[rows].astype(np.float64),
            second[rows].astype(np.float64),
            data_range=data_range,
            channel_axis=-1 if first.ndim == 3 else None,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            truncate=SSIM_TRUNCATE,
            use_sample_covariance=False,
            K1=SSIM_K1,
            K2=SSIM_K2,
            full=True,
        )
        total += float(local[inside, inside].sum())
        count += local[inside, inside].size
    return total / count


def ms_ssim(reference: Any, candidate: Any, data_range: float) -> float:
    """Multi-scale structural similarity.

    Contrast and structure are compared at five scales and luminance at the coarsest, each as
    `ssim` does; between scales 2 x 2 px become their mean.

    Parameters
    ----------
    reference, candidate : array (Y, X) or (Y, X, S) with S = 3 or 4, the same shape, real dtype
        One plane, at least 176 px a side. RGB samples are measured one by one and averaged.
    data_range : float
        The range of the data in the same unit as the pixels, above 0 (see `data_range`).

    Returns
    -------
    float
        From 0 to 1, which means equal.

    Raises
    ------
    InputError
        If the shapes differ, the array is not a plane or too small, a pixel is NaN or infinite,
        or the range is not above 0.

    Notes
    -----
    At every scale the 5 px at the border, where the window does not fit, are left out, as in
    the authors' program. (torchmetrics mirrors the border at the coarsest scale, which changes
    little in images of some 500 px.) A scale at which contrasts are opposed on the whole counts
    as 0, because a negative number has no such power.
    """
    check_range(data_range)
    first, second = checked_planes(reference, candidate, MS_SSIM_SIDE, "MS-SSIM")
    flat = [a.reshape(*a.shape[:2], -1).astype(np.float64) for a in (first, second)]
    planes = zip(*(np.moveaxis(image, 2, 0) for image in flat), strict=True)
    return float(np.mean([_ms_ssim_of_plane(x, y, data_range) for x, y in planes]))


def _differences(first: NDArray[Any], second: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Give the differences of all pixels in blocks; squares of 16-bit ones are exact in float64."""
    first, second = first.reshape(-1), second.reshape(-1)
    for start in range(0, first.size, _BLOCK):
        difference = first[start : start + _BLOCK].astype(np.float64)
        difference -= second[start : start + _BLOCK]
        yield difference


def _ms_ssim_of_plane(x: NDArray[Any], y: NDArray[Any], data_range: float) -> float:
    product = 1.0
    for weight in _SCALE_WEIGHTS[:-1]:
        contrast, _ = _terms(x, y, data_range)
        product *= max(float(contrast.mean()), 0.0) ** weight
        x, y = _halved(x), _halved(y)
    contrast, luminance = _terms(x, y, data_range)
    return float(product * max(float((contrast * luminance).mean()), 0.0) ** _SCALE_WEIGHTS[-1])


def _terms(
    x: NDArray[Any], y: NDArray[Any], data_range: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the maps of contrast times structure, and of luminance (Wang et al. 2004, 6 to 13)."""
    c1, c2 = (SSIM_K1 * data_range) ** 2, (SSIM_K2 * data_range) ** 2
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    # Rounding can leave a variance just below 0 where an image is constant.
    variance_x = np.maximum(_local_mean(x * x) - mean_x**2, 0)
    variance_y = np.maximum(_local_mean(y * y) - mean_y**2, 0)
    covariance = _local_mean(x * y) - mean_x * mean_y
    contrast = (2 * covariance + c2) / (variance_x + variance_y + c2)
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return contrast, luminance


def _local_mean(image: NDArray[Any]) -> NDArray[np.float64]:
    inside = slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2))
    filtered: NDArray[np.float64] = gaussian_filter(image, SSIM_SIGMA, truncate=SSIM_TRUNCATE)
    return filtered[inside, inside]


def _halved(image: NDArray[Any]) -> NDArray[np.float64]:
    """Average 2 x 2 px; an odd last row or column is left out."""
    height, width = (n // 2 for n in image.shape)
    blocks = image[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
    halved: NDArray[np.float64] = blocks.mean(axis=(1, 3))
    return halved
