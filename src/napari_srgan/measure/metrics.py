"""How alike two images are: PSNR, SSIM, MSE, RMSE, MAE and Pearson, as the literature has them.

The measures work on plain arrays of the same shape and know nothing of models or files. The
range of the data is stated by the caller where a measure depends on it: a PSNR without its range
cannot be compared with another. MS-SSIM is in `msssim`.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from napari_srgan.errors import InputError
from napari_srgan.measure.measurable import check_range, checked_pair, checked_planes, real_array

# Wang et al. 2004, "Image quality assessment": an 11 x 11 Gaussian window of 1.5 px, K1, K2, and
# the covariance divided by N. scikit-image's own defaults are a uniform 7 x 7 window and N - 1.
SSIM_SIGMA = 1.5
SSIM_TRUNCATE = 3.5  # with sigma 1.5: a radius of 5 px, the 11 x 11 window
SSIM_WINDOW = 11
SSIM_K1 = 0.01
SSIM_K2 = 0.03

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
    error = mse(reference, candidate)
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


def _differences(first: NDArray[Any], second: NDArray[Any]) -> Iterator[NDArray[np.float64]]:
    """Give the differences of all pixels in blocks; squares of 16-bit ones are exact in float64."""
    first, second = first.reshape(-1), second.reshape(-1)
    for start in range(0, first.size, _BLOCK):
        difference = first[start : start + _BLOCK].astype(np.float64)
        difference -= second[start : start + _BLOCK]
        yield difference
