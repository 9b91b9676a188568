"""What may be typed after `napari-srgan trust`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

_KINDS = ("consistency", "invention", "spread")


def add_trust(commands: Any, slices: Callable[[str], Any], roi: Callable[[str], Any]) -> None:
    """Describe `trust`; `slices` and `roi` read ranges as the other commands do."""
    parser = commands.add_parser(
        "trust",
        help="map what in a result is measured and what is invented",
        usage="napari-srgan trust INPUT --out DIR [options]",
        description="Super-resolve a file and write maps of how far the result can be trusted, as "
        "float32 TIFF: consistency (what the input leaves unexplained, or removed signal), "
        "invention (what a perceptual model adds unseen by the measurement, beside the fidelity "
        "model) and spread (of mirrored inputs).",
    )
    add = parser.add_argument
    add("input", type=Path, metavar="INPUT", help="the low-resolution image")
    add("--out", type=Path, required=True, metavar="DIR", help="where the maps go")
    add(
        "--maps",
        type=_kinds,
        metavar="KINDS",
        help="some of consistency,invention,spread (default: consistency and spread, and "
        "invention where the model has a fidelity model of its own degradation)",
    )
    add("--model", default="auto", help="name or file of a model (default: auto)")
    add(
        "--fidelity",
        metavar="M",
        help="model that inventions are measured from (default: the one that belongs to --model)",
    )
    add(
        "--symmetries",
        default="auto",
        choices=("auto", "lateral", "all"),
        help="mirror images of the spread: lateral, all eight, or auto: as in training",
    )
    add("--device", default="auto", help="auto, cpu, cuda[:N] or mps (default: auto)")
    add("--axes", type=str.upper, metavar="LETTERS", help="axes of the input, of TCZYXS")
    add("--intensity", default="auto", metavar="RANGE", help="as for upscale (default: auto)")
    add("--transform", default="none", metavar="T", help="as for upscale (default: none)")
    add("--slices", type=slices, metavar="A:B", help="slices A to B-1, counted from 0")
    add("--roi", type=roi, metavar="Y0:Y1,X0:X1", help="a region, in input pixels from 0")
    add("--nan", default="refuse", choices=("refuse", "fill"), help="as for upscale")
    add("--anonymise", action="store_true", help="record no file name in the maps")
    add("--overwrite", action="store_true", help="replace maps that exist")
    add("--json", action="store_true", help="print one JSON line per map, and no progress")


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(dict.fromkeys(k.strip() for k in text.split(",") if k.strip()))
    unknown = [k for k in kinds if k not in _KINDS]
    if unknown or not kinds:
        raise argparse.ArgumentTypeError(f"'{text}' is not a list of {', '.join(_KINDS)}")
    return kinds
