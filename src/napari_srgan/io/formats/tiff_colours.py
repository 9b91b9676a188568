"""What the numbers of a TIFF page stand for, and what makes gray or RGB of them.

Whatever decodes them, they are turned here and nowhere else, so a page means the same however it is
compressed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tifffile

from napari_srgan.errors import InputError
from napari_srgan.io.formats.tiff_segments import JPEG, PageLayout

Pixels = npt.NDArray[Any]
Transform = Callable[[Pixels], Pixels]

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
COLOURS = (RGB, YCBCR)
_REFUSED = {
    4: "a transparency mask",
    5: "CMYK colours",
    8: "CIELab colours",
    9: "ICCLab colours",
    10: "ITULab colours",
    32803: "the raw mosaic of a camera",
    32844: "LogL values",
    32845: "LogLuv colours",
    34892: "the raw values of a camera",
}
_PHOTOMETRIC, _COEFFICIENTS, _BLACK_AND_WHITE = 262, 529, 532
_ASSOCIATED = 1


@dataclass(frozen=True)
class Meaning:
    """How the stored samples of a page become those that are presented.

    Attributes
    ----------
    dtype : numpy.dtype
        Of what is presented.
    transform : callable or None
        Makes it of what is stored; where there is `mixed`, samples come last in both.
    samples : int
        Length of the last axis that the transform adds; 0 if it adds none.
    mixed : int or None
        Axis of a page along which the transform needs all samples at once.
    """

    dtype: np.dtype[Any]
    transform: Transform | None = None
    samples: int = 0
    mixed: int | None = None

    @classmethod
    def of(cls, layout: PageLayout, kind: str, name: str) -> Meaning:
        """Say what the pages of a series mean.

        Parameters
        ----------
        layout : PageLayout
        kind : str
            What tifffile calls the series.
        name : str
            Of the file.

        Raises
        ------
        InputError
            If they are neither gray nor RGB, and nothing makes that of them.
        """
        key, dtype, meant = layout.key, layout.dtype, photometric(layout.key)
        if meant not in (WHITE_IS_ZERO, BLACK_IS_ZERO, PALETTE, *COLOURS):
            what = _REFUSED.get(meant, f"colours of an unknown kind ({int(meant)})")
            raise InputError(f"{name} has {what}; convert it to RGB or to gray first.")
        # ImageJ stores a lookup table for display beside gray values: those stay gray
        if meant == PALETTE and kind != "imagej":
            return cls(np.dtype(np.uint8), _palette(layout, name), 3)
        axes = [i for i, place in enumerate(layout.places) if place in (0, 4)]
        stored = layout.shape[axes[0]] if axes else 1
        # What is said to be extra is not so where the colours would be too few without it.
        most = max(stored - (3 if meant in COLOURS else 1), 0)
        extra = [int(e) for e in key.extrasamples][:most]
        n = stored - len(extra)
        steps: list[Transform] = []
        if meant == YCBCR and key.compression not in JPEG:  # which is decoded to RGB
            steps.append(_ycbcr(key, dtype, name))
        elif meant == YCBCR and key.planarconfig != 1:
            raise InputError(f"{name} has YCbCr colours in planes; convert it to RGB first.")
        if _ASSOCIATED in extra:
            steps.append(_unassociated(n, n + extra.index(_ASSOCIATED), _top(key, dtype)))
        if meant == WHITE_IS_ZERO:
            steps.append(_inverted(n if extra else None, _top(key, dtype)))
        if not steps:
            return cls(dtype)
        if not axes:
            return cls(dtype, _one_after_another(steps))
        return cls(dtype, _one_after_another(steps), mixed=axes[0])


def photometric(key: tifffile.TiffPage) -> int:
    """Tell what a page means by its samples; without a word about it, that 0 is black."""
    if key.photometric == WHITE_IS_ZERO and _PHOTOMETRIC not in key.tags:
        return BLACK_IS_ZERO
    return int(key.photometric)


def _one_after_another(steps: list[Transform]) -> Transform:
    def transform(block: Pixels) -> Pixels:
        for step in steps:
            block = step(block)
        return block

    return transform


def _top(key: tifffile.TiffPage, dtype: np.dtype[Any]) -> float:
    """Give the value of what is opaque, or white."""
    if dtype.kind == "f":
        return 1.0
    return 2 ** int(key.bitspersample) - 1 if dtype.kind == "u" else int(np.iinfo(dtype).max)


def _palette(layout: PageLayout, name: str) -> Transform:
    key = layout.key
    if key.colormap is None or key.samplesperpixel != 1 or layout.dtype.kind not in "ub":
        raise InputError(f"{name} is damaged: it has no palette for its colours.")
    table = np.asarray(key.colormap).reshape(3, -1)
    if table.shape[1] < 2 ** int(key.bitspersample):
        raise InputError(f"{name} is damaged: its palette is too short.")
    # Some programs write 8 bits where 16 are meant.
    colours = (table if table.max() <= 255 else table >> 8).astype(np.uint8).T
    return lambda block: cast("Pixels", colours[block.astype(np.intp)])


def _inverted(n: int | None, top: float) -> Transform:
    """Swap black and white, of `n` samples or of all: of floats, whose top is unknown, by sign."""

    def transform(block: Pixels) -> Pixels:
        gray = block[..., :n] if n else block
        if block.dtype.kind == "u":
            swapped = block.dtype.type(top) - gray
        else:
            swapped = -gray if block.dtype.kind == "f" else ~gray
        return _replaced(block, swapped, n) if n else swapped

    return transform


def _unassociated(n: int, alpha: int, top: float) -> Transform:
    """Undo the multiplication of `n` samples with the opacity; what is see-through stays."""

    def transform(block: Pixels) -> Pixels:
        opacity = block[..., alpha, np.newaxis].astype(np.float64)
        factor = np.divide(top, opacity, out=np.ones_like(opacity), where=opacity > 0)
        colours = block[..., :n] * factor
        if block.dtype.kind != "f":
            colours = np.clip(np.rint(colours), 0, top)
        return _replaced(block, colours, n)

    return transform


def _ycbcr(key: tifffile.TiffPage, dtype: np.dtype[Any], name: str) -> Transform:
    decoded_as_images = tifffile.TIFF.IMAGE_COMPRESSIONS
    if dtype != np.uint8 or key.is_subsampled or key.compression in decoded_as_images:
        raise InputError(
            f"{name} has YCbCr colours in a form that is not read; convert it to RGB first."
        )
    red, green, blue = _rationals(key, _COEFFICIENTS, (0.299, 0.587, 0.114))
    ends = _rationals(key, _BLACK_AND_WHITE, (0, 255, 128, 255, 128, 255))
    if not green or any(a == b for a, b in zip(ends[::2], ends[1::2], strict=True)):
        raise InputError(f"{name} is damaged: its YCbCr coefficients say nothing.")

    def transform(block: Pixels) -> Pixels:
        y, cb, cr = (
            (block[..., i].astype(np.float64) - ends[2 * i])
            * (reach / (ends[2 * i + 1] - ends[2 * i]))
            for i, reach in enumerate((255, 127, 127))
        )
        r, b = y + cr * (2 - 2 * red), y + cb * (2 - 2 * blue)
        g = (y - blue * b - red * r) / green
        return _replaced(block, np.clip(np.rint(np.stack([r, g, b], axis=-1)), 0, 255), 3)

    return transform


def _replaced(block: Pixels, colours: Pixels, n: int) -> Pixels:
    changed = block.copy()
    changed[..., :n] = colours
    return changed


def _rationals(key: tifffile.TiffPage, code: int, default: tuple[float, ...]) -> tuple[float, ...]:
    value = key.tags.valueof(code)
    try:
        numbers = tuple(a / b for a, b in zip(value[::2], value[1::2], strict=True))
    except (TypeError, ValueError, ZeroDivisionError):
        return default
    return numbers if len(numbers) == len(default) else default
