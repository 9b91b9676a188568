"""`napari-srgan evaluate`: a model measured beside bicubic on high-resolution images."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from napari_srgan.cli.arguments import EXIT_INPUT, EXIT_OK, add_options, chosen, expanded
from napari_srgan.cli.terminal import Bar, say, sentence, tell
from napari_srgan.options import EvaluateOptions


def add(commands: Any) -> None:
    """Describe the command; what is left out is settled by model and protocol."""
    parser = commands.add_parser(
        "evaluate",
        help="measure a model beside bicubic on high-resolution images",
        usage="napari-srgan evaluate HR_FOLDER... [options]",
        description="Degrade high-resolution images, restore them, and report PSNR and SSIM of the "
        "model beside those of bicubic enlargement, per file and in the mean.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        type=Path,
        metavar="HR_FOLDER",
        help="folders, searched with all below them, or image files",
    )
    add_options(parser, EvaluateOptions)
    more = parser.add_argument
    more("--csv", type=Path, metavar="FILE", help="also write the figures to a table")
    more("--overwrite", action="store_true", help="replace that table if it exists")
    more("--json", action="store_true", help="print one JSON line per file and one of the mean")


def run(arguments: argparse.Namespace) -> int:
    """Measure the images and print the figures."""
    options = chosen(arguments, EvaluateOptions)
    from napari_srgan.cli import figures
    from napari_srgan.io.atomic import THERE_FOR_COMMANDS
    from napari_srgan.io.tables import csv_file
    from napari_srgan.tasks.evaluate import FileEvaluated, FileScore, evaluate_files
    from napari_srgan.tasks.steps import Progress, drain

    paths = [Path(p) for p in expanded(arguments.paths)]
    steps = evaluate_files(paths, options, arguments.csv, overwrite=arguments.overwrite)
    scores: list[FileScore] = []
    rows: list[dict[str, Any]] = []
    bar = Bar("plane", quiet=arguments.json)

    def show(step: Progress | FileEvaluated) -> None:
        if not isinstance(step, FileEvaluated):
            bar.show(step)
            return
        bar.close()
        if step.score is not None:
            scores.append(step.score)
            rows.append(figures.evaluation_row(step.score, options.protocol))
        else:
            assert step.error is not None
            told = sentence(step.error)
            # Some causes are told of the file's last name only, which many may share.
            say(told if step.name in told else f"{step.name}: {told}")
            rows.append({"image": step.name, "error": told})
        if arguments.json:
            tell(json.dumps(rows[-1]))

    with csv_file(arguments.csv, arguments.overwrite, THERE_FOR_COMMANDS) as write:
        try:
            overall = drain(steps, show)
        finally:
            bar.close()
        write(rows)
    failed = len(rows) - len(scores)
    if arguments.json:
        tell(json.dumps(figures.evaluation_mean(overall, failed)))
    elif scores:
        tell(figures.evaluation_text(scores, overall, options.protocol))
    return EXIT_INPUT if failed else EXIT_OK
