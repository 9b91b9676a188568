"""Scores by which pixels can be trusted: the smaller, the more; all in % of the intensity range.

Each is made of something that is known without the truth; invention and spread are their trust maps
as they are. Which of them tells wrong pixels best depends on the model and the images, so a
calibration measures it (`conformal.promising`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_srgan.image.geometry import Scale

SCORES = ("detail", "consistency", "invention", "spread")
"""What a score is made of, the ones that cost least first: the result itself, or a trust map."""

SIGMA = 2.0
"""Of the Gaussian window of detail and consistency, pixels of the result and of the input: a pixel
whose residual happens to be small is not to be trusted for that."""


def detail_score(result: NDArray[Any], data_range: float) -> NDArray[np.float32]:
    """Measure the local contrast of a result: its standard deviation in the window.

    Parameters
    ----------
    result : ndarray, shape (Y, X) or (Y, X, S), real
    data_range : float
        100 %, in the unit of the result.
    """
    values = result.reshape(*result.shape[:2], -1).astype(np.float64) * (100 / data_range)
    with np.errstate(invalid="ignore"):  # infinities that were put back have no contrast
        mean = _blurred(values)
        variance = (_blurred(values**2) - mean**2).mean(axis=2)
    return _root(variance)


def consistency_score(
    residual: NDArray[Any], data_range: float, scale: Scale
) -> NDArray[np.float32]:
    """Measure the local strength of what the input leaves unexplained, at the result's size.

    Parameters
    ----------
    residual : ndarray, shape (y, x)
        The consistency map; NaN where nothing is known.
    data_range : float
        100 %, in the unit of the map.
    scale : Scale
        Of the model.
    """
    values = residual.astype(np.float64) * (100 / data_range)
    known = np.isfinite(values)
    found = _root(_blurred(np.where(known, values, 0.0)[..., None] ** 2)[..., 0])
    found[~known] = np.nan
    return found.repeat(scale[0], axis=0).repeat(scale[1], axis=1)


def _blurred(values: NDArray[np.float64]) -> NDArray[np.float64]:
    blurred: NDArray[np.float64] = gaussian_filter(values, (SIGMA, SIGMA, 0.0), mode="reflect")
    return blurred


def _root(squares: NDArray[np.float64]) -> NDArray[np.float32]:
    # Filtering in floats may leave -1e-12 where all is zero.
    root: NDArray[np.float32] = np.sqrt(np.maximum(squares, 0.0)).astype(np.float32)
    return root
