"""`napari-srgan compare`: images measured against a reference, as tables, JSON lines and CSV."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from napari_srgan.cli.arguments import EXIT_OK, add_options, chosen, expanded
from napari_srgan.cli.terminal import follow, say, tell
from napari_srgan.options import CompareOptions, PartOptions


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "compare",
        help="measure images against a reference",
        usage="napari-srgan compare REFERENCE [CANDIDATE...] [--low LR] [options]",
        description="Measure candidates against a reference image: PSNR, SSIM, MS-SSIM, MSE, "
        "RMSE, MAE and Pearson's correlation, per slice and for the whole stack. Candidates that "
        "are a whole number of times smaller are enlarged by bicubic first.",
    )
    more = parser.add_argument
    more("reference", type=Path, metavar="REFERENCE", help="the true high-resolution image")
    more("candidates", nargs="*", type=Path, metavar="CANDIDATE", help="images to be measured")
    more(
        "--low",
        type=Path,
        metavar="LR",
        help="the low-resolution image; adds the row bicubic, its enlargement",
    )
    add_options(parser, CompareOptions)
    add_options(parser, PartOptions, leave_out=("roi", "series", "level"))
    more(
        "--error-map",
        type=Path,
        metavar="DIR",
        help="write <candidate>_error.tif: what remains after gain, offset and blur are fitted "
        "to the reference, as SQUIRREL does (of RGB the luma); adds RSE and RSP",
    )
    more("--csv", type=Path, metavar="FILE", help="also write the figures to a table")
    more("--overwrite", action="store_true", help="replace files that exist")
    more("--json", action="store_true", help="print one JSON line per row, and no progress")


def run(arguments: argparse.Namespace) -> int:
    """Measure, write what was asked for, and print the figures."""
    options, part = chosen(arguments, CompareOptions), chosen(arguments, PartOptions)
    from napari_srgan.cli import figures
    from napari_srgan.io.atomic import THERE_FOR_COMMANDS
    from napari_srgan.io.tables import csv_file
    from napari_srgan.tasks.compare import CompareRequest, compare_files

    request = CompareRequest(
        reference=arguments.reference,
        candidates=[Path(p) for p in expanded(arguments.candidates)],
        low=arguments.low,
        options=options,
        part=part,
        error_maps=arguments.error_map,
        csv=arguments.csv,
        overwrite=arguments.overwrite,
    )
    with csv_file(arguments.csv, arguments.overwrite, THERE_FOR_COMMANDS) as write:
        found = follow(compare_files(request), "measured", "slice", quiet=arguments.json)
        laid = figures.comparison_rows(found)
        write(laid)
    if arguments.json:
        for line in figures.comparison_lines(found, laid):
            tell(json.dumps(line))
    else:
        tell(figures.comparison_text(found, laid))
    for path in found.written:
        say(f"Wrote {path}")
    return EXIT_OK
