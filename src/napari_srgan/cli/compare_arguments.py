"""What may be typed after `napari-srgan compare`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError

_THRESHOLD = Fraction(1, 2)  # no default of the parser, so that what was typed can be told


def add_compare(commands: Any, slices: Callable[[str], Any]) -> None:
    """Describe `compare`; `slices` reads A:B as the other commands do."""
    parser = commands.add_parser(
        "compare",
        help="measure images against a reference",
        usage="napari-srgan compare REFERENCE [CANDIDATE...] [--low LR] [options]",
        description="Measure candidates against a reference image: PSNR, SSIM, MS-SSIM, MSE, "
        "RMSE, MAE and Pearson's correlation, per slice and for the whole stack. Candidates that "
        "are a whole number of times smaller are enlarged by bicubic first.",
    )
    add = parser.add_argument
    add("reference", type=Path, metavar="REFERENCE", help="the true high-resolution image")
    add("candidates", nargs="*", type=Path, metavar="CANDIDATE", help="images to be measured")
    add(
        "--low",
        type=Path,
        metavar="LR",
        help="the low-resolution image; adds the row bicubic, its enlargement",
    )
    add(
        "--axes",
        type=str.upper,
        metavar="LETTERS",
        help="axes of all files in order, of TCZYXS (default: from each file)",
    )
    add(
        "--mode",
        default="rgb",
        choices=("rgb", "y"),
        help="rgb: all samples of a colour image alike; y: MATLAB's Y channel, as published "
        "tables, for 8-bit RGB images (default: rgb)",
    )
    add(
        "--border",
        default=0,
        type=_pixels,
        metavar="N",
        help="reference pixels left out on each side (default: 0)",
    )
    add(
        "--range",
        type=_above_zero,
        metavar="X",
        help="data range that PSNR and SSIM refer to (default: 255 for uint8, else the stored "
        "range of the whole reference)",
    )
    add(
        "--slices",
        type=slices,
        metavar="A:B",
        help="slices A to B-1, counted from 0, of Z or else of T",
    )
    add(
        "--frc",
        action="store_true",
        help="Fourier ring correlation with the reference in the middle slice",
    )
    add(
        "--frc-threshold",
        type=_threshold,
        metavar="T",
        help="with --frc: 1/2 against a reference, 1/7 for two independent acquisitions "
        "(default: 1/2)",
    )
    add(
        "--error-map",
        type=Path,
        metavar="DIR",
        help="write <candidate>_error.tif: what remains after gain, offset and blur are fitted "
        "to the reference, as SQUIRREL does (of RGB the luma); adds RSE and RSP",
    )
    add("--csv", type=Path, metavar="FILE", help="also write the figures to a table")
    add("--overwrite", action="store_true", help="replace files that exist")
    add("--json", action="store_true", help="print one JSON line per row, and no progress")


def ring_threshold(arguments: argparse.Namespace) -> Fraction | None:
    """Return where the resolution is read from rings, None if they are not wanted.

    Raises
    ------
    InputError
        If a threshold is given for rings that are not wanted.
    """
    asked: Fraction | None = arguments.frc_threshold
    if arguments.frc:
        return _THRESHOLD if asked is None else asked
    if asked is not None:
        raise InputError("--frc-threshold needs --frc beside it; add that or leave this out.")
    return None


def _pixels(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of pixels from 0")
    return int(text)


def _above_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}' is not a number above 0")
    return value


def _threshold(text: str) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number between 0 and 1, as 1/7")
    return value
