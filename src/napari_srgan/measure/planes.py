"""One plane against the reference's: what of it is compared, and which measures are taken.

The measures themselves are in `metrics` and listed in `table`; stacks are in `stacks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.measure.checks import check_range
from napari_srgan.measure.features import FeatureMaps, feature_distances
from napari_srgan.measure.table import PLANE_MEASURES, Figure, Pair, take

Mode = Literal["rgb", "y"]

# MATLAB's rgb2ycbcr: ITU-R BT.601 in "studio swing", for R, G and B in [0, 1].
_Y_OFFSET = 16.0
_Y_WEIGHTS = np.array([65.481, 128.553, 24.966])


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How images are compared.

    Attributes
    ----------
    mode : {"rgb", "y"}
        What of a colour image: R, G and B alike (alpha is left out), or MATLAB's Y channel, 16 to
        235, not rounded, as in published tables (`luma`), for 8-bit images. Gray
        images are compared as they are in both.
    border : int
        Pixels of the reference cut on each side before measuring.
    measures : tuple of str
        Some of `table.PLANE_MEASURES`.
    features : tuple of FeatureMaps
        Networks whose distances are measured too.

    Raises
    ------
    InputError
        If one of them is none of these.
    """

    mode: Mode = "rgb"
    border: int = 0
    measures: tuple[str, ...] = PLANE_MEASURES
    features: tuple[FeatureMaps, ...] = ()

    def __post_init__(self) -> None:
        if self.mode not in ("rgb", "y"):
            raise InputError(f"The mode {self.mode!r} is not known; choose rgb or y.")
        if self.border < 0:
            raise InputError(f"The border is a number of pixels from 0, and it is {self.border}.")
        unknown = [m for m in self.measures if m not in PLANE_MEASURES]
        if unknown or not self.measures:
            raise InputError(
                f"Choose measures of {', '.join(PLANE_MEASURES)}; given were "
                f"{', '.join(self.measures) or 'none'}."
            )

    @property
    def names(self) -> tuple[str, ...]:
        """All that is measured, those of the networks last."""
        return (*self.measures, *(f.layer for f in self.features))


def measure_plane(
    reference: NDArray[Any],
    candidate: NDArray[Any],
    data_range: float,
    settings: Settings,
    black: float = 0.0,
) -> dict[str, Figure]:
    """Measure one plane of a candidate against the reference's.

    Parameters
    ----------
    reference, candidate : ndarray
        Shape (Y, X) or (Y, X, S) with S = 3 or 4, the same pixel grid, real dtype.
    data_range : float
        The range of the data in the unit of the pixels, above 0; in the mode y of colour images
        255 too, to which the published tables refer.
    settings : Settings
        Which measures, and of what.
    black : float
        Where the range begins, for `Settings.features`: networks see it as 0 to 1.

    Returns
    -------
    dict of measure to float or None
        In the order of `Settings.names`. PSNR in dB is infinite for equal images; None stands
        for what is not defined: SSIM below 11 px a side, MS-SSIM below 176 px, Pearson of a
        constant image.

    Raises
    ------
    InputError
        If the shapes differ, a pixel is NaN or infinite, the range is not above 0, nothing is
        left within the border, or the mode y meets colours that are not of 8 bits.
    """
    check_range(data_range)
    first, second = (compared(plane, settings) for plane in (reference, candidate))
    figures = take(settings.measures, Pair(first, second, data_range))
    if settings.features:
        seen = [((p - black) / data_range).clip(0, 1) for p in (first, second)]
        for features in settings.features:
            (figures[features.layer],) = feature_distances(features, *seen)
    return figures


def compared(plane: NDArray[Any], settings: Settings) -> NDArray[Any]:
    """Return the part of a plane that is compared: channels by the mode, without the border.

    Parameters
    ----------
    plane : ndarray
        Shape (Y, X) or (Y, X, S), any real dtype.
    settings : Settings

    Returns
    -------
    ndarray
        Shape (y, x) or (y, x, 3); float64 for the Y channel, else the dtype of the plane.

    Raises
    ------
    InputError
        If nothing is left, or the Y channel is asked for of colours that are not of 8 bits.
    """
    height, width = plane.shape[:2]
    border = settings.border
    if min(height, width) <= 2 * border:
        raise InputError(
            f"Nothing is left to compare of {height} x {width} px when a border of {border} px is "
            "cut on each side; choose a narrower one."
        )
    inner = plane[border : height - border, border : width - border]
    if inner.ndim == 2:
        return inner
    colours = as_channels(inner, 3)
    if settings.mode == "rgb":
        return colours
    if colours.dtype != np.uint8:
        raise InputError(
            f"The mode y is defined for 8-bit RGB images, and these are of the type "
            f"{colours.dtype}; use the mode rgb."
        )
    return luma(colours)


def luma(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the Y of MATLAB's ``rgb2ycbcr``, 16 to 235, not rounded; shape (Y, X)."""
    y: NDArray[np.float64] = _Y_OFFSET + rgb / 255.0 @ _Y_WEIGHTS
    return y
