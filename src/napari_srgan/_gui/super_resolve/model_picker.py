"""The model drop-down with one line on what the model is for, and the preview button's list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QMenu, QToolButton, QWidget
from superqt.utils import signals_blocked

from napari_srgan._gui.parts.widgets import DropDown, Message, button, column
from napari_srgan.errors import InputError
from napari_srgan.models.catalogue import list_models, model_for, skipped_models

if TYPE_CHECKING:
    from napari_srgan.models.catalogue import ModelInfo
    from napari_srgan.models.kinds import Choice


class _Fresh(DropDown):
    """A drop-down that asks for its entries again each time it is opened."""

    opening = Signal()

    def showPopup(self) -> None:
        """List the models anew, then open."""
        self.opening.emit()
        self._enable_adding(True)
        super().showPopup()

    def hidePopup(self) -> None:
        """Close; neither the wheel nor an arrow key comes upon *Add model* from now on."""
        self._enable_adding(False)
        super().hidePopup()

    def _enable_adding(self, on: bool) -> None:
        if (at := self.findData(_ADD)) >= 0:
            self.model().item(at).setEnabled(on)


_ADD = "add..."
"""What the entry holds that adds a model; no model can be called so."""


class ModelPicker(QWidget):
    """Model and its purpose.

    A model that was trained while the panel was open appears the next time the list opens.

    Parameters
    ----------
    adds : bool
        Whether the list ends with *Add model*.

    Signals
    -------
    changed()
        When another model is chosen, or `auto` is explained anew.
    adding()
        When *Add model* is chosen; the model stays as it was.
    """

    changed = Signal()
    adding = Signal()

    def __init__(self, adds: bool = False) -> None:
        super().__init__()
        self._adds, self._former = adds, "auto"
        self._rgb = False
        self._file = ""  # a model that is no entry of the catalogue
        self.box = _Fresh(("auto", "auto"))
        self.box.opening.connect(self.refresh)
        self.purpose = Message()
        """Placed by the panel, across its whole width."""
        column(self, self.box)
        self.box.currentIndexChanged.connect(lambda _i: self._on_change())
        self._choice: Choice | None = None
        self.refresh()

    def value(self) -> str:
        """Name of the chosen model, or "auto"."""
        return str(self.box.value())

    def choose(self, model: str) -> None:
        """Choose a model by its name, or a file."""
        if self.box.choose(model):
            return
        self.refresh()
        if not self.box.choose(model):
            self._file = model
            self.refresh()
            self.box.choose(model)

    def show_kind(self, rgb: bool) -> None:
        """Say for which kind of image `auto` is explained."""
        if rgb != self._rgb:
            self._rgb = rgb
            self._on_change()

    def show_choice(self, choice: Choice | None) -> None:
        """Say what `auto` is for the image, and why, or what to know of the chosen model."""
        self._choice = choice
        self._explain()

    def refresh(self) -> None:
        """List the models that are there now."""
        chosen = self.box.value()
        with signals_blocked(self.box):
            self.box.clear()
            self.box.addItem("auto", "auto")
            for info in list_models():
                kind = "RGB" if info.card.channels == 3 else "gray"
                text = info.card.name if kind in info.card.name else f"{info.card.name} ({kind})"
                self.box.addItem(text, info.card.name)
                tip = f"{info.card.purpose}\n{info.path}"
                self.box.setItemData(self.box.count() - 1, tip, Qt.ItemDataRole.ToolTipRole)
            if self._file:
                self.box.addItem(Path(self._file).name, self._file)
                last = self.box.count() - 1
                self.box.setItemData(last, self._file, Qt.ItemDataRole.ToolTipRole)
            if self._adds:
                self.box.addItem("Add model…", _ADD)
                self.box.model().item(self.box.count() - 1).setEnabled(False)
            self._warn(skipped_models())
            self.box.choose(chosen)
        self._explain()

    def _warn(self, reasons: list[str]) -> None:
        """Name the files that cannot be listed in an entry that cannot be chosen."""
        if not reasons:
            return
        files = "1 model file is" if len(reasons) == 1 else f"{len(reasons)} model files are"
        self.box.addItem(f"{files} left out", None)
        last = self.box.count() - 1
        self.box.setItemData(last, "\n".join(reasons), Qt.ItemDataRole.ToolTipRole)
        self.box.model().item(last).setEnabled(False)

    def info(self, rgb: bool) -> ModelInfo:
        """The catalogue's entry of the chosen model.

        Raises
        ------
        InputError
            If it takes the other kind of image, or is gone.
        """
        return model_for(self.value(), rgb)

    def _on_change(self) -> None:
        if self.value() == _ADD:
            with signals_blocked(self.box):
                self.box.choose(self._former)
            self.adding.emit()
            return
        self._former = self.value()
        self._explain()
        self.changed.emit()

    def _explain(self) -> None:
        known = {info.card.name: info.card for info in list_models()}
        try:
            name = model_for("auto", self._rgb).card.name if self.value() == "auto" else ""
        except InputError:
            name = ""
        if self._choice is not None and self.value() == "auto" and self._choice.why:
            card = self._choice.model.card
            self.purpose.say(self._choice.why.removeprefix("auto: "))
            self.purpose.setToolTip(f"{card.name}: {card.purpose}")
            return
        card = known.get(name or self.value())
        head = f"{name}: " if name else ""
        said = head + card.purpose if card and card.purpose else head.rstrip(": ")
        notes = () if self._choice is None else (self._choice.why, *self._choice.warnings)
        self.purpose.say(" ".join(filter(None, notes)) or said)
        self.purpose.setToolTip(said)


class PreviewButton(QWidget):
    """Preview, with a list beside it of the models to preview with.

    Nothing ticked means the chosen model.

    Signals
    -------
    clicked()
        When a preview is asked for.
    """

    clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._rgb = False
        self.button = button("Preview", "Restore what the canvas shows, within a second or two")
        self.button.clicked.connect(lambda: self.clicked.emit())
        self.arrow = QToolButton()
        self.arrow.setArrowType(Qt.ArrowType.DownArrow)
        self.arrow.setAccessibleName("Models to preview with")
        self.arrow.setToolTip("Tick several models to preview them side by side")
        self.arrow.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        # napari's theme draws no menu mark; the arrow itself says that there is a list.
        self.arrow.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.list = QMenu(self)
        self.list.aboutToShow.connect(self.refresh)
        self.arrow.setMenu(self.list)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(1)
        layout.addWidget(self.button)
        layout.addWidget(self.arrow)

    def show_kind(self, rgb: bool) -> None:
        """Offer the models for RGB or for gray images."""
        if rgb != self._rgb:
            self._rgb = rgb
            self.refresh()

    def refresh(self) -> None:
        """List the models that fit; what was ticked stays ticked."""
        ticked = set(self.ticked())
        self.list.clear()
        for info in list_models():
            if (info.card.channels == 3) == self._rgb:
                action = self.list.addAction(info.card.name)
                action.setCheckable(True)
                action.setChecked(info.card.name in ticked)

    def ticked(self) -> list[str]:
        """Names of the ticked models."""
        return [a.text() for a in self.list.actions() if a.isChecked()]
