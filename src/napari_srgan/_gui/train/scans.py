"""What is trained on: a folder of scans, or open layers, which are written to files for it."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QToolButton,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_srgan._gui.layers import unique_name
from napari_srgan._gui.parts.widgets import Connections, DropDown, Form, row
from napari_srgan._gui.tags import role_of
from napari_srgan.errors import InputError
from napari_srgan.tasks.steps import Progress

if TYPE_CHECKING:
    import napari

SCANS = "scans"
"""The folder in a run folder for what was open as layers."""


@dataclass(frozen=True)
class Copy:
    """A layer that is to become a file: its pixels, its attributes, and the file's name."""

    data: Any
    meta: dict[str, Any]
    name: str


@dataclass(frozen=True)
class Scans:
    """What was chosen.

    Attributes
    ----------
    arguments : tuple of str
        Of the training command, but for the layers'.
    layers : tuple of Copy
        What is to be written before.
    """

    arguments: tuple[str, ...] = ()
    layers: tuple[Copy, ...] = ()


class FolderField(QWidget):
    """A folder: a path, and a button that asks for it.

    Parameters
    ----------
    of : str
        What it is for, after the word "folder".
    tip, placeholder : str
    """

    changed = Signal()

    def __init__(self, of: str, tip: str, placeholder: str = "") -> None:
        super().__init__()
        self.path = QLineEdit()
        self.path.setToolTip(tip)
        self.path.setPlaceholderText(placeholder)
        self.path.setMinimumWidth(60)
        browse = QToolButton()
        browse.setText("…")
        browse.setToolTip(f"Choose the folder {of}")
        browse.setAccessibleName(browse.toolTip())
        browse.clicked.connect(self._browse)
        layout = row(self.path, browse, stretch=0)
        layout.setStretch(0, 1)
        self.setLayout(layout)
        self.path.editingFinished.connect(self.changed)

    def value(self) -> Path | None:
        """The folder, absolute; None if none is given."""
        text = self.path.text().strip()
        return Path(text).expanduser().absolute() if text else None

    def _browse(self) -> None:
        path = QFileDialog.getExistingDirectory(self, "Choose a folder", self.path.text())
        if path:
            self.path.setText(path)
            self.changed.emit()


class ScanPicker(QWidget):
    """A choice of scans to train on, and of those to validate on.

    Parameters
    ----------
    viewer : napari.Viewer
    connections : Connections
        Of the panel.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, connections: Connections) -> None:
        super().__init__()
        self._viewer = viewer
        self.source = DropDown(
            ("a folder of scans", "folder"),
            ("open layers", "layers"),
            tip="High-resolution scans; they are shrunk, and the model learns to undo it",
        )
        self.folder = FolderField(
            "of scans",
            "Folder of high-resolution scans: TIFF stacks, PNG, JPEG, .npy; a folder below it is "
            "one volume; folders train and val in it are heeded",
        )
        self.val = FolderField(
            "to validate on",
            "Folder to validate on; without, some volumes of the first are kept for it",
            "some of these",
        )
        self.paired = QCheckBox("measured pairs")
        self.paired.setToolTip("The folder holds train/high, train/low, val/high and val/low")
        self.layers = QListWidget()
        self.layers.setToolTip("Each ticked layer is a volume; some are kept for validation")
        self.layers.setMaximumHeight(96)
        self._form = Form(
            self,
            {
                "Train on": self.source,
                "Folder": self.folder,
                "Validate": self.val,
                "Pairs": self.paired,
                "Layers": self.layers,
            },
        )
        for name in ("inserted", "removed", "reordered", "renamed"):
            connections.connect(getattr(viewer.layers.events, name), self.refresh)
        self.source.currentIndexChanged.connect(self._on_source)
        for signal in (self.folder.changed, self.val.changed):
            signal.connect(self.changed)
        self.paired.toggled.connect(lambda _on: self.changed.emit())
        self.layers.itemChanged.connect(lambda _item: self.changed.emit())
        self.refresh()
        self._on_source()

    def refresh(self, event: Any = None) -> None:
        """List the image layers anew; what was ticked stays ticked."""
        from napari.layers import Image

        ticked = set(self._ticked())
        with signals_blocked(self.layers):
            self.layers.clear()
            for layer in reversed(self._viewer.layers):
                # What a model has made would teach the next one its inventions.
                if isinstance(layer, Image) and role_of(layer) == "input":
                    item = QListWidgetItem(layer.name)
                    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
                    on = layer.name in ticked
                    item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)
                    self.layers.addItem(item)
        self.changed.emit()

    def tick(self, names: Sequence[str]) -> None:
        """Tick layers by their names."""
        for i in range(self.layers.count()):
            item = self.layers.item(i)
            on = item.text() in names
            item.setCheckState(Qt.CheckState.Checked if on else Qt.CheckState.Unchecked)

    def value(self) -> Scans:
        """What was chosen.

        Raises
        ------
        InputError
            If nothing is.
        """
        if self.source.value() == "layers":
            names = self._ticked()
            if not names:
                raise InputError("Tick the layers to train on, two or more.")
            return Scans(layers=_copies([self._viewer.layers[name] for name in names]))
        folder, val = self.folder.value(), self.val.value()
        if folder is None:
            raise InputError("Choose the folder of scans to train on.")
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder}.")
        held_out = ("--val", str(val)) if val is not None else ()
        paired = ("--paired",) if self.paired.isChecked() else ()
        return Scans(("--data", str(folder), *held_out, *paired))

    def _ticked(self) -> list[str]:
        items = (self.layers.item(i) for i in range(self.layers.count()))
        return [item.text() for item in items if item.checkState() == Qt.CheckState.Checked]

    def _on_source(self) -> None:
        layers = self.source.value() == "layers"
        for field in (self.folder, self.val, self.paired):
            self._form.setRowVisible(field, not layers)
        self._form.setRowVisible(self.layers, layers)
        self.changed.emit()


def _copies(layers: Sequence[Any]) -> tuple[Copy, ...]:
    names: list[str] = []
    for layer in layers:
        plain = re.sub(r"[^\w.+-]+", "_", layer.name).strip("._") or "layer"
        names.append(unique_name(plain, names).replace(" ", "_"))
    return tuple(
        Copy(*layer.as_layer_data_tuple()[:2], f"{name}.tif")
        for layer, name in zip(layers, names, strict=True)
    )


def write_layers(layers: Sequence[Copy], folder: Path) -> Generator[Progress, None, Path]:
    """Write layers as TIFF files into a folder, for a thread; return the folder."""
    from napari_srgan._gui.files import write_image

    folder.mkdir(parents=True, exist_ok=True)
    for number, layer in enumerate(layers):
        yield Progress(number, len(layers), stage="Writing the layers")
        write_image(str(folder / layer.name), layer.data, layer.meta)
    return folder
