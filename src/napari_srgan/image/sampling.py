"""Looking through a whole stack in bounded memory: window by window, or by a seeded sample."""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.stack import Region, Stack, check_region
from napari_srgan.image.valid import is_value

SAMPLE = 2**22
"""Values that percentiles are taken over; 0.1 % of them is still 4000 values."""
_WINDOW = 2**22  # pixels read at once
_BANDS = 8  # places in a plane that a sample is taken from
_PLANES = 128  # planes that a sample is taken from
_SEED = 20160915  # SRGAN's arXiv date; any fixed number will do


def windows(
    stack: Stack, channel: int | None = None, region: Region | None = None
) -> Iterator[tuple[tuple[int, ...], int, NDArray[Any]]]:
    """Read a stack in bands of rows.

    Parameters
    ----------
    stack : Stack
    channel : int, optional
        Only the planes of this position along C.
    region : Region, optional
        Only this part.

    Yields
    ------
    index : tuple of int
        The plane.
    row : int
        First row of the band.
    block : ndarray, shape (y, x) or (y, x, 3)
        The values without alpha.
    """
    whole = check_region(stack, region)
    (y0, y1), (x0, x1) = whole["Y"], whole["X"]
    step = max(1, _WINDOW // ((x1 - x0) * stack.samples))
    for index in stack.plane_indices(region):
        if channel is None or stack.channel_of(index) == channel:
            for row in range(y0, y1, step):
                band = stack.read(index, slice(row, min(row + step, y1)), slice(x0, x1))
                yield index, row, colours(band, stack)


def sample(stack: Stack, channel: int = 0, size: int = SAMPLE) -> NDArray[Any]:
    """Take the finite values of one channel: all of them if there are few, else a sample.

    Parameters
    ----------
    stack : Stack
    channel : int
        Position along C.
    size : int
        About how many values at most.

    Returns
    -------
    ndarray, 1-D, dtype of the stack
        The same at each call: planes spread over the stack, bands of rows with a fixed seed.
    """
    planes = math.prod(stack.plane_shape) // stack.n_channels
    values = planes * stack.height * stack.width * min(stack.samples, 3)
    if values <= size:
        taken = [_finite(block) for _, _, block in windows(stack, channel)]
        return np.concatenate(taken) if taken else np.empty(0, stack.dtype)
    rng = np.random.default_rng(_SEED)
    count = min(planes, _PLANES)
    chosen = {int((k + rng.random()) * planes / count) for k in range(count)}
    per_plane = max(1, size // count)
    indices = (i for i in stack.plane_indices() if stack.channel_of(i) == channel)
    return np.concatenate(
        [_bands(stack, i, per_plane, rng) for n, i in enumerate(indices) if n in chosen]
    )


def colours(block: NDArray[Any], stack: Stack) -> NDArray[Any]:
    """Leave alpha out of a block (y, x[, S])."""
    return block[..., :3] if stack.samples == 4 else block


def _bands(
    stack: Stack, index: tuple[int, ...], size: int, rng: np.random.Generator
) -> NDArray[Any]:
    """Take about `size` finite values of a plane, from bands of rows spread over it."""
    row_values = stack.width * min(stack.samples, 3)
    rows = min(stack.height, max(_BANDS, size // row_values))
    edges = [rows * k // _BANDS for k in range(_BANDS + 1)]
    # What computes its planes does so whole, however little of one is read: read it once.
    small = stack.height * stack.width <= _WINDOW
    whole = stack.read(index) if small and not stack.in_files else None
    parts = []
    for k, (a, b) in enumerate(pairwise(edges)):
        if a == b:
            continue
        top, bottom = stack.height * k // _BANDS, stack.height * (k + 1) // _BANDS
        start = int(rng.integers(top, max(top + 1, bottom - (b - a) + 1)))
        here = slice(start, start + b - a)
        band = stack.read(index, here) if whole is None else whole[here]
        parts.append(_finite(colours(band, stack)))
    values = np.concatenate(parts)
    # Very wide planes: 8 rows are still more than was asked for.
    return values[:: max(1, values.size // size)]


def _finite(block: NDArray[Any]) -> NDArray[Any]:
    flat = block.reshape(-1)
    return flat[is_value(flat)] if flat.dtype.kind == "f" else flat
