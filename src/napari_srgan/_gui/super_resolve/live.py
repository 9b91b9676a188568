"""Live: what the canvas shows is restored as one pans, zooms and moves through the slices.

A layer of its own holds the part that is restored; around it the input is seen. It is the middle of
the view at first, then as much of the view as is done within a moment. At most one part is on its
way, that of the view as it is now. When Live ends, nothing of it is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QPushButton

from napari_srgan._gui.layers import (
    add_result,
    finest_data,
    in_layer_order,
    layer_arguments,
    layer_axes,
    result_name,
    view_of,
)
from napari_srgan._gui.parts.grid import turn_grid
from napari_srgan._gui.parts.widgets import Connections, Part, column, timer
from napari_srgan._gui.runner import End, LastQuestion
from napari_srgan._gui.super_resolve.region_picker import preview_area, region_for
from napari_srgan._gui.tags import role_tag
from napari_srgan.errors import InputError
from napari_srgan.tasks.look import look
from napari_srgan.tasks.restore import Restored

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.engine.plan import Preflight

_BURST = 30  # ms; a drag of the mouse brings an event every few
_FIRST_SECONDS, _WHOLE_SECONDS = 0.15, 1.0
_FIRST_SIDE = 64  # LR px, of the first part while the speed is not known
_NAME = "live"

Asked = tuple["Image", "Preflight"]


class Live(Part):
    """The button Live.

    Parameters
    ----------
    viewer : napari.Viewer
    asked : callable
        Gives the layer and what was asked for of it; raises InputError where that is not possible.
    """

    def __init__(self, viewer: napari.Viewer, asked: Callable[[], Asked]) -> None:
        super().__init__()
        self._viewer, self._asked_for = viewer, asked
        self._layer: Image | None = None
        self._input: Image | None = None
        self._followed: Any = None
        self._grid = False
        self._speed: dict[str, float] = {}
        self._connections = Connections()
        self._soon = timer(self, _BURST, self.follow)
        self._question = LastQuestion(self)
        self._question.found.connect(self._on_found)
        self.button = QPushButton("Live")
        self.button.setCheckable(True)
        self.button.setToolTip(
            "Restore what the canvas shows while you pan, zoom and move through the slices"
        )
        self.button.toggled.connect(self._on_toggled)
        column(self, self.button)

    @property
    def on(self) -> bool:
        """Whether the view is followed."""
        return self.button.isChecked()

    @property
    def layer(self) -> Image | None:
        """The layer with the restored part, once there is one."""
        return self._layer

    @property
    def busy(self) -> bool:
        """Whether a part is on its way."""
        return self._soon.isActive() or self._question.busy

    def stop(self) -> None:
        """End it, and leave nothing of it."""
        self.button.setChecked(False)

    def follow_soon(self, event: Any = None) -> None:
        """Follow the view after a burst of events; harmless while Live is off."""
        if self.on:
            self._soon.start()

    def follow(self) -> None:
        """Restore what the canvas shows now."""
        try:
            layer, ahead = self._asked_for()
            view = view_of(layer, self._viewer.dims)
            if not view.plain:
                raise InputError("Live follows planes of Y and X only; turn off the 3D view.")
        except InputError as error:
            self.say(str(error), error=True)
            self.stop()
            return
        if layer is not self._input:
            self._take_up(layer)
        # napari tells of its sliders also when the extent of the layers changes, as by a new part.
        asked = layer, id(finest_data(layer)), view, ahead.options, ahead.model.path
        followed, self._followed = self._followed, asked
        if asked == followed:
            return
        if view.outside:
            self._question.forget()
            self._show(False)
            return
        model, sizes = ahead.model.card.name, ahead.stack.sizes
        areas = dict.fromkeys(
            preview_area(view, _pixels(self._speed.get(model), seconds))
            for seconds in (_FIRST_SECONDS, _WHOLE_SECONDS)
        )
        regions = [region_for(sizes, view, "view", area=area) for area in areas]
        self._question.ask(partial(look, ahead.stack, ahead.options, regions))

    def _on_toggled(self, on: bool) -> None:
        viewer = self._viewer
        if not on:
            self._soon.stop()
            self._question.forget()
            self._connections.disconnect_from()
            self._remove()
            self._input = self._followed = None
            if self._grid:
                turn_grid(viewer, True)
            return
        self.say()
        # In the grid the part would have a cell of its own, beside what it belongs on.
        self._grid = bool(viewer.canvas.grid.enabled)
        turn_grid(viewer, False)
        camera, dims, layers = viewer.scene.camera.events, viewer.dims.events, viewer.layers.events
        for emitter in (camera.center, camera.zoom, dims.current_step, dims.order, dims.ndisplay):
            self._connections.connect(emitter, self.follow_soon)
        self._connections.connect(layers.removed, self._on_removed)
        self.follow()

    def _take_up(self, layer: Image) -> None:
        """Show parts of another image from now on."""
        self._remove()
        if self._input is not None:
            self._connections.disconnect_from(self._input.events.data)
        self._connections.connect(layer.events.data, self.follow_soon)
        self._input = layer

    def _on_removed(self, event: Any) -> None:
        if event.value is self._layer or event.value is self._input:
            self.stop()

    def _on_found(self, found: Any) -> None:
        if isinstance(found, End):
            self.say(found.error, error=True)
            self.stop()
        elif isinstance(found, Restored) and self.on and self._input in self._viewer.layers:
            self._take(found)

    def _take(self, found: Restored) -> None:
        """Show a part that is there."""
        layer, plan, result = self._input, found.plan, found.result
        self._speed[found.record.model] = plan.pixels / max(found.seconds, 1e-3)
        data = in_layer_order(result.data, result.axes, layer_axes(layer))
        name = result_name(found.record.input, f"{_NAME} {found.record.model}", plan.scale)
        arguments = layer_arguments(
            layer, plan.region, plan.scale, name, result.metadata, rgb="S" in result.axes
        )
        arguments["metadata"] |= role_tag("view")
        if self._layer is None:
            selected = self._viewer.layers.selection.active
            self._layer = add_result(self._viewer, layer, data, arguments)
            self._viewer.layers.selection.active = selected
            frame = self._layer.bounding_box
            frame.points, frame.line_color, frame.visible = False, "white", True
            return
        self._layer.data = data
        for changed in ("translate", "metadata"):
            setattr(self._layer, changed, arguments[changed])
        self._show(True)

    def _show(self, on: bool) -> None:
        if self._layer is not None:
            self._layer.visible = on

    def _remove(self) -> None:
        layer, self._layer = self._layer, None
        if layer is not None:
            with suppress(ValueError):  # the viewer is being emptied
                self._viewer.layers.remove(layer)


def _pixels(speed: float | None, seconds: float) -> int:
    """How many pixels are done in so much time; the halo takes about its share of a small part."""
    if speed is None:
        return _FIRST_SIDE**2
    return max(int(math.sqrt(speed * seconds)), _FIRST_SIDE) ** 2
