"""A result that goes to a file, seen while it is made: the slice in view, once it is done."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QTimer

from napari_srgan._gui.layers import result_name, view_of
from napari_srgan._gui.parts.widgets import Connections
from napari_srgan._gui.super_resolve.order import Order
from napari_srgan._gui.super_resolve.part_layer import PartLayer
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari

_POLL = 200  # ms
LARGEST = 2**26
"""Bytes of a plane that is read while the window waits; of larger ones nothing is shown."""


class Growing(QObject):
    """The layers of results that are being written; there are none before and after.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QObject
    """

    def __init__(self, viewer: napari.Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        # Not at the steps of the work: a slice is done between two of them.
        self._poll = QTimer(self)
        self._poll.setInterval(_POLL)
        self._poll.timeout.connect(self.look)
        self._grown: list[tuple[Order, PartLayer]] = []
        self._connections = Connections()

    @property
    def layers(self) -> list[Any]:
        """The layers that are there."""
        return [part.layer for _, part in self._grown if part.layer is not None]

    def begin(self, orders: Sequence[Order]) -> None:
        """Show what there will be of the orders that go to files."""
        self.end()
        self._grown = [(o, PartLayer(self._viewer)) for o in orders if _is_shown(o)]
        if self._grown:
            dims, layers = self._viewer.dims.events, self._viewer.layers.events
            for emitter in (dims.current_step, dims.ndisplay, dims.order):
                self._connections.connect(emitter, self.look)
            self._connections.connect(layers.removed, self._on_removed)
            self._poll.start()

    def look(self, event: Any = None) -> None:
        """Show the slice in view of each, if it is done."""
        for order, part in self._grown:
            with suppress(InputError):  # a layer that is on its way out of the viewer
                self._look(order, part)

    def end(self) -> None:
        """Take all away."""
        self._poll.stop()
        self._connections.disconnect_from()
        grown, self._grown = self._grown, []
        for _, part in grown:
            part.remove()

    def _look(self, order: Order, part: PartLayer) -> None:
        layer, ahead = order.layer, order.ahead
        view, stack = view_of(layer, self._viewer.dims), ahead.choice.stack
        index = tuple(view.index[a] for a in stack.plane_axes)
        region = dict(ahead.region)
        inside = all(
            region[a][0] <= i < region[a][1] for a, i in zip(stack.plane_axes, index, strict=True)
        )
        if view.outside or not view.plain or not inside:
            part.hide()
            return
        place = tuple(i - region[a][0] for a, i in zip(stack.plane_axes, index, strict=True))
        if part.show_again(place):
            return
        plane = order.growth.plane(place)
        if plane is None:
            part.hide()
            return
        region |= {a: (i, i + 1) for a, i in zip(stack.plane_axes, index, strict=True)}
        axes = stack.plane_axes + "YXS"[: plane.ndim]
        name = f"{result_name(layer.name, order.model, ahead.factor)} in the making"
        data = plane.reshape((1,) * len(stack.plane_axes) + plane.shape)
        part.show(place, layer, data, axes, region, ahead.factor, name, {}, framed=False)

    def _on_removed(self, event: Any) -> None:
        """Let go of a layer that a person has removed, or whose input was."""
        for order, part in list(self._grown):
            if event.value is part.layer or event.value is order.layer:
                self._grown.remove((order, part))
                part.remove()


def _is_shown(order: Order) -> bool:
    output = order.ahead.output
    planes = math.prod(n for a, n in zip(output.axes, output.shape, strict=True) if a not in "YXS")
    return order.path is not None and output.nbytes // max(planes, 1) <= LARGEST
