"""Measuring all that a report states, as a generator that can be stopped.

First over all slices, then the one slice that is shown: its planes, its maps, and the figures that
need one slice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_srgan.engine.plan import Plan, preflight
from napari_srgan.engine.record import Record
from napari_srgan.engine.run import Upscaler
from napari_srgan.errors import InputError
from napari_srgan.image.kind import recognise
from napari_srgan.image.stack import Stack
from napari_srgan.image.units import PIXEL
from napari_srgan.image.views import placed
from napari_srgan.io.atomic import PARTIAL
from napari_srgan.io.lock import short_name
from napari_srgan.io.sinks import FileSink, MemorySink, Sink, check_room
from napari_srgan.measure.error_map import ErrorMap, error_map
from napari_srgan.measure.frc import (
    AGAINST_REFERENCE,
    FRC,
    Direction,
    plane_spacing,
    ring_correlation,
)
from napari_srgan.measure.grid import index_in, read_alike
from napari_srgan.measure.stacks import BICUBIC, Comparison, compare
from napari_srgan.models.catalogue import fidelity_for
from napari_srgan.options import MapOptions
from napari_srgan.tasks.report.content import Content, Residuals, ShownSlice
from napari_srgan.tasks.report.pictures import (
    ShownPlanes,
    busiest,
    central_part,
    detail_picture,
    image_pictures,
    in_percent,
    part_text,
    reference_pictures,
    trust_picture,
)
from napari_srgan.tasks.report.prepare import (
    Prepared,
    ReportRequest,
    facts,
    label_of,
    prepare,
    slice_label,
)
from napari_srgan.tasks.steps import Progress, Work, counted, stage
from napari_srgan.tasks.trust_maps import MapNotes, MapPlane, MapRequest, TrustMaps
from napari_srgan.trust.calibration import calibrations_of
from napari_srgan.trust.consistency import comparable, consistency
from napari_srgan.trust.operators import operator_of

IN_MEMORY = 256 * 2**20
"""Bytes of a result up to which it is kept in memory; a larger one is a file for that while."""


def gather(request: ReportRequest) -> Work[Content]:
    """Make the result if need be, and measure it.

    Parameters
    ----------
    request : ReportRequest

    Yields
    ------
    Progress
        After every tile and every slice. Closing the generator leaves nothing behind.

    Returns
    -------
    Content

    Raises
    ------
    InputError
        Before any work, if the request cannot be carried out; if data turn out to be unusable.
    """
    if request.page is not None and request.result is None:
        recognise(request.stack)
        nbytes = preflight(request.stack, request.options).output.nbytes
        if nbytes > IN_MEMORY:  # before the pixels are read
            check_room(request.page, nbytes)
    prepared = prepare(request)
    planned = prepared.plan
    for note in planned.notes:
        yield Progress(0, 1, note=note, stage="starting")
    with ExitStack() as undo:
        if request.result is None:
            sink = _sink(planned, request.page, undo)
            run = Upscaler.of(planned).run(planned, sink)
            made = yield from stage("super-resolving", run)
            record = Record.of(made.metadata)
            result = Stack(
                made.data,
                made.axes,
                planned.card.name,
                scale=made.scale,
                translate=made.translate,
                units=planned.output.units,
                spacing_source=planned.stack.spacing_source,
            )
        else:
            record, result = request.record, replace(request.result, name=planned.card.name)
        assert record is not None
        framed = placed(result, planned.stack, planned.region)
        comparison = yield from _compared(request, prepared, framed)
        residuals, residual_map = yield from _residuals(prepared, result, record)
        shown = yield from show(prepared, framed, result, residual_map, record)
    return Content(
        label=planned.stack.name,
        reference=None if prepared.reference is None else prepared.reference.stack.name,
        card=planned.card,
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


def _sink(planned: Plan, page: Path | None, undo: ExitStack) -> Sink:
    """Choose where the result lies while it is measured: on the disk of the page if that is known.

    Its folder is called as unfinished files of the page are, so that it goes with them after a
    kill.
    """
    if planned.output.nbytes <= IN_MEMORY:
        return MemorySink()
    # On Windows a file that is still mapped cannot be removed; the system then does it later.
    prefix, where = ("napari-srgan", None) if page is None else (short_name(page.name), page.parent)
    folder = undo.enter_context(
        TemporaryDirectory(
            prefix=f"{prefix}.", suffix=PARTIAL, dir=where, ignore_cleanup_errors=True
        )
    )
    return FileSink(Path(folder) / "result.npy")


def _compared(request: ReportRequest, prepared: Prepared, framed: Stack) -> Work[Comparison | None]:
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
    total = len(candidates) * len(prepared.plan.planes)
    return (yield from counted(steps, total, "measuring"))


def _residuals(
    prepared: Prepared, result: Stack, record: Record
) -> Work[tuple[Residuals | None, ShownMap | None]]:
    """Degrade every slice of the result, and keep the map of the shown one."""
    planned = prepared.plan
    try:
        operator = operator_of(planned.card)
    except InputError:  # the plan's warnings say so
        return None, None
    maps = TrustMaps(
        MapRequest(
            stack=planned.stack,
            restore=planned.options,
            options=MapOptions(maps=("consistency",)),
            result=result,
            result_region=planned.region,
        )
    )
    starts = [planned.region[a][0] for a in planned.stack.plane_axes]
    kept: ShownMap | None = None
    slices: dict[str, float | None] = {}
    for step in maps.planes():
        if not isinstance(step, MapPlane):
            yield replace(step, stage="trust maps")
            continue
        index = tuple(i + start for i, start in zip(step.index, starts, strict=True))
        slices[slice_label(planned.stack, index)] = step.percent
        if index == prepared.shown:
            kept = ShownMap(step.values, maps.notes("consistency"), step.percent)
    notes = maps.notes("consistency")
    known = [v for v in slices.values() if v is not None]
    percent = math.sqrt(sum(v**2 for v in known) / len(known)) if known else None
    stated = None if record.consistency is None else record.consistency.rmse_percent
    was_projected = record.back_projection is not None
    if not was_projected and stated is not None:
        percent = stated  # over all samples, where NaN make slices differ in number
    return (
        Residuals(
            title=notes.title,
            legend=notes.legend,
            degradation=operator.name,
            percent=percent,
            before=stated if was_projected else None,
            slices=slices,
        ),
        kept,
    )


DIRECTIONS: tuple[Direction, ...] = ("axial", "lateral")


class ShownMap(NamedTuple):
    """A trust map of the shown slice, the words for it, and its RMS in % of the range."""

    values: NDArray[np.float32]
    notes: MapNotes
    percent: float | None


def show(
    prepared: Prepared,
    framed: Stack,
    result: Stack,
    residual: ShownMap | None,
    record: Record,
) -> Work[ShownSlice]:
    """Make everything of the slice that is shown.

    Parameters
    ----------
    prepared : Prepared
    framed, result : Stack
        The result with the plane indices of the input, and as it is.
    residual : ShownMap or None
        What the result leaves unexplained.
    record : Record
        Of the result.

    Yields
    ------
    Progress
        While the fidelity model runs.

    Returns
    -------
    ShownSlice
    """
    planned, name = prepared.plan, prepared.plan.card.name
    stack = planned.stack
    added, why = yield from _invention(prepared, result, record)
    trusted, why_not = yield from _trusted(prepared, result, record)
    notes = [text for text in (why, why_not) if text]
    planes = _read(prepared, framed)
    if planes.reference is not None:
        yield Progress(0, 1, stage="error map and ring correlation")
    fits = _fits(planes, name)
    rings: dict[str, tuple[FRC, ...]] = {}
    spacing, unit = _spacing(prepared)
    try:
        rings = _rings(planes, name, spacing)
    except InputError as error:  # too small, for instance
        notes.append(str(error))
    height, width = planes.low.shape[:2]
    images = 2 + (planes.reference is not None)
    maps = sum(m is not None for m in (added, trusted)) + 3 * (planes.reference is not None)
    part = central_part(
        height, width, planned.scale, images * (3 if planes.low.ndim == 3 else 1) + maps
    )
    reference = "" if prepared.reference is None else prepared.reference.stack.name
    pictures = image_pictures(planes, part, name, (stack.name, reference))
    span = _span(record, stack.channel_of(prepared.shown))
    shown_maps = [
        trust_picture(m.values, m.notes, m.percent, part, span)
        for m in (residual, added, trusted)
        if m is not None
    ]
    if prepared.reference is not None:
        fit = fits[name]
        *differences, residue = reference_pictures(
            planes, fit.map, fit.rse, part, name, prepared.reference.data_range
        )
        # Two stand in a row: the differences are to stand beside each other.
        alone = len(shown_maps) % 2 == 1
        shown_maps += [residue, *differences] if alone else [*differences, residue]
    window = busiest(part.high(planes.result), part.high(planes.bicubic), planned.scale)
    label = slice_label(stack, prepared.shown)
    return ShownSlice(
        label=f"slice {label}" if label else "the image",
        part=part_text(part, height, width),
        images=tuple(pictures),
        maps=tuple(shown_maps),
        details=tuple(detail_picture(picture, window) for picture in pictures),
        frame=in_percent(window, part.shape),
        fits=fits,
        rings=rings,
        ring_unit=unit,
        reference_percent=_reference_percent(prepared, planes),
        invention_percent=None if added is None else added.percent,
        trusted_percent=None if trusted is None else trusted.percent,
        promise="" if trusted is None else trusted.notes.legend,
        notes=tuple(notes),
    )


def _read(prepared: Prepared, framed: Stack) -> ShownPlanes:
    planned, index = prepared.plan, prepared.shown
    rows, cols = (slice(*planned.region[a]) for a in "YX")
    reference = None
    if prepared.reference is not None:
        stack = prepared.reference.stack
        reference = read_alike(stack, stack, index_in(stack, planned.stack, index))
    return ShownPlanes(
        low=planned.stack.read(index, rows, cols),
        bicubic=prepared.bicubic.read(index),
        result=framed.read(index_in(framed, planned.stack, index)),
        reference=reference,
    )


def _invention(
    prepared: Prepared, result: Stack, record: Record
) -> Work[tuple[ShownMap | None, str]]:
    """Map what the model adds to its fidelity model, or say why that cannot be done."""
    card = prepared.plan.card
    if card.name == fidelity_for(card.channels).card.name:
        return None, ""
    return (yield from _of_shown("invention", prepared, result, record))


def _trusted(
    prepared: Prepared, result: Stack, record: Record
) -> Work[tuple[ShownMap | None, str]]:
    """Mark the pixels that can be trusted, where the model is calibrated for the kind of image."""
    planned = prepared.plan
    if planned.choice.kind not in calibrations_of(planned.model_sha256):
        return None, ""
    return (yield from _of_shown("trusted", prepared, result, record))


_WHAT = {
    "invention": "what it adds to the fidelity model is not shown",
    "trusted": "which pixels can be trusted is not known",
}


def _of_shown(
    kind: str, prepared: Prepared, result: Stack, record: Record
) -> Work[tuple[ShownMap | None, str]]:
    """Make a map of the shown slice, or say why that cannot be done."""
    planned = prepared.plan
    card = planned.card
    if record.weights_sha256 and record.weights_sha256 != planned.model_sha256:
        return None, (
            f"The model {card.name} was trained anew since the result was made, so "
            f"{_WHAT[kind]}; restore the image again."
        )
    one = {a: (i, i + 1) for a, i in zip(planned.stack.plane_axes, prepared.shown, strict=True)}
    try:
        maps = TrustMaps(
            MapRequest(
                stack=planned.stack,
                restore=replace(planned.options, region={**planned.region, **one}),
                options=MapOptions(maps=(kind,)),
                result=result,
                result_region=planned.region,
            )
        )
    except InputError as error:
        return None, str(error)
    for step in maps.planes():
        if isinstance(step, MapPlane):
            return ShownMap(step.values, maps.notes(kind), step.percent), ""
        yield replace(step, stage=f"{kind} map")
    raise AssertionError("one plane was asked for")


def _fits(planes: ShownPlanes, name: str) -> dict[str, ErrorMap]:
    if planes.reference is None:
        return {}
    both = {BICUBIC: planes.bicubic, name: planes.result}
    return {who: error_map(planes.reference, plane) for who, plane in both.items()}


def _rings(
    planes: ShownPlanes, name: str, spacing: tuple[float, float]
) -> dict[str, tuple[FRC, ...]]:
    found: dict[str, tuple[FRC, ...]] = {}
    if planes.reference is None:
        return found
    for who, plane in ((BICUBIC, planes.bicubic), (name, planes.result)):
        found[who] = tuple(
            ring_correlation(
                planes.reference,
                plane,
                spacing=spacing,
                direction=direction,
                threshold=AGAINST_REFERENCE,
            )
            for direction in DIRECTIONS
        )
    return found


def _spacing(prepared: Prepared) -> tuple[tuple[float, float], str]:
    """Find the pixel size of the result: the reference's own, else the input's by the factor."""
    if prepared.reference is not None:
        spacing, unit = plane_spacing(prepared.reference.stack)
        if unit != PIXEL:
            return spacing, unit
    (dy, dx), unit = plane_spacing(prepared.plan.stack)
    sy, sx = prepared.plan.scale
    return ((1.0, 1.0), PIXEL) if unit == PIXEL else ((dy / sy, dx / sx), unit)


def _reference_percent(prepared: Prepared, planes: ShownPlanes) -> float | None:
    """Measure how far the degraded reference is from the input, as the result's consistency is."""
    if planes.reference is None:
        return None
    planned = prepared.plan
    try:
        operator = operator_of(planned.card)
    except InputError:
        return None
    channel = planned.stack.channel_of(prepared.shown)
    low, span = comparable(planes.low, planned.intensity, channel)
    high, _ = comparable(planes.reference, planned.intensity, channel)
    sizes = planned.stack.sizes
    (y0, y1), (x0, x1) = planned.region["Y"], planned.region["X"]
    cuts = (y0 > 0, y1 < sizes["Y"], x0 > 0, x1 < sizes["X"])
    return consistency(low, high, operator, span, cuts).rmse_percent


def _span(record: Record, channel: int) -> float:
    """Give hi - lo of a channel's intensity range; 1 if it is not recorded, or 0."""
    intensity = record.intensity
    if intensity is None or channel >= len(intensity.lo):
        return 1.0
    return (intensity.hi[channel] - intensity.lo[channel]) or 1.0
