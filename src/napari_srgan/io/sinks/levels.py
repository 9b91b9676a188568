"""Levels: a plane at full size and halved again and again, made of blocks as they come.

A viewer that shows all of a large plane reads a coarse level of it. Each level is the mean of 2 x 2
pixels of the one before, so that pixel 0 of level k lies (2^k - 1)/2 pixels of the plane further.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

COARSEST = 512
"""Pixels a side that no level goes below: it fits any screen."""

Write = Callable[[int, int, int, npt.NDArray[Any]], None]
"""Takes level, y, x and the piece that lies there, (h, w) or (h, w, S)."""


def level_sizes(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """List the sizes of all levels, the plane's first and the last `COARSEST` px or less a side."""
    sizes = [(height, width)]
    while max(sizes[-1]) > COARSEST:
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return tuple(sizes)


def halved(block: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Give the means of 2 x 2 pixels, in the same dtype; an odd last row or column counts twice."""
    height, width = block.shape[:2]
    edges = ((0, height % 2), (0, width % 2), *((0, 0),) * (block.ndim - 2))
    block = np.pad(block, edges, mode="edge")
    wide: npt.NDArray[Any] = block.astype(np.float32 if block.dtype.itemsize < 4 else np.float64)
    mean = (wide[::2, ::2] + wide[1::2, ::2] + wide[::2, 1::2] + wide[1::2, 1::2]) / 4
    if block.dtype.kind in "iu":
        np.rint(mean, out=mean)
    result: npt.NDArray[Any] = mean.astype(block.dtype)
    return result


class PlaneLevels:
    """One plane on its way: hands out the pieces of all its levels, each once and when it is whole.

    Memory holds the pieces that are begun: of tiles that come row by row about one row of them.

    Parameters
    ----------
    shape : tuple of int
        (Y, X) or (Y, X, S) of the plane.
    dtype : dtype
    side : int
        Of a piece, an even number of pixels; those at the far edges are smaller.
    write : callable
        See `Write`.
    """

    def __init__(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], side: int, write: Write
    ) -> None:
        self._sizes = level_sizes(*shape[:2])
        self._samples, self._dtype, self._side, self._write = shape[2:], dtype, side, write
        self._begun: dict[tuple[int, int, int], npt.NDArray[Any]] = {}
        self._missing: dict[tuple[int, int, int], int] = {}

    def add(self, y: int, x: int, block: npt.NDArray[Any], level: int = 0) -> None:
        """Take a block whose corner is at (y, x) of a level."""
        height, width = self._sizes[level]
        if y < 0 or x < 0 or y + block.shape[0] > height or x + block.shape[1] > width:
            raise IndexError(f"a block of {block.shape} at {(y, x)} leaves {height} x {width} px")
        for top, rows, from_rows in _cut(y, block.shape[0], self._side):
            for left, cols, from_cols in _cut(x, block.shape[1], self._side):
                part = block[from_rows, from_cols]
                self._put((level, top, left), rows, cols, part)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is begun and not handed out."""
        return not self._begun

    def _put(
        self, key: tuple[int, int, int], rows: slice, cols: slice, part: npt.NDArray[Any]
    ) -> None:
        level, top, left = key
        height, width = self._sizes[level]
        sides = min(self._side, height - top), min(self._side, width - left)
        if key not in self._begun:
            if part.shape[:2] == sides:
                self._whole(key, part)
                return
            self._begun[key] = np.empty((*sides, *self._samples), self._dtype)
            self._missing[key] = math.prod(sides)
        self._begun[key][rows, cols] = part
        self._missing[key] -= part.shape[0] * part.shape[1]
        if self._missing[key] <= 0:
            del self._missing[key]
            self._whole(key, self._begun.pop(key))

    def _whole(self, key: tuple[int, int, int], piece: npt.NDArray[Any]) -> None:
        level, top, left = key
        self._write(level, top, left, piece)
        if level + 1 < len(self._sizes):
            self.add(top // 2, left // 2, halved(piece), level + 1)


def _cut(start: int, length: int, side: int) -> Iterator[tuple[int, slice, slice]]:
    """Cut a range at multiples of `side`: where a piece begins, the part in it and in the range."""
    stop = start + length
    for piece in range(start // side * side, stop, side):
        low, high = max(start, piece), min(stop, piece + side)
        yield piece, slice(low - piece, high - piece), slice(low - start, high - start)
