"""What is done with a result: save it, save a figure of the view, copy the methods text.

What belongs here: the three buttons. The record behind the text is provenance.py's, the file
formats are _writer.py's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication, QFileDialog, QHBoxLayout, QPushButton, QWidget

from napari_srgan._gui.layers import SESSION_KEYS, spacing_source
from napari_srgan._gui.super_resolve.advanced import FILTERS
from napari_srgan.engine.record import methods_text
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

FIGURES = (".png", ".jpg", ".tif", ".tiff")
_log = logging.getLogger(__name__)


def record_of(layer: Any) -> dict[str, Any] | None:
    """The provenance record that a layer carries, if it is a result."""
    record = getattr(layer, "metadata", {}).get("napari_srgan")
    return record if isinstance(record, dict) else None


def calibrated(viewer: napari.Viewer) -> bool:
    """Whether a scale bar in this view would be true.

    It would if every visible image has a physical pixel size that is known, not assumed, and
    napari can bring their units together.
    """
    from napari.layers import Image

    shown = [la for la in viewer.layers if isinstance(la, Image) and la.visible]
    known = bool(shown) and all(spacing_source(la) in ("file", "user") for la in shown)
    return known and viewer.layers.units is not None


def save_figure(viewer: napari.Viewer, path: str | Path) -> bool:
    """Write the canvas as it is to an image file, with a scale bar if that is true.

    Returns
    -------
    bool
        Whether a scale bar was drawn. The view is afterwards as it was.
    """
    bar = viewer.canvas.overlays.scale_bar
    before, drawn = (bar.visible, bar.gridded), calibrated(viewer)
    try:
        bar.visible = drawn
        viewer.screenshot(str(path), canvas_only=True, flash=False, scale=2)
    finally:
        bar.visible, bar.gridded = before
    return drawn


def save_layer(path: str, data: Any, attributes: dict[str, Any]) -> str:
    """Write a result with its provenance, in a thread; return an error's sentence or nothing."""
    from napari_srgan._gui.writer import write_image

    try:
        write_image(path, data, attributes)
    except InputError as error:
        return str(error)
    except OSError as error:
        _log.exception("saving failed")
        return f"{Path(path).name} could not be written: {error.strerror or error}."
    except Exception:
        _log.exception("saving failed")
        return f"{Path(path).name} could not be written; the details are in the log."
    return ""


class Exports(QWidget):
    """Save result, save figure, copy methods text; enabled when there is a result.

    Signals
    -------
    said(str, bool)
        A sentence for the panel, and whether it reports an error.
    """

    said = Signal(str, bool)

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._layer: Image | None = None
        self._saving: Any = None
        self.save = QPushButton("Save result")
        self.save.setToolTip("Write the result with its pixel size and where it comes from")
        self.figure = QPushButton("Save figure")
        self.figure.setToolTip("Write the canvas as an image; with a scale bar only if calibrated")
        self.methods = QPushButton("Copy methods")
        self.methods.setToolTip("Copy the methods text, a paragraph for a paper, to the clipboard")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for button, slot in (
            (self.save, self._on_save),
            (self.figure, self._on_figure),
            (self.methods, self._on_methods),
        ):
            layout.addWidget(button, 1)
            button.clicked.connect(slot)
        self.show_layer(None)

    @property
    def layer(self) -> Image | None:
        """The result that the buttons act on."""
        return self._layer

    def show_layer(self, layer: Image | None) -> None:
        """Act on this result from now on."""
        self._layer = layer
        for button in (self.save, self.methods):
            button.setEnabled(layer is not None)
        self.setVisible(layer is not None)

    def _on_save(self) -> None:
        name = f"{self._layer.name.replace(' [', '_').rstrip(']').replace(' ', '_')}.tif"
        path, _ = QFileDialog.getSaveFileName(self, "Save the result", name, FILTERS)
        self._with_ending(path, ".tif", self.save_to)

    def save_to(self, path: str | Path) -> None:
        """Write the result in a thread, so that the window stays alive."""
        from napari.qt.threading import create_worker

        data, attributes, _ = self._layer.as_layer_data_tuple()
        kept = {k: v for k, v in attributes["metadata"].items() if k not in SESSION_KEYS}
        attributes["metadata"] = kept
        self.save.setEnabled(False)
        self.said.emit(f"Saving {Path(path).name} ...", False)
        self._saving = create_worker(save_layer, str(path), data, attributes)
        self._saving.returned.connect(lambda error: self._on_saved(str(path), error))
        self._saving.start()

    def _on_saved(self, path: str, error: str) -> None:
        self._saving = None
        self.save.setEnabled(self._layer is not None)
        self.said.emit(error or f"Saved {Path(path).name}.", bool(error))

    def _on_figure(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save the figure", "figure.png", "PNG (*.png)")
        self._with_ending(path, ".png", self.figure_to)

    def _with_ending(self, path: str, ending: str, write: Callable[[Path], None]) -> None:
        """Complete a name typed without an ending, which the dialog has not asked about."""
        whole = Path(path)
        if path and not whole.suffix:
            whole = whole.with_name(whole.name + ending)
            if whole.exists():
                self.said.emit(f"{whole} is already there; choose another name.", True)
                return
        if path:
            write(whole)

    def figure_to(self, path: str | Path) -> None:
        """Write the canvas."""
        if Path(path).suffix.lower() not in FIGURES:
            self.said.emit(f"{Path(path).name}: figures are written as {', '.join(FIGURES)}.", True)
            return
        try:
            drawn = save_figure(self._viewer, path)
        except OSError as error:
            self.said.emit(f"{Path(path).name} could not be written: {error.strerror}.", True)
            return
        why = "" if drawn else ", without a scale bar because the pixel size is not known"
        self.said.emit(f"Saved {Path(path).name}{why}.", False)

    def _on_methods(self) -> None:
        record = record_of(self._layer)
        if record is None:
            self.said.emit("This layer carries no record of how it was made.", True)
            return
        QApplication.clipboard().setText(methods_text(record))
        self.said.emit("The methods text is on the clipboard.", False)
