"""The part of Compare that measures all slices: a button, progress, and the plot over slices.

What belongs here: starting and stopping that work and showing its curves. What is measured is in
compare_stack.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_srgan._gui.background import End
from napari_srgan._gui.compare.compare_plot import CurvePlot
from napari_srgan._gui.compare.compare_rows import HEADS
from napari_srgan._gui.compare.compare_stack import (
    Stacks,
    curves,
    measure_stacks,
    shift_text,
    stacks_for,
)
from napari_srgan._gui.compare.readout import Ranges
from napari_srgan._gui.compare.selection import Selection
from napari_srgan._gui.layers import layer_axes, unit_ratio, view_of
from napari_srgan._gui.parts.parts import Choice, Message
from napari_srgan._gui.super_resolve.choice import slice_axis
from napari_srgan._gui.task import Task
from napari_srgan.errors import InputError
from napari_srgan.measure.comparison import Comparison, PlaneFigures

if TYPE_CHECKING:
    import napari


class WholeStack(QWidget):
    """Measure the whole stack.

    Signals
    -------
    measured(object)
        The `Comparison`, or None when it is out of date.
    said(str, bool)
        A sentence, and whether it reports an error.
    """

    measured = Signal(object)
    said = Signal(str, bool)

    def __init__(
        self, viewer: napari.Viewer, ranges: Ranges, select: Callable[[], Selection]
    ) -> None:
        super().__init__()
        self._viewer, self._ranges, self._select = viewer, ranges, select
        self._selection: Selection | None = None
        self._stacks: Stacks | None = None
        self._planes: list[PlaneFigures] = []
        self.comparison: Comparison | None = None
        self.button = QPushButton("Measure the whole stack")
        self.button.setToolTip("Measure every slice of every candidate, and plot them")
        self.task = Task()
        self.measure = Choice()
        self.measure.setToolTip("What is plotted")
        self.plot = CurvePlot()
        self.notes = Message()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self.button, self.task, self.measure, self.plot, self.notes):
            layout.addWidget(part)
        self.button.clicked.connect(self.start)
        self.task.stepped.connect(self._on_step)
        self.task.ended.connect(self._on_end)
        self.measure.currentIndexChanged.connect(lambda _i: self._draw())
        self.plot.clicked.connect(self.go_to)
        self._show_plot(False)

    def start(self) -> None:
        """Measure what is chosen, or say why not."""
        if self.task.running:
            return
        self.said.emit("", False)
        try:
            chosen = self._select()
            stacks = stacks_for(chosen.reference, chosen.candidates, chosen.low)
        except InputError as error:
            self.said.emit(str(error), True)
            return
        self.forget()
        self._selection, self._stacks = chosen, stacks
        blocked = self.measure.blockSignals(True)
        self.measure.clear()
        for name in chosen.settings.measures:
            self.measure.addItem(f"{HEADS[name]} over the slices", name)
        self.measure.blockSignals(blocked)
        self.button.setEnabled(False)
        settings, span = chosen.settings, chosen.data_range
        self.task.start(lambda: measure_stacks(stacks, settings, self._ranges, span), "%v of %m")

    def check(self, key: tuple[object, ...] | None) -> None:
        """Take the figures away if they belong to other choices."""
        if self._selection is not None and self._selection.key() != key:
            self.task.cancel()
            self.forget()

    def forget(self) -> None:
        """Show nothing."""
        had = self.comparison is not None
        self._selection, self._stacks, self.comparison = None, None, None
        self._planes = []
        self.notes.say("")
        self._show_plot(False)
        if had:
            self.measured.emit(None)

    def follow(self) -> None:
        """Mark the slice in view."""
        if self._selection is None or self._along() is None:
            self.plot.mark(None)
            return
        view = view_of(self._selection.reference, self._viewer.dims)
        self.plot.mark(None if view.outside else float(view.index[self._along()]))
        if len(view.index) > 1:
            self._draw()  # with several sliders the others choose what is plotted

    def go_to(self, x: float) -> None:
        """Move the viewer's slider to the slice nearest to a place in the plot."""
        along = self._along()
        if self._selection is None or along is None:
            return
        layer, dims = self._selection.reference, self._viewer.dims
        if layer not in self._viewer.layers:
            return
        axis = layer_axes(layer).index(along)
        at = view_of(layer, dims).index
        point = [at.get(a, 0) for a in layer_axes(layer).replace("S", "")]
        point[axis] = int(np.clip(round(x), 0, self._stacks.reference.sizes[along] - 1))
        world = float(np.asarray(layer.data_to_world(point))[axis])
        where = dims.ndim - layer.ndim + axis
        if dims.units is not None and len(dims.units) == dims.ndim:
            world *= unit_ratio(layer.units[axis], dims.units[where])
        dims.set_point(where, world)

    def stop(self) -> None:
        """Give up; for a panel that closes."""
        self.task.stop()

    def _along(self) -> str | None:
        return None if self._stacks is None else slice_axis(self._stacks.reference.sizes)

    def _on_step(self, step: tuple[int, int, PlaneFigures | None]) -> None:
        if self._selection is None or step[2] is None:
            return
        self._planes.append(step[2])
        if step[0] % max(1, step[1] // 200) == 0:
            self._draw()

    def _on_end(self, end: End) -> None:
        self.button.setEnabled(True)
        if self._selection is None:
            return
        if end.error:
            self.said.emit(end.error, True)
        if end.cancelled or end.error:
            self.forget()
            if end.cancelled:
                self.said.emit("Cancelled; the whole stack was not measured.", False)
            return
        self.comparison = end.result
        self.notes.say(" ".join([shift_text(end.result), *end.result.notes]).strip())
        self._draw()
        self.measured.emit(self.comparison)

    def _draw(self) -> None:
        if self._stacks is None or not self._planes or self._along() is None:
            self._show_plot(False)
            return
        reference, measure = self._stacks.reference, self.measure.value()
        if measure is None:
            return
        at = view_of(self._selection.reference, self._viewer.dims).index
        lines = curves(
            self._planes, reference.plane_axes, at, reference.sizes, measure, self._stacks.bicubic
        )
        self.plot.mark(float(at[self._along()]))
        unit = " (dB)" if measure == "psnr" else ""
        self.plot.show_curves(lines, x_label=self._along(), y_label=f"{HEADS[measure]}{unit}")
        self._show_plot(True)

    def _show_plot(self, on: bool) -> None:
        self.plot.setVisible(on)
        self.measure.setVisible(on and self.measure.count() > 1)
