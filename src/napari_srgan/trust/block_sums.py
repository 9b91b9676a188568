"""Giving every block of pixels a wanted sum, in whole numbers that stay within their dtype.

What belongs here: exact integer arithmetic. Why blocks should have sums is `back_projection`'s.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.geometry import Scale
from napari_srgan.image.stack import EXACT_INTEGER

_BAND = 2**20  # blocks' pixels that are worked on at once


def with_block_sums(
    low: NDArray[np.integer[Any]], high: NDArray[np.integer[Any]], scale: Scale
) -> NDArray[Any]:
    """Change an image so that the mean of every block is exactly the pixel of a smaller one.

    Parameters
    ----------
    low : ndarray of integers, shape (y, x) or (y, x, S)
        The means; within the dtype of `high`.
    high : ndarray of integers, shape (sy * y, sx * x) or (sy * y, sx * x, S)
    scale : Scale
        Height and width of a block.

    Returns
    -------
    ndarray
        Shape and dtype of `high`. Within a block all pixels are shifted by the same number t or
        t + 1 and clipped to the dtype: the nearest solution but for the choice of the pixels
        that get one more, which follows a fixed pattern.
    """
    result = np.empty_like(high)
    step = max(1, _BAND // max(1, scale[0] * high[0].size))
    for start in range(0, low.shape[0], step):
        rows = slice(start, min(start + step, low.shape[0]))
        fine = slice(scale[0] * rows.start, scale[0] * rows.stop)
        result[fine] = _part(low[rows], high[fine], scale)
    return result


def _part(low: NDArray[Any], high: NDArray[Any], scale: Scale) -> NDArray[Any]:
    (y, x), (sy, sx) = low.shape[:2], scale
    samples = low.reshape(y, x, -1).shape[2]
    split = high.reshape(y, sy, x, sx, samples)
    blocks = split.transpose(0, 2, 4, 1, 3).reshape(-1, sy * sx).astype(np.int64)
    targets = low.reshape(-1).astype(np.int64) * (sy * sx)
    whole = np.iinfo(high.dtype)
    lo, hi = max(int(whole.min), -EXACT_INTEGER), min(int(whole.max), EXACT_INTEGER)
    shift = _shifts(blocks, targets, lo, hi)
    filled = np.clip(blocks + shift[:, None], lo, hi)
    missing = targets - filled.sum(axis=1)
    # One level more for as many of the pixels that have room as are missing, in a fixed order
    # that leaps through the block, so that they do not gather in a corner.
    order = _leaps(scale)
    room = np.clip(blocks + shift[:, None] + 1, lo, hi) > filled
    rank = np.cumsum(room[:, order], axis=1)
    filled[:, order] += room[:, order] & (rank <= missing[:, None])
    result = filled.reshape(y, x, samples, sy, sx).transpose(0, 3, 1, 4, 2)
    image: NDArray[Any] = result.reshape(high.shape).astype(high.dtype)
    return image


def _shifts(
    blocks: NDArray[np.int64], targets: NDArray[np.int64], lo: int, hi: int
) -> NDArray[np.int64]:
    """Find for each block the largest t for which its clipped sum does not exceed the target."""
    shift: NDArray[np.int64] = (targets - blocks.sum(axis=1)) // blocks.shape[1]
    # Only where nothing is clipped is that the answer; the sum grows with t, so bisect elsewhere.
    clipped = (blocks.min(axis=1) + shift < lo) | (blocks.max(axis=1) + shift + 1 > hi)
    at = np.flatnonzero(clipped)
    if at.size:
        some, wanted = blocks[at], targets[at]
        below, above = lo - some.max(axis=1), hi - some.min(axis=1) + 1
        while (above - below > 1).any():
            middle = (below + above) // 2
            fits = np.clip(some + middle[:, None], lo, hi).sum(axis=1) <= wanted
            below, above = np.where(fits, middle, below), np.where(fits, above, middle)
        shift[at] = below
    return shift


def _leaps(scale: Scale) -> NDArray[np.intp]:
    """Order the pixels of a block so that those that follow each other lie apart."""
    y, x = np.divmod(np.arange(scale[0] * scale[1]), scale[1])
    # The R2 sequence of Roberts (2018), a two-dimensional golden ratio, as an ordered dither.
    return np.argsort((0.7548776662466927 * y + 0.5698402909980532 * x) % 1, kind="stable")
