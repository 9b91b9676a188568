"""The grid: images side by side, as large as they fit, each under its name.

It is turned on and off without losing what was in view.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
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
_AUTO, _COLUMN = (-1, -1), (-1, 1)  # shapes of the grid
_MARGIN = 16.0  # canvas pixels that a name keeps from the sides of its cell
_BAR = 44.0  # canvas pixels of a colour bar with its figures
_LETTER = 0.9  # canvas pixels that a letter takes a point, on average (measured)


def turn_grid(viewer: napari.Viewer, on: bool, layer: Any = None) -> None:
    """Turn the grid on or off; what was in view of a layer stays in view."""
    with view_kept(viewer, layer):
        if on and layer in viewer.layers:
            arrange(viewer, layer)
        viewer.canvas.grid.enabled = on


def arrange(viewer: napari.Viewer, layer: Image) -> None:
    """Put the cells of a grid that napari arranges below each other if images fit better so."""
    grid = viewer.canvas.grid
    former = tuple(grid.shape)
    if former not in (_AUTO, _COLUMN) or viewer.dims.ndisplay != 2:
        return  # the user's own
    extent = layer.extent.world
    size = (extent[1] - extent[0])[np.asarray(viewer.dims.displayed) - viewer.dims.ndim]
    count = max(sum(bool(la.visible) for la in viewer.layers), 1)
    across = math.ceil(math.sqrt(count))
    cells = {_COLUMN: (count, 1), _AUTO: (math.ceil(count / across), across)}
    canvas = _cell(viewer) * (grid.actual_shape(viewer.layers) if grid.enabled else 1)
    fits = {shape: float((canvas / cells[shape] / size).min()) for shape in cells}
    best = _COLUMN if fits[_COLUMN] > 1.01 * fits[_AUTO] else _AUTO
    if best != former:  # napari keeps something of each change
        grid.shape = best


@contextmanager
def view_kept(viewer: napari.Viewer, layer: Any = None) -> Iterator[None]:
    """Keep in view what is in view while cells of the grid come and go.

    Who sees (nearly) the whole of the layer sees it whole afterwards; else the middle stays where
    it is, and the zoom follows the cells, so that the way back leads to where it began.
    """
    cells, cell = _cells(viewer), _cell(viewer)
    whole = layer in viewer.layers and viewer.dims.ndisplay == 2 and _sees_most(layer, viewer)
    yield
    ratio = _cell(viewer) / np.maximum(cell, 1)
    if not np.allclose(ratio, 1):
        if whole and layer in viewer.layers:
            viewer.fit_to_view(layers=[layer], margin=0.04)
        else:
            viewer.scene.camera.zoom *= float(ratio.max() if ratio.prod() > 1 else ratio.min())
    if _cells(viewer) != cells:
        lay_out_cells(viewer)


def lay_out_cells(viewer: napari.Viewer) -> None:
    """Let napari lay out new cells of the grid unseen.

    It draws a first picture with cells of 10 x 10 px, tens of times too near, and the right one
    only then.
    """
    if viewer.canvas.grid.enabled and hasattr(viewer, "window"):
        for _ in range(2):
            viewer.screenshot(canvas_only=True, flash=False)


def _cell(viewer: napari.Viewer) -> np.ndarray:
    """Height and width of a cell of the grid, or of the canvas, in its pixels."""
    return np.asarray(viewer.canvas.viewbox_size(viewer.layers), dtype=float)


def _cells(viewer: napari.Viewer) -> list[Any]:
    """What stands in each cell, and how the cells stand."""
    shape = tuple(viewer.canvas.grid.shape)
    return (
        []
        if not viewer.canvas.grid.enabled
        else [shape, *(la for la in viewer.layers if la.visible)]
    )


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
        back = [la for la in self._hidden if la not in beyond]
        gone = [la for la in beyond if la.visible]
        for layer in back:
            layer.visible = True
            self._hidden.remove(layer)
        for layer in gone:
            layer.visible = False
            self._hidden.append(layer)
        if back or gone:
            lay_out_cells(self._viewer)

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


def name_cells(viewer: napari.Viewer, layer: Image, made: Sequence[Image]) -> None:
    """Write the names of a layer and of what was made of it on the canvas."""
    # A name that was hidden in the record is not written across the picture.
    there = layer in viewer.layers and not is_hidden(made[0].name)
    show_names(viewer, [*made, *([layer] if there else [])])


def show_map(viewer: napari.Viewer, layer: Image) -> None:
    """Give a map its title and a colour bar, without which its colours say nothing."""
    layer.name_overlay.position = "bottom_left"  # of the bar: it is its title
    bar = layer.colorbar
    bar.size = (10, float(np.clip(0.3 * _cell(viewer)[0], 40, 150)))
    bar.font_size = 8
    bar.position = "bottom_right"
    bar.visible = True
    show_names(viewer, [layer])


def show_names(viewer: napari.Viewer, layers: Iterable[Any]) -> None:
    """Write the names of layers on the canvas, so small that the longest fits its cell.

    A model's name stands at the end, and napari cuts what does not fit.
    """
    for layer in layers:
        layer.name_overlay.visible = True
    named = [layer for layer in viewer.layers if layer.name_overlay.visible]
    width = float(_cell(viewer)[1]) - _MARGIN
    fits = [
        (width - _BAR * layer.colorbar.visible) / (_LETTER * max(len(layer.name), 1))
        for layer in named
    ]
    size = float(np.clip(min(fits, default=_LARGEST), _SMALLEST, _LARGEST))
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
