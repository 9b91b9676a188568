"""What may be typed after `napari-srgan report`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any


def add_report(commands: Any, slices: Callable[[str], Any], tile: Callable[[str], Any]) -> None:
    """Describe `report`; `slices` and `tile` read their values as the other commands do."""
    parser = commands.add_parser(
        "report",
        help="write a page on how far a result can be trusted",
        usage="napari-srgan report INPUT -o PAGE.html [--model M] [--reference R] [options]",
        description="Super-resolve a file and write a page on the result: pictures, what of it is "
        "measured, with a reference how close it comes beside bicubic, curves, the model's card "
        "and the provenance. The page holds all that it shows and opens without a network. The "
        "result itself is not kept; 'upscale' writes it.",
    )
    add = parser.add_argument
    add("input", type=Path, metavar="INPUT", help="the low-resolution image")
    add("-o", "--output", type=Path, required=True, metavar="PAGE.html", help="the page")
    add("--model", default="auto", help="name or file of a model (default: auto)")
    add(
        "--reference",
        type=Path,
        metavar="R",
        help="the true high-resolution image, as large as the result",
    )
    add("--slices", type=slices, metavar="A:B", help="slices A to B-1, counted from 0, of Z or T")
    add(
        "--show",
        type=_slice,
        metavar="N",
        help="the slice of the pictures, of Z or T (default: the middle one)",
    )
    add(
        "--mode",
        default="rgb",
        choices=("rgb", "y"),
        help="what is compared of colour images, as for compare (default: rgb)",
    )
    add("--border", default=0, type=_slice, metavar="N", help="reference pixels left out at sides")
    add("--device", default="auto", help="auto, cpu, cuda[:N] or mps (default: auto)")
    add(
        "--precision",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16"),
        help="as for upscale (default: auto)",
    )
    add("--tile", default="auto", type=tile, metavar="PX", help="as for upscale (default: auto)")
    add("--axes", type=str.upper, metavar="LETTERS", help="axes of the files, of TCZYXS")
    add("--intensity", default="auto", metavar="RANGE", help="as for upscale (default: auto)")
    add("--transform", default="none", metavar="T", help="as for upscale (default: none)")
    add("--nan", default="refuse", choices=("refuse", "fill"), help="as for upscale")
    add("--back-project", action="store_true", help="as for upscale")
    add("--anonymise", action="store_true", help="show no file name in the page")
    add("--overwrite", action="store_true", help="replace a page that exists")
    add("--json", action="store_true", help="print the figures as one JSON line, and no progress")


def _slice(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a number from 0")
    return int(text)
