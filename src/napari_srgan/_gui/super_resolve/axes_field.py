"""What the axes of a layer are, where nothing but their number says it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit
from superqt.utils import signals_blocked

from napari_srgan._gui.layers import data_shape, layer_axes
from napari_srgan.errors import InputError
from napari_srgan.image.axes import checked_axes, stated_axes

if TYPE_CHECKING:
    from napari.layers import Image


def set_axes(layer: Image, letters: str) -> None:
    """Give the axes of a layer their letters, those of the samples left out or not.

    Raises
    ------
    InputError
        If the letters do not fit the layer.
    """
    wanted = letters.strip().upper().removesuffix("S") + "S" * layer.rgb
    axes = checked_axes(wanted, data_shape(layer), layer.name)
    layer.axis_labels = tuple(axes.removesuffix("S").lower())


class AxesField(QLineEdit):
    """The letters of the axes, to be corrected where they were guessed.

    Signals
    -------
    given(str)
        The letters, when the user has set others.
    """

    given = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setMinimumWidth(60)
        self.setToolTip(
            "Letters of T, C, Z, Y and X in the order of the data; its file does not say them"
        )
        self._shown: WeakSet[Any] = WeakSet()
        self._letters = ""
        self.editingFinished.connect(self._on_edit)

    def show_layer(self, layer: Image | None) -> bool:
        """Show the axes of a layer; False if there is nothing to correct in them."""
        guessed = layer is not None and layer.ndim > 2 and stated_axes(layer.axis_labels) is None
        if guessed:
            self._shown.add(layer)  # what was corrected can be corrected again
        try:
            self._letters = "" if layer is None else layer_axes(layer).removesuffix("S")
        except InputError:
            self._letters = ""
        if not self.hasFocus():
            with signals_blocked(self):
                self.setText(self._letters)
        return layer is not None and layer in self._shown

    def _on_edit(self) -> None:
        if self.text().strip().upper() != self._letters:
            self.given.emit(self.text())
