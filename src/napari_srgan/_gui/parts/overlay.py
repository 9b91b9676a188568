"""A map laid over the image that it is about: faded in by a slider, and gone without a trace.

Where the map says nothing, black, the image is seen as it is. In the grid the map has a cell of its
own and is not faded. Layers that would cover the image are hidden while the map lies on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QSlider

from napari_srgan._gui.parts.curtain import close_curtains
from napari_srgan._gui.parts.widgets import (
    Connections,
    Part,
    bring_into_view,
    button,
    column,
    row,
    timer,
)
from napari_srgan._gui.tags import overlay_tag

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

_OPACITY = 70  # %, at first


class Overlay(Part):
    """The slider of a map that lies over an image, and "Keep"; hidden while there is none.

    Parameters
    ----------
    viewer : napari.Viewer
    connections : Connections
        Of the panel.

    Signals
    -------
    closed()
        When the map is gone, whoever took it away, or stays as a layer of its own.
    """

    closed = Signal()

    def __init__(self, viewer: napari.Viewer, connections: Connections) -> None:
        super().__init__()
        self._viewer = viewer
        self.layer: Image | None = None
        self.target: Image | None = None
        self._opaque: Any = None
        self._before: list[tuple[Any, bool]] = []
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setValue(_OPACITY)
        self.slider.setAccessibleName("Opacity of the map")
        self.slider.setToolTip("Fade the map in over the image")
        self.keep = button("Keep", "Let the map stay, as a layer of its own")
        self._into_view = timer(self, 50, self._come_into_view)
        laid = row(QLabel("Fade in"), self.slider, self.keep, stretch=0)
        laid.setStretch(1, 1)
        column(self, laid)
        self.slider.valueChanged.connect(self._fade)
        self.keep.clicked.connect(self.let_stay)
        connections.connect(viewer.layers.events.removed, self._on_removed)
        connections.connect(viewer.canvas.grid.events.enabled, self.place)
        self.setVisible(False)

    def lay(self, layer: Image, target: Image) -> None:
        """Lay a layer over an image; the one that lay there before is removed.

        Parameters
        ----------
        layer : Image
            Added above the image, with `tags.overlay_tag`, and with colours that are black where
            nothing is to be seen.
        target : Image
            What it is about.
        """
        if target is not self.target:
            self.clear()
            if not target.visible:
                close_curtains(self._viewer)  # one that shows others
        former, self.layer, self.target = self.layer, layer, target
        if former is not None and former in self._viewer.layers:
            self._viewer.layers.remove(former)
        self._opaque = layer.colormap
        self.slider.setToolTip(f"Fade the map in over {target.name}")
        if self.isHidden():
            self.setVisible(True)
            self._into_view.start()  # once the sentence below has its room
        self.place()

    def clear(self) -> None:
        """Take the map away, and show the layers as they were."""
        layer = self._let_go()
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)

    def let_stay(self) -> None:
        """Leave the map in the viewer, as a layer like others."""
        layer = self._let_go()
        if layer is not None:
            layer.metadata.update(overlay_tag(None))
            layer.colormap, layer.opacity = self._opaque, 1.0

    def place(self, event: Any = None) -> None:
        """Fit the map to what is on the canvas now: the grid, or images above each other."""
        if self.layer is None:
            return
        grid = bool(self._viewer.canvas.grid.enabled)
        self.slider.setEnabled(not grid)
        self._restore()
        if not grid:
            self._make_way()
        self.layer.colormap = self._opaque if grid else see_through(self._opaque)
        self._fade()

    def _come_into_view(self) -> None:
        # A method, which Qt lets go with the widget: a lambda that it still called ended napari.
        bring_into_view(self)

    def _fade(self, _value: int = 0) -> None:
        if self.layer is not None:
            grid = self._viewer.canvas.grid.enabled
            self.layer.opacity = 1.0 if grid else self.slider.value() / 100

    def _make_way(self) -> None:
        """Show the image, and hide what lies on it."""
        from napari.layers import Image

        layers, target = self._viewer.layers, self.target
        above = list(layers)[layers.index(target) + 1 :]  # a slice of them is a list with events
        covering = [
            la for la in above if isinstance(la, Image) and la.visible and la is not self.layer
        ]
        self._before = [(la, la.visible) for la in (target, *covering)]
        target.visible = True
        for layer in covering:
            layer.visible = False

    def _restore(self) -> None:
        before, self._before = self._before, []
        for layer, visible in before:
            if layer in self._viewer.layers:
                layer.visible = visible

    def _let_go(self) -> Image | None:
        layer, self.layer = self.layer, None
        if layer is None:
            return None
        self.target = None
        self._restore()
        self.setVisible(False)
        self.closed.emit()
        return layer

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value in (self.layer, self.target):
            self.clear()


def see_through(colormap: Any) -> Any:
    """The same colours with black made transparent: over black nothing changes."""
    from napari.utils import Colormap

    colours = np.asarray(colormap.map(np.linspace(0, 1, 257)), dtype=float)
    alpha = colours[:, :3].max(axis=1, keepdims=True)
    colours = np.hstack([colours[:, :3] / np.maximum(alpha, 1e-6), alpha])
    return Colormap(colours, name="overlay")
