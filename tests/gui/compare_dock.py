"""Compare as a dock of a viewer, as its menu entry opens it."""

from napari_srgan._gui.compare.panel import Compare


def open_compare(viewer):
    """Dock a new panel and return it."""
    panel = Compare(viewer)
    viewer.window.add_dock_widget(panel, name="Compare (SRGAN upscale)")
    return panel
