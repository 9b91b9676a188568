"""How far one image lies from another, in parts of a pixel.

A shift of half a pixel costs decibels that have nothing to do with how good a restoration is, so
every comparison states it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from napari_srgan.image.colour import as_channels
from napari_srgan.measure.checks import checked_planes
from napari_srgan.measure.frc import windowed

WARN_ABOVE = 0.25
"""Pixels of the reference, along Y or X; a larger shift is told of."""

_STEPS = 100  # of a pixel
_SMALLEST = 8  # px a side


def estimated_shift(reference: Any, candidate: Any) -> tuple[float, float]:
    """Estimate how far the candidate lies from the reference.

    Parameters
    ----------
    reference, candidate : array (Y, X) or (Y, X, S), the same shape, real dtype
        Planes of at least 8 px a side; of RGB the luma is used.

    Returns
    -------
    tuple of float
        (dy, dx) in pixels, in steps of 0.01: what the reference shows at (y, x), the candidate
        shows at (y + dy, x + dx). NaN for both if one of the images is constant.

    Raises
    ------
    InputError
        If the shapes differ, the images are no planes or too small, or hold NaN.

    Notes
    -----
    The peak of the cross-correlation, refined by a matrix Fourier transform around it
    (Guizar-Sicairos, Thurman and Fienup, Opt. Lett. 33:156 (2008); scikit-image's
    ``phase_cross_correlation``), of the images in a Hann window. It is not normalised to phases
    alone: the frequencies that a restoration lacks, or invents, would count as much as the others.
    """
    from skimage.registration import phase_cross_correlation

    pair = checked_planes(reference, candidate, _SMALLEST, "A shift")
    first, second = (windowed(as_channels(image.astype(np.float64), 1)) for image in pair)
    if not (np.any(first) and np.any(second)):
        return math.nan, math.nan
    moved, _, _ = phase_cross_correlation(first, second, upsample_factor=_STEPS, normalization=None)
    # What would bring the candidate back is the opposite of how far it lies off.
    dy, dx = (0.0 - round(float(v), 2) for v in moved)
    return dy, dx
