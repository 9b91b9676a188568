"""What may be typed after `napari-srgan`: commands, options, their defaults and their shapes.

Names and defaults are those of the widgets. What a command does is in `cli`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from napari_srgan import __version__
from napari_srgan.cli.compare_arguments import add_compare
from napari_srgan.cli.evaluate_arguments import add_evaluate
from napari_srgan.cli.report_arguments import add_report
from napari_srgan.cli.terminal import say
from napari_srgan.cli.trust_arguments import add_trust

EXIT_INPUT = 2
_RANGES = ("--intensity", "--slices", "--roi")

_EPILOG = """\
examples:
  napari-srgan upscale scan.tif scan_4x.tif
  napari-srgan upscale scan.tif fovea.tif --slices 40:60 --roi 0:256,100:356
  napari-srgan upscale volumes/*.tif --out-dir restored --device cuda
  napari-srgan evaluate references --model srresnet-gray
  napari-srgan compare truth.tif scan_4x.tif --low scan.tif
  napari-srgan report scan.tif --reference truth.tif -o report.html

Fine detail in the results is estimated by a neural network, not measured. For research use.
"""


class _Parser(argparse.ArgumentParser):
    """An argument parser that answers a mistake with one sentence instead of the whole usage."""

    def error(self, message: str) -> NoReturn:
        sentence = message[:1].upper() + message[1:]
        say(f"{sentence}; see '{self.prog} --help'.")
        raise SystemExit(EXIT_INPUT)


def with_negative_ranges(argv: Sequence[str]) -> list[str]:
    """Join ``--intensity -5:300`` to one argument; argparse takes -5:300 for an option.

    So does it ``--slices -3:``, of which it would say no more than that something is missing.
    """
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in _RANGES and re.match(r"-\.?\d", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def parser() -> argparse.ArgumentParser:
    """Build the parser; `command` in what it gives is the name of the command."""
    whole = _Parser(
        prog="napari-srgan",
        description="4x super-resolution of OCT and microscopy stacks.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"napari-srgan {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_upscale(commands)
    add_evaluate(commands)
    add_trust(commands, _range, _roi)
    add_compare(commands, _range)
    add_report(commands, _range, _tile)

    models = commands.add_parser("models", help="list the models that are installed, or add one")
    models.add_argument("--json", action="store_true", help="print one JSON line per model")
    actions = models.add_subparsers(dest="action", metavar="[add FILE]")
    add = actions.add_parser("add", help="add a model file to the list, in napari too")
    add.add_argument("file", type=Path, metavar="FILE", help="a .safetensors file of a training")
    add.add_argument("--overwrite", action="store_true", help="replace an own model of that name")

    samples = commands.add_parser("sample-data", help="copy the bundled sample stacks to a folder")
    samples.add_argument("folder", type=Path, metavar="DIR")
    samples.add_argument("--overwrite", action="store_true", help="replace files that exist")

    demo = commands.add_parser(
        "demo", help="super-resolve the bundled OCT volume and measure it against the truth"
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("demo"),
        metavar="DIR",
        help="where the results go (default: %(default)s)",
    )
    demo.add_argument("--model", default="auto", help="name or file of a model (default: auto)")
    demo.add_argument("--device", default="auto", help="auto, cpu, cuda[:N] or mps")
    demo.add_argument(
        "--window",
        action="store_true",
        help="then open napari with input, result and truth side by side",
    )
    demo.add_argument(
        "--screenshot",
        type=Path,
        metavar="PNG",
        help="with --window: write a picture of the window and close it",
    )
    demo.add_argument("--json", action="store_true", help="print the figures as one JSON line")
    return whole


def _add_upscale(commands: Any) -> None:
    """Describe `upscale`; names and defaults are those of the Super-resolve widget."""
    parser = commands.add_parser(
        "upscale",
        help="super-resolve image files",
        usage="napari-srgan upscale INPUT OUTPUT [options]\n"
        "       napari-srgan upscale INPUT... --out-dir DIR [options]",
        description="Super-resolve one file, or many files into a folder. Input: TIFF, BigTIFF, "
        "OME-TIFF, ImageJ TIFF, PNG, JPEG, .npy. Output: .tif, .ome.tif, .png (one plane), .npy.",
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="INPUT OUTPUT, or with --out-dir only inputs")
    add(
        "--out-dir",
        type=Path,
        metavar="DIR",
        help="write <name>_<model>_4x.tif for every input, and summary.csv",
    )
    add("--model", default="auto", help="name or file of a model (default: auto)")
    add("--device", default="auto", help="auto, cpu, cuda[:N] or mps (default: auto)")
    add(
        "--precision",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16"),
        help="arithmetic of the network (default: auto: the fastest that stays close to float32)",
    )
    add(
        "--tile",
        default="auto",
        type=_tile,
        metavar="PX",
        help="side of a tile in input pixels (default: auto, by memory)",
    )
    add(
        "--axes",
        type=str.upper,
        metavar="LETTERS",
        help="axes of the input in order, of TCZYXS (default: from the file)",
    )
    add(
        "--intensity",
        default="auto",
        metavar="RANGE",
        help="auto, minmax, dtype, percentile:A,B or LO:HI (default: auto)",
    )
    add(
        "--transform",
        default="none",
        metavar="T",
        help="none, log or power:P, inverted afterwards (default: none)",
    )
    add(
        "--slices",
        type=_range,
        metavar="A:B",
        help="slices A to B-1, counted from 0, of Z or else of T",
    )
    add("--roi", type=_roi, metavar="Y0:Y1,X0:X1", help="a region, in input pixels from 0")
    add(
        "--nan",
        default="refuse",
        choices=("refuse", "fill"),
        help="fill: restore around NaN and infinity and put them back (default: refuse)",
    )
    add(
        "--back-project",
        action="store_true",
        help="make the result reproduce the measured data, for models of the degradations area "
        "(exactly) and bicubic",
    )
    add("--anonymise", action="store_true", help="record no file name in the results")
    add("--overwrite", action="store_true", help="replace an output that exists")
    add("--json", action="store_true", help="print one JSON line per file, and no progress")


def _tile(text: str) -> str | int:
    if text == "auto":
        return text
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is neither auto nor a number of pixels above 0")
    return int(text)


def _range(text: str) -> tuple[int | None, int | None]:
    """Read A:B, both ends optional as in Python."""
    match = re.fullmatch(r"\s*(\d*):(\d*)\s*", text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text}' is not a range like 10:20")
    start, stop = (int(end) if end else None for end in match.groups())
    return start, stop


def _roi(text: str) -> dict[str, tuple[int | None, int | None]]:
    parts = text.split(",")
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"'{text}' is not a region like 0:256,100:356 (Y,X)")
    return {"Y": _range(parts[0]), "X": _range(parts[1])}
