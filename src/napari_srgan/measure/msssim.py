"""MS-SSIM: structural similarity over five scales (Wang, Simoncelli and Bovik 2003)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_srgan.measure.measurable import check_range, checked_planes
from napari_srgan.measure.metrics import SSIM_K1, SSIM_K2, SSIM_SIGMA, SSIM_TRUNCATE, SSIM_WINDOW

# Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment",
# Asilomar 2003, section 3.2: the weights of the scales, the finest first.
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

MS_SSIM_SIDE = SSIM_WINDOW * 2 ** (len(_WEIGHTS) - 1)
"""The smallest side, 176 px: at the coarsest scale one window must fit."""


def ms_ssim(reference: Any, candidate: Any, data_range: float) -> float:
    """Multi-scale structural similarity.

    Contrast and structure are compared at five scales and luminance at the coarsest, each as
    `metrics.ssim` does; between scales 2 x 2 px become their mean.

    Parameters
    ----------
    reference, candidate : array (Y, X) or (Y, X, S) with S = 3 or 4, the same shape, real dtype
        One plane, at least 176 px a side. RGB samples are measured one by one and averaged.
    data_range : float
        The range of the data in the same unit as the pixels, above 0 (see `metrics.data_range`).

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
    return float(np.mean([_of_plane(x, y, data_range) for x, y in planes]))


def _of_plane(x: NDArray[Any], y: NDArray[Any], data_range: float) -> float:
    product = 1.0
    for weight in _WEIGHTS[:-1]:
        contrast, _ = _terms(x, y, data_range)
        product *= max(float(contrast.mean()), 0.0) ** weight
        x, y = _halved(x), _halved(y)
    contrast, luminance = _terms(x, y, data_range)
    return float(product * max(float((contrast * luminance).mean()), 0.0) ** _WEIGHTS[-1])


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
