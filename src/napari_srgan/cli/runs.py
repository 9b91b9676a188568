"""`napari-srgan runs`: the trainings of a folder beside each other."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from napari_srgan.cli.arguments import EXIT_OK
from napari_srgan.cli.terminal import say, table, tell
from napari_srgan.errors import InputError, did_you_mean


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "runs",
        help="compare the trainings in a folder: scores, and in what their recipes differ",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder of run folders")
    parser.add_argument(
        "--by",
        default="psnr",
        metavar="MEASURE",
        help="psnr, ssim, ms_ssim, mse or mae (default: psnr)",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="PAGE.html", help="also write a page with curves"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a page that exists")
    parser.add_argument("--json", action="store_true", help="print one JSON line per run")


def run(arguments: argparse.Namespace) -> int:
    """Compare the runs."""
    from napari_srgan.io.atomic import THERE_FOR_COMMANDS, check_place, whole_file
    from training.comparison import compared, comparison_page, folds, table_rows
    from training.recipe import BEST_BY
    from training.runs import find_runs

    if arguments.by not in BEST_BY:
        raise InputError(
            f"Runs are compared by {', '.join(BEST_BY)}, not by {arguments.by}"
            f"{did_you_mean(arguments.by, BEST_BY)}."
        )
    page = arguments.output
    if page is not None:
        advice = "the page is HTML; let its name end in .html."
        check_place(page, arguments.overwrite, (".html", ".htm"), advice)
    found, wrong = compared(find_runs(arguments.folder), arguments.by)
    for sentence in wrong:
        say(sentence)
    if not found:
        return EXIT_OK
    if page is not None:
        with whole_file(page, arguments.overwrite, THERE_FOR_COMMANDS) as partial:
            partial.write_text(comparison_page(found, arguments.by), encoding="utf-8")
    rows = table_rows(found, arguments.by)
    if arguments.json:
        for row in rows[1:]:
            tell(json.dumps(dict(zip(rows[0], row, strict=True))))
        return EXIT_OK
    tell(table(rows))
    for sentence in folds(found):
        tell(sentence)
    return EXIT_OK
