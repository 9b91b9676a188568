"""From colour to gray: what a grayscale model sees of an RGB image."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


def as_channels(plane: NDArray[Any], channels: int) -> NDArray[Any]:
    """Return a plane for a model of so many channels.

    Parameters
    ----------
    plane : ndarray
        Shape (Y, X), (Y, X, 3) or (Y, X, 4); alpha is left out.
    channels : int
        1: RGB becomes ITU-R BT.601 luma; 3: RGB stays.

    Returns
    -------
    ndarray
        Shape (Y, X) or (Y, X, 3), in the dtype of the plane.
    """
    if plane.ndim == 2:
        return plane
    colours = plane[..., :3]
    if channels == 3:
        return colours
    gray = colours.astype(np.float32) @ _LUMA
    integer = plane.dtype.kind in "iu"
    return (np.rint(gray) if integer else gray).astype(plane.dtype)
