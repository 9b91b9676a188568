"""`napari-srgan report`: a page on how far a result can be trusted."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_srgan.cli.arguments import (
    EXIT_OK,
    add_options,
    add_preset,
    chosen,
    preset_values,
    reader,
)
from napari_srgan.cli.terminal import follow, hide, tell
from napari_srgan.options import CompareOptions, PartOptions, RestoreOptions, read_number
from napari_srgan.tasks.names import names_of

if TYPE_CHECKING:
    from napari_srgan.tasks.report.content import Content


_NOT_HERE = ("outscale", "factor_axes")
"""A page compares the model's own result."""


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "report",
        help="write a page on how far a result can be trusted",
        usage="napari-srgan report INPUT -o PAGE.html [--model M] [--reference R] [options]",
        description="Super-resolve a file and write a page on the result: pictures, what of it is "
        "measured, with a reference how close it comes beside bicubic, curves, the model's card "
        "and the provenance. The page holds all that it shows and opens without a network. The "
        "result itself is not kept; 'upscale' writes it.",
    )
    more = parser.add_argument
    more("input", type=Path, metavar="INPUT", help="the low-resolution image")
    more("-o", "--output", type=Path, required=True, metavar="PAGE.html", help="the page")
    more(
        "--reference",
        type=Path,
        metavar="R",
        help="the true high-resolution image, as large as the result",
    )
    more(
        "--show",
        type=reader(read_number),
        metavar="N",
        help="the slice of the pictures, of Z or T (default: the middle one)",
    )
    add_options(parser, CompareOptions, only=("mode", "border", "lpips", "lpips_weights"))
    add_options(parser, RestoreOptions, leave_out=_NOT_HERE)
    add_preset(parser)
    add_options(parser, PartOptions, leave_out=("roi",))
    more("--overwrite", action="store_true", help="replace a page that exists")
    more("--json", action="store_true", help="print the figures as one JSON line, and no progress")


def run(arguments: argparse.Namespace) -> int:
    """Write the page and print its main figures."""
    options = chosen(arguments, RestoreOptions, preset_values(arguments, _NOT_HERE))
    part, measured = chosen(arguments, PartOptions), chosen(arguments, CompareOptions)
    if options.anonymise:
        hide(names_of(filter(None, (arguments.input, arguments.reference))))
    from napari_srgan.tasks.compare import settings_of
    from napari_srgan.tasks.report.page import report_file
    from napari_srgan.tasks.report.tables import glance

    steps = report_file(
        arguments.input,
        arguments.output,
        options,
        part,
        reference=arguments.reference,
        settings=settings_of(measured),
        show=arguments.show,
        overwrite=arguments.overwrite,
    )
    content = follow(steps, arguments.input.name, "step", quiet=arguments.json)
    if arguments.json:
        tell(json.dumps(_summary(content) | {"output": str(arguments.output)}))
        return EXIT_OK
    tell(f"{arguments.output}: {content.label}, {content.card.name}")
    for line in glance(content):
        tell(f"{line.name}: {line.cells[0].text}")
    return EXIT_OK


def _summary(content: Content) -> dict[str, Any]:
    """Put the figures in a form that JSON can hold: what is infinite or not defined is null."""
    from napari_srgan.measure.stacks import rows

    residuals, comparison = content.residuals, content.comparison
    laid = [] if comparison is None else rows(comparison)[: len(comparison.stack)]
    return {
        "input": content.label,
        "reference": content.reference,
        "model": content.card.name,
        "slices": len(content.slices),
        "shown": content.shown.label,
        "consistency": None
        if residuals is None
        else {"kind": residuals.title, "rmse_percent": residuals.percent},
        "invention_percent": content.shown.invention_percent,
        "trusted_percent": content.shown.trusted_percent,
        "promise": content.shown.promise,
        "measures": [{key: _finite(value) for key, value in row.items()} for row in laid],
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
