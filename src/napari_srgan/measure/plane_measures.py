"""All the measures of one plane in one call: what is compared of it, and which figures are taken.

What belongs here: the choice of mode, border and measures, and what a figure is where it is not
defined. The measures themselves are in `metrics` and `msssim`; stacks are `comparison`'s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.measure import metrics
from napari_srgan.measure.measurable import check_range
from napari_srgan.measure.msssim import MS_SSIM_SIDE, ms_ssim
from napari_srgan.measure.paper_protocol import luma

MEASURES = ("psnr", "ssim", "ms_ssim", "mse", "rmse", "mae", "pearson")
"""The names of all measures, in the order in which they are shown."""

Mode = Literal["rgb", "y"]
Figure = float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How images are compared.

    Attributes
    ----------
    mode : {"rgb", "y"}
        What of a colour image: R, G and B alike (alpha is left out), or MATLAB's Y channel, 16 to
        235, not rounded, as in published tables (`paper_protocol.luma`), for 8-bit images. Gray
        images are compared as they are in both.
    border : int
        Pixels of the reference cut on each side before measuring.
    measures : tuple of str
        Some of `MEASURES`.

    Raises
    ------
    InputError
        If one of them is none of these.
    """

    mode: Mode = "rgb"
    border: int = 0
    measures: tuple[str, ...] = MEASURES

    def __post_init__(self) -> None:
        if self.mode not in ("rgb", "y"):
            raise InputError(f"The mode {self.mode!r} is not known; choose rgb or y.")
        if self.border < 0:
            raise InputError(f"The border is a number of pixels from 0, and it is {self.border}.")
        unknown = [m for m in self.measures if m not in MEASURES]
        if unknown or not self.measures:
            raise InputError(
                f"Choose measures of {', '.join(MEASURES)}; given were "
                f"{', '.join(self.measures) or 'none'}."
            )


def measure_plane(
    reference: NDArray[Any], candidate: NDArray[Any], data_range: float, settings: Settings
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

    Returns
    -------
    dict of measure to float or None
        In the order of `Settings.measures`. PSNR in dB is infinite for equal images; None stands
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
    error: float | None = None
    figures: dict[str, Figure] = {}
    for name in settings.measures:
        if name in ("psnr", "mse", "rmse"):
            error = metrics.mse(first, second) if error is None else error
            figures[name] = from_mse(name, error, data_range)
        elif name == "mae":
            figures[name] = metrics.mae(first, second)
        elif name == "pearson":
            figures[name] = metrics.pearson(first, second)
        else:
            function, side = _WINDOWED[name]
            fits = min(first.shape[:2]) >= side
            figures[name] = function(first, second, data_range) if fits else None
    return figures


def from_mse(measure: str, error: float, data_range: float) -> float:
    """Return "psnr" (dB), "mse" or "rmse" of a mean squared error; a PSNR of 0 is infinite."""
    if measure == "mse":
        return error
    if measure == "rmse":
        return math.sqrt(error)
    if error == 0.0:
        return math.inf
    return 20.0 * math.log10(data_range) - 10.0 * math.log10(error)


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


_WINDOWED = {
    "ssim": (metrics.ssim, metrics.SSIM_WINDOW),
    "ms_ssim": (ms_ssim, MS_SSIM_SIDE),
}
