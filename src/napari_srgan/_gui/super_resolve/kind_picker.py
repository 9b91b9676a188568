"""The choice of the kind of image, and what each layer was recognised as.

Pixels are looked at in a thread: a layer may be computed, or lie on a slow disk.
"""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QWidget

from napari_srgan._gui.layers import finest_data, layer_stack
from napari_srgan._gui.parts.widgets import DropDown, column
from napari_srgan._gui.runner import End, Runner
from napari_srgan.errors import InputError
from napari_srgan.image.kind import Recognised, known_kind, note_kind, recognise
from napari_srgan.image.stack import Stack
from napari_srgan.models.kinds import KINDS_OF_IMAGE, KindOfImage, kind_of_image

if TYPE_CHECKING:
    from napari.layers import Image

_ICON = 20  # px


class KindPicker(QWidget):
    """Which kind of image the chosen layer is: told from its pixels, or by a person.

    Signals
    -------
    changed()
        When another kind is chosen, or the layer was recognised.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.box = DropDown(
            ("auto", "auto"), tip="What the image is: it decides which model and transform auto is"
        )
        self.box.setIconSize(QSize(_ICON, _ICON))
        for kind in KINDS_OF_IMAGE:
            self.box.addItem(_icon(kind), kind.title, kind.name)
            last = self.box.count() - 1
            self.box.setItemData(last, kind.words.capitalize(), Qt.ItemDataRole.ToolTipRole)
        column(self, self.box)
        self._known: WeakKeyDictionary[Image, tuple[int, Recognised | None]] = WeakKeyDictionary()
        self._looking = Runner(self)
        self._looking_at: tuple[Image, int] | None = None
        self._looking.ended.connect(self._on_end)
        self.box.currentIndexChanged.connect(lambda _i: self.changed.emit())

    def value(self) -> str:
        """The chosen kind, or "auto"."""
        return str(self.box.value())

    def show_layer(self, layer: Image | None) -> None:
        """Say what this layer was taken for, and look at it if that is not known yet."""
        found = None if layer is None else self._found(layer)
        title = "auto" if found is None else f"auto: {kind_of_image(found.kind).title}"
        self.box.setItemText(0, title)
        self.box.setItemIcon(0, QIcon() if found is None else _icon(kind_of_image(found.kind)))
        if layer is not None and not self.knows(layer) and not self._looking.running:
            self._looking_at = layer, id(finest_data(layer))
            try:
                self._looking.start(partial(_look, layer_stack(layer)))
            except InputError:  # what cannot be a stack is named when its plan is made
                self._known[layer] = id(finest_data(layer)), None

    def knows(self, layer: Image) -> bool:
        """Whether this layer's pixels have been looked at."""
        known = self._known.get(layer)
        return known is not None and known[0] == id(finest_data(layer))

    def wait(self, layer: Image, seconds: float) -> bool:
        """Give the look at a layer that much time; return whether it is known now."""
        if not self.knows(layer):
            if self._looking.running and self._looking_at != (layer, id(finest_data(layer))):
                self._looking.stop()  # another layer's
            self.show_layer(layer)
            self._looking.wait(seconds)
        return self.knows(layer)

    def stack_of(self, layer: Image) -> Stack:
        """Give a layer as a stack that knows its kind, if that is known.

        Raises
        ------
        InputError
            If the layer cannot be upscaled.
        """
        stack, found = layer_stack(layer), self._found(layer)
        if found is not None and known_kind(stack) is None:
            note_kind(stack, found)
        return stack

    def _found(self, layer: Image) -> Recognised | None:
        return self._known[layer][1] if self.knows(layer) else None

    def _on_end(self, end: End) -> None:
        if self._looking_at is not None and not end.cancelled:
            layer, data = self._looking_at
            # What cannot be read is named when work is asked for.
            self._known[layer] = data, end.result
        self._looking_at = None
        self.changed.emit()


def _icon(kind: KindOfImage) -> QIcon:
    return QIcon(str(kind.thumbnail))


def _look(stack: Stack) -> Generator[None, None, Any]:
    yield
    return recognise(stack)
