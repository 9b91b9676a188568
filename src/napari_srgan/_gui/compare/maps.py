"""The part of Compare for judging a result: error map, Fourier rings, regions, consistency.

What belongs here: the buttons, and how their findings are shown. They act on the slice in view of
the ticked candidates. What is computed is in map_work.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGridLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_srgan._gui.background import End
from napari_srgan._gui.compare import map_work
from napari_srgan._gui.compare.candidate_list import MAP_KEY
from napari_srgan._gui.compare.compare_layers import add_map
from napari_srgan._gui.compare.compare_plot import Curve, CurvePlot
from napari_srgan._gui.compare.difference import symmetric_limit
from napari_srgan._gui.compare.drawn_regions import region_masks
from napari_srgan._gui.compare.selection import Selection
from napari_srgan._gui.parts.connections import Connections
from napari_srgan._gui.parts.parts import Choice, LayerChoice, Message, form
from napari_srgan._gui.super_resolve.trust_maps import diverging
from napari_srgan._gui.task import Task
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari


class Maps(QWidget):
    """Error map, Fourier ring correlation, CNR and ENL, and the consistency map.

    Signals
    -------
    said(str, bool)
        A sentence, and whether it reports an error.
    """

    said = Signal(str, bool)

    def __init__(
        self, viewer: napari.Viewer, connections: Connections, select: Callable[[], Selection]
    ) -> None:
        from napari.layers import Shapes

        super().__init__()
        self._viewer, self._select = viewer, select
        self._show: Callable[[Any], None] = lambda found: None
        self._key: tuple[object, ...] | None = None
        self._where = ""
        self.error = _button("Error map", "What remains after gain, offset and blur are fitted")
        self.consistency = _button(
            "Consistency map", "What the result, shrunk as its model assumes, leaves of the input"
        )
        self.rings = _button("Fourier rings", "To which detail a candidate and the reference agree")
        self.regions = _button("CNR and ENL", "Of the regions drawn in the Shapes layer")
        self.direction = Choice(
            ("All directions", "all"), ("Axial (Y)", "axial"), ("Lateral (X)", "lateral")
        )
        self.shapes = LayerChoice(viewer, Shapes, connections, none="none drawn")
        self.scale = Choice(("linear intensity", "linear"), ("log, as stored", "log"))
        self.task = Task()
        self.plot = CurvePlot()
        self.plot.setVisible(False)
        self.text = Message()
        self._lay_out()
        self.error.clicked.connect(self.map_errors)
        self.consistency.clicked.connect(self.map_consistency)
        self.rings.clicked.connect(self.correlate)
        self.regions.clicked.connect(self.measure_regions)
        self.task.ended.connect(self._on_end)

    def map_errors(self) -> None:
        """Add a map for every ticked candidate."""
        self._begin(map_work.error_maps, self._show_errors)

    def map_consistency(self) -> None:
        """Add the map of every ticked candidate that says by which model it was made."""
        self._begin(_consistency, self._show_consistency)

    def correlate(self) -> None:
        """Plot the Fourier ring correlation of every ticked candidate."""
        direction = self.direction.value()
        self._begin(lambda subject: map_work.correlations(subject, direction), self._show_rings)

    def measure_regions(self) -> None:
        """Measure what is drawn, in the reference and in every ticked candidate."""
        shapes, scale = self.shapes.value(), self.scale.value()
        try:
            if shapes is None:
                raise InputError(
                    "Draw a region of signal and one of background in a Shapes layer, and choose "
                    "it here."
                )
            masks = region_masks(shapes, self._select().reference)
        except InputError as error:
            self.said.emit(str(error), True)
            return
        self._begin(
            lambda subject: map_work.region_figures(subject, masks, scale), self._show_regions
        )

    def stop(self) -> None:
        """Give up; for a panel that closes."""
        self.task.stop()

    def check(self, key: tuple[object, ...] | None) -> None:
        """Take findings away if they belong to other layers; those of a slice name it."""
        if key != self._key and not self.task.running:
            self._key = key
            self.plot.setVisible(False)
            self.text.say("")

    def _begin(self, work: Callable[[map_work.Subject], Any], show: Callable[[Any], None]) -> None:
        if self.task.running:
            return
        self.said.emit("", False)
        try:
            chosen = self._select()
            subject = map_work.subject_for(chosen, self._viewer.dims)
        except InputError as error:
            self.said.emit(str(error), True)
            return
        self._show, self._key, self._where = show, chosen.layers_key(), subject.question.where
        self.task.start(lambda: work(subject), "%v of %m")

    def _on_end(self, end: End) -> None:
        if end.error:
            self.said.emit(end.error, True)
        elif end.result is not None:
            self._show(end.result)

    def _show_errors(self, found: list[map_work.Mapped]) -> None:
        # One scale for all, or the maps could not be told apart by eye; the first one on top.
        limits = (0.0, max(symmetric_limit(one.plane) for one in found))
        for one in reversed(found):
            if one.layer in self._viewer.layers:
                name = f"error map of {one.name}"
                self._add(one, name, colormap="inferno", contrast_limits=limits)
        self._say(*(one.text for one in found), f"Shown from 0 to {limits[1]:.4g}.")

    def _show_consistency(self, found: list[map_work.Mapped]) -> None:
        limit = max(one.limit for one in found)
        for one in reversed(found):
            if one.layer in self._viewer.layers:
                name = f"{one.kind} of {one.name}"
                self._add(one, name, colormap=diverging(), contrast_limits=(-limit, limit))
        legends = dict.fromkeys(one.legend for one in found)
        self._say(
            *(one.text for one in found), f"Shown from {-limit:.3g} to {limit:.3g}.", *legends
        )

    def _add(self, one: map_work.Mapped, name: str, **shown: Any) -> None:
        metadata = {MAP_KEY: True, "legend": one.text}
        add_map(
            self._viewer,
            one.layer,
            one.index,
            one.plane,
            name,
            part=one.part,
            metadata=metadata,
            **shown,
        )

    def _show_rings(self, found: list[map_work.Rings]) -> None:
        lines = [Curve(r.name, r.frequency, r.correlation, r.dashed) for r in found]
        self.plot.show_curves(
            lines,
            x_label=f"spatial frequency (1/{found[0].unit})",
            y_label="Fourier ring correlation",
            level=found[0].threshold,
        )
        self.plot.setVisible(True)
        self._say(*(r.text for r in found))

    def _show_regions(self, text: str) -> None:
        self._say(text)

    def _say(self, *lines: str) -> None:
        self.text.say("\n".join([f"{self._where[:1].upper()}{self._where[1:]}.", *lines]))

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(4)
        top.addWidget(self.error, 1)
        top.addWidget(self.consistency, 1)
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.addWidget(self.rings, 0, 0)
        grid.addWidget(self.direction, 0, 1)
        grid.addWidget(self.regions, 1, 0)
        grid.addWidget(self.shapes, 1, 1)
        values = form()
        values.add("Values are", self.scale)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(top)
        column.addLayout(grid)
        column.addLayout(values)
        for part in (self.task, self.plot, self.text):
            column.addWidget(part)


def _consistency(subject: map_work.Subject) -> Any:
    # Late: trust brings its operators along, which opening the panel does not need.
    from napari_srgan._gui.compare.consistency_work import consistency_maps

    return consistency_maps(subject)


def _button(text: str, tip: str) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    return button
