"""The pixel size of the chosen layer: shown, said to be unknown, or set by hand.

What belongs here: this one row of the panel, and writing a size to a layer and its results.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QDoubleSpinBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_srgan._gui.layers import INPUT_KEY, layer_axes, spacing_source
from napari_srgan._gui.parts.parts import form
from napari_srgan._gui.result_layer import placement
from napari_srgan._gui.sentences import spacing_text

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
    layer.metadata["spacing_source"] = "user"
    for other in layers:
        made = getattr(other, "metadata", {}).get(INPUT_KEY) or {}
        if made.get("id") != str(layer.unique_id):
            continue
        placed = placement(layer, made["region"], made["scale"])
        other.scale, other.translate, other.units = placed["scale"], placed["translate"], units
        other.metadata["spacing_source"] = "user"


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
        self.button = QPushButton("Set")
        self.button.setCheckable(True)
        self.button.setToolTip("Set the pixel size by hand, in micrometres")
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.text, 1)
        row.addWidget(self.button)
        self.spins = {a: self._spin() for a in "ZYX"}
        self.apply = QPushButton("Apply to the layer")
        self.apply.clicked.connect(self._on_apply)
        self._editor = QWidget()
        fields = form()
        self._editor.setLayout(fields)
        for axis, spin in self.spins.items():
            fields.addRow(axis, spin)
        fields.addRow(self.apply)
        self._fields = fields
        self._editor.setVisible(False)
        self.button.toggled.connect(self._editor.setVisible)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addLayout(row)
        layout.addWidget(self._editor)

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
