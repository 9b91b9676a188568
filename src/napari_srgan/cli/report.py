"""Files in, a page out: what the command `report` opens, follows and writes.

What belongs here: files and progress. What the page states is `napari_srgan.tasks.report`'s.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from napari_srgan.cli.batch import OpenRange, region_of
from napari_srgan.cli.batch import Request as BatchRequest
from napari_srgan.cli.inputs import check_mode
from napari_srgan.cli.terminal import say
from napari_srgan.engine.plan import Job
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.io.atomic import spare_inputs
from napari_srgan.io.open import open_stack
from napari_srgan.measure.grid import middle_plane
from napari_srgan.measure.planes import Settings
from napari_srgan.measure.stacks import rows
from napari_srgan.tasks.report.content import Content
from napari_srgan.tasks.report.gather import gather
from napari_srgan.tasks.report.page import page
from napari_srgan.tasks.report.place import check_page_place, write_page
from napari_srgan.tasks.report.request import ReportRequest
from napari_srgan.tasks.report.tables import glance

__all__ = ["Request", "Settings", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for.

    Attributes
    ----------
    source, output : Path
        The input, and the page.
    job : mapping
        Keyword arguments of `upscaler.Job`, without the region.
    reference : Path or None
    settings : Settings
        How the result is compared with it.
    axes : str or None
        Of both files; None: from each file.
    slices : (start, stop) or None
    show : int or None
        The slice of the pictures.
    overwrite, as_json : bool
    """

    source: Path
    output: Path
    job: Mapping[str, Any]
    reference: Path | None = None
    settings: Settings
    axes: str | None = None
    slices: OpenRange | None = None
    show: int | None = None
    overwrite: bool = False
    as_json: bool = False


def run(request: Request) -> None:
    """Write the page and print its main figures.

    Raises
    ------
    InputError
        If input, reference, model or place cannot be used; nothing half-made is left.
    """
    check_page_place(request.output, request.overwrite)
    spare_inputs([request.output], [request.source, request.reference])
    if request.reference is None and request.settings != Settings():
        raise InputError(
            "--mode and --border say how the result is compared with --reference; add that or "
            "leave them out."
        )
    stack = open_stack(request.source, axes=request.axes)
    check_mode(request.settings, stack)
    reference = None
    if request.reference is not None:
        reference = open_stack(request.reference, axes=request.axes)
    region = region_of(stack, BatchRequest(slices=request.slices))
    content = _followed(
        ReportRequest(
            stack=stack,
            job=Job(**request.job, region=region),
            reference=reference,
            settings=request.settings,
            shown=_shown(stack, region, request.show),
            scratch=request.output.parent,
        ),
        quiet=request.as_json,
    )
    write_page(request.output, page(content))
    if request.as_json:
        print(json.dumps(_summary(content) | {"output": str(request.output)}), flush=True)
        return
    print(f"{request.output}: {content.label}, {content.card.name}")
    for line in glance(content):
        print(f"{line.name}: {line.cells[0].text}")


def _followed(request: ReportRequest, quiet: bool) -> Content:
    """Run the work under one bar for each of its stages."""
    steps = gather(request)
    bar: Any = None
    stage = ""
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                content: Content = end.value
                return content
            if step.stage != stage:
                if bar is not None:
                    bar.close()
                stage = step.stage
                bar = tqdm(desc=stage, total=step.total, disable=quiet or None)
            bar.total = step.total
            bar.update(step.done - bar.n)
            if step.note:
                say(step.note)
    finally:
        if bar is not None:
            bar.close()
        steps.close()  # removes what is half-made


def _shown(
    stack: Stack, region: Mapping[str, tuple[int, int]] | None, wanted: int | None
) -> tuple[int, ...] | None:
    """Find the plane that --show asks for, along Z or else T; the others stand in their middle."""
    if wanted is None:
        return None
    axis = next((a for a in "ZT" if a in stack.plane_axes), None)
    if axis is None:
        raise InputError(
            f"{stack.name} has no Z or T axis for --show to choose from (its axes are "
            f"{stack.axes}); --axes says what the axes are."
        )
    start, stop = (region or {}).get(axis, (0, stack.sizes[axis]))
    if not start <= wanted < stop:
        raise InputError(
            f"--show {wanted} is not among the slices of the report, which are {start} to "
            f"{stop - 1} along {axis}."
        )
    middle = middle_plane(stack, region)
    return tuple(wanted if a == axis else i for a, i in zip(stack.plane_axes, middle, strict=True))


def _summary(content: Content) -> dict[str, Any]:
    """Put the figures in a form that JSON can hold: what is infinite or not defined is null."""
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
        "measures": [{key: _finite(value) for key, value in row.items()} for row in laid],
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
