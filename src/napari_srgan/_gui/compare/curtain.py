"""The curtain: two layers on one canvas, one on each side of a divider that can be dragged.

napari has no clipping of images in 2D (clipping planes act on volumes), and the graphics behind its
layers are not public. So the right side is a layer of its own, on top: the candidate without the
columns left of the divider, with the candidate's placement, colours and sliders. It is a view, read
slice by slice; nothing is copied, and the two layers are not touched. Its bounding box draws the
divider.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal

from napari_srgan._gui.layers import (
    add_layer,
    data_shape,
    finest_data,
    linear_matrix,
    link_looks,
    to_layer_units,
)
from napari_srgan._gui.parts.grid import show_names, turn_grid
from napari_srgan._gui.parts.widgets import Connections, timer
from napari_srgan._gui.tags import is_hidden, view_tag
from napari_srgan.errors import InputError
from napari_srgan.image.views import MovedArray, without_first

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

_GRIP = 10.0  # canvas pixels from the divider within which it is taken hold of
_LINE = "#ffd84d"


class Curtain(QObject):
    """A draggable divider between two image layers of one viewer.

    Signals
    -------
    moved(float)
        Where the divider is, as a part of the candidate's width, after it moved.
    closed()
        When the curtain is gone, whoever took it away.
    """

    moved = Signal(float)
    closed = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._connections = Connections()
        self._left: Any = None
        self._right: Any = None
        self.layer: Image | None = None
        self._axis = self._start = self._wanted = 0
        self._before: list[tuple[Any, bool, bool]] = []
        self._grid = False
        # Many mouse events come between two frames: the layer follows the last one.
        self._pending = timer(self, 15, self._apply)

    @property
    def is_open(self) -> bool:
        """Whether the curtain is drawn."""
        return self.layer is not None

    @property
    def position(self) -> float:
        """The divider, as a part of the candidate's width, from 0 (all candidate) to 1."""
        return self._start / max(self._length(), 1)

    def open(self, left: Image, right: Image) -> None:
        """Show `left` to the left of the middle of the canvas and `right` to the right.

        Other images are hidden, and the grid is turned off; both come back when it is closed.

        Raises
        ------
        InputError
            If both are one layer, the view is 3D, or the picture does not lie upright on it.
        """
        self.close()
        viewer = self._viewer
        if left is right:
            raise InputError("The curtain needs two different layers; tick another candidate.")
        if viewer.dims.ndisplay != 2:
            raise InputError("The curtain works in the 2D view; leave the 3D view first.")
        axis = viewer.dims.displayed[-1] - (viewer.dims.ndim - right.ndim)
        if axis < 0:
            raise InputError(f"{right.name} has no axis along the canvas's width to divide.")
        self._left, self._right, self._axis = left, right, axis
        self._start = self._wanted = self._length() // 2
        self._grid = viewer.canvas.grid.enabled
        turn_grid(viewer, False)
        self._before = [(la, la.visible, la.name_overlay.visible) for la in viewer.layers]
        for layer, *_ in self._before:
            layer.visible, layer.name_overlay.visible = layer is left, False
        self.layer = add_layer(viewer, self._part(), self._arguments())
        link_looks(viewer, [right, self.layer])
        box = self.layer.bounding_box
        box.points, box.line_thickness, box.line_color, box.visible = False, 2, _LINE, True
        if not (is_hidden(left.name) or is_hidden(right.name)):
            show_names(viewer, [self.layer])  # "curtain: left | right"
        viewer.mouse_drag_callbacks.append(self._on_drag)
        viewer.mouse_move_callbacks.append(self._on_move)
        self._connections.connect(viewer.layers.events.removed, self._on_removed)
        self._connections.connect(viewer.dims.events.ndisplay, self._on_view)
        self._connections.connect(viewer.dims.events.order, self._on_view)
        self._connections.connect(right.events.data, self._on_data)
        self.moved.emit(self.position)

    def close(self) -> None:
        """Take the curtain away and show the layers as they were."""
        made, self.layer = self.layer, None
        if made is None:
            return
        self._pending.stop()
        self._connections.disconnect_from()
        viewer = self._viewer
        for callbacks, own in (
            (viewer.mouse_drag_callbacks, self._on_drag),
            (viewer.mouse_move_callbacks, self._on_move),
        ):
            with suppress(ValueError):
                callbacks.remove(own)
        viewer.cursor.style = "standard"
        if made in viewer.layers:
            viewer.layers.remove(made)
        for layer, visible, named in self._before:
            if layer in viewer.layers:
                layer.visible, layer.name_overlay.visible = visible, named
        turn_grid(viewer, self._grid)
        self._left = self._right = None
        self._before = []
        self.closed.emit()

    def move_to(self, position: float) -> None:
        """Put the divider at a part of the candidate's width, from 0 to 1."""
        if self.is_open:
            length = self._length()
            # One column stays: napari has no layers without pixels.
            self._wanted = int(np.clip(round(position * length), 0, length - 1))
            self._pending.start()

    # --- the layer --------------------------------------------------------------------------

    def _part(self) -> MovedArray:
        return without_first(finest_data(self._right), self._axis, self._start)

    def _length(self) -> int:
        return 0 if self._right is None else data_shape(self._right)[self._axis]

    def _translate(self) -> np.ndarray:
        step = linear_matrix(self._right)[:, self._axis]
        return np.asarray(self._right.translate) + self._start * step

    def _arguments(self) -> dict[str, Any]:
        right = self._right
        arguments = {
            "name": f"curtain: {self._left.name} | {right.name}",
            "rgb": right.rgb,
            "scale": right.scale,
            "translate": self._translate(),
            "rotate": right.rotate,
            "shear": right.shear,
            "affine": right.affine.affine_matrix,
            "units": right.units,
            "axis_labels": right.axis_labels,
            "interpolation2d": right.interpolation2d,
            "metadata": view_tag(),
        }
        if not right.rgb:
            arguments |= {
                "colormap": right.colormap,
                "contrast_limits": tuple(right.contrast_limits),
                "gamma": right.gamma,
            }
        return arguments

    def _apply(self) -> None:
        if self.layer is None or self._wanted == self._start:
            return
        self._start = self._wanted
        self._refresh()
        self.moved.emit(self.position)

    def _refresh(self) -> None:
        # The place first: with the data first, the part would stand at its old place for a frame.
        self.layer.translate = self._translate()
        self.layer.data = self._part()

    # --- events -----------------------------------------------------------------------------

    def _along(self, world: Any) -> float:
        """Where a place on the canvas lies along the divided axis, in the candidate's pixels."""
        right = self._right
        point = to_layer_units(world, right, self._viewer.dims)
        return float(right.world_to_data(point)[self._axis])

    def _is_near(self, event: Any) -> bool:
        a_pixel = float(np.linalg.norm(linear_matrix(self._right)[:, self._axis]))
        distance = abs(self._along(event.position) - (self._start - 0.5)) * a_pixel
        return bool(distance * event.camera_zoom <= _GRIP)

    def _on_drag(self, viewer: Any, event: Any) -> Iterator[None]:
        if not self.is_open or event.button != 1 or not self._is_near(event):
            return
        event.handled = True  # or the camera would be dragged along
        yield
        while event.type == "mouse_move":
            if not self.is_open:
                return
            self.move_to((self._along(event.position) + 0.5) / self._length())
            event.handled = True
            yield

    def _on_move(self, viewer: Any, event: Any) -> None:
        if self.is_open:
            style = "pointing" if self._is_near(event) else "standard"
            if viewer.cursor.style != style:
                viewer.cursor.style = style

    def _on_removed(self, event: Any) -> None:
        if event.value in (self.layer, self._left, self._right):
            self.close()

    def _on_view(self, event: Any = None) -> None:
        self.close()

    def _on_data(self, event: Any = None) -> None:
        self._start = self._wanted = min(self._start, self._length() - 1)
        self._refresh()
