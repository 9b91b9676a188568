"""Trust in a result: the buttons that map what is measured and what is invented, and the layers.

What belongs here: asking for a map, and showing it above its result. What is made from which
layers is map_order.py's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_srgan._gui.layers import spacing_source
from napari_srgan._gui.parts.grid import show_names
from napari_srgan._gui.parts.parts import Choice
from napari_srgan._gui.result_layer import placement, unique_name
from napari_srgan._gui.runner import Runner
from napari_srgan._gui.super_resolve.exports import record_of
from napari_srgan._gui.super_resolve.map_order import MapOrder, MapOutcome, make_map, map_order
from napari_srgan._gui.worker import FAILED, Outcome
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

MAP_KEY = "trust_map"
"""Metadata of a map layer: its kind, unit, legend and what it was made from."""
LEAST = 0.01
"""The colours end at 1 % of the range at least, so that rounding noise does not look alarming."""
_TIPS = {
    "consistency": "What the input leaves unexplained in this result, shrunk as the model assumes",
    "invention": "What this model adds to the fidelity model where the measurement cannot see it",
    "spread": "How much this result changes when the input is mirrored: equivariance, not truth",
}
_log = logging.getLogger(__name__)


class TrustMaps(QWidget):
    """Three buttons, and whether they act on the slice in view or the whole result.

    Parameters
    ----------
    viewer : napari.Viewer
    runner : Runner
        Of the panel; it runs one thing at a time.
    settings : callable
        Gives the settings under "Advanced".

    Signals
    -------
    said(str, bool)
        A sentence, and whether it is an error.
    """

    said = Signal(str, bool)

    def __init__(
        self, viewer: napari.Viewer, runner: Runner, settings: Callable[[], dict[str, Any]]
    ) -> None:
        super().__init__()
        self._viewer, self._runner, self._settings = viewer, runner, settings
        self._layer: Image | None = None
        self._order: MapOrder | None = None
        self.scope = Choice(
            ("slice in view", False),
            ("whole result", True),
            tip="Which slices of the result the map is made of",
        )
        self.buttons = {kind: QPushButton(kind.capitalize()) for kind in _TIPS}
        row, top = QHBoxLayout(), QHBoxLayout()
        top.addWidget(QLabel("Trust maps of the"))
        top.addWidget(self.scope, 1)
        for kind, button in self.buttons.items():
            button.setToolTip(_TIPS[kind])
            button.clicked.connect(lambda _=False, kind=kind: self.start(kind))
            row.addWidget(button, 1)
        column = QVBoxLayout(self)
        for layout in (column, row, top):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(4)
        column.addLayout(top)
        column.addLayout(row)
        self.show_layer(None)

    @property
    def running(self) -> bool:
        """Whether a map is being made."""
        return self._order is not None

    def show_layer(self, layer: Image | None) -> None:
        """Act on this result from now on."""
        self._layer = layer
        self.setVisible(layer is not None)
        found = (record_of(layer) or {}).get("consistency") or {}
        removed = found.get("kind") == "removed signal"
        self.buttons["consistency"].setText("Removed signal" if removed else "Consistency")

    def enable(self, on: bool) -> None:
        """Let the buttons be pressed, or not while something runs."""
        for button in self.buttons.values():
            button.setEnabled(on)

    def start(self, kind: str) -> None:
        """Make a map of the result, or say why not."""
        if self._layer is None or self._runner.running:
            return
        try:
            settings, whole = self._settings(), self.scope.value()
            self._order = map_order(kind, self._viewer, self._layer, settings, whole)
            self._runner.start(self._order, make_map)
        except InputError as error:
            self._order = None
            self.said.emit(str(error), True)
            return
        self.said.emit("", False)

    def finish(self, outcome: MapOutcome | Outcome) -> None:
        """Show the map that was made, or say what went wrong."""
        order, self._order = self._order, None
        if outcome.error:
            self.said.emit(outcome.error, True)
        elif outcome.cancelled or order is None or not isinstance(outcome, MapOutcome):
            self.said.emit("Cancelled; nothing was kept.", False)
        else:
            try:
                self.said.emit(add_map(self._viewer, order, outcome), False)
            except Exception:  # napari would show the traceback
                _log.exception("the map could not be shown")
                self.said.emit(FAILED, True)


def add_map(viewer: napari.Viewer, order: MapOrder, outcome: MapOutcome) -> str:
    """Add a map right above its result, and say what it shows.

    Signed maps are blue below and orange above zero, with limits alike on both sides; the others
    go from black to bright. The limits are the 99.9 percentile, but 1 % of the range at least.
    """
    from napari_srgan.trust.consistency import percent

    notes, values = outcome.notes, outcome.values
    assert notes is not None
    signed = order.kind == "consistency"
    known = np.abs(values[np.isfinite(values)])
    limit = max(float(np.percentile(known, 99.9)) if known.size else 0.0, LEAST * outcome.span)
    arguments = placement(order.source, order.region, notes.scale) | {
        "name": unique_name(
            # The kind first: names in the grid are cut at their end.
            f"{notes.title} of {order.result.name}",
            (known.name for known in viewer.layers),
        ),
        "colormap": diverging() if signed else "inferno",
        "contrast_limits": (-limit, limit) if signed else (0.0, limit),
        "blending": "translucent",
        "interpolation2d": "nearest",
        "metadata": {
            **notes.metadata(order.record),
            "spacing_source": spacing_source(order.source),
        },
    }
    canvas = viewer.canvas
    before = np.asarray(canvas.viewbox_size(viewer.layers), dtype=float)
    layer = viewer.add_image(values, rgb=False, multiscale=False, **arguments)
    if order.result in viewer.layers:
        at, place = viewer.layers.index(order.result) + 1, viewer.layers.index(layer)
        if place != at:
            viewer.layers.move(place, at)
        viewer.layers.selection.active = order.result
    if canvas.grid.enabled:
        _zoom_out(viewer, order.source, before)
        show_names(viewer, [layer])
    head = notes.title.capitalize()
    figure = "nothing to measure" if outcome.percent is None else f"RMS {percent(outcome.percent)}"
    unit = "" if notes.unit == "stored values" else " %"
    ends = f"{-limit if signed else 0:.3g} to {limit:.3g}{unit}"
    of = " of the range" if outcome.percent is not None else ""
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


def is_map(layer: Any) -> bool:
    """Whether a layer is a trust map, which is no image to restore."""
    return MAP_KEY in getattr(layer, "metadata", {})


def _legend(notes: Any) -> str:
    # "Removed signal: removed signal: ..." would say it twice.
    legend: str = notes.legend
    return legend.partition(": ")[2].capitalize() if legend.startswith("Removed") else legend


def diverging() -> Any:
    """The colours of signed maps."""
    from napari.utils import Colormap

    # Black at zero: on the dark canvas, nothing is seen where nothing is to be said.
    colours = [[0.45, 0.85, 1.0], [0.1, 0.4, 0.9], [0, 0, 0], [0.9, 0.35, 0.05], [1.0, 0.85, 0.4]]
    return Colormap(colours, name="blue-black-orange")
