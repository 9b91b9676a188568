"""A window of its own with images side by side in the same coordinates, for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import napari
from PIL import Image

from napari_srgan._gui.files import LayerData
from napari_srgan._gui.layers import link_looks
from napari_srgan._gui.parts.grid import show_names
from napari_srgan.errors import InputError
from napari_srgan.io.atomic import whole_file

if TYPE_CHECKING:
    from napari.layers import Image as ImageLayer

_GEOMETRY = (1500, 900)
_ROUNDS = 30  # of the event loop, until the canvas has been laid out and drawn


def show(images: Sequence[LayerData], title: str, screenshot: Path | None = None) -> None:
    """Open the window and wait until it is closed.

    Parameters
    ----------
    images : sequence of layer data
        As `files.layers_of` gives them.
    title : str
        Of the window.
    screenshot : Path, optional
        Write a picture of the window there and close it instead of waiting.

    Raises
    ------
    InputError
        If the window cannot be opened, or the picture cannot be written there.
    """
    try:
        viewer = napari.Viewer(title=title)
    except RuntimeError as error:  # Qt without a screen, or without OpenGL
        raise InputError(f"napari could not open a window: {error}.") from error
    viewer.window.resize(*_GEOMETRY)
    fill(viewer, images)
    _settle()
    show_names(viewer, viewer.layers)  # only now is it known how large a cell of the grid is
    viewer.reset_view(margin=0.02)
    if screenshot is None:
        napari.run()
        return
    _settle()
    screenshot.parent.mkdir(parents=True, exist_ok=True)
    pixels = viewer.window.screenshot(flash=False, canvas_only=False)
    viewer.close()
    with whole_file(screenshot) as partial:
        Image.fromarray(pixels).save(partial, "PNG")


def fill(viewer: napari.Viewer, images: Sequence[LayerData]) -> None:
    """Add the images, linked where their looks can be compared, and stand on the middle slice.

    Two or more stand side by side in the grid; wide ones one above the other.

    Parameters
    ----------
    viewer : napari.Viewer
        An empty viewer.
    images : sequence of layer data
        The first one's contrast is that of all gray ones of its dtype.
    """
    layers: list[ImageLayer] = []
    for pixels, about, _kind in images:
        layers.append(viewer.add_image(pixels, **about))
    link_looks(viewer, layers)
    if len(layers) > 1:
        height, width = layers[0].extent.world[1][-2:] - layers[0].extent.world[0][-2:]
        if width > 2 * height:
            viewer.canvas.grid.shape = (len(layers), 1)
        elif len(layers) <= 3:
            viewer.canvas.grid.shape = (1, len(layers))
        viewer.canvas.grid.enabled = True
    for axis, steps in enumerate(viewer.dims.nsteps[:-2]):
        viewer.dims.set_current_step(axis, steps // 2)


def _settle() -> None:
    """Let Qt lay out and draw what has been asked for."""
    from qtpy.QtWidgets import QApplication

    for _ in range(_ROUNDS):
        QApplication.processEvents()
