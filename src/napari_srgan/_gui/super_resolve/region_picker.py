"""The controls for what to restore: which slices, and the whole frame or a drawn rectangle.

What belongs here: these controls and their values; the ranges are made in choice.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QSpinBox, QVBoxLayout, QWidget

from napari_srgan._gui.layers import View, data_shape, layer_axes
from napari_srgan._gui.parts.connections import Connections
from napari_srgan._gui.parts.parts import Choice, LayerChoice, form
from napari_srgan._gui.super_resolve.choice import rectangle, region_for, slice_axis
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari
    from napari.layers import Image


class What(QWidget):
    """Slices and area; each is shown only where there is something to choose."""

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, connections: Connections) -> None:
        from napari.layers import Shapes

        super().__init__()
        self._axis: str | None = None
        self._connections = connections
        self._watched: list[object] = []
        self.slices = Choice(
            ("Whole stack", "all"), ("Slice in view", "view"), ("Slice range", "range")
        )
        self.first, self.last = _spin(), _spin()
        self._span = QWidget()
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        self._axis_text = QLabel()
        row.addWidget(self._axis_text)
        row.addWidget(self.first, 1)
        row.addWidget(QLabel("to"))
        row.addWidget(self.last, 1)
        column = QVBoxLayout(self._span)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addLayout(row)
        self.area = LayerChoice(viewer, Shapes, connections, none="Whole frame")
        self._layout = form()
        self.setLayout(self._layout)
        self._layout.add("Restore", self.slices)
        self._layout.add("Slices", self._span)
        self._layout.add("Area", self.area)
        self.slices.currentIndexChanged.connect(lambda _i: self._on_change())
        self.first.valueChanged.connect(lambda _v: self.changed.emit())
        self.last.valueChanged.connect(lambda _v: self.changed.emit())
        self.area.changed.connect(self._on_change)
        self._on_change()

    def show_layer(self, layer: Image | None) -> None:
        """Offer what this layer has: no slices for a single plane, no area without Shapes."""
        sizes = {} if layer is None else _sizes(layer)
        axis = slice_axis(sizes)
        self._layout.setRowVisible(self.slices, axis is not None)
        if axis is not None:
            last = sizes[axis] - 1
            other = (self._axis, self.last.maximum()) != (axis, last)
            for spin in (self.first, self.last):
                blocked = spin.blockSignals(True)
                spin.setRange(0, last)
                spin.blockSignals(blocked)
            if other:
                self.first.setValue(0)
                self.last.setValue(last)
            self._axis_text.setText(axis)
        self._axis = axis
        self._on_change()

    def set_defaults(self) -> None:
        """Choose the whole stack."""
        self.slices.choose("all")
        self.area.setCurrentIndex(0)

    def region(self, layer: Image, view: View) -> dict[str, tuple[int, int]]:
        """Give the chosen part of a layer.

        Raises
        ------
        InputError
            If the range is empty or the drawn area too small.
        """
        sizes = _sizes(layer)
        drawn = self.area.value()
        area = None if drawn is None else rectangle(drawn, layer)
        # A layer without slices has no row to choose them in: it is always whole.
        slices = self.slices.value() if slice_axis(sizes) else "all"
        return region_for(sizes, view, slices, (self.first.value(), self.last.value()), area)

    def _on_change(self) -> None:
        ranged = self._axis is not None and self.slices.value() == "range"
        self._layout.setRowVisible(self._span, ranged)
        self._layout.setRowVisible(self.area, bool(self.area.layers()))
        self._watch(self.area.value())
        self.changed.emit()

    def _watch(self, shapes: object) -> None:
        """Follow the drawing in the chosen Shapes layer."""
        wanted = [] if shapes is None else [shapes.events.data, shapes.events.highlight]
        if [id(e) for e in wanted] == [id(e) for e in self._watched]:
            return
        if self._watched:
            self._connections.disconnect_from(*self._watched)
        for emitter in wanted:
            self._connections.connect(emitter, self._on_drawing)
        self._watched = wanted

    def _on_drawing(self, event: object = None) -> None:
        self.changed.emit()


def _spin() -> QSpinBox:
    spin = QSpinBox()
    spin.setMinimumWidth(60)
    spin.setAlignment(Qt.AlignmentFlag.AlignCenter)
    return spin


def _sizes(layer: Image) -> dict[str, int]:
    """Lengths of the layer's axes; empty for a layer whose axes have no names (too many)."""
    try:
        return dict(zip(layer_axes(layer), data_shape(layer), strict=True))
    except InputError:
        return {}
