"""The slice that a report shows: its planes, its maps, and the figures that need one slice.

What belongs here: reading and measuring that slice. How it is put into pictures is `plates`'.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.image.units import PIXEL
from napari_srgan.measure.error_map import ErrorMap, error_map
from napari_srgan.measure.frc import (
    AGAINST_REFERENCE,
    FRC,
    Direction,
    plane_spacing,
    ring_correlation,
)
from napari_srgan.measure.grid import index_in, read_alike
from napari_srgan.measure.stacks import BICUBIC
from napari_srgan.models.catalogue import auto_model
from napari_srgan.tasks.map_request import MapNotes, MapPlane, MapRequest
from napari_srgan.tasks.maps import Engines, Maps
from napari_srgan.tasks.report import plates
from napari_srgan.tasks.report.content import Shown
from napari_srgan.tasks.report.facts import range_span
from napari_srgan.tasks.report.frames import busiest, central_part, in_percent, part_text
from napari_srgan.tasks.report.prepare import Prepared, slice_label
from napari_srgan.tasks.report.request import Step
from napari_srgan.trust.consistency import comparable, consistency
from napari_srgan.trust.operators import operator_of

DIRECTIONS: tuple[Direction, ...] = ("axial", "lateral")


class Map(NamedTuple):
    """A trust map of the shown slice, the words for it, and its RMS in % of the range."""

    values: NDArray[np.float32]
    notes: MapNotes
    percent: float | None


def show(
    prepared: Prepared,
    framed: Stack,
    result: Stack,
    residual: Map | None,
    record: Mapping[str, Any],
    engines: Engines,
) -> Generator[Step, None, Shown]:
    """Make everything of the slice that is shown.

    Parameters
    ----------
    prepared : Prepared
    framed, result : Stack
        The result with the plane indices of the input, and as it is.
    residual : Map or None
        What the result leaves unexplained.
    record : mapping
        Provenance of the result.
    engines : callable

    Yields
    ------
    Step
        While the fidelity model runs.

    Returns
    -------
    Shown
    """
    planned, name = prepared.plan, prepared.plan.model.card.name
    stack = planned.stack
    added, why = yield from _invention(prepared, result, record, engines)
    notes = [why] if why else []
    planes = _read(prepared, framed)
    if planes.reference is not None:
        yield Step("error map and ring correlation", 0, 1)
    fits = _fits(planes, name)
    rings: dict[str, tuple[FRC, ...]] = {}
    spacing, unit = _spacing(prepared)
    try:
        rings = _rings(planes, name, spacing)
    except InputError as error:  # too small, for instance
        notes.append(str(error))
    height, width = planes.low.shape[:2]
    images = 2 + (planes.reference is not None)
    maps = (added is not None) + 3 * (planes.reference is not None)
    part = central_part(
        height, width, planned.scale, images * (3 if planes.low.ndim == 3 else 1) + maps
    )
    reference = "" if prepared.reference is None else prepared.reference.stack.name
    pictures = plates.image_pictures(planes, part, name, (stack.name, reference))
    span = range_span(record, stack.channel_of(prepared.shown)) or 1.0
    shown_maps = [
        plates.trust_picture(m.values, m.notes, m.percent, part, span)
        for m in (residual, added)
        if m is not None
    ]
    if prepared.reference is not None:
        fit = fits[name]
        *differences, residue = plates.reference_pictures(
            planes, fit.map, fit.rse, part, name, prepared.reference.data_range
        )
        # Two stand in a row: the differences are to stand beside each other.
        alone = len(shown_maps) % 2 == 1
        shown_maps += [residue, *differences] if alone else [*differences, residue]
    window = busiest(part.high(planes.result), part.high(planes.bicubic), planned.scale)
    label = slice_label(stack, prepared.shown)
    return Shown(
        label=f"slice {label}" if label else "the image",
        part=part_text(part, height, width),
        images=tuple(pictures),
        maps=tuple(shown_maps),
        details=tuple(plates.detail_picture(picture, window) for picture in pictures),
        frame=in_percent(window, part.shape),
        fits=fits,
        rings=rings,
        ring_unit=unit,
        reference_percent=_reference_percent(prepared, planes),
        invention_percent=None if added is None else added.percent,
        notes=tuple(notes),
    )


def _read(prepared: Prepared, framed: Stack) -> plates.Planes:
    planned, index = prepared.plan, prepared.shown
    rows, cols = (slice(*planned.region[a]) for a in "YX")
    reference = None
    if prepared.reference is not None:
        stack = prepared.reference.stack
        reference = read_alike(stack, stack, index_in(stack, planned.stack, index))
    return plates.Planes(
        low=planned.stack.read(index, rows, cols),
        bicubic=prepared.bicubic.read(index),
        result=framed.read(index_in(framed, planned.stack, index)),
        reference=reference,
    )


def _invention(
    prepared: Prepared, result: Stack, record: Mapping[str, Any], engines: Engines
) -> Generator[Step, None, tuple[Map | None, str]]:
    """Map what the model adds to its fidelity model, or say why that cannot be done."""
    planned = prepared.plan
    card = planned.model.card
    if card.name == auto_model(card.channels).card.name:
        return None, ""
    made_by = record.get("weights_sha256")
    if made_by and made_by != planned.model.sha256:
        return None, (
            f"The model {card.name} was trained anew since the result was made, so what it adds "
            "to the fidelity model is not shown; restore the image again."
        )
    one = {a: (i, i + 1) for a, i in zip(planned.stack.plane_axes, prepared.shown, strict=True)}
    job = replace(planned.job, region={**planned.region, **one})
    try:
        maps = Maps(
            MapRequest(
                kinds=("invention",),
                stack=planned.stack,
                job=job,
                result=result,
                result_region=planned.region,
            )
        )
    except InputError as error:
        return None, str(error)
    for step in maps.planes(engines):
        if isinstance(step, MapPlane):
            return Map(step.values, maps.notes("invention"), step.percent), ""
        yield Step("invention map", step.done, step.total, note=step.note)
    raise AssertionError("one plane was asked for")


def _fits(planes: plates.Planes, name: str) -> dict[str, ErrorMap]:
    if planes.reference is None:
        return {}
    both = {BICUBIC: planes.bicubic, name: planes.result}
    return {who: error_map(planes.reference, plane) for who, plane in both.items()}


def _rings(
    planes: plates.Planes, name: str, spacing: tuple[float, float]
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


def _reference_percent(prepared: Prepared, planes: plates.Planes) -> float | None:
    """Measure how far the degraded reference is from the input, as the result's consistency is."""
    if planes.reference is None:
        return None
    planned = prepared.plan
    try:
        operator = operator_of(planned.model.card)
    except InputError:
        return None
    channel = planned.stack.channel_of(prepared.shown)
    low, span = comparable(planes.low, planned.intensity, channel)
    high, _ = comparable(planes.reference, planned.intensity, channel)
    sizes = planned.stack.sizes
    (y0, y1), (x0, x1) = planned.region["Y"], planned.region["X"]
    cuts = (y0 > 0, y1 < sizes["Y"], x0 > 0, x1 < sizes["X"])
    return consistency(low, high, operator, span, cuts).rmse_percent
