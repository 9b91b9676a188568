"""Profiles along a line: several images sampled at the same places, and the widths they show.

The figures are those that papers give: the full width at half maximum of a line or a spot, and the
distance over which an edge rises from 10 to 90 %. Both are read off the samples, without a fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels

Kernel = Literal["linear", "cubic"]

_ENDS = 0.15  # of the line, at each end, is looked at for the level that it begins or ends on
_FINEST = 4  # samples a pixel of the finest image
_FEWEST, _MOST = 8, 20_000  # samples
_REACH = {"linear": 1, "cubic": 2}


@dataclass(frozen=True)
class Crossed:
    """An image, and where a line crosses it.

    Attributes
    ----------
    name : str
    plane : ndarray, shape (Y, X) or (Y, X, S)
        Of RGB the luma is measured.
    start, end : (float, float)
        Where the line begins and ends, along Y and X in pixels of the plane; 0 is the middle of
        the first pixel. They may lie outside, where nothing is measured.
    beside : (float, float)
        From a point of the line to the point that lies one unit of length beside it, in pixels;
        it need not be at a right angle in pixels, as they may be longer than wide.
    kernel : {"linear", "cubic"}
        How to sample between pixels: linear, or by Keys' cubic kernel (a = -1/2), which is what
        `image.resampling.bicubic_enlarge` does.
    """

    name: str
    plane: NDArray[Any]
    start: tuple[float, float]
    end: tuple[float, float]
    beside: tuple[float, float] = (0.0, 0.0)
    kernel: Kernel = "linear"


@dataclass(frozen=True, eq=False)
class Profile:
    """Values of one image along a line.

    Attributes
    ----------
    name : str
    distance : ndarray of float64, shape (n,)
        From the start of the line, in the unit of its length.
    values : ndarray of float64, shape (n,)
        In the unit of the image's pixels; NaN outside the image.
    fwhm : float or None
        Full width at half maximum, in the unit of the length; see `width_at_half_height`.
    edge : float or None
        Distance of the rise from 10 to 90 %; see `edge_width`.
    """

    name: str
    distance: NDArray[np.float64]
    values: NDArray[np.float64]
    fwhm: float | None
    edge: float | None


def line_profiles(images: Sequence[Crossed], length: float, width: float = 0.0) -> list[Profile]:
    """Sample images along one line, at the same places.

    Parameters
    ----------
    images : sequence of Crossed
    length : float
        Of the line, above 0; the unit of all distances.
    width : float
        Average over lines side by side, this far from the first to the last; 0 for one line.

    Returns
    -------
    list of Profile
        One an image. The samples are a quarter of a pixel of the finest image apart. The width of
        all is that of one structure: the one that stands out most in the last image.

    Raises
    ------
    InputError
        If the line has no length, or lies outside an image altogether.
    """
    if not (math.isfinite(length) and length > 0):
        raise InputError(
            "The line has no length; draw one from one side of a structure to another."
        )
    finest = max(math.dist(image.start, image.end) for image in images)
    n = int(np.clip(math.ceil(_FINEST * finest), _FEWEST, _MOST)) + 1
    along = np.linspace(0.0, 1.0, n)
    step = length / max(finest, 1e-9)  # a pixel of the finest image, along the line
    across = np.linspace(-width / 2, width / 2, max(1, math.ceil(2 * width / step) + 1))
    if len(across) == 1 or width <= 0:
        across = np.zeros(1)
    distance, found = along * length, []
    for image in images:
        start, end = np.array(image.start, dtype=float), np.array(image.end, dtype=float)
        line = start + along[:, None] * (end - start)
        points = line[:, None] + across[:, None] * np.array(image.beside, dtype=float)
        values = sampled(as_channels(image.plane, 1), points[..., 0], points[..., 1], image.kernel)
        inside = np.isfinite(values).sum(axis=1)
        if not inside.any():
            raise InputError(f"The line lies outside {image.name}; draw it on the image.")
        total = np.nansum(values, axis=1)
        mean = np.where(inside > 0, total / np.maximum(inside, 1), np.nan)
        found.append(mean)
    structure = find_structure(distance, found[-1])
    return [
        Profile(
            image.name,
            distance,
            values,
            None if structure is None else width_at_half_height(distance, values, structure),
            edge_width(distance, values),
        )
        for image, values in zip(images, found, strict=True)
    ]


def sampled(
    plane: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any], kernel: Kernel = "linear"
) -> NDArray[np.float64]:
    """Sample a plane between its pixels.

    Parameters
    ----------
    plane : ndarray, shape (Y, X)
    rows, columns : ndarray
        Places in pixels, of one shape; 0 is the middle of the first pixel.
    kernel : {"linear", "cubic"}
        Near the border the weights of the pixels that are there are brought to a sum of 1, as in
        `image.resampling`.

    Returns
    -------
    ndarray of float64
        The shape of `rows`; NaN more than half a pixel outside the plane, or where a pixel is.
    """
    total = np.zeros(rows.shape)
    weights = [_weights(p, n, kernel) for p, n in zip((rows, columns), plane.shape, strict=True)]
    for row, row_weight in zip(*weights[0], strict=True):
        for column, column_weight in zip(*weights[1], strict=True):
            total += row_weight * column_weight * plane[row, column].astype(np.float64)
    for places, n in zip((rows, columns), plane.shape, strict=True):
        total[(places < -0.5) | (places > n - 0.5)] = np.nan
    return total


def _weights(places: NDArray[Any], size: int, kernel: Kernel) -> tuple[list[Any], list[Any]]:
    """Indices of the pixels around places along one axis, and their weights."""
    reach = _REACH[kernel]
    first = np.floor(places).astype(int) - reach + 1
    indices, weights = [], []
    for k in range(2 * reach):
        index = first + k
        there = (index >= 0) & (index < size)
        weights.append(np.where(there, _kernel(places - index, kernel), 0.0))
        indices.append(np.clip(index, 0, size - 1))
    total = np.sum(weights, axis=0)
    return indices, [w / np.where(total == 0, 1.0, total) for w in weights]


def _kernel(x: NDArray[Any], kernel: Kernel) -> NDArray[np.float64]:
    x = np.abs(x)
    if kernel == "linear":
        return np.asarray(np.maximum(1 - x, 0.0))
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


# --- widths ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Structure:
    """What a line crosses: a line or a spot.

    Attributes
    ----------
    at : float
        Where it stands out most, from the start of the line.
    reach : float
        How far from there it may stand out most in another image.
    bright : bool
        Brighter than its background, and not darker.
    """

    at: float
    reach: float
    bright: bool


def find_structure(distance: NDArray[Any], values: NDArray[Any]) -> Structure | None:
    """Find what stands out most from the background, to measure it in several images.

    Parameters
    ----------
    distance, values : ndarray, shape (n,)
        As of `width_at_half_height`.

    Returns
    -------
    Structure or None
        None where there is nothing of which a width could be measured.
    """
    distance, values = _finite(distance, values)
    if len(values) < _FEWEST:
        return None
    height = _height(distance, values)
    bright = height.max() >= -height.min()
    top = int((height if bright else -height).argmax())
    found = Structure(float(distance[top]), 0.0, bool(bright))
    width = width_at_half_height(distance, values, found)
    return None if width is None else Structure(found.at, width / 2, found.bright)


def width_at_half_height(
    distance: NDArray[Any], values: NDArray[Any], structure: Structure | None = None
) -> float | None:
    """Measure how wide the structure that a line crosses is at half its height.

    Parameters
    ----------
    distance, values : ndarray, shape (n,)
        Distances go up evenly; values may hold NaN, which are left out.
    structure : Structure, optional
        Which one; without, the one that stands out most.

    Returns
    -------
    float or None
        In the unit of `distance`. The background is the straight line between the levels that the
        profile begins and ends on (the medians of its first and last 15 %). None where nothing
        stands out more than the two levels differ (an edge), or the profile ends above half the
        height.
    """
    if structure is None:
        structure = find_structure(distance, values)
        if structure is None:
            return None
    distance, values = _finite(distance, values)
    near = np.flatnonzero(np.abs(distance - structure.at) <= structure.reach)
    if len(values) < _FEWEST or not len(near):
        return None
    first, last = _levels(values)
    height = _height(distance, values) * (1 if structure.bright else -1)
    top = int(near[height[near].argmax()])
    if height[top] <= max(abs(last - first), _rounding(values)):
        return None
    left = _crossing(distance[top::-1], height[top::-1], height[top] / 2)
    right = _crossing(distance[top:], height[top:], height[top] / 2)
    return None if left is None or right is None else right - left


def edge_width(distance: NDArray[Any], values: NDArray[Any]) -> float | None:
    """Measure over which distance the edge that a line crosses rises from 10 to 90 %.

    Parameters
    ----------
    distance, values : ndarray, shape (n,)
        As of `width_at_half_height`.

    Returns
    -------
    float or None
        In the unit of `distance`. 0 and 100 % are the levels that the profile begins and ends on;
        from where it passes the middle between them, the nearest 10 and 90 % to both sides count.
        Rising and falling are alike. None where the two levels differ by no more than half of
        what the profile covers (no edge, or a structure on top of one).
    """
    distance, values = _finite(distance, values)
    if len(values) < _FEWEST:
        return None
    first, last = _levels(values)
    step = last - first
    if abs(step) <= max(np.ptp(values) / 2, _rounding(values)):
        return None
    rise = (values - first) / step
    middles = np.flatnonzero((rise[:-1] < 0.5) & (rise[1:] >= 0.5))
    if not len(middles):
        return None
    # Of several passages, which noise makes, the one in the midst.
    at = int(middles[len(middles) // 2])
    low = _crossing(distance[at + 1 :: -1], rise[at + 1 :: -1], 0.1)
    high = _crossing(distance[at:], 1 - rise[at:], 0.1)
    return None if low is None or high is None else high - low


def _finite(distance: NDArray[Any], values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    known = np.isfinite(values)
    return np.asarray(distance, dtype=float)[known], np.asarray(values, dtype=float)[known]


def _height(distance: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
    """How far a profile lies above the line between the levels of its ends."""
    return np.asarray(values - np.interp(distance, distance[[0, -1]], _levels(values)))


def _levels(values: NDArray[Any]) -> tuple[float, float]:
    n = max(1, round(_ENDS * len(values)))
    return float(np.median(values[:n])), float(np.median(values[-n:]))


def _rounding(values: NDArray[Any]) -> float:
    """What is no more than the rounding of a constant profile."""
    return 1e-9 * float(np.abs(values).max())


def _crossing(distance: NDArray[Any], values: NDArray[Any], level: float) -> float | None:
    """Where values that begin above a level first fall to it, between samples."""
    below = np.flatnonzero(values <= level)
    if not len(below):
        return None
    at = int(below[0])
    if at == 0:
        return float(distance[0])
    part = (values[at - 1] - level) / (values[at - 1] - values[at])
    return float(distance[at - 1] + part * (distance[at] - distance[at - 1]))
