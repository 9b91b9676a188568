"""How the published tables of super-resolution measure, so that figures compare with theirs.

MATLAB's `imresize` makes the LR image and the bicubic enlargement, everything is rounded to 8 bits
as files are, and colour is compared on MATLAB's Y channel without a border. SRGAN (Ledig et al.,
arXiv 1609.04802v5, section 3.1) and most tables for Set5, Set14 and BSD100 measure so; the same
images give other figures by other conventions (EDSR on Set5: 32.0 dB, or 30.1 dB on RGB).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.geometry import Scale, as_scale
from napari_srgan.image.resampling import bicubic_enlarge, bicubic_shrink
from napari_srgan.measure.evaluation import Restore, cropped, score
from napari_srgan.measure.scores import Score

if TYPE_CHECKING:
    from napari_srgan.models.vgg import VGGFeatures

# MATLAB's rgb2ycbcr: ITU-R BT.601 in "studio swing", for R, G and B in [0, 1].
_Y_OFFSET = 16.0
_Y_WEIGHTS = np.array([65.481, 128.553, 24.966])

_MARGIN = 4  # LR px; the cubic kernel reaches 2


def evaluate_plane_paper(
    hr: NDArray[np.uint8],
    scale: Scale,
    restore: Restore,
    name: str = "the image",
    vgg: Sequence[VGGFeatures] = (),
) -> Score:
    """Shrink a plane as MATLAB does, restore it, and measure result and bicubic as papers do.

    Parameters
    ----------
    hr : ndarray of uint8
        Shape (Y, X) or (Y, X, 3); cropped to a multiple of the scale.
    scale : Scale
        The larger number is also the width of the border that is not compared, px: 4 at 4x.
    restore : callable
        LR -> SR in [0, 1], see `evaluation.Restore`; it gets the rounded LR image, and what it
        gives is rounded too.
    name : str
        Of the image.
    vgg : sequence of VGGFeatures
        Layers whose distances are wanted too, on what is compared: the Y channel for RGB.

    Returns
    -------
    Score
        PSNR and SSIM are those of range 255; MSE and MAE are for range 1.

    Raises
    ------
    InputError
        If the plane is too small.

    Notes
    -----
    Y is computed from rounded RGB and is not rounded itself, as after im2double in MATLAB.
    """
    border = max(scale)
    hr = cropped(hr, scale, name, border, vgg)
    lr = to_bytes(matlab_shrink(hr, scale))
    restored = to_bytes(255 * restore(np.divide(lr, 255, dtype=np.float32)))
    enlarged = to_bytes(matlab_enlarge(lr, scale))
    reference, result, bicubic = (_compared(image, border) for image in (hr, restored, enlarged))
    return score(reference, result, bicubic, name, vgg)


def matlab_shrink(image: NDArray[Any], scale: int | Scale) -> NDArray[np.float32]:
    """Shrink as MATLAB's ``imresize(image, 1 / scale, "bicubic")`` does, antialiased.

    Parameters
    ----------
    image : ndarray
        Shape (Y, X) or (Y, X, S), Y and X divisible by the scale.
    scale : int or Scale

    Returns
    -------
    ndarray of float32
        Not rounded. At the border MATLAB mirrors the image, outermost pixels included, where
        `resampling` leaves out what is missing of the kernel.
    """
    sy, sx = as_scale(scale)
    shrunk = bicubic_shrink(_mirrored(image, _MARGIN * sy, _MARGIN * sx), scale)
    return shrunk[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]


def matlab_enlarge(image: NDArray[Any], scale: int | Scale) -> NDArray[np.float32]:
    """Enlarge as MATLAB's ``imresize(image, scale, "bicubic")`` does; see `matlab_shrink`."""
    rows, cols = (slice(_MARGIN * s, -_MARGIN * s) for s in as_scale(scale))
    return bicubic_enlarge(_mirrored(image, _MARGIN, _MARGIN), scale)[rows, cols]


def to_bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Round values of the range 0 to 255 to uint8."""
    rounded: NDArray[np.uint8] = np.rint(image).clip(0, 255).astype(np.uint8)
    return rounded


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the Y of MATLAB's ``rgb2ycbcr``, 16 to 235, not rounded; shape (Y, X)."""
    y: NDArray[np.float64] = _Y_OFFSET + rgb / 255.0 @ _Y_WEIGHTS
    return y


def _compared(image: NDArray[np.uint8], border: int) -> NDArray[np.float64]:
    values = luma(image) if image.ndim == 3 else image.astype(np.float64)
    return values[border:-border, border:-border] / 255


def _mirrored(image: NDArray[Any], rows: int, cols: int) -> NDArray[Any]:
    padding = [(rows, rows), (cols, cols)] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, padding, mode="symmetric")
