"""Trust in a result: maps of what in it is measured and what is invented.

The buttons; from layers and their records to a request of the task; the work in the thread; and the
map as a layer above its result.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from qtpy.QtWidgets import QLabel

from napari_srgan._gui.layers import (
    add_layer,
    diverging,
    layer_stack,
    placement,
    spacing_source,
    view_of,
)
from napari_srgan._gui.parts.grid import show_names
from napari_srgan._gui.parts.widgets import DropDown, Part, button, column, row
from napari_srgan._gui.runner import RunnerBar, Step, errors_said
from napari_srgan._gui.sentences import size_text
from napari_srgan._gui.super_resolve.order import Engines
from napari_srgan._gui.tags import input_of, made_from, record_of, spacing_tag
from napari_srgan.errors import InputError
from napari_srgan.image.intensity import Intensity
from napari_srgan.image.stack import check_region
from napari_srgan.models.catalogue import find_model

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.tasks.map_request import MapNotes, MapRequest

LEAST = 0.01
"""The colours end at 1 % of the range at least, so that rounding noise does not look alarming."""
_TIPS = {
    "consistency": "What the input leaves unexplained in this result, shrunk as the model assumes",
    "invention": "What this model adds to the fidelity model where the measurement cannot see it",
    "spread": "How much this result changes when the input is mirrored: equivariance, not truth",
}


class TrustMaps(Part):
    """Three buttons, and whether they act on the slice in view or the whole result.

    Parameters
    ----------
    viewer : napari.Viewer
    runner : RunnerBar
        Of the panel; it runs one thing at a time.
    engines : Engines
        Of the panel.
    settings : callable
        Gives the settings under "Advanced".
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        runner: RunnerBar,
        engines: Engines,
        settings: Callable[[], dict[str, Any]],
    ) -> None:
        super().__init__()
        self._viewer, self._runner, self._settings = viewer, runner, settings
        self._engines = engines
        self._layer: Image | None = None
        self.scope = DropDown(
            ("slice in view", False),
            ("whole result", True),
            tip="Which slices of the result the map is made of",
        )
        self.buttons = {kind: button(kind.capitalize(), tip) for kind, tip in _TIPS.items()}
        for kind, each in self.buttons.items():
            each.clicked.connect(lambda _=False, kind=kind: self.start(kind))
        top = row(QLabel("Trust maps of the"), self.scope)
        top.setStretch(0, 0)
        column(self, top, row(*self.buttons.values()))
        self.show_layer(None)

    def show_layer(self, layer: Image | None) -> None:
        """Act on this result from now on."""
        self._layer = layer
        self.setVisible(layer is not None)
        found = (record_of(layer) or {}).get("consistency") or {}
        removed = found.get("kind") == "removed signal"
        self.buttons["consistency"].setText("Removed signal" if removed else "Consistency")

    def enable(self, on: bool) -> None:
        """Let the buttons be pressed, or not while something runs."""
        for each in self.buttons.values():
            each.setEnabled(on)

    def start(self, kind: str) -> None:
        """Make a map of the result, or say why not."""
        if self._layer is None or self._runner.running:
            return
        with errors_said(self.say):
            order = map_order(kind, self._viewer, self._layer, self._settings(), self.scope.value())
            self._runner.start(
                partial(make_map, order, self._engines),
                lambda made: self.say(add_map(self._viewer, order, made)),
                self.say,
            )
            self.say()


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
class TrustMap:
    """A map that was made.

    Attributes
    ----------
    values : ndarray of float32
        In the order of the input's axes, S left out.
    notes : MapNotes
    percent : float or None
        RMS in % of the intensity range.
    span : float
        What the whole range is in the unit of the values.
    """

    values: np.ndarray
    notes: MapNotes
    percent: float | None
    span: float


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
            model=model.path,
            region=region,
            intensity=recorded_intensity(record),
            nan="fill",
            **settings,
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


def make_map(order: MapOrder, engines: Engines) -> Generator[Step, None, TrustMap]:
    """Make a map; for a thread.

    Raises
    ------
    InputError
        If the model is not there any more, or another one than made the result.
    """
    yield Step(note="Loading the model, reading the images")
    from napari_srgan.tasks.map_request import MapPlane
    from napari_srgan.tasks.maps import Maps

    maps = Maps(order.request)
    _check_model(order, maps.record())
    notes = maps.notes(order.kind)
    axes = order.request.stack.axes.replace("S", "")
    growth = [notes.factor if a in "YX" else 1 for a in axes]
    lengths = [order.region[a][1] - order.region[a][0] for a in axes]
    values = np.zeros([n * f for n, f in zip(lengths, growth, strict=True)], np.float32)
    turned = axes.index("Y") > axes.index("X")
    squares: list[float] = []
    with closing(maps.planes(engines.get)) as steps:
        for step in steps:
            if not isinstance(step, MapPlane):
                yield Step(step.done, step.total, step.eta, step.note)
                continue
            place = iter(step.index)
            at = tuple(slice(None) if a in "YX" else next(place) for a in axes)
            values[at] = step.values.T if turned else step.values
            if step.percent is not None:
                squares.append(step.percent**2)
    intensity = maps.intensity
    spans = [(hi - lo) or 1.0 for lo, hi in zip(intensity.lo, intensity.hi, strict=True)]
    span = 100.0 if notes.unit.startswith("%") else max(spans)
    mean = float(np.sqrt(np.mean(squares))) if squares else None
    return TrustMap(values, notes, mean, span)


def _covered(source: Image, result: Image, factor: int) -> dict[str, tuple[int, int]]:
    """Say what part of its input a result covers."""
    stack, made = layer_stack(source), layer_stack(result)
    made_in_session = made_from(result)
    if made_in_session is not None:
        known = made_in_session.region
    else:
        known = (record_of(result) or {}).get("region")
    region = check_region(stack, None if known is None else {k: tuple(v) for k, v in known.items()})
    lengths = {a: stop - start for a, (start, stop) in region.items()}
    wanted = {a: n * factor if a in "YX" else n for a, n in lengths.items()}
    if {a: n for a, n in made.sizes.items() if a != "S"} != wanted:
        raise InputError(
            f"{result.name} does not have the size that a {factor}x result of {source.name} has; "
            "it was changed, or made from another image."
        )
    return region


def recorded_intensity(record: Mapping[str, Any]) -> Intensity:
    """The intensity range of the run that made a result.

    Raises
    ------
    InputError
        If the record does not state it.
    """
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
            there = _covered(source, layer, int(other.get("scale_factor", 4)))
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


def _check_memory(kind: str, region: Mapping[str, tuple[int, int]], factor: int) -> None:
    grown = 1 if kind == "consistency" else factor**2
    nbytes = 4 * grown
    for start, stop in region.values():
        nbytes *= stop - start
    available = int(psutil.virtual_memory().available)
    if nbytes > available:
        raise InputError(
            f"The map takes {size_text(nbytes)} and only {size_text(available)} of memory are free;"
            " choose the slice in view, or use 'napari-srgan trust', which writes to files."
        )


def add_map(viewer: napari.Viewer, order: MapOrder, made: TrustMap) -> str:
    """Add a map right above its result, and say what it shows.

    Signed maps are blue below and orange above zero, with limits alike on both sides; the others
    go from black to bright. The limits are the 99.9 percentile, but 1 % of the range at least.
    """
    from napari_srgan.trust.consistency import percent

    notes, values = made.notes, made.values
    signed = order.kind == "consistency"
    known = np.abs(values[np.isfinite(values)])
    limit = max(float(np.percentile(known, 99.9)) if known.size else 0.0, LEAST * made.span)
    arguments = placement(order.source, order.region, notes.factor) | {
        # The kind first: names in the grid are cut at their end.
        "name": f"{notes.title} of {order.result.name}",
        "rgb": False,
        "colormap": diverging() if signed else "inferno",
        "contrast_limits": (-limit, limit) if signed else (0.0, limit),
        "blending": "translucent",
        "interpolation2d": "nearest",
        "metadata": {
            **notes.metadata(order.record),
            **spacing_tag(spacing_source(order.source)),
        },
    }
    canvas = viewer.canvas
    before = np.asarray(canvas.viewbox_size(viewer.layers), dtype=float)
    layer = add_layer(viewer, values, arguments, above=order.result, select=True)
    if order.result in viewer.layers:
        viewer.layers.selection.active = order.result
    if canvas.grid.enabled:
        _zoom_out(viewer, order.source, before)
        show_names(viewer, [layer])
    head = notes.title.capitalize()
    figure = "nothing to measure" if made.percent is None else f"RMS {percent(made.percent)}"
    unit = "" if notes.unit == "stored values" else " %"
    ends = f"{-limit if signed else 0:.3g} to {limit:.3g}{unit}"
    of = " of the range" if made.percent is not None else ""
    return f"{head}: {figure}{of}, shown from {ends}. {_legend(notes)}"


def _zoom_out(viewer: napari.Viewer, source: Image, before: np.ndarray) -> None:
    """Keep in view what was in view when the cells of the grid became smaller."""
    after = np.asarray(viewer.canvas.viewbox_size(viewer.layers), dtype=float)
    if before.min() <= 0 or after.min() <= 0:
        return
    camera = viewer.scene.camera
    ends = np.asarray(source.extent.world, dtype=float)[:, list(viewer.dims.displayed)[-2:]]
    size = np.maximum(ends[1] - ends[0], 1e-12)
    if (size * camera.zoom <= before).all():
        camera.zoom = min(camera.zoom, 0.96 * float((after / size).min()))
    else:
        camera.zoom *= float((after / before).min())


def _legend(notes: Any) -> str:
    # "Removed signal: removed signal: ..." would say it twice.
    legend: str = notes.legend
    return legend.partition(": ")[2].capitalize() if legend.startswith("Removed") else legend
