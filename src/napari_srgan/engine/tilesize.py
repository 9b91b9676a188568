"""How large a tile may be: what the network takes, and what the device has.

The exact cut is made by `tiling`; here only the size is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from napari_srgan.engine.devices import free_memory
from napari_srgan.engine.tiles import SMALLEST_TILE, plan_tiles
from napari_srgan.errors import InputError
from napari_srgan.image.axes import MIN_SIDE

if TYPE_CHECKING:
    import torch

    from napari_srgan.models.catalogue import Model

# A tile should take a few seconds at most, so that cancelling is quick, and leave the machine
# its memory: some 500 x 500 px of the 16-block network.
_CPU_BYTES = 800 * 2**20
_CPU_SHARE = 0.25
_GPU_SHARE = 0.6
_GPU_SIDE = 1024


def auto_tile(
    device: torch.device,
    per_pixel: int,
    halo: int,
    height: int,
    width: int,
    region: Mapping[str, tuple[int, int]] | None = None,
) -> int:
    """Choose the side of a tile's interior: the whole region if it fits, else what memory allows.

    Parameters
    ----------
    device : torch.device
    per_pixel : int
        Bytes that the network takes per LR pixel of a window.
    halo : int
        LR pixels around the interior.
    height, width : int
        Size of a plane, LR px.
    region : mapping, optional
        Its "Y" and "X" ranges count instead of the whole.

    Returns
    -------
    int
        LR pixels, at least `SMALLEST_TILE`.
    """
    if device.type == "cuda":
        share = budget = int(free_memory(device) * _GPU_SHARE)
        most = _GPU_SIDE
    else:
        share = int(free_memory(device) * _CPU_SHARE)
        budget = min(_CPU_BYTES, share)
        most = max(height, width)
    rows, cols = (region or {}).get("Y", (0, height)), (region or {}).get("X", (0, width))
    side = max(rows[1] - rows[0], cols[1] - cols[0])
    (whole,) = plan_tiles(height, width, side, halo, rows, cols)
    if whole.read_pixels * per_pixel <= budget and side <= most:
        return max(side, SMALLEST_TILE)
    quick = math.isqrt(budget // per_pixel) - 2 * halo
    # A network that looks far would have next to nothing but halo in a quick tile. So its tiles
    # may be slow, up to an interior as wide as both halos: four times the work of no tiles.
    possible = math.isqrt(share // per_pixel) - 2 * halo
    return max(SMALLEST_TILE, min(most, max(quick, min(possible, 2 * halo))))


def checked_tile(tile: int | str) -> int | None:
    """Return the side asked for, None for auto."""
    if str(tile).strip().lower() == "auto":
        return None
    try:
        side = int(str(tile))
    except ValueError:
        side = 0
    if side < MIN_SIDE:
        raise InputError(
            f"The tile {tile!r} must be auto or a whole number of pixels, {MIN_SIDE} or more."
        )
    return side


def needs(model: Model) -> tuple[int, int]:
    """Say how far a model looks, and what it takes per LR pixel."""
    from napari_srgan.engine.window import bytes_per_pixel
    from napari_srgan.models.architectures.receptive_field import halo
    from napari_srgan.models.architectures.rewrite import for_inference

    network = for_inference(model.network)
    return halo(network), bytes_per_pixel(network)
