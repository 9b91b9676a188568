"""A panel beside its viewer: in a dock where there is a window, else on its own.

Each gets the viewer as napari gives it to plugins: behind a proxy.
"""

from napari.utils._proxies import PublicOnlyProxy

from napari_srgan._gui.compare.panel import Compare
from napari_srgan._gui.parts.widgets import open_panel
from napari_srgan._gui.super_resolve.panel import SuperResolve


def open_compare(viewer, qtbot):
    """Open Compare as its menu entry does."""
    panel = Compare(PublicOnlyProxy(viewer))
    if hasattr(viewer, "window"):
        viewer.window.add_dock_widget(panel, name="Compare (SRGAN upscale)")
    else:
        qtbot.addWidget(panel)
        panel.show()
    return panel


def open_super_resolve(viewer, qtbot):
    """Open Super-resolve as its menu entry does."""
    if hasattr(viewer, "window"):
        return open_panel(PublicOnlyProxy(viewer), SuperResolve)
    panel = SuperResolve(PublicOnlyProxy(viewer))
    qtbot.addWidget(panel)
    return panel
