"""One plane as the tiles see it: read once, checked for NaN, filled, and known to be constant.

What belongs here: everything about a plane that must not depend on how it is tiled.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.engine.tiles import Tile
from napari_srgan.image.invalid import fill, invalid_error
from napari_srgan.image.sampling import colours
from napari_srgan.image.stack import Stack

AT_ONCE = 2**25
"""Values that are read of a plane at once; a larger plane is read window by window."""


class Plane:
    """The windows of one plane.

    Parameters
    ----------
    stack : Stack
    index : tuple of int
        Which plane.
    tiles : tuple of Tile
        All that will be asked for.
    fill_invalid : bool
        Fill NaN and infinities instead of refusing them. The plane is then read whole, whatever
        its size, because the nearest valid pixel may lie anywhere.
    empty : float
        What a plane without any valid value is filled with.
    """

    def __init__(
        self,
        stack: Stack,
        index: tuple[int, ...],
        tiles: tuple[Tile, ...],
        fill_invalid: bool = False,
        empty: float = 0.0,
    ) -> None:
        self._stack, self._index = stack, index
        y0, y1 = min(t.ry0 for t in tiles), max(t.ry1 for t in tiles)
        x0, x1 = min(t.rx0 for t in tiles), max(t.rx1 for t in tiles)
        filling = fill_invalid and stack.dtype.kind == "f"
        if filling:
            y0, y1, x0, x1 = 0, stack.height, 0, stack.width
        self._corner = (y0, x0)
        self._block: NDArray[Any] | None = None
        self._filled: NDArray[Any] | None = None
        self._mask: NDArray[np.bool_] | None = None
        if filling or (y1 - y0) * (x1 - x0) * stack.samples <= AT_ONCE:
            self._block = stack.read(index, slice(y0, y1), slice(x0, x1))
            if filling:
                self._filled, mask = fill(self._block, empty)
                self._mask = mask if mask.any() else None
            else:
                self._check(self._block)
        self.constant = self._constant(tiles[0])

    def window(self, tile: Tile) -> NDArray[Any]:
        """Return what a tile reads, (y, x[, S]), with invalid values filled."""
        if self._block is None:
            rows, cols = slice(tile.ry0, tile.ry1), slice(tile.rx0, tile.rx1)
            block = self._stack.read(self._index, rows, cols)
            self._check(block)
            return block
        source = self._block if self._filled is None else self._filled
        return source[self._within(tile.ry0, tile.ry1, tile.rx0, tile.rx1)]

    def invalid(self, tile: Tile) -> tuple[NDArray[Any], NDArray[np.bool_]] | None:
        """Return the unfilled values and the mask of a tile's interior, if the plane has any."""
        if self._mask is None or self._block is None:
            return None
        inside = self._within(tile.y0, tile.y1, tile.x0, tile.x1)
        return self._block[inside], self._mask[inside]

    def _within(self, y0: int, y1: int, x0: int, x1: int) -> tuple[slice, slice]:
        y, x = self._corner
        return slice(y0 - y, y1 - y), slice(x0 - x, x1 - x)

    def _check(self, block: NDArray[Any]) -> None:
        if block.dtype.kind == "f":
            bad = block.size - int(np.isfinite(block).sum())
            if bad:
                raise invalid_error(self._stack, {self._index: bad})

    def _constant(self, first: Tile) -> NDArray[Any] | None:
        """Return the colour of a plane that is one colour all over, else None.

        The whole plane counts, not only what is read, so that a region comes out as it does
        in the whole.
        """
        window = colours(self.window(first), self._stack)
        colour: NDArray[Any] = window[0, 0].copy()
        if not (window == colour).all():
            return None
        if self._filled is not None:
            same = (colours(self._filled, self._stack) == colour).all()
            return colour if same else None
        step = max(1, AT_ONCE // 8 // (self._stack.width * self._stack.samples))
        for row in range(0, self._stack.height, step):
            band = self._stack.read(self._index, slice(row, row + step))
            if not (colours(band, self._stack) == colour).all():
                return None
        return colour
