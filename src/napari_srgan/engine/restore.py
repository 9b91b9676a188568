"""The pure step: pixels of a plane, a plan and a network -> pixels of its result.

No state, no device policy, no file: the same pixels give the same result wherever this is called
from, a run over a stack, a validation in a training, or another process. What watches the tiles
(`TileObserver`) sees input and result of each and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_srgan.engine.tiles import Tile, plan_tiles
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale
from napari_srgan.image.intensity import Intensity, to_dtype
from napari_srgan.image.invalid import fill, invalid_error, put_back
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.image.sampling import colours
from napari_srgan.image.stack import Stack
from napari_srgan.image.valid import is_value

AT_ONCE = 2**26
"""Bytes that are read of a plane at once; a larger plane is read by bands, which hold a row of
tiles each, and if these are larger still, window by window."""

REACH = (-1.0, 2.0)
"""What a network is shown of the unit range and beyond it. It has met nothing farther off: of a hot
pixel it makes rings. What lies beyond is enlarged by bicubic interpolation and added."""

Network = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], bool]]
"""What `window.WindowNetwork` is: a window in [0, 1] -> its enlargement, and whether 16 bits
overflowed, so that it was computed again in float32."""


@dataclass(frozen=True, kw_only=True)
class PlanePlan:
    """How each plane is restored.

    Attributes
    ----------
    height, width : int
        Of a plane, LR pixels.
    dtype : numpy.dtype
        Of the stored pixels and of the result.
    scale : (int, int)
        How many times Y and X grow.
    tiles : tuple of Tile
        In reading order.
    tile : int
        Largest side of an interior, LR pixels.
    halo : int or None
        What is read around it; None: the whole plane, of which there is one tile.
    intensity : Intensity
    fill_invalid : bool
        Fill NaN and infinities and put them back, instead of refusing them.
    """

    height: int
    width: int
    dtype: np.dtype[Any]
    scale: Scale
    tiles: tuple[Tile, ...]
    tile: int
    halo: int | None
    intensity: Intensity
    fill_invalid: bool = False


class TileObserver(Protocol):
    """Sees the tiles of a plane while they are made, in any order."""

    def see(self, tile: Tile, low: NDArray[Any], high: NDArray[Any]) -> None:
        """Take the interior of a tile, input and result, invalid values filled in both."""


class PlanePixels:
    """One plane as the tiles see it: read once, checked for NaN, filled, and known to be constant.

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
    at_once : int
        See `AT_ONCE`.

    Attributes
    ----------
    at_once : bool
        Whether it is read, so that its windows read nothing more.
    constant : ndarray or None
        Its colour, if it is one colour all over.
    """

    def __init__(
        self,
        stack: Stack,
        index: tuple[int, ...],
        tiles: tuple[Tile, ...],
        fill_invalid: bool = False,
        empty: float = 0.0,
        at_once: int = AT_ONCE,
    ) -> None:
        self.stack, self._index = stack, index
        y0, y1 = min(t.ry0 for t in tiles), max(t.ry1 for t in tiles)
        x0, x1 = min(t.rx0 for t in tiles), max(t.rx1 for t in tiles)
        filling = fill_invalid and stack.dtype.kind == "f"
        if filling:
            y0, y1, x0, x1 = 0, stack.height, 0, stack.width
        self._corner, self._cols = (y0, x0), (x0, x1)
        self._row = (x1 - x0) * stack.samples * stack.dtype.itemsize  # bytes
        self._most = at_once
        self.at_once = filling or (y1 - y0) * self._row <= at_once
        self._block: NDArray[Any] | None = None
        self._filled: NDArray[Any] | None = None
        self._mask: NDArray[np.bool_] | None = None
        if self.at_once:
            self._block = stack.read(index, slice(y0, y1), slice(x0, x1))
            if filling:
                self._filled, mask = fill(self._block, empty)
                self._mask = mask if mask.any() else None
            else:
                self._check(self._block)
        self.constant = self._constant(tiles[0])

    def window(self, tile: Tile) -> NDArray[Any]:
        """Return what a tile reads, (y, x[, S]), with invalid values filled."""
        if not self.at_once:
            return self._read(tile)
        assert self._block is not None
        source = self._block if self._filled is None else self._filled
        return source[self._within(tile.ry0, tile.ry1, tile.rx0, tile.rx1)]

    def _read(self, tile: Tile) -> NDArray[Any]:
        """Read what a tile reads, with the rest of its row of tiles: files are packed by rows."""
        rows, cols = slice(tile.ry0, tile.ry1), slice(tile.rx0, tile.rx1)
        if (tile.ry1 - tile.ry0) * self._row > self._most:
            block = self.stack.read(self._index, rows, cols)
            self._check(block)
            return block
        (top, left), band = self._corner, self._block
        if band is None or tile.ry0 < top or tile.ry1 > top + band.shape[0]:
            self._block = band = None  # it goes before the next one comes
            band = self.stack.read(self._index, rows, slice(*self._cols))
            self._check(band)
            self._block, self._corner = band, (tile.ry0, left)
        return band[self._within(tile.ry0, tile.ry1, tile.rx0, tile.rx1)]

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
            bad = block.size - int(is_value(block).sum())
            if bad:
                raise invalid_error(self.stack, {self._index: bad})

    def _constant(self, first: Tile) -> NDArray[Any] | None:
        """Return the colour of a plane that is one colour all over, else None.

        The whole plane counts, not only what is read, so that a region comes out as it does
        in the whole.
        """
        window = colours(self.window(first), self.stack)
        colour: NDArray[Any] = window[0, 0].copy()
        if not (window == colour).all():
            return None
        if self._filled is not None:
            same = (colours(self._filled, self.stack) == colour).all()
            return colour if same else None
        row = self.stack.width * self.stack.samples * self.stack.dtype.itemsize
        step = max(1, self._most // 8 // row)
        for row in range(0, self.stack.height, step):
            band = self.stack.read(self._index, slice(row, row + step))
            if not (colours(band, self.stack) == colour).all():
                return None
        return colour


@dataclass(frozen=True, slots=True, eq=False)
class EnlargedTile:
    """What the network made of a tile.

    Attributes
    ----------
    window : ndarray
        What was read, (y, x[, S]), with its halo.
    values : ndarray of float32, shape (sy * y, sx * x[, 3]), or None
        The interior, nominally in [0, 1]; None where the plane is one colour all over, which needs
        no network.
    overflowed : bool
        Whether 16 bits were not enough, so that it was computed in float32.
    """

    window: NDArray[Any]
    values: NDArray[np.float32] | None = None
    overflowed: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class RestoredTile:
    """What came of a tile, both in the dtype of the stack and without NaN.

    Attributes
    ----------
    low : ndarray, shape (y, x[, S])
        The interior as it is stored.
    high : ndarray, shape (sy * y, sx * x[, S])
    """

    low: NDArray[Any]
    high: NDArray[Any]


def enlarge_tile(
    tile: Tile, pixels: PlanePixels, plan: PlanePlan, network: Network, channel: int = 0
) -> EnlargedTile:
    """Compute the network on one tile: nearly all of the time.

    Parameters
    ----------
    tile : Tile
        Of the plan, or a part of one.
    pixels : PlanePixels
    plan : PlanePlan
    network : callable
        See `Network`.
    channel : int
        Position along C, for the intensity range.

    Raises
    ------
    InputError
        If the network's result is not finite.
    """
    window = pixels.window(tile)
    if pixels.constant is not None:
        return EnlargedTile(window)
    unit = plan.intensity.to_unit(colours(window, pixels.stack), channel)
    seen = np.clip(unit, *REACH)
    margins = tile.margins(plan.height, plan.width)
    continued = np.pad(seen, [*margins, *[(0, 0)] * (unit.ndim - 2)], mode="edge")
    enlarged, overflowed = network(continued)
    inside = enlarged[tile.crop(plan.scale, margins)]
    beyond = unit - seen
    if beyond.any():
        inside = inside + bicubic_enlarge(beyond, plan.scale)[tile.crop(plan.scale)]
    if not np.isfinite(inside).all():
        raise InputError(
            f"{pixels.stack.name} holds values so far beyond the intensity range that the"
            " network overflows; remove them, or give a wider range with --intensity."
        )
    return EnlargedTile(window, inside, overflowed)


def finish_tile(
    tile: Tile, enlarged: EnlargedTile, pixels: PlanePixels, plan: PlanePlan, channel: int = 0
) -> RestoredTile:
    """Bring what the network made back to the range and dtype of the stack, with alpha."""
    window, crop = enlarged.window, tile.crop(plan.scale)
    if enlarged.values is None:
        colour = pixels.constant
        assert colour is not None
        high = np.full((*(s.stop - s.start for s in crop), *colour.shape), colour)
    else:
        high = plan.intensity.from_unit(enlarged.values, plan.dtype, channel)
    if pixels.stack.samples == 4:
        opacity = to_dtype(bicubic_enlarge(window[..., 3], plan.scale)[crop], plan.dtype)
        high = np.concatenate([high, opacity[..., None]], axis=2)
    return RestoredTile(window[tile.crop((1, 1))], high)


def restore_plane(
    pixels: NDArray[Any],
    plan: PlanePlan,
    network: Network,
    *,
    channel: int = 0,
    observers: Iterable[TileObserver] = (),
) -> NDArray[Any]:
    """Restore a whole plane, tile by tile.

    Parameters
    ----------
    pixels : ndarray of the plan's dtype, shape (y, x) or (y, x, S)
        As stored.
    plan : PlanePlan
        Made for planes of that size; see `plan_plane`, and `plan.Plan`, which is one.
    network : callable
        See `Network`.
    channel : int
        Position along C, for the intensity range.
    observers : iterable of TileObserver

    Returns
    -------
    ndarray of the plan's dtype, shape (sy * y, sx * x[, S])
        Where all tiles of the plan lie in one region of the plane, that region. NaN that was
        filled is put back.

    Raises
    ------
    InputError
        If the plane holds NaN and they are not to be filled, or the network's result overflows.
    """
    stack = Stack(pixels, "YX" if pixels.ndim == 2 else "YXS", "the plane")
    empty = plan.intensity.lo[channel]
    source = PlanePixels(stack, (), plan.tiles, plan.fill_invalid, empty)
    (sy, sx), observers = plan.scale, tuple(observers)
    y0, x0 = min(t.y0 for t in plan.tiles), min(t.x0 for t in plan.tiles)
    y1, x1 = max(t.y1 for t in plan.tiles), max(t.x1 for t in plan.tiles)
    result = np.empty((sy * (y1 - y0), sx * (x1 - x0), *pixels.shape[2:]), plan.dtype)
    for tile in plan.tiles:
        enlarged = enlarge_tile(tile, source, plan, network, channel)
        made = finish_tile(tile, enlarged, source, plan, channel)
        for observer in observers:
            observer.see(tile, made.low, made.high)
        high, invalid = made.high, source.invalid(tile)
        if invalid is not None:
            put_back(high, *invalid, plan.scale)
        y, x = sy * (tile.y0 - y0), sx * (tile.x0 - x0)
        result[y : y + high.shape[0], x : x + high.shape[1]] = high
    return result


def plan_plane(
    height: int, width: int, scale: Scale, halo: int | None, tile: int, dtype: Any = np.float32
) -> PlanePlan:
    """Plan planes whose values are the network's own, in [0, 1].

    Parameters
    ----------
    height, width : int
        Of a plane, LR pixels.
    scale : (int, int)
    halo, tile : int
        LR pixels; a halo may be None. See `tiles.plan_tiles`.
    dtype : dtype
        Of the values.
    """
    return PlanePlan(
        height=height,
        width=width,
        dtype=np.dtype(dtype),
        scale=scale,
        tiles=plan_tiles(height, width, tile, halo),
        tile=tile,
        halo=halo,
        intensity=Intensity((0.0,), (1.0,), "0:1"),
    )
