"""Which part of a slice is shown, and where in it the details lie.

What belongs here: rectangles. A page has to stay small enough to be sent by mail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from napari_srgan.image.geometry import Scale

LARGEST_SIDE = 1200
"""Pixels of the result along a side of what is shown."""
BYTES = 5_400_000
"""Of all pictures before compression and base64, so that the page stays below 8 MB."""
_DETAIL = (48, 160)  # HR px a side at least and at most; a quarter of what is shown between


@dataclass(frozen=True, slots=True)
class Part:
    """A rectangle of a slice in LR pixels, half-open, and the enlargement of the result."""

    y0: int
    y1: int
    x0: int
    x1: int
    scale: Scale

    def low(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Cut a plane of the size of the input."""
        return plane[self.y0 : self.y1, self.x0 : self.x1]

    def high(self, plane: NDArray[Any]) -> NDArray[Any]:
        """Cut a plane of the size of the result."""
        sy, sx = self.scale
        return plane[sy * self.y0 : sy * self.y1, sx * self.x0 : sx * self.x1]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in HR pixels."""
        return self.scale[0] * (self.y1 - self.y0), self.scale[1] * (self.x1 - self.x0)


def central_part(height: int, width: int, scale: Scale, bytes_a_pixel: int) -> Part:
    """Choose what is shown of a plane: the whole, or the middle of it.

    Parameters
    ----------
    height, width : int
        Of the input, LR pixels.
    scale : Scale
    bytes_a_pixel : int
        Bytes of all pictures together for one HR pixel.

    Returns
    -------
    Part
        At most `LARGEST_SIDE` HR pixels a side, and `BYTES` in all.
    """
    most = BYTES // bytes_a_pixel
    sides = [min(n * f, LARGEST_SIDE) for n, f in zip((height, width), scale, strict=True)]
    if math.prod(sides) > most:
        # The longer side gives way first, down to a square.
        short = min(*sides, math.isqrt(most))
        sides = [min(side, most // short) for side in sides]
    low = [side // f for side, f in zip(sides, scale, strict=True)]
    y0, x0 = ((n - side) // 2 for side, n in zip(low, (height, width), strict=True))
    return Part(y0, y0 + low[0], x0, x0 + low[1], scale)


def part_text(part: Part, height: int, width: int) -> str:
    """Say which part of a plane of that size in LR pixels is shown; "" if it is the whole."""
    if (part.y1 - part.y0, part.x1 - part.x0) == (height, width):
        return ""
    sy, sx = part.scale
    return (
        f"The slice is {sy * height} x {sx * width} px after super-resolution; "
        f"shown is its middle, rows {sy * part.y0} to {sy * part.y1 - 1} and "
        f"columns {sx * part.x0} to {sx * part.x1 - 1} from 0."
    )


def busiest(first: NDArray[Any], second: NDArray[Any], scale: Scale) -> Part:
    """Find the window in which two planes differ most, in the mean square.

    Parameters
    ----------
    first, second : ndarray, shape (Y, X) or (Y, X, S)
        HR planes of what is shown.
    scale : Scale

    Returns
    -------
    Part
        Within what is shown, LR pixels.
    """
    squares = (first.astype(np.float64) - second.astype(np.float64)) ** 2
    squares = np.nan_to_num(squares if squares.ndim == 2 else squares.mean(axis=2))
    height, width = squares.shape
    sides = [
        max(f, min(n, max(_DETAIL[0], min(_DETAIL[1], n // 4))) // f * f)
        for n, f in zip((height, width), scale, strict=True)
    ]
    power = uniform_filter(squares, sides, mode="constant")
    y, x = sides[0] // 2, sides[1] // 2
    sy, sx = scale
    inner = power[y : height - sides[0] + y + 1 : sy, x : width - sides[1] + x + 1 : sx]
    row, col = (int(i) for i in np.unravel_index(int(np.argmax(inner)), inner.shape))
    return Part(row, row + sides[0] // sy, col, col + sides[1] // sx, scale)


def in_percent(window: Part, shape: tuple[int, int]) -> tuple[float, float, float, float]:
    """Give left, top, width and height of a window in % of what is shown, `shape` in HR pixels."""
    height, width = shape
    sy, sx = window.scale
    return (
        100 * sx * window.x0 / width,
        100 * sy * window.y0 / height,
        100 * sx * (window.x1 - window.x0) / width,
        100 * sy * (window.y1 - window.y0) / height,
    )
