"""`napari-srgan export`: a model for other programs, as ONNX or for the BioImage Model Zoo."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_srgan.cli.arguments import EXIT_OK
from napari_srgan.cli.terminal import follow, tell
from napari_srgan.io.atomic import THERE_FOR_COMMANDS


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "export",
        help="write a model for other programs, as ONNX or for the BioImage Model Zoo",
        usage="napari-srgan export MODEL OUTPUT.onnx|OUTPUT.zip [options]",
        description="Write a model as ONNX for images of any size, or as a package of the BioImage "
        "Model Zoo (.zip), and hold what ONNX Runtime computes against torch.",
    )
    parser.add_argument("model", metavar="MODEL", help="name or file of a model")
    parser.add_argument(
        "output", type=Path, metavar="OUTPUT", help="the file: .onnx, or .zip for the zoo"
    )
    parser.add_argument(
        "--licence",
        default="",
        metavar="SPDX",
        help="of the weights in a package, for example CC-BY-4.0 (bundled models have their own)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def run(arguments: argparse.Namespace) -> int:
    """Write it."""
    from napari_srgan.tasks.export import export

    steps = export(
        arguments.model,
        arguments.output,
        licence=arguments.licence,
        overwrite=arguments.overwrite,
        there=THERE_FOR_COMMANDS,
    )
    made = follow(steps, arguments.output.name, "step")
    tell(
        f"Written to {made.path} ({made.nbytes / 1e6:.1f} MB; ONNX Runtime differs from torch by "
        f"{made.difference:.1g} at most, range 1)."
    )
    return EXIT_OK
