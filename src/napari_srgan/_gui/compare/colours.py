"""Gray stored as RGB beside gray: such layers are compared as gray, as the command does it.

Whether the colours of a layer hold gray is told from its pixels, so it is looked at in a thread.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, Signal

from napari_srgan._gui.layers import finest_data, layer_stack
from napari_srgan._gui.runner import End, Runner
from napari_srgan.errors import InputError
from napari_srgan.image.kind import gray_if_gray

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_srgan.image.stack import Stack

# Of each layer the identity of its data, and the same as gray; None where they hold colours.
_gray: WeakKeyDictionary[Image, tuple[int, Any]] = WeakKeyDictionary()


def differ(layers: Sequence[Image]) -> bool:
    """Whether some of these layers are stored as gray, and some as RGB."""
    return len({bool(layer.rgb) for layer in layers}) > 1


def compared_stack(layer: Image, mixed: bool) -> Stack:
    """Give a layer as a stack; one that holds gray as gray, if others are gray (`mixed`).

    Raises
    ------
    InputError
        If the layer is no image that can be measured.
    """
    stack = layer_stack(layer)
    if not (mixed and layer.rgb and _is_known(layer)) or _gray[layer][1] is None:
        return stack
    return replace(stack, data=_gray[layer][1], axes=stack.axes.replace("S", ""))


class Colours(QObject):
    """Looks whether layers hold gray, where that has to be known.

    Signals
    -------
    known()
        When one more layer was looked at.
    """

    known = Signal()

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._looking = Runner(parent)
        self._looking_at: tuple[Image, int] | None = None
        self._looking.ended.connect(self._on_end)

    @property
    def busy(self) -> bool:
        """Whether a layer is being looked at."""
        return self._looking.running

    def look(self, layers: Sequence[Image]) -> bool:
        """Return whether all that counts is known; if not, look, and tell of it by `known`."""
        unknown = [la for la in layers if la.rgb and differ(layers) and not _is_known(la)]
        if unknown and not self._looking.running:
            layer = unknown[0]
            try:
                self._looking.start(partial(_look, layer_stack(layer)))
            except InputError:  # said when it is measured
                _gray[layer] = id(finest_data(layer)), None
                return self.look(layers)
            self._looking_at = layer, id(finest_data(layer))
        return not unknown

    def _on_end(self, end: End) -> None:
        if self._looking_at is not None and not end.cancelled:
            layer, data = self._looking_at
            _gray[layer] = data, end.result  # what cannot be read is said when it is measured
        self._looking_at = None
        self.known.emit()


def _is_known(layer: Image) -> bool:
    return layer in _gray and _gray[layer][0] == id(finest_data(layer))


def _look(stack: Stack) -> Generator[None, None, Any]:
    yield
    found = gray_if_gray(stack)
    return None if found.is_rgb else found.data
