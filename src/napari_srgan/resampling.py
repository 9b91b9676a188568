"""Bicubic shrinking and enlarging, the yardstick of super-resolution.

Keys' cubic kernel with a = -1/2, widened by the factor when shrinking (antialiased), as in
MATLAB's `imresize` and in Pillow: Keys, IEEE Trans. ASSP 29:1153 (1981). Pixel centres of the
LR image lie at f i + (f - 1) / 2 of the HR image, the rule of `geometry`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


def bicubic_enlarge(image: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Enlarge an image by a whole factor.

    Parameters
    ----------
    image : ndarray
        Shape (Y, X) or (Y, X, S), any real dtype and range.
    factor : int
        How many times larger Y and X become.

    Returns
    -------
    ndarray of float32
        Shape (factor * Y, factor * X[, S]), in the range of the input; may overshoot it.
    """
    height, width = image.shape[:2]
    return _resize(image, factor * height, factor * width)


def bicubic_shrink(image: NDArray[Any], factor: int) -> NDArray[np.float32]:
    """Shrink an image by a whole factor, antialiased.

    Parameters
    ----------
    image : ndarray
        Shape (Y, X) or (Y, X, S), any real dtype and range; Y and X divisible by `factor`.
    factor : int
        How many times smaller Y and X become.

    Returns
    -------
    ndarray of float32
        Shape (Y / factor, X / factor[, S]).

    Raises
    ------
    ValueError
        If Y or X is not divisible by the factor: the pixel centres would not fit.
    """
    height, width = image.shape[:2]
    if height % factor or width % factor:
        raise ValueError(f"An image of {height} x {width} px cannot be shrunk exactly {factor}x.")
    return _resize(image, height // factor, width // factor)


def shrink_batch(images: torch.Tensor, factor: int) -> torch.Tensor:
    """Shrink float images (N, C, Y, X) by a whole factor, as `bicubic_shrink` does."""
    size = [images.shape[-2] // factor, images.shape[-1] // factor]
    return _interpolate(images, size)


def _resize(image: NDArray[Any], height: int, width: int) -> NDArray[np.float32]:
    import torch

    flat = image.reshape(*image.shape[:2], -1).astype(np.float32)
    tensor = torch.from_numpy(flat).permute(2, 0, 1)[None]
    resized = _interpolate(tensor, [height, width])[0].permute(1, 2, 0).numpy()
    return np.ascontiguousarray(resized.reshape(height, width, *image.shape[2:]))


def _interpolate(images: torch.Tensor, size: list[int]) -> torch.Tensor:
    from torch.nn import functional

    # With antialias torch uses a = -1/2 (Pillow's kernel) for both directions; without it
    # a = -3/4, which is no one's bicubic but OpenCV's.
    return functional.interpolate(
        images, size=size, mode="bicubic", align_corners=False, antialias=True
    )
