"""Where a candidate departs from a reference after gain, offset and blur are fitted, as SQUIRREL.

Culley et al., "Quantitative mapping and minimization of super-resolution optical imaging
artifacts", Nat. Methods 15:263 (2018): the sharper image is brought to the
reference's intensities and resolution first, so that what remains are structures that it shows and
the reference does not, or the reverse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_srgan.image.colour import as_channels
from napari_srgan.measure.checks import checked_planes
from napari_srgan.measure.metrics import pearson, rmse

SIGMA_LIMIT = 16.0
"""The widest blur that is tried, standard deviation in pixels: 4 LR pixels at 4x."""

_SIGMAS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, SIGMA_LIMIT)
_TOLERANCE = 1e-3  # px
_SMALLEST = 8  # px a side


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ErrorMap:
    """What a candidate leaves unexplained of a reference, or adds to it.

    Attributes
    ----------
    map : ndarray of float32, shape (Y, X)
        |reference - fitted|, in the unit of the reference's pixels; NaN if the reference is
        constant.
    rse : float or None
        Resolution-scaled error: the root mean square of the map, in the same unit; None if the
        reference is constant.
    rsp : float or None
        Resolution-scaled Pearson coefficient: the correlation of the reference with the blurred
        candidate, from -1 to 1; None if one of them is constant.
    gain, offset : float
        fitted = gain * blurred + offset. The gain is not below 0: a candidate with inverted
        contrast is not put right, but gets gain 0 and an RSP below 0.
    sigma : float
        Standard deviation of the Gaussian blur in pixels, from 0 to `SIGMA_LIMIT`; at the limit
        the reference is even less sharp.
    """

    map: NDArray[np.float32]
    rse: float | None
    rsp: float | None
    gain: float
    offset: float
    sigma: float


def error_map(reference: Any, candidate: Any) -> ErrorMap:
    """Fit a candidate to a reference and map what remains.

    Parameters
    ----------
    reference, candidate : array (Y, X) or (Y, X, S), the same shape, real dtype
        Planes of at least 8 px a side; of RGB the luma is used.

    Returns
    -------
    ErrorMap

    Raises
    ------
    InputError
        If the shapes differ, the images are no planes or too small, or hold NaN.

    Notes
    -----
    For each blur, gain and offset are those of least squares; the blur is the best of 11 between 0
    and `SIGMA_LIMIT`, refined by a bounded search between its neighbours (Brent). Beyond the
    border the image is mirrored. A reference that is sharper than the candidate gives a blur of 0.

    Of a constant reference the fit would take any candidate away, with the gain 0, and leave an
    error of 0 whatever the candidate shows: that says nothing of it, so it is not given out.
    """
    pair = checked_planes(reference, candidate, _SMALLEST, "The error map")
    first, second = (as_channels(image.astype(np.float64), 1) for image in pair)

    def error(sigma: float) -> float:
        return rmse(first, _fitted(first, _blurred(second, sigma))[0])

    if np.ptp(first) == 0:
        return ErrorMap(
            map=np.full(first.shape, np.nan, np.float32),
            rse=None,
            rsp=None,
            gain=0.0,
            offset=float(first.flat[0]),
            sigma=0.0,
        )
    # A blur would make rounding noise of a constant image, and the fit a structure of that.
    sigma = _best_sigma(error) if np.ptp(second) else 0.0
    blurred = _blurred(second, sigma)
    fitted, gain, offset = _fitted(first, blurred)
    return ErrorMap(
        map=np.abs(first - fitted).astype(np.float32),
        rse=rmse(first, fitted),
        rsp=pearson(first, blurred),
        gain=gain,
        offset=offset,
        sigma=sigma,
    )


def _best_sigma(error: Callable[[float], float]) -> float:
    # Late: of scipy's parts this one takes longest to import, and opening Compare needs none of it.
    from scipy.optimize import minimize_scalar

    errors = [error(sigma) for sigma in _SIGMAS]
    best = int(np.argmin(errors))
    around = _SIGMAS[max(best - 1, 0)], _SIGMAS[min(best + 1, len(_SIGMAS) - 1)]
    found = minimize_scalar(error, bounds=around, method="bounded", options={"xatol": _TOLERANCE})
    # The search never tries its ends, where a fit without blur lies.
    return float(found.x) if found.fun < errors[best] else _SIGMAS[best]


def _blurred(image: NDArray[Any], sigma: float) -> NDArray[np.float64]:
    blurred: NDArray[np.float64] = gaussian_filter(image, sigma, mode="reflect")
    return blurred


def _fitted(
    reference: NDArray[Any], image: NDArray[Any]
) -> tuple[NDArray[np.float64], float, float]:
    """Return gain * image + offset, gain and offset of least squares with a gain from 0."""
    mean, target = float(image.mean()), float(reference.mean())
    centred = image - mean
    gain = 0.0
    if np.ptp(image):
        power = float(np.vdot(centred, centred))
        gain = max(float(np.vdot(centred, reference - target)) / power, 0.0)
    fitted: NDArray[np.float64] = gain * centred + target
    return fitted, gain, target - gain * mean
