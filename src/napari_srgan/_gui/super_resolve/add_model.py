"""Add a model: a file is chosen or dropped, its card is shown, and then it is in the list.

The file is somebody's: it is read in a thread, by the catalogue, which refuses what could run code,
and what its card says is shown as plain text.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QEvent, QObject, Signal
from qtpy.QtWidgets import QDialog, QDialogButtonBox, QFileDialog, QWidget

from napari_srgan._gui.parts.widgets import Form, Message, Scrolling, column
from napari_srgan._gui.runner import End, Runner
from napari_srgan.models.card import card_rows
from napari_srgan.models.catalogue import SUFFIX, NewModel, add_model, look_at_model

_MODEL_FILES = (SUFFIX, ".pth", ".pt", ".ckpt", ".pkl", ".onnx")
"""Endings of what is dropped as a model; all but the first are refused with the reason."""


class AddModel(QObject):
    """Adds models that are chosen in a dialog, or dropped on a panel.

    Parameters
    ----------
    panel : QWidget

    Signals
    -------
    said(str, bool)
        As of `parts.widgets.Part`.
    added(str)
        The name of a model that is in the list now.
    """

    said = Signal(str, bool)
    added = Signal(str)

    def __init__(self, panel: QWidget) -> None:
        super().__init__(panel)
        self._panel = panel
        panel.setAcceptDrops(True)
        panel.installEventFilter(self)
        self.dialog: CardDialog | None = None
        self._runner = Runner(self)
        self._runner.ended.connect(self._on_end)

    def ask(self) -> None:
        """Ask for a file, and look at it."""
        path, _ = QFileDialog.getOpenFileName(self._panel, "Add model", "", f"Models (*{SUFFIX})")
        if path:
            self.look(Path(path))

    def look(self, path: Path) -> None:
        """Look at a file, then show its card, or say why it cannot be added."""
        if self._runner.running:
            self.said.emit("A model is being looked at; add one after the other.", True)
            return
        self.said.emit(f"Looking at {path.name} ...", False)
        self._runner.start(partial(_look, path))

    def stop(self) -> None:
        """Close the card without an answer."""
        if self.dialog is not None:
            self.dialog.reject()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take model files that are dragged over the panel, and leave all else to others."""
        if event.type() not in (QEvent.Type.DragEnter, QEvent.Type.Drop):
            return False
        paths = [Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()]
        if not paths or not all(path.name.lower().endswith(_MODEL_FILES) for path in paths):
            return False
        event.acceptProposedAction()
        if event.type() == QEvent.Type.Drop:
            if len(paths) == 1:
                self.look(paths[0])
            else:
                self.said.emit("Drop one model at a time: the card of each is to be read.", True)
        return True

    def _on_end(self, end: End) -> None:
        if end.cancelled:
            return
        if end.error:
            self.said.emit(end.error, True)
        elif not isinstance(end.result, NewModel):
            self.said.emit(f"{end.result} is added.", False)
            self.added.emit(end.result)
        elif end.result.same:
            name = end.result.card.name
            self.said.emit(f"{name} is in the list already: it is the same file.", False)
            self.added.emit(name)
        else:
            self.said.emit("", False)
            self.dialog = CardDialog(end.result, self._panel)
            self.dialog.accepted.connect(partial(self._add, end.result))
            self.dialog.open()

    def _add(self, new: NewModel) -> None:
        self._runner.start(partial(_add, new.path, new.known is not None))


class CardDialog(QDialog):
    """The card of a model that may be added.

    Parameters
    ----------
    new : NewModel
    parent : QWidget
    """

    def __init__(self, new: NewModel, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Add model")
        replaces = new.known is not None
        self.head = Message(new.card.name)
        if replaces:
            self.head.say(
                f"{new.card.name}: a model of this name is in the list, and would be replaced.",
                error=True,
            )
        body = QWidget()
        rows = [*card_rows(new.card), ("SHA-256", new.sha256), ("File", str(new.path))]
        self.rows = {head: Message(_breakable(text)) for head, text in rows}
        Form(body, self.rows)
        self.buttons = QDialogButtonBox()
        roles = QDialogButtonBox.ButtonRole
        self.yes = self.buttons.addButton("Replace" if replaces else "Add", roles.AcceptRole)
        self.buttons.addButton("Cancel", roles.RejectRole)
        self.buttons.accepted.connect(self.accept)
        self.buttons.rejected.connect(self.reject)
        column(self, self.head, Scrolling(body, least=200), self.buttons, spacing=8, margin=10)
        self.resize(560, 460)


def _breakable(text: str) -> str:
    """Let a long word, such as a hash or a path, be broken after 16 letters."""
    return re.sub(r"(\S{16})(?=\S)", "\\1\u200b", text)


def _look(path: Path) -> Generator[None, None, NewModel]:
    yield
    return look_at_model(path)


def _add(path: Path, overwrite: bool) -> Generator[None, None, Any]:
    yield
    return add_model(path, overwrite).card.name
