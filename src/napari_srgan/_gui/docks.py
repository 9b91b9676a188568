"""The panels as docks, opened once in a window from whichever menu."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from napari_srgan._gui.batch.panel import Batch
from napari_srgan._gui.compare.panel import Compare
from napari_srgan._gui.parts.widgets import Panel, viewer_itself
from napari_srgan._gui.profile import LineProfile
from napari_srgan._gui.super_resolve.panel import SuperResolve

if TYPE_CHECKING:
    import napari

_TITLES: dict[type[Panel], str] = {
    SuperResolve: "Super-resolve",
    Compare: "Compare",
    LineProfile: "Line profile",
    Batch: "Batch",
}

P = TypeVar("P", bound=Panel)


def dock_name(panel: type[Panel]) -> str:
    """Name that napari gives the dock when it is opened from the Plugins menu: so there is one."""
    return f"{_TITLES[panel]} (SRGAN upscale)"


def open_panel(viewer: napari.Viewer, kind: type[P]) -> P:
    """Return the panel of that kind of this window, opened and in front."""
    window, name = viewer.window, dock_name(kind)
    panel = window.dock_widgets.get(name)
    if panel is None:
        panel = kind(viewer)
        window.add_dock_widget(panel, name=name)
    dock = panel.parentWidget()
    dock.show()
    dock.raise_()
    return panel


def compare_layers(viewer: napari.Viewer) -> None:
    """Layers > Measure > Compare with a reference."""
    open_panel(viewer_itself(viewer), Compare)


def measure_profile(viewer: napari.Viewer) -> None:
    """Layers > Measure > Profile along a line."""
    open_panel(viewer_itself(viewer), LineProfile)


def show_trust(viewer: napari.Viewer) -> None:
    """Layers > Visualize > Trust maps of a result: their buttons, for the selected result."""
    viewer = viewer_itself(viewer)
    panel, active = open_panel(viewer, SuperResolve), viewer.layers.selection.active
    if not panel.result.choose(active) and panel.result.value() is None:
        panel.say("Trust maps are about a result; super-resolve an image first.", error=True)


def super_resolve_active_layer(viewer: napari.Viewer) -> None:
    """Layers > Filter > Super-resolve 4x: the active image, whole, with the default settings."""
    from napari.layers import Image
    from napari.utils.notifications import show_error

    viewer = viewer_itself(viewer)
    active = viewer.layers.selection.active
    if not isinstance(active, Image):
        show_error("Select an image layer first; super-resolution works on image layers.")
        return
    open_panel(viewer, SuperResolve).restore_whole(active)
