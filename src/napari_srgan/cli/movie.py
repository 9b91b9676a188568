"""`napari-srgan movie`: make a movie through the slices: input, bicubic, result and reference."""

from __future__ import annotations

import argparse
from typing import Any

from napari_srgan.cli.arguments import EXIT_OK, add_images, add_options, chosen
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
    add_images(parser, "MOVIE.gif", "the movie: .gif, or .mp4 where ffmpeg is")
    add_options(parser, MovieOptions)


def run(arguments: argparse.Namespace) -> int:
    """Write it."""
    from napari_srgan.tasks.movie import movie_files

    files = (arguments.low, arguments.result, arguments.reference, arguments.output)
    steps = movie_files(*files, chosen(arguments, MovieOptions), overwrite=arguments.overwrite)
    frames = follow(steps, arguments.output.name, "slice")
    tell(f"Written to {arguments.output} ({frames} frames).")
    return EXIT_OK
