"""The demonstration in napari: input, result and truth side by side in the same coordinates."""

from __future__ import annotations

from pathlib import Path

import napari
import numpy as np
from PIL import Image

from napari_srgan.errors import InputError
from napari_srgan.io.atomic import whole_file
from napari_srgan.tasks.demo import Demo

_GEOMETRY = (1500, 900)
_ROUNDS = 30  # of the event loop, until the canvas has been laid out and drawn


def show(demo: Demo, screenshot: Path | None = None) -> None:
    """Open the window and wait until it is closed.

    Parameters
    ----------
    demo : Demo
        What `tasks.demo.run_demo` made.
    screenshot : Path, optional
        Write a picture of the window there and close it instead of waiting.

    Raises
    ------
    InputError
        If the picture cannot be written there.
    """
    try:
        viewer = napari.Viewer(title="napari-srgan demo")
    except RuntimeError as error:  # Qt without a screen, or without OpenGL
        raise InputError(f"napari could not open a window: {error}") from error
    viewer.window.resize(*_GEOMETRY)
    fill(viewer, demo)
    _settle()
    viewer.reset_view(margin=0.02)  # only now is it known how large a cell of the grid is
    if screenshot is None:
        napari.run()
        return
    _settle()
    screenshot.parent.mkdir(parents=True, exist_ok=True)
    pixels = viewer.window.screenshot(flash=False, canvas_only=False)
    viewer.close()
    with whole_file(screenshot) as partial:
        Image.fromarray(pixels).save(partial, "PNG")
    print(f"window:  {screenshot}")


def fill(viewer: napari.Viewer, demo: Demo) -> None:
    """Add the three stacks, show them in the grid and stand on the middle slice.

    Parameters
    ----------
    viewer : napari.Viewer
        An empty viewer.
    demo : Demo
        What `tasks.demo.run_demo` made.
    """
    low, truth, result = demo.low, demo.truth, demo.result
    high = np.asarray(truth.data[:])
    limits = [float(v) for v in np.percentile(high, (0.5, 99.8))]
    for pixels, name, at in (
        (np.asarray(low.data[:]), "input", low),
        (np.asarray(result.data), f"result [{demo.model} 4x]", result),
        (high, "truth", truth),
    ):
        layer = viewer.add_image(
            pixels,
            name=name,
            scale=at.scale,
            translate=at.translate,
            units=low.units,
            axis_labels=tuple(low.axes),
            contrast_limits=limits,
        )
        layer.name_overlay.visible = True
    viewer.layers.link_layers(list(viewer.layers), ["contrast_limits", "gamma"])
    viewer.canvas.grid.shape = (1, 3)
    viewer.canvas.grid.enabled = True
    viewer.dims.set_current_step(0, low.shape[0] // 2)


def _settle() -> None:
    """Let Qt lay out and draw what has been asked for."""
    from qtpy.QtWidgets import QApplication

    for _ in range(_ROUNDS):
        QApplication.processEvents()
