"""Measuring all that a report states, as a generator that can be stopped.

What belongs here: the order of the work, over all slices. The slice that is shown is `shown`'s.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from napari_srgan.engine.plan import Plan
from napari_srgan.engine.upscaler import Result, Upscaler
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.image.views import placed
from napari_srgan.io.sinks import FileSink, MemorySink, Sink
from napari_srgan.measure.stacks import BICUBIC, Comparison, compare
from napari_srgan.tasks.map_request import MapPlane, MapRequest
from napari_srgan.tasks.maps import Engines, Maps
from napari_srgan.tasks.report.content import Content, Residuals
from napari_srgan.tasks.report.facts import facts
from napari_srgan.tasks.report.prepare import Prepared, label_of, prepare, slice_label
from napari_srgan.tasks.report.request import ReportRequest, Step
from napari_srgan.tasks.report.shown import Map, show
from napari_srgan.trust.operators import operator_of

IN_MEMORY = 256 * 2**20
"""Bytes of a result up to which it is kept in memory; a larger one is a file for that while."""


def gather(
    request: ReportRequest, engines: Engines | None = None
) -> Generator[Step, None, Content]:
    """Make the result if need be, and measure it.

    Parameters
    ----------
    request : ReportRequest
    engines : callable, optional
        Gives the upscaler of (model, device, precision); kept from call to call by who has one.

    Yields
    ------
    Step
        After every tile and every slice. Closing the generator leaves nothing behind.

    Returns
    -------
    Content

    Raises
    ------
    InputError
        Before any work, if the request cannot be carried out; if data turn out to be unusable.
    """
    engines = engines or _kept()
    prepared = prepare(request)
    planned = prepared.plan
    for warning in planned.warnings:
        yield Step("starting", 0, 1, note=warning)
    with ExitStack() as undo:
        if request.result is None:
            sink = _sink(planned, request.scratch, undo)
            made = yield from _run(engines, planned, sink)
            record: Mapping[str, Any] = made.metadata["napari_srgan"]
            result = Stack(
                made.data,
                made.axes,
                planned.model.card.name,
                scale=made.scale,
                translate=made.translate,
                units=planned.output.units,
                spacing_source=planned.stack.spacing_source,
            )
        else:
            assert request.record is not None
            record, result = request.record, replace(request.result, name=planned.model.card.name)
        framed = placed(result, planned.stack, planned.region)
        comparison = yield from _compared(request, prepared, framed)
        residuals, residual_map = yield from _residuals(request, prepared, result, record)
        shown = yield from show(prepared, framed, result, residual_map, record, engines)
    return Content(
        label=planned.stack.name,
        reference=None if prepared.reference is None else prepared.reference.stack.name,
        card=planned.model.card,
        record=record,
        facts=facts(request, prepared, result, record),
        warnings=planned.warnings,
        slices=tuple(slice_label(planned.stack, index) for index in planned.planes),
        shown=shown,
        residuals=residuals,
        comparison=comparison,
        figures=_by_slice(planned.stack, comparison),
    )


def _by_slice(
    stack: Stack, comparison: Comparison | None
) -> dict[str, dict[str, Mapping[str, float | None]]]:
    """Sort figures by the label of their slice in the input."""
    found: dict[str, dict[str, Mapping[str, float | None]]] = {}
    if comparison is not None:
        for plane in comparison.planes:
            label = label_of(stack, comparison.axes, plane.index)
            found.setdefault(label, {})[plane.candidate] = plane.figures
    return found


def _kept() -> Engines:
    known: dict[tuple[str, str, str], Upscaler] = {}

    def engine(model: Any, device: str, precision: str) -> Upscaler:
        key = (model.sha256, device, precision)
        if key not in known:
            known[key] = Upscaler(model, device, precision)
        return known[key]

    return engine


def _sink(planned: Plan, scratch: Path | None, undo: ExitStack) -> Sink:
    """Choose where the result lies while it is measured."""
    if planned.output.nbytes <= IN_MEMORY:
        return MemorySink()
    # On Windows a file that is still mapped cannot be removed; the system then does it later.
    folder = undo.enter_context(
        TemporaryDirectory(prefix="napari-srgan-", dir=scratch, ignore_cleanup_errors=True)
    )
    return FileSink(Path(folder) / "result.npy")


def _run(engines: Engines, planned: Plan, sink: Sink) -> Generator[Step, None, Result]:
    upscaler = engines(planned.model, planned.job.device, planned.job.precision)
    steps = upscaler.run(planned, sink)
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            yield Step("super-resolving", step.done, step.total, step.eta, step.note)
    finally:
        steps.close()


def _compared(
    request: ReportRequest, prepared: Prepared, framed: Stack
) -> Generator[Step, None, Comparison | None]:
    """Measure bicubic and the result against the reference, plane by plane."""
    reference = prepared.reference
    if reference is None:
        return None
    candidates = {BICUBIC: prepared.bicubic, framed.name: framed}
    steps = compare(
        reference.stack,
        candidates,
        data_range=reference.data_range,
        settings=request.settings,
        region=reference.region,
    )
    total, done = len(candidates) * len(prepared.plan.planes), 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            comparison: Comparison = end.value
            return comparison
        done += 1
        yield Step("measuring", done, total)


def _residuals(
    request: ReportRequest, prepared: Prepared, result: Stack, record: Mapping[str, Any]
) -> Generator[Step, None, tuple[Residuals | None, Map | None]]:
    """Degrade every slice of the result, and keep the map of the shown one."""
    planned = prepared.plan
    try:
        operator = operator_of(planned.model.card)
    except InputError:  # the plan's warnings say so
        return None, None
    maps = Maps(
        MapRequest(
            kinds=("consistency",),
            stack=planned.stack,
            job=planned.job,
            result=result,
            result_region=planned.region,
        )
    )
    starts = [planned.region[a][0] for a in planned.stack.plane_axes]
    kept: Map | None = None
    slices: dict[str, float | None] = {}
    for step in maps.planes(_no_engine):
        if not isinstance(step, MapPlane):
            yield Step("trust maps", step.done, step.total, note=step.note)
            continue
        index = tuple(i + start for i, start in zip(step.index, starts, strict=True))
        slices[slice_label(planned.stack, index)] = step.percent
        if index == prepared.shown:
            kept = Map(step.values, maps.notes("consistency"), step.percent)
    notes = maps.notes("consistency")
    known = [v for v in slices.values() if v is not None]
    percent = math.sqrt(sum(v**2 for v in known) / len(known)) if known else None
    stated, projected = record.get("consistency"), record.get("back_projection")
    stated = stated.get("rmse_percent") if isinstance(stated, Mapping) else None
    was_projected = isinstance(projected, Mapping)
    if not was_projected and stated is not None:
        percent = float(stated)  # over all samples, where NaN make slices differ in number
    return (
        Residuals(
            title=notes.title,
            legend=notes.legend,
            degradation=operator.name,
            percent=percent,
            before=float(stated) if was_projected and stated is not None else None,
            slices=slices,
        ),
        kept,
    )


def _no_engine(model: Any, device: str, precision: str) -> Upscaler:
    raise AssertionError("the map of a result that is there needs no network")
