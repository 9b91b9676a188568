"""Resampling: bicubic shrinking and enlarging, the yardstick of super-resolution, and shifting.

Keys' cubic kernel with a = -1/2, widened by the factor when shrinking (antialiased), as in
MATLAB's `imresize` and in Pillow: Keys, IEEE Trans. ASSP 29:1153 (1981). Pixel centres of the
LR image lie at f i + (f - 1) / 2 of the HR image, the rule of `geometry`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.geometry import Scale, as_scale, scale_text

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_array

SHIFT_REACH = 4
"""How far, in pixels, `shift_batch` looks beyond the pixels between which it samples."""


def bicubic_enlarge(image: NDArray[Any], scale: int | Scale) -> NDArray[np.float32]:
    """Enlarge an image by whole factors.

    Parameters
    ----------
    image : ndarray
        Shape (Y, X) or (Y, X, S), any real dtype and range.
    scale : int or Scale
        How many times larger Y and X become.

    Returns
    -------
    ndarray of float32
        Shape (sy * Y, sx * X[, S]), in the range of the input; may overshoot it.
    """
    sy, sx = as_scale(scale)
    height, width = image.shape[:2]
    return _resize(image, sy * height, sx * width)


def bicubic_shrink(image: NDArray[Any], scale: int | Scale) -> NDArray[np.float32]:
    """Shrink an image by whole factors, antialiased.

    Parameters
    ----------
    image : ndarray
        Shape (Y, X) or (Y, X, S), any real dtype and range; Y and X divisible by the scale.
    scale : int or Scale
        How many times smaller Y and X become.

    Returns
    -------
    ndarray of float32
        Shape (Y / sy, X / sx[, S]).

    Raises
    ------
    ValueError
        If Y or X is not divisible by the scale: the pixel centres would not fit.
    """
    sy, sx = as_scale(scale)
    height, width = image.shape[:2]
    if height % sy or width % sx:
        raise ValueError(
            f"An image of {height} x {width} px cannot be shrunk exactly {scale_text((sy, sx))}."
        )
    return _resize(image, height // sy, width // sx)


def shrink_batch(images: torch.Tensor, scale: Scale) -> torch.Tensor:
    """Shrink float images (N, C, Y, X) by whole factors along Y and X, as `bicubic_shrink` does."""
    return _interpolate(images, [n // s for n, s in zip(images.shape[-2:], scale, strict=True)])


def cubic_weights(length: int, wanted: int, ratio: float) -> csr_array:
    """Give the weights that resample one axis, antialiased where it is shrunk.

    Parameters
    ----------
    length, wanted : int
        Pixels of the axis, and of the result.
    ratio : float
        How many pixels one of the result covers, 1 or more: pixel j has its centre at
        (j + 1/2) ratio - 1/2, so that both begin at the same edge.

    Returns
    -------
    scipy.sparse.csr_array of float64, shape (wanted, length)
        A row for each pixel of the result, of sum 1; what lies beyond the border has no weight. A
        ratio of 1 is the identity.
    """
    from scipy.sparse import csr_array

    reach = 2 * ratio
    centres = (np.arange(wanted) + 0.5) * ratio - 0.5
    taps = np.arange(math.ceil(2 * reach) + 1)
    at = np.ceil(centres - reach).astype(int)[:, None] + taps
    weights = keys(np.abs(at - centres[:, None]) / ratio)
    weights[(at < 0) | (at >= length)] = 0
    weights /= weights.sum(axis=1, keepdims=True)
    rows = np.repeat(np.arange(wanted), taps.size)
    found = csr_array(
        (weights.ravel(), (rows, np.clip(at, 0, length - 1).ravel())), shape=(wanted, length)
    )
    found.eliminate_zeros()
    found.sort_indices()
    return found


def keys(d: NDArray[Any]) -> NDArray[Any]:
    """Keys' cubic kernel, a = -1/2, at distances from 0."""
    near = (1.5 * d - 2.5) * d**2 + 1
    far = ((-0.5 * d + 2.5) * d - 4) * d + 2
    return np.where(d < 1, near, np.where(d < 2, far, 0.0))


def shift_batch(images: torch.Tensor, shift: tuple[float, float]) -> torch.Tensor:
    """Sample images between their pixels: pixel j of the result is where j + shift was.

    Whole pixels are exact; parts of a pixel go through a sinc in a Lanczos window of 4 lobes
    (Duchon, J. Appl. Meteorol. 18:1016 (1979)), which at half a pixel passes 91 % at
    0.75 of the Nyquist frequency, where a cubic kernel passes 55 %.

    Parameters
    ----------
    images : torch.Tensor
        Float, shape (N, C, Y, X).
    shift : tuple of float
        Along Y and X, pixels. Beyond the border the outermost pixels are repeated.

    Returns
    -------
    torch.Tensor
        The shape of `images`; may overshoot their range a little.
    """
    import torch
    from torch.nn import functional

    for axis, distance in ((2, shift[0]), (3, shift[1])):
        whole = math.floor(distance)
        part = distance - whole
        length = images.shape[axis]
        around = (1 - SHIFT_REACH, SHIFT_REACH) if part else (0, 0)
        at = torch.arange(whole + around[0], whole + around[1] + length).clamp(0, length - 1)
        images = images.index_select(axis, at)
        if part:
            taps = torch.arange(around[0], around[1] + 1, dtype=images.dtype) - part
            kernel = torch.sinc(taps) * torch.sinc(taps / SHIFT_REACH)
            shape = [1, 1, -1, 1] if axis == 2 else [1, 1, 1, -1]
            weight = (kernel / kernel.sum()).view(shape)
            channels = images.shape[1]
            images = functional.conv2d(images, weight.repeat(channels, 1, 1, 1), groups=channels)
    return images


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
