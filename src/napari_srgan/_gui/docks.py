"""What the menus of layers do, in the panels that they open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_srgan._gui.compare.panel import Compare
from napari_srgan._gui.parts.widgets import open_panel, viewer_itself
from napari_srgan._gui.profile import LineProfile
from napari_srgan._gui.super_resolve.panel import SuperResolve

if TYPE_CHECKING:
    import napari


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
