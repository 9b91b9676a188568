"""`napari-srgan figure`: draw a figure for a paper: input, bicubic, result and reference."""

from __future__ import annotations

import argparse
from typing import Any

from napari_srgan.cli.arguments import EXIT_OK, add_images, add_options, chosen
from napari_srgan.cli.terminal import follow, tell
from napari_srgan.options import FigureOptions


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "figure",
        help="draw a figure for a paper: input, bicubic, result and reference",
        usage="napari-srgan figure RESULT [--low LR] [--reference HR] -o FIGURE.png [options]",
        description="Draw LR input, bicubic, result and reference beside each other, with one part "
        "enlarged below, at 300 dpi. A scale bar is drawn where the files state a pixel size.",
    )
    add_images(parser, "FIGURE.png", "the figure: .png or .svg")
    add_options(parser, FigureOptions)


def run(arguments: argparse.Namespace) -> int:
    """Write it."""
    from napari_srgan.tasks.figure import figure_files

    files = (arguments.low, arguments.result, arguments.reference, arguments.output)
    steps = figure_files(*files, chosen(arguments, FigureOptions), overwrite=arguments.overwrite)
    sheet = follow(steps, arguments.output.name, "step")
    size = f"{sheet.width} x {sheet.height} px"
    tell(f"Written to {arguments.output} ({size} at 300 dpi).")
    return EXIT_OK
