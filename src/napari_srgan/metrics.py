"""How alike two images are: PSNR, SSIM, MSE and MAE as the literature defines them.

The measures work on plain arrays of the same shape and know nothing of models or files. The
range of the data is stated by the caller where a measure depends on it: a PSNR without its range
cannot be compared with another. MS-SSIM is in `msssim`.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from napari_srgan.errors import InputError

# Wang et al. 2004, "Image quality assessment": an 11 x 11 Gaussian window of 1.5 px, K1, K2, and
# the covariance divided by N. scikit-image's own defaults are a uniform 7 x 7 window and N - 1.
SSIM_SIGMA = 1.5
SSIM_TRUNCATE = 3.5  # with sigma 1.5: a radius of 5 px, the 11 x 11 window
SSIM_WINDOW = 11
SSIM_K1 = 0.01
SSIM_K2 = 0.03

_SAMPLE_COUNTS = (3, 4)  # RGB and RGBA


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
    values = _real(array, "the image")
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
    return float(np.mean(np.square(first - second)))


def mae(reference: Any, candidate: Any) -> float:
    """Mean absolute error, in the pixels' unit; parameters and errors are those of `mse`."""
    first, second = checked_pair(reference, candidate)
    return float(np.mean(np.abs(first - second)))


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
    return float(
        structural_similarity(
            first,
            second,
            data_range=data_range,
            channel_axis=-1 if first.ndim == 3 else None,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            truncate=SSIM_TRUNCATE,
            use_sample_covariance=False,
            K1=SSIM_K1,
            K2=SSIM_K2,
        )
    )


def _real(array: Any, what: str) -> NDArray[Any]:
    """Give the array as numpy, or say why it is no image."""
    values = np.asarray(array)
    if values.size == 0:
        raise InputError(f"There is nothing to measure: {what} is empty (shape {values.shape}).")
    if values.dtype.kind not in "buif":
        raise InputError(
            f"PSNR and SSIM are defined for real numbers, and {what} is of the type {values.dtype}."
        )
    return values


def check_range(data_range: float) -> None:
    """Refuse a range that is not a number above 0."""
    if not (math.isfinite(data_range) and data_range > 0):
        raise InputError(
            f"The range of the data has to be a number above 0, and it is {data_range:g}."
        )


def checked_pair(reference: Any, candidate: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """Check both images; float64, so that squares of 16-bit differences are exact."""
    first = _real(reference, "the reference")
    second = _real(candidate, "the candidate")
    if first.shape != second.shape:
        raise InputError(
            f"The images have different shapes, reference {first.shape} and candidate "
            f"{second.shape}: only images on the same pixel grid can be compared."
        )
    pair = first.astype(np.float64), second.astype(np.float64)
    for values, what in zip(pair, ("reference", "candidate"), strict=True):
        bad = int(np.count_nonzero(~np.isfinite(values)))
        if bad:
            raise InputError(
                f"The {what} holds {bad} NaN or infinite pixels: fill or crop them first."
            )
    return pair


def checked_planes(
    reference: Any, candidate: Any, smallest: int, measure: str
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Check two planes (Y, X) or (Y, X, S) of at least `smallest` px a side; float64."""
    first, second = checked_pair(reference, candidate)
    has_samples = first.ndim == 3 and first.shape[-1] in _SAMPLE_COUNTS
    if not has_samples and first.ndim != 2:
        raise InputError(
            f"{measure} compares single planes (Y, X) or (Y, X, S), and these arrays have the "
            f"shape {first.shape}: compare them plane by plane."
        )
    height, width = first.shape[:2]
    if min(height, width) < smallest:
        raise InputError(
            f"{measure} needs at least {smallest} x {smallest} px, and these images have "
            f"{height} x {width} px."
        )
    return first, second
