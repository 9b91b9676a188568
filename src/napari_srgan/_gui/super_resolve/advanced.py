"""The settings under "Advanced": the declared options of a restoration, and where it is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QFileDialog, QLineEdit, QToolButton, QWidget

from napari_srgan._gui.form import OptionFields
from napari_srgan._gui.parts.issue_report import IssueReport
from napari_srgan._gui.parts.widgets import DropDown, Form, row
from napari_srgan.options import RestoreOptions

FILTERS = (
    "TIFF (*.tif *.tiff);;OME-TIFF (*.ome.tif);;OME-Zarr (*.zarr);;NIfTI (*.nii);;NumPy (*.npy)"
)


class Advanced(QWidget):
    """Settings with working defaults."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.options = OptionFields(RestoreOptions, leave_out=("model", "kind"))
        self.place = DropDown(
            ("automatic", "auto"),
            ("in memory", "memory"),
            ("file", "file"),
            tip="automatic is memory, or a file when the result would not fit",
        )
        self.path = QLineEdit()
        self.path.setToolTip("File to write; chosen beside the input if left empty")
        self.path.setPlaceholderText("beside the input")
        self.path.setMinimumWidth(60)
        browse = QToolButton()
        browse.setText("…")
        browse.setAccessibleName("Choose the file")
        browse.setToolTip("Choose the file")
        browse.clicked.connect(self._browse)
        self._file = QWidget()
        self.overwrite = QCheckBox("Replace")
        self.overwrite.setToolTip("Replace a file of this name that is already there")
        self._file.setLayout(row(self.path, browse, self.overwrite))
        self.results = QCheckBox("offer as images")
        self.results.setToolTip("List results under Image as well, to restore them once more")
        self.issue_report = IssueReport()
        rows = {
            **self.options.rows(),
            "Output": self.place,
            "File": self._file,
            "Results": self.results,
            "Trouble": self.issue_report,
        }
        self._layout = Form(self, rows)
        self.options.on_change(self._on_change)
        self.place.currentIndexChanged.connect(lambda _index: self._on_change())
        self.overwrite.toggled.connect(lambda _on: self._on_change())
        self.path.editingFinished.connect(self._on_change)
        self._on_change()

    def offer_devices(self, devices: list[str]) -> None:
        """List the devices that are there; what was chosen stays chosen."""
        self.options.offer("device", [(name, name) for name in ["auto", *devices]])

    def set_defaults(self) -> None:
        """Put everything back to its default."""
        self.options.set_defaults()
        self.place.setCurrentIndex(0)
        self.path.setText("")
        self.overwrite.setChecked(False)
        self.results.setChecked(False)

    def values(self) -> dict[str, Any]:
        """The settings as fields of `RestoreOptions`."""
        return self.options.values()

    def file(self) -> Path | None:
        """The file asked for, if any."""
        text = self.path.text().strip()
        return Path(text).expanduser() if text else None

    def _browse(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Write the result to", "", FILTERS)
        if path:
            self.path.setText(path)
            self._on_change()

    def _on_change(self) -> None:
        self._layout.setRowVisible(self._file, self.place.value() != "memory")
        self.changed.emit()
