"""The demonstration in napari: input, result and truth side by side in the same coordinates."""

from __future__ import annotations

from pathlib import Path

import napari
import numpy as np

from napari_srgan.demo import Demo
from napari_srgan.errors import InputError

_GEOMETRY = (1500, 900)
_SETTLE = 30  # rounds of the event loop until the canvas has been laid out and drawn


def show(demo: Demo, screenshot: Path | None = None) -> None:
    """Open the window and wait until it is closed.

    Parameters
    ----------
    demo : Demo
        What `demo.run` made.
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
    fill(viewer, demo)
    viewer.window.resize(*_GEOMETRY)
    if screenshot is None:
        napari.run()
        return
    from qtpy.QtWidgets import QApplication

    for _ in range(_SETTLE):
        QApplication.processEvents()
    screenshot.parent.mkdir(parents=True, exist_ok=True)
    viewer.window.screenshot(str(screenshot), flash=False, canvas_only=False)
    viewer.close()
    if not screenshot.exists():
        raise InputError(f"The picture of the window could not be written to {screenshot}.")
    print(f"window:  {screenshot}")


def fill(viewer: napari.Viewer, demo: Demo) -> None:
    """Add the three stacks, show them in the grid and stand on the middle slice.

    Parameters
    ----------
    viewer : napari.Viewer
        An empty viewer.
    demo : Demo
        What `demo.run` made.
    """
    truth = demo.truth
    limits = [float(v) for v in np.percentile(np.asarray(truth.data[:]), (0.5, 99.8))]
    model = demo.result.metadata["napari_srgan"]["model"]
    shared = {"contrast_limits": limits, "axis_labels": tuple(demo.low.axes)}
    # Added in reverse, because the grid starts with the uppermost layer.
    viewer.add_image(
        np.asarray(truth.data[:]),
        name="truth",
        scale=truth.scale,
        translate=truth.translate,
        units=truth.units,
        **shared,
    )
    viewer.add_image(
        np.asarray(demo.result.data),
        name=f"result [{model} 4x]",
        scale=demo.result.scale,
        translate=demo.result.translate,
        units=demo.low.units,
        **shared,
    )
    viewer.add_image(
        np.asarray(demo.low.data[:]),
        name="input",
        scale=demo.low.scale,
        translate=demo.low.translate,
        units=demo.low.units,
        **shared,
    )
    viewer.layers.link_layers(list(viewer.layers), ["contrast_limits", "gamma"])
    viewer.canvas.grid.enabled = True
    viewer.canvas.grid.shape = (1, 3)
    viewer.dims.set_current_step(0, demo.low.shape[0] // 2)
    viewer.reset_view()
