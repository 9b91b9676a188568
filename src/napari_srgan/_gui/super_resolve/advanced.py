"""The settings under "Advanced", with values as the engine and the command line name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLineEdit,
    QSizePolicy,
    QToolButton,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_srgan._gui.parts.widgets import DropDown, Form

FILTERS = "TIFF (*.tif *.tiff);;OME-TIFF (*.ome.tif);;NumPy (*.npy)"


class Advanced(QWidget):
    """Settings with working defaults; every one is named as on the command line."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.device = DropDown(
            ("auto", "auto"), ("cpu", "cpu"), tip="auto is the GPU if there is one"
        )
        self.precision = DropDown(
            *((p, p) for p in ("auto", "float32", "bfloat16", "float16")),
            tip="float32 is the reference; auto is faster only where it cannot be seen",
        )
        self.tile = DropDown(
            ("auto", "auto"),
            *((f"{n} px", n) for n in (64, 128, 256, 512, 1024)),
            tip="Side of a tile; it changes memory and speed, never the result",
        )
        self.intensity = self._text(
            "auto", "auto, minmax, dtype, percentile:0.1,99.9 or LO:HI; one range for all slices"
        )
        self.transform = self._text(
            "none", "none, log or power:0.25; applied before, inverted after; for dark linear OCT"
        )
        self.nan = DropDown(
            ("refuse", "refuse"),
            ("fill, then put back", "fill"),
            tip="What to do with NaN and infinite pixels",
        )
        self.anonymise = QCheckBox("hide the name")
        self.anonymise.setToolTip("Record the input as scan-<hash>, not by its name")
        self.back_project = QCheckBox("reproduce the measured data")
        self.back_project.setToolTip(
            "Change the result as little as is needed so that, shrunk again, it equals the input; "
            "for models trained on area or bicubic shrinking"
        )
        self.place = DropDown(
            ("automatic", "auto"),
            ("in memory", "memory"),
            ("file", "file"),
            tip="automatic is memory, or a file when the result would not fit",
        )
        self.path = self._text("", "File to write; chosen beside the input if left empty")
        self.path.setPlaceholderText("beside the input")
        browse = QToolButton()
        browse.setText("…")
        browse.setToolTip("Choose the file")
        browse.clicked.connect(self._browse)
        self._file = QWidget()
        row = QHBoxLayout(self._file)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.path)
        row.addWidget(browse)
        fields = {
            "Device": self.device,
            "Precision": self.precision,
            "Tile": self.tile,
            "Intensity": self.intensity,
            "Transform": self.transform,
            "NaN": self.nan,
            "Back-project": self.back_project,
            "Anonymise": self.anonymise,
            "Output": self.place,
            "File": self._file,
        }
        self._layout = Form(self, fields)
        for choice in (self.device, self.precision, self.tile, self.nan, self.place):
            choice.currentIndexChanged.connect(lambda _index: self._on_change())
        self.back_project.toggled.connect(lambda _on: self._on_change())
        for edit in (self.intensity, self.transform, self.path):
            edit.editingFinished.connect(self._on_change)
        self._on_change()

    def offer_devices(self, devices: list[str]) -> None:
        """List the devices that are there; what was chosen stays chosen."""
        chosen = self.device.value()
        with signals_blocked(self.device):
            self.device.clear()
            for name in ["auto", *devices]:
                self.device.addItem(name, name)
            self.device.choose(chosen)

    def set_defaults(self) -> None:
        """Put everything back to its default."""
        for choice in (self.device, self.precision, self.tile, self.nan, self.place):
            choice.setCurrentIndex(0)
        self.intensity.setText("auto")
        self.transform.setText("none")
        self.path.setText("")
        self.anonymise.setChecked(False)
        self.back_project.setChecked(False)

    def job(self) -> dict[str, Any]:
        """The settings as keyword arguments of `upscaler.Job`."""
        return {
            "device": self.device.value(),
            "precision": self.precision.value(),
            "tile": self.tile.value(),
            "intensity": self.intensity.text().strip() or "auto",
            "transform": self.transform.text().strip() or "none",
            "nan": self.nan.value(),
            "anonymise": self.anonymise.isChecked(),
            "back_project": self.back_project.isChecked(),
        }

    def file(self) -> Path | None:
        """The file asked for, if any."""
        text = self.path.text().strip()
        return Path(text).expanduser() if text else None

    def _text(self, default: str, tip: str) -> QLineEdit:
        edit = QLineEdit(default)
        edit.setToolTip(tip)
        edit.setMinimumWidth(60)
        edit.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        return edit

    def _browse(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Write the result to", "", FILTERS)
        if path:
            self.path.setText(path)
            self._on_change()

    def _on_change(self) -> None:
        self._layout.setRowVisible(self._file, self.place.value() != "memory")
        self.changed.emit()
