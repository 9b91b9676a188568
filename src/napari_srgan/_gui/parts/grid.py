"""The grid: images side by side, as large as they fit, each under its name.

It is turned on and off without losing what was in view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.layers import layer_sizes, view_of
from napari_srgan._gui.tags import is_hidden
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

_LARGEST, _SMALLEST = 10.0, 6.0  # points; the first is napari's own size of names
_AUTO, _COLUMN = (-1, -1), (-1, 1)  # shapes of the grid
_LETTER = 0.9  # canvas pixels that a letter takes a point, on average (measured)


def side_by_side(viewer: napari.Viewer, layer: Image, made: Sequence[Image]) -> None:
    """Show the results beside their input in the grid, each under its name.

    Wide images stand one above the other, where they get larger so. Who saw (nearly) the whole
    image sees it whole afterwards; who had zoomed in stays there.
    """
    there = layer in viewer.layers
    whole = there and viewer.dims.ndisplay == 2 and _sees_most(layer, viewer)
    if not viewer.canvas.grid.enabled:
        turn_grid(viewer, True)
        _arrange(viewer, made[0])
        if whole:
            viewer.fit_to_view(layers=[layer], margin=0.04)
    # A name that was hidden in the record is not written across the picture.
    show_names(viewer, [*made, *([layer] if there and not is_hidden(made[0].name) else [])])


def turn_grid(viewer: napari.Viewer, on: bool) -> None:
    """Turn the grid on or off; what was in view stays in view, as large as it fits."""
    grid = viewer.canvas.grid
    if grid.enabled != on:
        _change(viewer, lambda: setattr(grid, "enabled", on))


def _arrange(viewer: napari.Viewer, layer: Image) -> None:
    """Put the cells of a grid that napari arranges below each other if images fit better so."""
    grid = viewer.canvas.grid
    former = tuple(grid.shape)
    if former not in (_AUTO, _COLUMN) or viewer.dims.ndisplay != 2:
        return  # the user's own
    extent = layer.extent.world
    size = (extent[1] - extent[0])[np.asarray(viewer.dims.displayed) - viewer.dims.ndim]
    fits = {}
    for shape in (_COLUMN, _AUTO):
        grid.shape = shape
        fits[shape] = float((_cell(viewer) / size).min())
    grid.shape = former
    best = _COLUMN if fits[_COLUMN] > 1.01 * fits[_AUTO] else _AUTO
    _change(viewer, lambda: setattr(grid, "shape", best))


def _change(viewer: napari.Viewer, change: Callable[[], None]) -> None:
    before = _cell(viewer)
    change()
    after = _cell(viewer)
    if before.min() > 0 and after.min() > 0:
        viewer.scene.camera.zoom *= float((after / before).min())


def _cell(viewer: napari.Viewer) -> np.ndarray:
    """Height and width of a cell of the grid, or of the canvas."""
    return np.asarray(viewer.canvas.viewbox_size(viewer.layers), dtype=float)


def show_names(viewer: napari.Viewer, layers: Iterable[Any]) -> None:
    """Write the names of layers on the canvas, so small that the longest fits its cell.

    A model's name stands at the end, and napari cuts what does not fit.
    """
    for layer in layers:
        layer.name_overlay.visible = True
    named = [layer for layer in viewer.layers if layer.name_overlay.visible]
    letters = max((len(layer.name) for layer in named), default=0)
    width = float(_cell(viewer)[1])
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
