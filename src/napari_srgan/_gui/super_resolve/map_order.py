"""Trust maps of a result layer: what is to be made from which layers, and the work in the thread.

What belongs here: from layers and their records to a request of `trust.maps`, and its outcome. How
a map is shown is trust_maps.py's.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from napari_srgan._gui.layers import INPUT_KEY, layer_stack, view_of
from napari_srgan._gui.result_layer import input_of
from napari_srgan._gui.sentences import size_text
from napari_srgan._gui.super_resolve.exports import record_of
from napari_srgan._gui.worker import Engines, Step, failure
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale, as_scale, factors, scale_text
from napari_srgan.image.intensity import Intensity
from napari_srgan.image.stack import check_region
from napari_srgan.models.catalogue import find_model

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.tasks.map_request import MapNotes, MapRequest


@dataclass(frozen=True)
class MapOrder:
    """One map of one result.

    Attributes
    ----------
    kind : str
        Of `trust.map_request.KINDS`.
    source, result : Image
        The input and the result; looked at again when the map is placed.
    region : dict
        What the map covers, input pixels.
    request : MapRequest
    record : mapping
        Of the result.
    """

    kind: str
    source: Image
    result: Image
    region: dict[str, tuple[int, int]]
    request: MapRequest
    record: Mapping[str, Any]


@dataclass(frozen=True)
class MapOutcome:
    """How it ended: with a map, cancelled, or with the sentence of an error."""

    values: Any = None
    notes: MapNotes | None = None
    percent: float | None = None
    span: float = 1.0
    cancelled: bool = False
    error: str = ""


def map_order(
    kind: str, viewer: napari.Viewer, result: Image, job: Mapping[str, Any], whole: bool
) -> MapOrder:
    """Order a map of a result: of all its planes, or of the one in view.

    Raises
    ------
    InputError
        If the input is not open, or does not fit, or the map would not fit in memory.
    """
    # Late: the engine is not needed to open the panel, which has to be quick.
    from napari_srgan.engine.upscaler import Job
    from napari_srgan.tasks.map_request import MapRequest
    from napari_srgan.trust.operators import operator_of

    record = record_of(result)
    if record is None:
        raise InputError(f"{result.name} carries no record of how it was made.")
    source = input_of(result, viewer.layers)
    if source is None:
        raise InputError(
            f"The input of {result.name} is not open, and the map compares the two; open it under "
            f"the name {record.get('input', 'it had')}."
        )
    model = find_model(str(record.get("model", "")))
    operator = None if kind == "spread" else operator_of(model.card)
    stack, covered = layer_stack(source), _covered(source, result, model.card.scale)
    region = covered
    if not whole:
        at = view_of(source, viewer.dims).index
        region = covered | {a: (at[a], at[a] + 1) for a in stack.plane_axes}
        if any(not covered[a][0] <= at[a] < covered[a][1] for a in at):
            raise InputError(f"The slice in view is not in {result.name}; move the slider to it.")
    _check_memory(kind, region, model.card.scale)
    settings = {key: job[key] for key in ("device", "precision", "tile")}
    request = MapRequest(
        kinds=(kind,),
        stack=stack,
        job=Job(
            model=model.path, region=region, intensity=_intensity(record), nan="fill", **settings
        ),
        result=layer_stack(result),
        result_region=covered,
    )
    if kind == "invention":
        from napari_srgan.trust.invention import fidelity_model, require_definite

        assert operator is not None
        require_definite(operator)
        info = fidelity_model(model.card)
        request = replace(request, fidelity_model=info.path)
        found = _fidelity_layer(viewer, source, record, info.card.name, region)
        if found is not None:
            request = replace(
                request,
                fidelity=layer_stack(found),
                fidelity_region=_covered(source, found, info.card.scale),
            )
    return MapOrder(kind, source, result, region, request, record)


def make_map(
    order: MapOrder, engines: Engines, cancel: threading.Event
) -> Generator[Step, None, MapOutcome]:
    """Make a map in the thread; yields after every tile, never raises."""
    steps = None
    try:
        yield Step(0, 1, note="Loading the model, reading the images")
        from napari_srgan.tasks.map_request import MapPlane
        from napari_srgan.tasks.maps import Maps

        maps = Maps(order.request)
        _check_model(order, maps.record())
        notes = maps.notes(order.kind)
        axes = order.request.stack.axes.replace("S", "")
        growth = factors(axes, notes.scale)
        lengths = [order.region[a][1] - order.region[a][0] for a in axes]
        shape = [n * f for n, f in zip(lengths, growth, strict=True)]
        values = np.zeros(shape, np.float32)
        squares: list[float] = []
        steps = maps.planes(engines.get)
        for step in steps:
            if cancel.is_set():
                return MapOutcome(cancelled=True)
            if not isinstance(step, MapPlane):
                yield Step(0, 1, step.done, step.total, step.eta, step.note)
                continue
            place = iter(step.index)
            at = tuple(slice(None) if a in "YX" else next(place) for a in axes)
            turned = axes.index("Y") > axes.index("X")
            values[at] = step.values.T if turned else step.values
            if step.percent is not None:
                squares.append(step.percent**2)
        spans = [
            (hi - lo) or 1.0 for lo, hi in zip(maps.intensity.lo, maps.intensity.hi, strict=True)
        ]
        span = 100.0 if notes.unit.startswith("%") else max(spans)
        mean = float(np.sqrt(np.mean(squares))) if squares else None
        return MapOutcome(values, notes, mean, span)
    except Exception as error:
        return MapOutcome(error=failure(error))
    finally:
        if steps is not None:
            steps.close()


def _covered(source: Image, result: Image, scale: Scale) -> dict[str, tuple[int, int]]:
    """Say what part of its input a result covers."""
    stack, made = layer_stack(source), layer_stack(result)
    known = (result.metadata.get(INPUT_KEY) or {}).get("region")
    record = record_of(result) or {}
    if known is None:
        known = record.get("region")
    region = check_region(stack, None if known is None else {k: tuple(v) for k, v in known.items()})
    lengths = {a: stop - start for a, (start, stop) in region.items()}
    growth = dict(zip("YX", scale, strict=True))
    wanted = {a: n * growth.get(a, 1) for a, n in lengths.items()}
    if {a: n for a, n in made.sizes.items() if a != "S"} != wanted:
        raise InputError(
            f"{result.name} does not have the size that a {scale_text(scale)} result of "
            f"{source.name} has; it was changed, or made from another image."
        )
    return region


def _intensity(record: Mapping[str, Any]) -> Intensity:
    try:
        return Intensity(
            tuple(float(v) for v in record["intensity_lo"]),
            tuple(float(v) for v in record["intensity_hi"]),
            str(record.get("intensity_mode", "auto")),
            str(record.get("transform", "none")),
        )
    except (KeyError, TypeError, ValueError):
        raise InputError(
            "The record of this result does not state its intensity range, so figures in % of it "
            "cannot be given; restore the image again."
        ) from None


def _fidelity_layer(
    viewer: napari.Viewer,
    source: Image,
    record: Mapping[str, Any],
    model: str,
    region: Mapping[str, tuple[int, int]],
) -> Image | None:
    """Find a result of the fidelity model that is open, made alike, and covers the region."""
    alike = ("intensity_lo", "intensity_hi", "transform", "precision")
    for layer in viewer.layers:
        other = record_of(layer)
        if other is None or other.get("model") != model or other.get("back_projection"):
            continue
        if any(other.get(k) != record.get(k) for k in alike):
            continue
        if input_of(layer, viewer.layers) is not source:
            continue
        try:
            there = _covered(source, layer, as_scale(other.get("scale_factor", 4)))
        except InputError:
            continue
        if all(there[a][0] <= region[a][0] and region[a][1] <= there[a][1] for a in region):
            return layer
    return None


def _check_model(order: MapOrder, made: Mapping[str, Any]) -> None:
    """Refuse a model that is no longer the one that made the result; its A may still be."""
    wanted = order.record.get("weights_sha256")
    if order.kind != "consistency" and wanted and wanted != made["weights_sha256"]:
        raise InputError(
            f"The model {made['model']} is not the one that made {order.result.name}: it was "
            "trained anew since then. Restore the image again."
        )


def _check_memory(kind: str, region: Mapping[str, tuple[int, int]], scale: Scale) -> None:
    grown = 1 if kind == "consistency" else scale[0] * scale[1]
    nbytes = 4 * grown
    for start, stop in region.values():
        nbytes *= stop - start
    available = int(psutil.virtual_memory().available)
    if nbytes > available:
        raise InputError(
            f"The map takes {size_text(nbytes)} and only {size_text(available)} of memory are free;"
            " choose the slice in view, or use 'napari-srgan trust', which writes to files."
        )
