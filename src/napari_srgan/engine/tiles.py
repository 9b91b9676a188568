"""Tiles: which part of a plane is read, which of the result is kept, and how large they may be.

Arithmetic on pixel indices, no images and no network. A tile's interior is widened by the
network's halo to the window that is read; the window is clipped at the image border and there
continued by `BORDER`, so that the network's zero padding falls exactly where it does untiled.
Interiors are disjoint, cover the region, and are never blended.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from napari_srgan.engine.devices import free_memory
from napari_srgan.image.geometry import Scale

if TYPE_CHECKING:
    import torch

# A tile should take a few seconds at most, so that cancelling is quick, and leave the machine
# its memory: some 500 x 500 px of the 16-block network in 1 GB.
MEMORY = 10**9
_MEMORY_SHARE = 0.75  # the rest is for what is read and written meanwhile
_CPU_SHARE = 0.25
_GPU_SHARE = 0.6
_GPU_SIDE = 1024

SMALLEST_TILE = 16  # LR px; below this nearly all work is halo
BORDER = 4
"""LR px by which a plane is continued beyond its border, its outermost pixels repeated.

A network pads with zeros, so white at the border of a plane would lie beside black, and networks
draw that: 3 % of the range in the corner pixels of a small one. Behind this margin it is cut off.
"""

Margins = tuple[tuple[int, int], tuple[int, int]]
"""Before and after along Y, before and after along X, LR px."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile, in low-resolution pixels, half-open ranges.

    Attributes
    ----------
    y0, y1, x0, x1 : int
        The interior: what is kept of the result.
    ry0, ry1, rx0, rx1 : int
        The window that is read: the interior and its halo, within the image.
    """

    y0: int
    y1: int
    x0: int
    x1: int
    ry0: int
    ry1: int
    rx0: int
    rx1: int

    @property
    def read_shape(self) -> tuple[int, int]:
        """Height and width of the window that is read, in LR pixels."""
        return self.ry1 - self.ry0, self.rx1 - self.rx0

    @property
    def read_pixels(self) -> int:
        """Area of the window that is read, in LR pixels: what memory and time go with."""
        return (self.ry1 - self.ry0) * (self.rx1 - self.rx0)

    def margins(self, height: int, width: int) -> Margins:
        """By how much the window is continued: on the sides that lie on the plane's border.

        A window that merely ends there is continued too, which changes nothing: the interior does
        not look so far.
        """
        return (
            (BORDER * (self.ry0 == 0), BORDER * (self.ry1 == height)),
            (BORDER * (self.rx0 == 0), BORDER * (self.rx1 == width)),
        )

    def crop(self, scale: Scale, margins: Margins = ((0, 0), (0, 0))) -> tuple[slice, slice]:
        """Rows and columns of the interior within the enlarged window, continued by margins."""
        (sy, sx), top, left = scale, self.ry0 - margins[0][0], self.rx0 - margins[1][0]
        return (
            slice((self.y0 - top) * sy, (self.y1 - top) * sy),
            slice((self.x0 - left) * sx, (self.x1 - left) * sx),
        )


def plan_tiles(
    height: int,
    width: int,
    interior: int,
    halo: int | None,
    rows: tuple[int, int] | None = None,
    cols: tuple[int, int] | None = None,
) -> tuple[Tile, ...]:
    """Cut a region of a plane into tiles of even size.

    Parameters
    ----------
    height, width : int
        Size of the whole plane, LR pixels.
    interior : int
        Largest side of an interior, LR pixels.
    halo : int or None
        Pixels around the interior that the network sees; None: all of the plane.
    rows, cols : (int, int), optional
        The region, half-open; the whole plane without. Windows reach beyond it, since a pixel
        of a region must come out as it does in the whole.

    Returns
    -------
    tuple of Tile
        In reading order.
    """
    halo = max(height, width) if halo is None else halo
    if interior < 1 or halo < 0:
        raise ValueError(f"tiles need an interior >= 1 and a halo >= 0, not {interior} and {halo}")
    rows, cols = rows or (0, height), cols or (0, width)
    for (start, stop), size in ((rows, height), (cols, width)):
        if not 0 <= start < stop <= size:
            raise ValueError(f"the range {start}:{stop} does not lie within 0:{size}")
    return tuple(
        Tile(
            y0, y1, x0, x1,
            max(0, y0 - halo), min(height, y1 + halo),
            max(0, x0 - halo), min(width, x1 + halo),
        )
        for y0, y1 in _even_ranges(*rows, interior)
        for x0, x1 in _even_ranges(*cols, interior)
    )  # fmt: skip


def split(tile: Tile, height: int, width: int, halo: int | None, interior: int) -> tuple[Tile, ...]:
    """Cut a tile that did not fit in memory into smaller ones that give the same pixels."""
    return plan_tiles(height, width, interior, halo, (tile.y0, tile.y1), (tile.x0, tile.x1))


def auto_tile(
    device: torch.device,
    per_pixel: int,
    halo: int | None,
    height: int,
    width: int,
    region: Mapping[str, tuple[int, int]] | None = None,
    memory: int = MEMORY,
    finishing: int = 0,
) -> int:
    """Choose the side of a tile's interior: the whole region if it fits, else what memory allows.

    Parameters
    ----------
    device : torch.device
    per_pixel : int
        Bytes that the network takes per LR pixel of a window.
    halo : int or None
        LR pixels around the interior; None: there can only be one tile.
    height, width : int
        Size of a plane, LR px.
    region : mapping, optional
        Its "Y" and "X" ranges count instead of the whole.
    memory : int
        Bytes that the work may take. A network that looks far may take more, see below.
    finishing : int
        Bytes per LR pixel of an interior that it takes to bring a result to its dtype and measure
        it, which the next tile does not wait for.

    Returns
    -------
    int
        LR pixels, at least `SMALLEST_TILE`.
    """
    allowed = int(memory * _MEMORY_SHARE)
    if device.type == "cuda":
        share = budget = int(free_memory(device) * _GPU_SHARE)
        most = min(_GPU_SIDE, math.isqrt(allowed // finishing) if finishing else _GPU_SIDE)
        finishing = 0  # not on the device
    else:
        share = int(free_memory(device) * _CPU_SHARE)
        budget = min(allowed, share)
        most = max(height, width)
    rows, cols = (region or {}).get("Y", (0, height)), (region or {}).get("X", (0, width))
    side = max(rows[1] - rows[0], cols[1] - cols[0])
    if halo is None:
        return max(side, SMALLEST_TILE)
    (whole,) = plan_tiles(height, width, side, halo, rows, cols)
    kept = (rows[1] - rows[0]) * (cols[1] - cols[0])
    if whole.read_pixels * per_pixel + kept * finishing <= budget and side <= most:
        return max(side, SMALLEST_TILE)
    quick = _side_within(budget, per_pixel, halo, finishing)
    # A network that looks far would have next to nothing but halo in a quick tile. So its tiles
    # may be slow, up to an interior as wide as both halos: four times the work of no tiles.
    possible = _side_within(share, per_pixel, halo, finishing)
    return max(SMALLEST_TILE, min(most, max(quick, min(possible, 2 * halo))))


def _side_within(budget: int, per_pixel: int, halo: int, finishing: int) -> int:
    """Find the largest interior whose window and finishing take no more than a budget."""
    low, high = 0, math.isqrt(budget // per_pixel) + 1
    while high - low > 1:
        side = (low + high) // 2
        fits = (side + 2 * halo) ** 2 * per_pixel + side**2 * finishing <= budget
        low, high = (side, high) if fits else (low, side)
    return low


def _even_ranges(start: int, stop: int, largest: int) -> list[tuple[int, int]]:
    """Cut start:stop into the fewest ranges of at most `largest`, as even as can be.

    Even, because a sliver at the end would cost a whole halo for a few pixels.
    """
    length = stop - start
    count = -(-length // largest)
    edges = [start + length * k // count for k in range(count + 1)]
    return list(pairwise(edges))
