"""Contrast and speckle in regions of an image: CNR and ENL, and on which scale they were taken.

Regions are masks; how they are drawn is the window's business.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.valid import is_value

ValueScale = Literal["linear", "log"]

_FEWEST = 2  # pixels; one pixel has no variance


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionFigure:
    """A figure of one or two regions.

    Attributes
    ----------
    name : str
        "CNR" or "ENL".
    value : float or None
        Without unit; infinite where nothing varies; None where it is 0 / 0.
    scale : {"linear", "log"}
        Of the values that it was computed from, after the conversion if there was one.
    transform : str
        How logarithmic values were made linear; "none" if they were taken as they are.
    """

    name: str
    value: float | None
    scale: ValueScale
    transform: str = "none"

    @property
    def label(self) -> str:
        """The name with what a reader must know: "CNR", "ENL (log)", "ENL (from dB)"."""
        if self.scale == "log":
            return f"{self.name} (log)"
        return self.name if self.transform == "none" else f"{self.name} (linear, from dB)"


def cnr(
    image: NDArray[Any],
    signal: NDArray[Any],
    background: NDArray[Any],
    scale: ValueScale = "linear",
    decibels: float | None = None,
) -> RegionFigure:
    """Contrast-to-noise ratio of two regions.

    Parameters
    ----------
    image : ndarray, shape (Y, X), real dtype
    signal, background : ndarray of bool, the shape of `image`
        The regions, at least 2 px each.
    scale : {"linear", "log"}
        What the values are. Logarithmic ones are taken as they are, and the figure says so, or
        are made linear first if `decibels` is given.
    decibels : float, optional
        For "log": decibels a unit of the stored values, for example 50 / 255 for 8-bit images
        that show 50 dB. They become 10^(decibels * value / 10). The offset of the display need
        not be known, as a common factor changes neither CNR nor ENL.

    Returns
    -------
    RegionFigure
        |m1 - m2| / sqrt((s1^2 + s2^2) / 2), with the means m and standard deviations s (divided
        by N) of the two regions. Infinite if neither varies but their means differ; None if these
        are equal too.

    Raises
    ------
    InputError
        If a mask is of another shape or holds under 2 px, the image is not one gray plane or
        holds NaN in a region, or `decibels` is not above 0 or given for linear values.

    Notes
    -----
    Song et al., Appl. Opt. 43:1053 (2004), with both regions weighing 1/2 whatever their sizes.
    Others leave out the 1/2 (Adler, Ko and Fujimoto, Opt. Lett. 29:2878 (2004): lower by
    sqrt(2)), or state 10 or 20 log10 of the ratio as decibels, which is not done here.
    """
    (first, second), scale, transform = _regions(image, (signal, background), scale, decibels)
    difference = abs(float(first.mean()) - float(second.mean()))
    spread = math.sqrt((float(first.var()) + float(second.var())) / 2)
    return RegionFigure(
        name="CNR", value=_ratio(difference, spread), scale=scale, transform=transform
    )


def enl(
    image: NDArray[Any],
    mask: NDArray[Any],
    scale: ValueScale = "linear",
    decibels: float | None = None,
) -> RegionFigure:
    """Equivalent number of looks of a region that is uniform but for speckle.

    Parameters
    ----------
    image : ndarray, shape (Y, X), real dtype
    mask : ndarray of bool, the shape of `image`
        The region, at least 2 px.
    scale : {"linear", "log"}
        Of the values; see `cnr`.
    decibels : float, optional
        See `cnr`.

    Returns
    -------
    RegionFigure
        mean^2 / variance (divided by N). Infinite if nothing varies; None for a region of zeros.

    Raises
    ------
    InputError
        See `cnr`.

    Notes
    -----
    The number of independent speckle patterns whose mean has this contrast: 1 for the linear
    intensity of one fully developed pattern (Goodman, "Speckle Phenomena in Optics" (2007)). On a
    logarithmic scale the ratio depends on where zero lies and counts no looks.
    """
    (values,), scale, transform = _regions(image, (mask,), scale, decibels)
    squared, variance = float(values.mean()) ** 2, float(values.var())
    return RegionFigure(
        name="ENL", value=_ratio(squared, variance), scale=scale, transform=transform
    )


def _ratio(above: float, below: float) -> float | None:
    if below > 0:
        return above / below
    return math.inf if above > 0 else None


def _regions(
    image: NDArray[Any],
    masks: tuple[NDArray[Any], ...],
    scale: ValueScale,
    decibels: float | None,
) -> tuple[list[NDArray[np.float64]], ValueScale, str]:
    """Take the values of each region, on the scale on which they are measured, and name it."""
    if image.ndim != 2 or image.dtype.kind not in "buif":
        raise InputError(
            f"Regions are measured on one gray plane (Y, X) of real numbers, and this image has "
            f"the shape {image.shape} and the type {image.dtype}."
        )
    if scale not in ("linear", "log"):
        raise InputError(f"The scale {scale!r} is not known; choose linear or log.")
    if decibels is not None and (scale == "linear" or not 0 < decibels < math.inf):
        raise InputError(
            "Decibels a unit are a number above 0 and go with the scale log; given were "
            f"{decibels:g} and the scale {scale}."
        )
    taken = [_inside(image, np.asarray(mask)) for mask in masks]
    if decibels is None:
        return taken, scale, "none"
    # Less the largest, so that no power overflows; a common factor changes nothing.
    highest = max(float(values.max()) for values in taken)
    linear = [10.0 ** (decibels * (values - highest) / 10) for values in taken]
    return linear, "linear", f"10^({decibels:g} x / 10)"


def _inside(image: NDArray[Any], mask: NDArray[Any]) -> NDArray[np.float64]:
    if mask.dtype != np.bool_ or mask.shape != image.shape:
        raise InputError(
            f"A region is a mask of true and false of the image's shape {image.shape}; this one "
            f"has the shape {mask.shape} and the type {mask.dtype}."
        )
    values: NDArray[np.float64] = image[mask].astype(np.float64)
    if values.size < _FEWEST:
        raise InputError(
            f"A region holds {values.size} px of the image, and it needs {_FEWEST} at least; draw "
            "it larger, and inside of the image."
        )
    bad = int(np.count_nonzero(~is_value(values)))
    if bad:
        raise InputError(f"A region holds {bad} NaN or infinite pixels; draw it around them.")
    return values
