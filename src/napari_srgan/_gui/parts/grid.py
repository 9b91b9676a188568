"""The grid: images side by side, as large as they fit, each under its name.

It is turned on and off without losing what was in view.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.layers import layer_sizes, view_of
from napari_srgan._gui.tags import is_hidden, role_of
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan._gui.parts.widgets import Connections

_LARGEST, _SMALLEST = 10.0, 6.0  # points; the first is napari's own size of names
_LETTER = 0.9  # canvas pixels that a letter takes a point, on average (measured)


def side_by_side(viewer: napari.Viewer, layer: Image, made: Sequence[Image]) -> None:
    """Show the results beside their input in the grid, each under its name.

    Who saw (nearly) the whole image sees it whole afterwards; who had zoomed in stays there.
    """
    there = layer in viewer.layers
    whole = there and viewer.dims.ndisplay == 2 and _sees_most(layer, viewer)
    if not viewer.canvas.grid.enabled:
        turn_grid(viewer, True)
        if whole:
            viewer.fit_to_view(layers=[layer], margin=0.04)
    # A name that was hidden in the record is not written across the picture.
    show_names(viewer, [*made, *([layer] if there and not is_hidden(made[0].name) else [])])


class BeyondSlices:
    """Hides results and maps of a few slices in the grid while the slider is beyond them.

    Their cells would be black. They come back with their slices, or with the end of the grid.

    Parameters
    ----------
    viewer : napari.Viewer
    connections : Connections
        Of the panel.
    """

    def __init__(self, viewer: napari.Viewer, connections: Connections) -> None:
        self._viewer = viewer
        self._hidden: list[Any] = []
        for emitter in (
            viewer.dims.events.current_step,
            viewer.layers.events.inserted,
            viewer.canvas.grid.events.enabled,
        ):
            connections.connect(emitter, self.follow)

    def follow(self, event: Any = None) -> None:
        """Hide what is beyond its slices now, and show again what no longer is."""
        grid = self._viewer.canvas.grid.enabled
        beyond = [la for la in self._viewer.layers if grid and self._is_beyond(la)]
        for layer in [la for la in self._hidden if la not in beyond]:
            layer.visible = True
            self._hidden.remove(layer)
        for layer in [la for la in beyond if la.visible]:
            layer.visible = False
            self._hidden.append(layer)

    def stop(self) -> None:
        """Show all that is hidden."""
        for layer in self._hidden:
            layer.visible = True
        self._hidden = []

    def _is_beyond(self, layer: Any) -> bool:
        from napari.layers import Image

        if not isinstance(layer, Image) or role_of(layer) in ("input", "view"):
            return False
        try:
            return view_of(layer, self._viewer.dims).outside
        except InputError:
            return False  # its axes are not known


def turn_grid(viewer: napari.Viewer, on: bool) -> None:
    """Turn the grid on or off; what was in view stays in view, as large as it fits."""
    canvas = viewer.canvas
    if canvas.grid.enabled == on:
        return
    before = np.asarray(canvas.viewbox_size(viewer.layers), dtype=float)
    canvas.grid.enabled = on
    after = np.asarray(canvas.viewbox_size(viewer.layers), dtype=float)
    if before.min() > 0 and after.min() > 0:
        viewer.scene.camera.zoom *= float((after / before).min())


def show_names(viewer: napari.Viewer, layers: Iterable[Any]) -> None:
    """Write the names of layers on the canvas, so small that the longest fits its cell.

    A model's name stands at the end, and napari cuts what does not fit.
    """
    for layer in layers:
        layer.name_overlay.visible = True
    named = [layer for layer in viewer.layers if layer.name_overlay.visible]
    letters = max((len(layer.name) for layer in named), default=0)
    width = float(np.asarray(viewer.canvas.viewbox_size(viewer.layers), dtype=float)[1])
    size = float(np.clip(width / (_LETTER * max(letters, 1)), _SMALLEST, _LARGEST))
    for layer in named:
        layer.name_overlay.font_size = size


def _sees_most(layer: Image, viewer: napari.Viewer) -> bool:
    """Whether one side of the image is in view from end to end, and half of the image at least."""
    try:
        view = view_of(layer, viewer.dims)
    except InputError:
        return False  # its axes are not known; it can be looked at all the same
    sizes = layer_sizes(layer)
    shares = [(hi - lo) / sizes[a] for a, (lo, hi) in (("Y", view.rows), ("X", view.cols))]
    return view.plain and max(shares) == 1 and min(shares) >= 0.5
