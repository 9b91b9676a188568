"""Where in an image there is most to see."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_CELL = 8  # pixels; contrast is looked for within cells of this side


def busiest(plane: NDArray[np.generic], window: tuple[int, int]) -> tuple[float, float]:
    """Find the part of a plane with most local contrast.

    Parameters
    ----------
    plane : ndarray, shape (Y, X)
        Real; at least 1 x 1 px.
    window : (int, int)
        Rows and columns of the part; cut to those of the plane.

    Returns
    -------
    (float, float)
        Row and column of the middle of the part, in pixels of the plane (0 is the middle of the
        first pixel). Of several that are alike, the one nearest to the middle of the plane.

    Notes
    -----
    Contrast is the standard deviation within cells of 8 x 8 px, not its square: one bright edge
    would outweigh a part full of fine structure.
    """
    cells = [max(n // _CELL, 1) for n in plane.shape]
    sides = [n // c for n, c in zip(plane.shape, cells, strict=True)]
    whole = plane[: cells[0] * sides[0], : cells[1] * sides[1]].astype(np.float32)
    contrast = whole.reshape(cells[0], sides[0], cells[1], sides[1]).std(axis=(1, 3))
    contrast = np.nan_to_num(contrast, posinf=0.0)
    size = [min(max(round(w / s), 1), c) for w, s, c in zip(window, sides, cells, strict=True)]
    # Of the sums around each cell, those whose window lies within the plane.
    sums = ndimage.uniform_filter(contrast, size=size, mode="constant")
    first = [s // 2 for s in size]
    inner = sums[
        first[0] : first[0] + cells[0] - size[0] + 1, first[1] : first[1] + cells[1] - size[1] + 1
    ]
    best = np.argwhere(inner >= inner.max() * (1 - 1e-5))
    off = best - (np.array(inner.shape) - 1) / 2
    corner = best[np.argmin((off**2).sum(axis=1))]
    middle = (corner + np.array(size) / 2) * sides - 0.5
    return float(middle[0]), float(middle[1])
