"""The pixel size of the chosen layer: shown, said to be unknown, or set by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QDoubleSpinBox, QLabel, QPushButton, QSizePolicy, QWidget

from napari_srgan._gui.layers import layer_axes, placement, spacing_source
from napari_srgan._gui.parts.widgets import Form, button, column, row
from napari_srgan._gui.sentences import spacing_text
from napari_srgan._gui.tags import is_made_from, made_from, spacing_tag

if TYPE_CHECKING:
    from napari.layers import Image


def set_pixel_size(layer: Image, size: dict[str, float], layers: Iterable[Any]) -> None:
    """Give a layer a pixel size in micrometres, and its results theirs, so that they stay aligned.

    Parameters
    ----------
    layer : Image
        The input.
    size : dict of letter to float
        Micrometres a pixel, for some of Z, Y and X.
    layers : iterable of layers
        All layers of the viewer.
    """
    axes = layer_axes(layer).replace("S", "")
    old = np.asarray(layer.scale, dtype=float)
    new = np.array([size.get(a, s) for a, s in zip(axes, old, strict=True)])
    units = ["micrometer" if a in size else str(u) for a, u in zip(axes, layer.units, strict=True)]
    # The corner of the image stays at the same pixel: positions grow with the pixels.
    layer.translate = np.asarray(layer.translate) * new / old
    layer.scale, layer.units = new, units
    layer.metadata.update(spacing_tag("user"))
    for other in layers:
        if is_made_from(other, layer):
            made = made_from(other)
            placed = placement(layer, made.region, made.scale)
            other.scale, other.translate, other.units = placed["scale"], placed["translate"], units
            other.metadata.update(spacing_tag("user"))


class PixelSize(QWidget):
    """The pixel size, and a row of numbers to set it by hand.

    Signals
    -------
    given(dict)
        Micrometres per axis letter, when the user sets them.
    """

    given = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.button = button("Set", "Set the pixel size by hand, in micrometres", checkable=True)
        self.button.setAccessibleName("Set the pixel size")
        shown = row(self.text, self.button)
        shown.setStretch(1, 0)
        self.spins = {a: self._spin() for a in "ZYX"}
        self.apply = QPushButton("Apply to the layer")
        self.apply.clicked.connect(self._on_apply)
        self._editor = QWidget()
        self._fields = Form(self._editor)
        for axis, spin in self.spins.items():
            spin.setAccessibleName(f"Pixel size along {axis}")
            self._fields.addRow(axis, spin)
        self._fields.addRow(self.apply)
        self._editor.setVisible(False)
        self.button.toggled.connect(self._editor.setVisible)
        column(self, shown, self._editor, spacing=2)

    def show_layer(self, layer: Image | None) -> None:
        """Show the pixel size of a layer."""
        self.button.setEnabled(layer is not None)
        if layer is None:
            self.text.setText("")
            return
        axes, source = layer_axes(layer), spacing_source(layer)
        units = [str(u) for u in layer.units]
        self.text.setText(spacing_text(axes, layer.scale, units, source))
        tips = {"unknown": "No physical pixel size is known: results get no scale bar."}
        self.text.setToolTip(tips.get(source, f"Known from the {source}."))
        for axis, spin in self.spins.items():
            self._fields.setRowVisible(spin, axis in axes)
            if axis in axes and not self.button.isChecked():
                spin.setValue(float(layer.scale[axes.index(axis)]))

    def _spin(self) -> QDoubleSpinBox:
        spin = QDoubleSpinBox()
        spin.setDecimals(4)
        spin.setRange(0.0001, 1e6)
        spin.setSuffix(" µm")
        spin.setValue(1.0)
        return spin

    def _on_apply(self) -> None:
        shown = {a: s.value() for a, s in self.spins.items() if self._fields.isRowVisible(s)}
        self.button.setChecked(False)
        self.given.emit(shown)
