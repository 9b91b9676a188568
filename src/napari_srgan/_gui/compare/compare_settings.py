"""How Compare measures: the list of measures, and mode, border and data range."""

from __future__ import annotations

import math

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QMenu, QPushButton, QSpinBox, QWidget

from napari_srgan._gui.parts.parts import Choice, form
from napari_srgan.errors import InputError
from napari_srgan.measure.planes import Settings
from napari_srgan.measure.table import MEASURES, PLANE_MEASURES

DEFAULT = ("psnr", "ssim")


class Columns(QPushButton):
    """A button with a list of the measures to show."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setText("Measures")
        self.setToolTip("Which measures are taken and shown")
        menu = QMenu(self)
        menu.setToolTipsVisible(True)
        self.boxes = {}
        for name in PLANE_MEASURES:
            action = menu.addAction(MEASURES[name].label)
            action.setToolTip(MEASURES[name].tip)
            action.setCheckable(True)
            action.setChecked(name in DEFAULT)
            action.toggled.connect(self._on_toggle)
            self.boxes[name] = action
        self.setMenu(menu)

    def value(self) -> tuple[str, ...]:
        """The ticked measures; one at least."""
        return tuple(name for name, box in self.boxes.items() if box.isChecked()) or ("psnr",)

    def _on_toggle(self, on: bool) -> None:
        self.changed.emit()


class How(QWidget):
    """Mode, border and data range."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.mode = Choice(
            ("R, G and B", "rgb"),
            ("Y channel", "y"),
            tip="What of colours is compared; published tables use the Y channel of 8-bit images",
        )
        self.border = QSpinBox()
        self.border.setRange(0, 9999)
        self.border.setSuffix(" px")
        self.border.setToolTip("Pixels of the reference left out on each side")
        self.span = QLineEdit()
        self.span.setPlaceholderText("automatic")
        self.span.setToolTip(
            "What PSNR and SSIM refer to; automatic: 255 for 8-bit images, else the range of the "
            "whole reference"
        )
        self._rows = form()
        self.setLayout(self._rows)
        self._rows.add("Colours", self.mode)
        self._rows.add("Border", self.border)
        self._rows.add("Data range", self.span)
        self.show_kind(False)
        self.mode.currentIndexChanged.connect(lambda _i: self.changed.emit())
        self.border.valueChanged.connect(lambda _v: self.changed.emit())
        self.span.editingFinished.connect(self.changed.emit)

    def show_kind(self, rgb: bool) -> None:
        """Offer the mode for RGB only."""
        self._rows.setRowVisible(self.mode, rgb)
        self._rgb = rgb

    def settings(self, measures: tuple[str, ...]) -> Settings:
        """The settings for these measures."""
        mode = self.mode.value() if self._rgb else "rgb"
        return Settings(mode=mode, border=self.border.value(), measures=measures)

    def data_range(self) -> float | None:
        """The range given by hand, None for automatic.

        Raises
        ------
        InputError
            If it is not a number above 0.
        """
        text = self.span.text().strip().replace(",", ".")
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and value > 0):
            raise InputError(
                f"The data range '{text}' is not a number above 0; correct it under Settings, or "
                "leave it empty for automatic."
            )
        return value
