"""Trust in a result: maps of what in it is measured and what is invented.

The buttons; from layers and their records to a request of the task; the work in the thread; and the
map as a layer above its result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    topmost_of,
    view_of,
)
from napari_srgan._gui.parts.grid import show_map, view_kept
from napari_srgan._gui.parts.overlay import Overlay
from napari_srgan._gui.parts.widgets import Connections, DropDown, Part, button, column, row, timer
from napari_srgan._gui.runner import End, LastQuestion, RunnerBar, errors_said
from napari_srgan._gui.sentences import plane_text, size_text
from napari_srgan._gui.tags import (
    input_of,
    input_tag,
    made_from,
    overlay_tag,
    record_of,
    spacing_tag,
)
from napari_srgan.engine.record import KEY, Record
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale, factors, scale_text
from napari_srgan.image.intensity import Intensity
from napari_srgan.image.kind import KINDS
from napari_srgan.image.stack import check_region
from napari_srgan.models.catalogue import find_model
from napari_srgan.options import MapOptions, RestoreOptions
from napari_srgan.tasks.steps import Progress, Work
from napari_srgan.tasks.trust_maps import MapNotes, MapPlane, MapRequest, TrustMaps
from napari_srgan.trust.calibration import calibrations_of
from napari_srgan.trust.consistency import percent
from napari_srgan.trust.invention import fidelity_model, has_invention, require_definite
from napari_srgan.trust.operators import REMOVED, operator_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

_BURST = 60  # ms
LEAST = 0.01
"""The colours end at 1 % of the range at least, so that rounding noise does not look alarming."""
_TIPS = {
    "consistency": "What the input leaves unexplained in this result, shrunk as the model assumes",
    "invention": "What this model adds to the fidelity model where the measurement cannot see it",
    "spread": "How much this result changes when the input is mirrored: equivariance, not truth",
    "trusted": "Which pixels can be trusted, by the calibration of this model for such images",
}


class TrustMapButtons(Part):
    """The maps of a result, laid over it one at a time while their button is down.

    A map is of the slice in view or of the whole result. What is quick, consistency, follows the
    slices; a slower map stays with its own.

    Parameters
    ----------
    viewer : napari.Viewer
    connections : Connections
        Of the panel.
    runner : RunnerBar
        Of the panel; it runs one thing at a time.
    settings : callable
        Gives the settings under "Advanced".
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        connections: Connections,
        runner: RunnerBar,
        settings: Callable[[], dict[str, Any]],
    ) -> None:
        super().__init__()
        self._viewer, self._runner, self._settings = viewer, runner, settings
        self._layer: Image | None = None
        self._shown: MapOrder | None = None
        self._following = LastQuestion(self)
        self._following.found.connect(self._on_followed)
        self._follow_soon = timer(self, _BURST, self._follow)
        self.overlay = Overlay(viewer, connections)
        self.scope = DropDown(
            ("slice in view", False),
            ("whole result", True),
            tip="Which slices of the result the map is made of",
        )
        self.buttons = {kind: button(kind.capitalize(), tip, True) for kind, tip in _TIPS.items()}
        for kind, each in self.buttons.items():
            each.clicked.connect(lambda on, kind=kind: self._on_clicked(kind, on))
        self.scope.currentIndexChanged.connect(lambda _index: self._again())
        self.overlay.closed.connect(self._on_closed)
        self._runner.ended.connect(lambda _end: self._press())
        connections.connect(viewer.dims.events.current_step, self._on_slider)
        self.scope.setAccessibleName("Trust: slices of the maps")
        top = row(QLabel("Trust: maps of the"), self.scope)
        top.setStretch(0, 0)
        column(self, top, row(*self.buttons.values()), self.overlay)
        self.show_layer(None)

    def show_layer(self, layer: Image | None) -> None:
        """Act on this result from now on; a map of another one is taken away."""
        if layer is not self._layer:
            self.overlay.clear()
        self._layer = layer
        self.setVisible(layer is not None)
        for kind, each in self.buttons.items():
            each.setToolTip(_TIPS[kind] if layer is None else f"{_TIPS[kind]}: {layer.name}")
        record = record_of(layer)
        found = None if record is None else record.consistency
        removed = found is not None and found.kind == REMOVED
        self.buttons["consistency"].setText("Removed signal" if removed else "Consistency")
        self.buttons["invention"].setVisible(record is not None and _can_invent(record))
        self.buttons["trusted"].setVisible(record is not None and _is_calibrated(record))

    def enable(self, on: bool) -> None:
        """Let the buttons be pressed, or not while something runs."""
        for each in self.buttons.values():
            each.setEnabled(on)

    def start(self, kind: str) -> None:
        """Make a map of the result and lay it over it, or say why not."""
        if self._layer is not None and not self._runner.running:
            with errors_said(self.say):
                order = self._order(kind)
                self._runner.start(
                    partial(make_map, order), lambda made: self._show(order, made), self.say
                )
                self.say()
        self._press()

    def let_go(self) -> None:
        """Take the map away."""
        self._follow_soon.stop()
        self.overlay.clear()

    def _order(self, kind: str) -> MapOrder:
        return map_order(kind, self._viewer, self._layer, self._settings(), self.scope.value())

    def _show(self, order: MapOrder, made: TrustMap) -> None:
        layer, text = add_map(self._viewer, order, made)
        if order.result in self._viewer.layers:
            self.overlay.lay(layer, order.result)
            self._shown = order
        self._press()
        self.say(text)

    def _press(self) -> None:
        """Let the button be down whose map is seen."""
        for kind, each in self.buttons.items():
            each.setChecked(self._shown is not None and kind == self._shown.kind)

    def _on_clicked(self, kind: str, on: bool) -> None:
        if on:
            self.start(kind)
        else:
            self.overlay.clear()
            self.say()

    def _again(self) -> None:
        if self._shown is not None:
            self.start(self._shown.kind)

    def _on_closed(self) -> None:
        self._shown = None
        self._following.forget()
        self._press()

    def _on_slider(self, event: Any = None) -> None:
        if self._shown is not None:
            self._follow_soon.start()

    def _follow(self) -> None:
        """Make the map of the slice in view, if it is quick to make."""
        shown = self._shown
        if shown is None or shown.kind != "consistency" or self._runner.running:
            return
        try:
            order = self._order(shown.kind)
        except InputError:
            return  # the result has no such slice, so nothing is seen there
        if order.region != shown.region:
            self._following.ask(partial(_made_for, order))

    def _on_followed(self, found: Any) -> None:
        if isinstance(found, End):
            self.say(found.error, error=True)
        elif not isinstance(found, Progress) and self._shown is not None:
            self._show(*found)


def _made_for(order: MapOrder) -> Work[None]:
    """Make a map, and tell of it with its order."""
    made = yield from make_map(order)
    yield order, made


def _can_invent(record: Record) -> bool:
    """Whether the model of a result is here, and there is a fidelity model to compare it with."""
    try:
        return has_invention(find_model(record.model).card)
    except InputError:
        return False


def _is_calibrated(record: Record) -> bool:
    """Whether the model of a result is calibrated for the kind of image that it was made of."""
    try:
        return record.kind in calibrations_of(record.weights_sha256)
    except InputError:
        return False


@dataclass(frozen=True)
class MapOrder:
    """One map of one result.

    Attributes
    ----------
    kind : str
        Of `options.MAP_KINDS`.
    source, result : Image
        The input and the result; looked at again when the map is placed.
    region : dict
        What the map covers, input pixels.
    request : MapRequest
    record : Record
        Of the result.
    """

    kind: str
    source: Image
    result: Image
    region: dict[str, tuple[int, int]]
    request: MapRequest
    record: Record


@dataclass(frozen=True)
class TrustMap:
    """A map that was made.

    Attributes
    ----------
    values : ndarray of float32
        In the order of the input's axes, S left out.
    notes : MapNotes
    percent : float or None
        RMS in % of the intensity range; of "trusted" the share of the pixels in %.
    span : float
        What the whole range is in the unit of the values.
    """

    values: np.ndarray
    notes: MapNotes
    percent: float | None
    span: float


def map_order(
    kind: str, viewer: napari.Viewer, result: Image, settings: Mapping[str, Any], whole: bool
) -> MapOrder:
    """Order a map of a result: of all its planes, or of the one in view.

    Raises
    ------
    InputError
        If the input is not open, or does not fit, or the map would not fit in memory.
    """
    record = record_of(result)
    if record is None:
        raise InputError(f"{result.name} carries no record of how it was made.")
    if record.resized_to is not None:
        raise InputError(
            f"{result.name} was resized after the model; restore the image with Outscale auto and "
            "Enlarge Y and X under Advanced, and look at that result."
        )
    source = input_of(result, viewer.layers)
    if source is None:
        raise InputError(
            f"The input of {result.name} is not open, and the map compares the two; open it under "
            f"the name {record.input or 'it had'}."
        )
    model = find_model(record.model)
    operator = None if kind == "spread" else operator_of(model.card)
    stack, covered = layer_stack(source), _covered(source, result, model.card.scale)
    region = covered
    if not whole:
        at = view_of(source, viewer.dims).index
        region = covered | {a: (at[a], at[a] + 1) for a in stack.plane_axes}
        if any(not covered[a][0] <= at[a] < covered[a][1] for a in at):
            raise InputError(f"The slice in view is not in {result.name}; move the slider to it.")
    _check_memory(kind, region, model.card.scale)
    request = MapRequest(
        stack=stack,
        restore=RestoreOptions(
            model=model.path,
            region=region,
            intensity=recorded_intensity(record),
            nan="fill",
            kind=record.kind if record.kind in KINDS else "auto",
            **{key: settings[key] for key in ("device", "precision", "tile")},
        ),
        options=MapOptions(maps=(kind,)),
        result=layer_stack(result),
        result_region=covered,
    )
    if kind == "invention":
        assert operator is not None
        require_definite(operator)
        info = fidelity_model(model.card)
        request = replace(request, options=replace(request.options, fidelity=info.path))
        found = _fidelity_layer(viewer, source, record, info.card.name, region)
        if found is not None:
            request = replace(
                request,
                fidelity=layer_stack(found),
                fidelity_region=_covered(source, found, info.card.scale),
            )
    return MapOrder(kind, source, result, region, request, record)


def make_map(order: MapOrder) -> Work[TrustMap]:
    """Make a map; for a thread.

    Raises
    ------
    InputError
        If the model is not there any more, or another one than made the result.
    """
    yield Progress(0, 0, stage="Loading the model, reading the images")
    maps = TrustMaps(order.request)
    _check_model(order, maps)
    notes = maps.notes(order.kind)
    axes = order.request.stack.axes.replace("S", "")
    growth = factors(axes, notes.scale)
    lengths = [order.region[a][1] - order.region[a][0] for a in axes]
    values = np.zeros([n * f for n, f in zip(lengths, growth, strict=True)], np.float32)
    turned = axes.index("Y") > axes.index("X")
    figures: list[float] = []
    with closing(maps.planes()) as steps:
        for step in steps:
            if not isinstance(step, MapPlane):
                yield step
                continue
            place = iter(step.index)
            at = tuple(slice(None) if a in "YX" else next(place) for a in axes)
            values[at] = step.values.T if turned else step.values
            if step.percent is not None:
                figures.append(step.percent)
    intensity = maps.intensity
    spans = [(hi - lo) or 1.0 for lo, hi in zip(intensity.lo, intensity.hi, strict=True)]
    span = 100.0 if notes.unit.startswith("%") else max(spans)
    if order.kind == "trusted":
        # Only now is it known whether the image is like those of the calibration.
        return TrustMap(values, maps.notes(order.kind), float(np.mean(figures)), 1.0)
    mean = float(np.sqrt(np.mean(np.square(figures)))) if figures else None
    return TrustMap(values, notes, mean, span)


def _covered(source: Image, result: Image, scale: Scale) -> dict[str, tuple[int, int]]:
    """Say what part of its input a result covers."""
    stack, made = layer_stack(source), layer_stack(result)
    origin = made_from(result) or record_of(result)
    region = check_region(stack, None if origin is None else origin.region)
    lengths = {a: stop - start for a, (start, stop) in region.items()}
    growth = dict(zip("YX", scale, strict=True))
    wanted = {a: n * growth.get(a, 1) for a, n in lengths.items()}
    if {a: n for a, n in made.sizes.items() if a != "S"} != wanted:
        raise InputError(
            f"{result.name} does not have the size that a {scale_text(scale)} result of "
            f"{source.name} has; it was changed, or made from another image."
        )
    return region


def recorded_intensity(record: Record) -> Intensity:
    """The intensity range of the run that made a result.

    Raises
    ------
    InputError
        If the record does not state it.
    """
    if record.intensity is None:
        raise InputError(
            "The record of this result does not state its intensity range, so figures in % of it "
            "cannot be given; restore the image again."
        )
    return record.intensity


def _fidelity_layer(
    viewer: napari.Viewer,
    source: Image,
    record: Record,
    model: str,
    region: Mapping[str, tuple[int, int]],
) -> Image | None:
    """Find a result of the fidelity model that is open, made alike, and covers the region."""
    for layer in viewer.layers:
        other = record_of(layer)
        if other is None or other.model != model or other.back_projection is not None:
            continue
        if _range_and_precision(other) != _range_and_precision(record):
            continue
        if input_of(layer, viewer.layers) is not source:
            continue
        try:
            there = _covered(source, layer, other.scale)
        except InputError:
            continue
        if all(there[a][0] <= region[a][0] and region[a][1] <= there[a][1] for a in region):
            return layer
    return None


def _range_and_precision(record: Record) -> tuple[object, ...]:
    return record.intensity_lo, record.intensity_hi, record.transform, record.precision


def _check_model(order: MapOrder, maps: TrustMaps) -> None:
    """Refuse a model that is no longer the one that made the result; its A may still be."""
    wanted = order.record.weights_sha256
    if order.kind != "consistency" and wanted and wanted != maps.sha256:
        raise InputError(
            f"The model {maps.card.name} is not the one that made {order.result.name}: it was "
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


def add_map(viewer: napari.Viewer, order: MapOrder, made: TrustMap) -> tuple[Image, str]:
    """Add a map above its result.

    Signed maps are blue below and orange above zero, with limits alike on both sides; the others
    go from black to bright. The limits are the 99.9 percentile, but 1 % of the range at least.

    Returns
    -------
    Image, str
        The layer, and what it shows.
    """
    notes, values = made.notes, made.values
    signed = order.kind == "consistency"
    known = np.abs(values[np.isfinite(values)])
    limit = max(float(np.percentile(known, 99.9)) if known.size else 0.0, LEAST * made.span)
    if order.kind == "trusted":
        limit = 1.0
    arguments = placement(order.source, order.region, notes.scale) | {
        # The title of the colour bar. The kind and unit first: names are cut at their end.
        "name": f"{notes.title} ({notes.unit}) of {order.result.name}",
        "rgb": False,
        "colormap": diverging() if signed else "inferno",
        "contrast_limits": (-limit, limit) if signed else (0.0, limit),
        "blending": "translucent",
        "interpolation2d": "nearest",
        "metadata": {
            **notes.metadata(order.result.metadata.get(KEY)),
            **spacing_tag(spacing_source(order.source)),
            **input_tag(order.source, order.region, notes.scale),
            **overlay_tag(order.result),
        },
    }
    above = topmost_of(viewer, order.source) or order.result
    with view_kept(viewer, order.source):
        layer = add_layer(viewer, values, arguments, above=above, select=True)
    if order.result in viewer.layers:
        viewer.layers.selection.active = order.result
    show_map(viewer, layer)
    head = f"{notes.title.capitalize()} of {order.result.name}{_slice_text(order)}"
    if order.kind == "trusted":
        return layer, f"{head}: {made.percent:.1f} % of the pixels (bright). {notes.legend}"
    return layer, f"{head}: {_figure(made)}{_ends(made, limit, signed)}. {_legend(notes)}"


def _slice_text(order: MapOrder) -> str:
    """Name the slice of a map that is of one only."""
    sizes = order.request.stack.sizes
    at = {a: lo for a, (lo, hi) in order.region.items() if a not in "YX" and hi - lo == 1}
    one = len(at) == len(order.request.stack.plane_axes) and any(sizes[a] > 1 for a in at)
    return f", {plane_text(at, sizes)}" if one else ""


def _figure(made: TrustMap) -> str:
    """The mean of a map, in the unit that its colours have."""
    if made.percent is None:
        return "nothing to measure"
    share = f"{percent(made.percent)} of the range"
    if made.notes.unit.startswith("%"):
        return f"RMS {share}"
    known = made.values[np.isfinite(made.values)]
    return f"RMS {np.sqrt(np.mean(known**2)):.3g} ({share})"


def _ends(made: TrustMap, limit: float, signed: bool) -> str:
    unit = " %" if made.notes.unit.startswith("%") else f" in {made.notes.unit}"
    return f", colours from {-limit if signed else 0:.3g} to {limit:.3g}{unit}"


def _legend(notes: Any) -> str:
    # "Removed signal: removed signal: ..." would say it twice.
    legend: str = notes.legend
    rest = legend.partition(": ")[2]
    return f"{rest[:1].upper()}{rest[1:]}" if legend.startswith("Removed") else legend
