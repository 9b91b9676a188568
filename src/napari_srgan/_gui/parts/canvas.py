"""What napari does not promise of its canvas, in this one file: its widget, and clipping layers.

napari has no clipping of images in 2D (clipping planes act on volumes). The graphics behind its
layers, vispy, have: a filter that discards what is drawn beyond a line on the screen. The ways to
it are the same in napari 0.9 and 0.10; where one of them is gone, a sentence says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari
    from qtpy.QtWidgets import QWidget

_NO_WINDOW = "The curtain needs napari's window; this viewer has none."
_CHANGED = (
    "The curtain does not work with napari {version}, whose canvas is built differently; look at "
    "the layers side by side instead, or install napari 0.9 or 0.10."
)


class Split:
    """Layers that are drawn on one side of an upright line that stands still on the screen.

    The layers, their data and their settings are not touched, and zoom, pan and slices go on as
    ever: only what is drawn beyond the line is left out.

    Parameters
    ----------
    viewer : napari.Viewer
        With a window.
    left, right : sequence of Image
        Layers to draw on either side, in the order of the viewer; all others are drawn whole.

    Attributes
    ----------
    widget : QWidget
        The canvas, for what is laid over it.
    at : float
        Where the line is, as a part of the canvas's width, from 0 (all `right`) to 1.

    Raises
    ------
    InputError
        If the viewer has no window, or napari's canvas is not as it was in 0.9 and 0.10.
    """

    def __init__(self, viewer: napari.Viewer, left: Sequence[Any], right: Sequence[Any]) -> None:
        from vispy.visuals.filters import Clipper

        if not hasattr(viewer, "window"):
            raise InputError(_NO_WINDOW)
        try:
            canvas = viewer.window._qt_viewer.canvas
            self._scene = canvas._scene_canvas
            self._visuals = canvas.layer_to_visual
            self.widget: QWidget = canvas.native
            for layer in (*left, *right):
                visual = self._visuals[layer]
                assert isinstance(visual.first_visible, bool)
                assert callable(visual._on_blending_change)
                _drawn(visual.node)
        except (AttributeError, AssertionError) as error:
            from napari import __version__

            raise InputError(_CHANGED.format(version=__version__)) from error
        self.at = 0.5
        self._sides = [(list(left), Clipper()), (list(right), Clipper())]
        self._clipped: dict[Any, Any] = {}
        self._lowest: list[Any] = []
        # Before each frame: napari makes new graphics for a layer whenever its data ask for it.
        self._scene.events.draw.connect(self._follow, position="first")
        self._scene.update()

    def move(self, at: float) -> None:
        """Put the line at a part of the canvas's width."""
        self.at = at
        self._scene.update()

    def join(self, layer: Any, other: Any) -> None:
        """Draw one more layer, on the side of another one."""
        for layers, _ in self._sides:
            if any(other is la for la in layers):
                layers.append(layer)
        self._scene.update()

    def end(self) -> None:
        """Draw all layers whole again."""
        self._scene.events.draw.disconnect(self._follow)
        for part, clipper in self._clipped.items():
            part.detach(clipper)
        for visual in self._lowest:
            visual.first_visible = False
            visual._on_blending_change()
        self._clipped, self._lowest = {}, []
        self._scene.update()

    def _follow(self, event: Any = None) -> None:
        width, height = self._scene.physical_size  # of a picture in the making, that picture's
        edge = round(self.at * width)
        wanted = {}
        for (layers, clipper), (first, last) in zip(
            self._sides, ((0, edge), (edge, width)), strict=True
        ):
            bounds = (first, -1, last - first, height + 2)
            if clipper.bounds != bounds:
                clipper.bounds = bounds
            visuals = [self._visuals[la] for la in layers if la in self._visuals]
            wanted |= {part: clipper for visual in visuals for part in _drawn(visual.node)}
            self._blend_from(visuals)
        for part in self._clipped.keys() - wanted.keys():
            part.detach(self._clipped.pop(part))
        for part in wanted.keys() - self._clipped.keys():
            part.attach(wanted[part])
            self._clipped[part] = wanted[part]

    def _blend_from(self, visuals: list[Any]) -> None:
        """Draw the lowest layer of a side as napari draws the lowest of all.

        It blends the lowest one as if on black, whatever the canvas's colour, and there are two
        lowest ones here: additive channels would else be white on a light canvas.
        """
        lowest = next((v for v in visuals if v.layer.visible), None)
        if lowest is not None and not lowest.first_visible:
            lowest.first_visible = True
            lowest._on_blending_change()
            if lowest not in self._lowest:
                self._lowest.append(lowest)


def _drawn(node: Any) -> list[Any]:
    """The visuals that draw a layer: its node, or the tiles that a large image is drawn in."""
    from vispy.visuals import CompoundVisual

    return list(node._subvisuals) if isinstance(node, CompoundVisual) else [node]
