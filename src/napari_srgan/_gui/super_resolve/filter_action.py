"""Layers > Filter > Super-resolve 4x: the panel's job on the active layer, with its defaults.

What belongs here: opening the panel from elsewhere. The work is the panel's.
"""

from __future__ import annotations

import napari
from napari.layers import Image
from napari.utils.notifications import show_error

from napari_srgan._gui.super_resolve.super_resolve import SuperResolve

DOCK = "Super-resolve (SRGAN upscale)"
"""Name that napari gives the dock when it is opened from the Plugins menu: one dock, not two."""


def open_panel(viewer: napari.Viewer) -> SuperResolve:
    """Return the panel Super-resolve of this window, opened and in front."""
    window = viewer.window
    panel = window.dock_widgets.get(DOCK)
    if panel is None:
        panel = SuperResolve(viewer)
        window.add_dock_widget(panel, name=DOCK)
    dock = panel.parentWidget()
    dock.show()
    dock.raise_()
    return panel


def super_resolve_active_layer(viewer: napari.Viewer) -> None:
    """Super-resolve the active image layer, whole, with the default settings."""
    active = viewer.layers.selection.active
    if not isinstance(active, Image):
        show_error("Select an image layer first; super-resolution works on image layers.")
        return
    panel = open_panel(viewer)
    if panel.runner.running:
        panel.say("One job is running already; wait for it or cancel it.", error=True)
        return
    panel.set_defaults()
    panel.choose_layer(active)
    panel.start()
