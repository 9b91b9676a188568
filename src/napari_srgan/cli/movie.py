"""`napari-srgan movie`: make a movie through the slices: input, bicubic, result and reference."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from napari_srgan.cli.arguments import EXIT_OK, add_options, chosen
from napari_srgan.cli.terminal import follow, tell
from napari_srgan.options import MovieOptions


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "movie",
        help="make a movie through the slices: input, bicubic, result and reference",
        usage="napari-srgan movie RESULT [--low LR] [--reference HR] -o MOVIE.gif [options]",
        description="Show LR input, bicubic, result and reference beside each other, one slice a "
        "frame.",
    )
    more = parser.add_argument
    more("result", type=Path, metavar="RESULT", help="the super-resolved image")
    more("--low", type=Path, metavar="LR", help="the LR input, for lr and bicubic")
    more("--reference", type=Path, metavar="HR", help="the true image, as large as the result")
    more(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="MOVIE.gif",
        help="the movie: .gif, or .mp4 where ffmpeg is",
    )
    add_options(parser, MovieOptions)
    more("--overwrite", action="store_true", help="replace a file that exists")


def run(arguments: argparse.Namespace) -> int:
    """Write it."""
    from napari_srgan.tasks.movie import movie_files

    files = (arguments.low, arguments.result, arguments.reference, arguments.output)
    steps = movie_files(*files, chosen(arguments, MovieOptions), overwrite=arguments.overwrite)
    frames = follow(steps, arguments.output.name, "slice")
    tell(f"Written to {arguments.output} ({frames} frames).")
    return EXIT_OK
