"""Make the pictures of docs/napari.md that show the curtain, a line profile and a figure.

    python docs/make_canvas_pictures.py [--out docs/images]

Opens napari, restores the sample volume with the model that is bundled now, and writes curtain.png,
profile.png and figure.png. Make them again whenever the weights or the panels change.
"""

from __future__ import annotations

import sys
from pathlib import Path

from make_screenshots import HIGH, LOW, open_panel, picture, run, settle, until

SIZE = (1100, 700)
FIGURE_WIDTH = 90.0  # mm at 300 dpi


def draw(folder: Path) -> None:
    """Drive the window and take the pictures."""
    import napari
    import numpy as np

    viewer = napari.Viewer(show=True)
    viewer.window.resize(*SIZE)
    settle()
    viewer.open_sample("napari-srgan", LOW)
    panel = open_panel(viewer, "Super-resolve")
    until(lambda: len(panel.advanced.options["device"].choices) > 1 and panel.run.isEnabled())
    settle()
    panel.run.click()
    until(lambda: not panel.runner.running)
    settle()
    picture(viewer, folder / "curtain.png")

    panel.curtain.close()
    viewer.open_sample("napari-srgan", HIGH)
    panel.report.reference.choose(viewer.layers[HIGH])
    write_figure(panel, folder / "figure.png")
    panel.parentWidget().close()
    profile = open_panel(viewer, "Line profile")
    profile.reference.choose(viewer.layers[HIGH])
    profile.draw.click()
    # Across a bright band, from what is dark above it to what is dark below.
    _, rows, columns = viewer.layers[HIGH].extent.world.T
    line = np.array([[0.505, 0.4], [0.58, 0.405]])
    ends = rows[0] + line[:, 0] * np.ptp(rows), columns[0] + line[:, 1] * np.ptp(columns)
    layer = profile.line_layer()
    layer.add_lines([[layer.world_to_data(point) for point in np.transpose(ends)]])
    profile.width.setValue(9)
    viewer.scene.camera.center = (0, float(np.mean(ends[0])), float(np.mean(ends[1])))
    until(lambda: not profile.busy)
    settle()
    picture(viewer, folder / "profile.png")
    viewer.close()


def write_figure(panel: object, path: Path) -> None:
    """Write the figure as the button does, but as narrow as a page of the docs needs it."""
    from napari_srgan._gui.super_resolve import figures
    from napari_srgan.options import FigureOptions

    figures.FigureOptions = lambda: FigureOptions(width=FIGURE_WIDTH)
    panel.figures.figure_to(path)
    until(lambda: not panel.runner.running)


if __name__ == "__main__":
    sys.exit(run(draw, __doc__))
