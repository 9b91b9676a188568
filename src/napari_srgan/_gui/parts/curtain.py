"""The curtain: before and after on one canvas, on either side of a line that can be dragged.

The line stands still on the screen while the picture is moved below it. Nothing is added to the
viewer and no layer is copied: what is drawn beyond the line is left out (`canvas.Split`), and the
line, its grip and the captions are Qt's, laid over the canvas.

The coarser side is drawn with napari's `catrom` interpolation, which is bicubic as
`image.resampling` means it (Keys, a = -1/2; napari's `cubic` is a smoothing spline, which would
flatter the result): blocks of nearest neighbours are no fair rival. N shows the pixels as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from qtpy.QtCore import QEvent, QObject, QPointF, QRectF, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QPushButton, QWidget

from napari_srgan._gui.layers import finest_data, layer_axes, to_layer_units, unit_ratio, view_of
from napari_srgan._gui.parts.canvas import Split
from napari_srgan._gui.parts.grid import turn_grid
from napari_srgan._gui.parts.widgets import Connections
from napari_srgan._gui.tags import lies_over
from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.detail import busiest

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

BICUBIC, NEAREST = "catrom", "nearest"
_STEP = 0.02  # of the canvas's width, by key
_HANDLE, _MARGIN = 22, 8  # canvas pixels
_MOST = 2048  # pixels a side of what is read and looked at; of a larger view it is the middle
_PADDING = 20  # of a caption, both sides together and a little
_LINE = QColor("#ffd84d")
_STYLE = (
    "QPushButton { background: rgba(20, 20, 20, 190); color: white; border: none;"
    " border-radius: 4px; padding: 3px 8px; }"
    "QPushButton:hover { background: rgba(70, 70, 70, 220); }"
    "QPushButton:pressed { background: rgba(110, 110, 110, 230); }"
)
_open: WeakSet[Curtain] = WeakSet()


class Curtain(QObject):
    """A line across the canvas, with layers before it and layers after it.

    Keys, while the canvas has the focus: Shift+Left and Shift+Right move the line, H held shows
    the other side everywhere, N shows the left side's pixels as they are, Esc closes.

    Parameters
    ----------
    viewer : napari.Viewer
    parent : QObject, optional

    Signals
    -------
    closed()
        When the curtain is gone, whoever took it away.
    """

    closed = Signal()

    def __init__(self, viewer: napari.Viewer, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._connections = Connections()
        self._split: Split | None = None
        self._grid = False
        self._before: list[tuple[Any, bool, bool]] = []
        self._smoothed: list[tuple[Any, str]] = []
        self._overlay: list[QWidget] = []
        self.left: tuple[Any, ...] = ()
        self.right: tuple[Any, ...] = ()
        self.position = 0.5
        self.held = ""

    @property
    def is_open(self) -> bool:
        """Whether the curtain is drawn."""
        return self._split is not None

    @property
    def smooth(self) -> bool:
        """Whether the coarser side is drawn by bicubic, and not pixel by pixel."""
        return any(layer.interpolation2d == BICUBIC for layer, _ in self._smoothed)

    def open(
        self,
        left: Sequence[Image],
        right: Sequence[Image],
        names: tuple[str, str] | None = None,
        closer: bool = False,
    ) -> None:
        """Show `left` to the left of the middle of the canvas and `right` to the right.

        Other images are hidden, and the grid is turned off; both come back when it is closed. A
        viewer has one curtain: another one of it is closed.

        Parameters
        ----------
        left, right : sequence of Image
            One layer each, or all channels of an image.
        names : (str, str), optional
            The captions; by default the name of the first layer of each side.
        closer : bool
            Go to the place with most detail of what is in view, where a pixel of `right` is one
            of the canvas.

        Raises
        ------
        InputError
            If both are one layer, the view is 3D, or the viewer has no canvas to draw on.
        """
        from napari.layers import Image

        viewer = self._viewer
        if any(a is b for a in left for b in right):
            raise InputError("The curtain needs two different layers; tick another candidate.")
        if viewer.dims.ndisplay != 2:
            raise InputError("The curtain works in the 2D view; leave the 3D view first.")
        close_curtains(viewer)

        def in_order(layers: Sequence[Any]) -> tuple[Any, ...]:
            return tuple(la for la in viewer.layers if any(la is given for given in layers))

        self.left, self.right = in_order(left), in_order(right)
        maps = [la for la in viewer.layers if self._side_under(la) is not None]
        self._split = Split(viewer, self.left, self.right)
        for layer in maps:
            self._split.join(layer, self._side_under(layer))
        _open.add(self)
        self._grid = viewer.canvas.grid.enabled
        turn_grid(viewer, False, self.left[0])
        shown = (*self.left, *self.right)
        self._before = [
            (la, la.visible, la.name_overlay.visible)
            for la in viewer.layers
            if isinstance(la, Image) and not any(la is given for given in maps)
        ]
        for layer, *_ in self._before:
            layer.visible = any(layer is la for la in shown)
            layer.name_overlay.visible = False
        coarse = [la for la in self.left if _pixel(la, viewer) > 1.5 * _pixel(right[0], viewer)]
        self._smoothed = [(la, str(la.interpolation2d)) for la in coarse]
        for layer in coarse:
            layer.interpolation2d = BICUBIC
        self._lay_over(names or (left[0].name, right[0].name))
        self._listen()
        self.move_to(0.5)
        if closer:
            show_detail(viewer, left[0], right[0])

    def close(self) -> None:
        """Take the curtain away and show the layers as they were."""
        split, self._split = self._split, None
        if split is None:
            return
        _open.discard(self)
        self._connections.disconnect_from()
        with suppress(RuntimeError):  # the window may have gone first, and its canvas with it
            split.widget.removeEventFilter(self)
            split.end()
            for widget in self._overlay:
                widget.setParent(None)
                widget.deleteLater()
        viewer = self._viewer
        for layer, wanted in self._smoothed:
            if layer.interpolation2d in (BICUBIC, NEAREST):  # else the user has chosen another
                layer.interpolation2d = wanted
        for layer, visible, named in self._before:
            if layer in viewer.layers:
                layer.visible, layer.name_overlay.visible = visible, named
        if self._grid:
            turn_grid(viewer, True, self.left[0])
        self.left = self.right = ()
        self._before, self._smoothed, self._overlay, self.held = [], [], [], ""
        self.closed.emit()

    def move_to(self, position: float) -> None:
        """Put the line at a part of the canvas's width, from 0 (all `right`) to 1."""
        if self._split is not None:
            self.position = float(np.clip(position, 0.0, 1.0))
            self._draw()

    def hold(self, side: str) -> None:
        """Show one side on the whole canvas, "left" or "right", until "" is given."""
        if self._split is not None:
            self.held = side
            self._draw()

    def flip(self) -> None:
        """Hold the side of which less is seen."""
        self.hold("left" if self.position < 0.75 else "right")

    def set_smooth(self, on: bool) -> None:
        """Draw the coarser side by bicubic, or pixel by pixel."""
        for layer, _ in self._smoothed:
            layer.interpolation2d = BICUBIC if on else NEAREST
        if self._overlay:
            self._place()

    # --- what lies over the canvas ------------------------------------------------------------

    def _lay_over(self, names: tuple[str, str]) -> None:
        canvas = self._split.widget
        self._names = names
        self.handle = _Handle(canvas, self)
        self.captions = [
            _Caption(canvas, self, "left", f"Hold to see all of {names[0]} (H)"),
            _Caption(canvas, self, "right", f"Hold to see all of {names[1]}"),
        ]
        self.pixels = _Button(canvas, "", "Pixels as they are, or bicubic (N)")
        self.pixels.clicked.connect(lambda: self.set_smooth(not self.smooth))
        self.shut = _Button(canvas, "×", "Close the curtain (Esc)")
        self.shut.setAccessibleName("Close the curtain")
        self.shut.clicked.connect(self.close)
        self._overlay = [self.handle, *self.captions, self.pixels, self.shut]
        for widget in self._overlay:
            widget.show()
        self.pixels.setVisible(bool(self._smoothed))
        canvas.installEventFilter(self)

    def _place(self) -> None:
        """Lay out captions and handle on the canvas as it is now."""
        canvas, (left, right) = self._split.widget, self.captions
        self.pixels.setText("bicubic" if self.smooth else "pixels")
        for widget in (self.pixels, self.shut):
            widget.adjustSize()
        used = self.shut.width() + 5 * _MARGIN
        used += self.pixels.width() if self._smoothed else 0
        room = canvas.width() - used
        wanted = [
            caption.width_of(name) for caption, name in zip(self.captions, self._names, strict=True)
        ]
        # Each may have what the other leaves, and half of it in any case.
        for caption, name, other in zip(self.captions, self._names, wanted[::-1], strict=True):
            caption.show_name(name, max(room // 2, room - other, 40))
        left.move(_MARGIN, _MARGIN)
        self.pixels.move(left.geometry().right() + 4, _MARGIN)
        self.shut.move(canvas.width() - self.shut.width() - _MARGIN, _MARGIN)
        right.move(self.shut.x() - right.width() - 4, _MARGIN)
        self.handle.setGeometry(
            round(self.position * canvas.width()) - _HANDLE // 2, 0, _HANDLE, canvas.height()
        )
        self.handle.setVisible(not self.held)

    def _draw(self) -> None:
        at = {"left": 1.0, "right": 0.0}.get(self.held, self.position)
        self._split.move(at)
        self._place()

    # --- events -------------------------------------------------------------------------------

    def _listen(self) -> None:
        viewer = self._viewer
        self._connections.connect(viewer.layers.events.inserted, self._on_inserted)
        self._connections.connect(viewer.layers.events.removed, self._on_removed)
        self._connections.connect(viewer.dims.events.ndisplay, self._on_view)
        self._connections.connect(viewer.canvas.grid.events.enabled, self._on_grid)

    def _side_under(self, layer: Any) -> Any:
        """The layer of a side that a map is laid over, if any."""
        return next((la for la in (*self.left, *self.right) if lies_over(layer, la)), None)

    def _on_inserted(self, event: Any) -> None:
        under = self._side_under(event.value)
        if under is not None:
            self._split.join(event.value, under)

    def _on_removed(self, event: Any) -> None:
        if any(event.value is la for la in (*self.left, *self.right)):
            self.close()

    def _on_view(self, event: Any = None) -> None:
        self.close()

    def _on_grid(self, event: Any = None) -> None:
        self._grid = self._viewer.canvas.grid.enabled
        self.close()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the size of the canvas and take the curtain's keys."""
        kind = event.type()
        if self._split is None:
            return False
        if kind == QEvent.Type.Resize:
            self._place()
        elif kind == QEvent.Type.FocusOut and self.held:
            self.hold("")  # the release of the key goes elsewhere
        elif kind in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease, QEvent.Type.ShortcutOverride):
            return self._take_key(event)
        return False

    def _take_key(self, event: Any) -> bool:
        shift = event.modifiers() == Qt.KeyboardModifier.ShiftModifier
        # Arrows bring KeypadModifier along on a Mac.
        plain = not event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        shift |= event.modifiers() == (
            Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
        )
        key, kind = event.key(), event.type()
        moves = {Qt.Key.Key_Left: -_STEP, Qt.Key.Key_Right: _STEP}
        known = (shift and key in moves) or (
            plain and key in (Qt.Key.Key_H, Qt.Key.Key_N, Qt.Key.Key_Escape)
        )
        if kind == QEvent.Type.KeyRelease and key == Qt.Key.Key_H:
            if not event.isAutoRepeat():
                self.hold("")
            return True
        if not known:
            return False
        event.accept()
        if kind != QEvent.Type.KeyPress:
            return True
        if key in moves:
            self.move_to(self.position + moves[key])
        elif key == Qt.Key.Key_Escape:
            self.close()
        elif not event.isAutoRepeat():
            if key == Qt.Key.Key_H:
                self.flip()
            else:
                self.set_smooth(not self.smooth)
        return True


def close_curtains(viewer: napari.Viewer) -> None:
    """Close the curtain of a viewer, whoever has opened it."""
    for curtain in [c for c in _open if c._viewer is viewer]:
        curtain.close()


class _Handle(QWidget):
    """The line with its grip; dragged along the canvas."""

    def __init__(self, canvas: QWidget, curtain: Curtain) -> None:
        super().__init__(canvas)
        self._curtain = curtain
        self.setCursor(Qt.CursorShape.SplitHCursor)
        self.setToolTip("Drag, or Shift+Left and Shift+Right; double-click: back to the middle")
        self.setAccessibleName("Divider of the curtain")

    def paintEvent(self, event: Any) -> None:
        """Draw the line, dark-edged so that it is seen on bright images, and a round grip."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        x, y = self.width() / 2, self.height() / 2
        for pen in (QPen(QColor(0, 0, 0, 120), 4), QPen(_LINE, 2)):
            painter.setPen(pen)
            painter.drawLine(QPointF(x, 0), QPointF(x, self.height()))
        painter.setPen(QPen(QColor(0, 0, 0, 160), 1))
        painter.setBrush(_LINE)
        radius = self.width() / 2 - 1
        painter.drawEllipse(QRectF(x - radius, y - radius, 2 * radius, 2 * radius))
        painter.setBrush(QColor(30, 30, 30))
        for sign in (-1, 1):
            tip = QPointF(x + sign * 0.72 * radius, y)
            base = x + sign * 0.22 * radius
            half = 0.4 * radius
            painter.drawPolygon(QPolygonF([tip, QPointF(base, y - half), QPointF(base, y + half)]))
        painter.end()

    def mousePressEvent(self, event: Any) -> None:
        """Take hold; other buttons are the canvas's."""
        if event.button() == Qt.MouseButton.LeftButton:
            self.parentWidget().setFocus()  # for the keys
        else:
            event.ignore()

    def mouseMoveEvent(self, event: Any) -> None:
        """Follow the mouse."""
        if event.buttons() & Qt.MouseButton.LeftButton:
            x = self.mapToParent(event.position().toPoint()).x()
            self._curtain.move_to(x / max(self.parentWidget().width(), 1))

    def mouseDoubleClickEvent(self, event: Any) -> None:
        """Go back to the middle."""
        self._curtain.move_to(0.5)


class _Button(QPushButton):
    """A button on the canvas; it leaves the focus where the keys are."""

    def __init__(self, canvas: QWidget, text: str, tip: str) -> None:
        super().__init__(text, canvas)
        self.setToolTip(tip)
        self.setStyleSheet(_STYLE)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)


class _Caption(_Button):
    """The name of a side; while it is held down, the canvas shows that side only."""

    def __init__(self, canvas: QWidget, curtain: Curtain, side: str, tip: str) -> None:
        super().__init__(canvas, "", tip)
        self.pressed.connect(lambda: curtain.hold(side))
        self.released.connect(lambda: curtain.hold(""))

    def width_of(self, name: str) -> int:
        """How wide the button is with the whole name."""
        return self.fontMetrics().horizontalAdvance(name) + _PADDING

    def show_name(self, name: str, room: int) -> None:
        """Show the name in at most so many pixels; its end, where models stand, is kept."""
        text = self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, room - _PADDING)
        self.setText(text.replace("&", "&&"))
        self.setAccessibleName(f"Hold to see all of {name}")
        self.adjustSize()


# --- the place to look at -------------------------------------------------------------------------


def show_detail(viewer: napari.Viewer, seen: Image, result: Image) -> None:
    """Go to where most detail is, at one pixel of the result a canvas pixel.

    A result that is smaller than the canvas is shown whole, by a whole number of canvas pixels
    a pixel.

    Parameters
    ----------
    viewer : napari.Viewer
        In the 2D view; a view of others than Y x X planes stays as it is.
    seen : Image
        The layer whose part in view counts; a result that has just come was not drawn yet.
    result : Image
        The layer to look at.
    """
    view = view_of(result, viewer.dims)
    if not view.plain or view.outside:
        return
    axes = layer_axes(result).replace("S", "")
    part = _part_in_view(viewer, seen, result)
    sides = {a: _step(result, viewer, axes.index(a)) for a in "YX"}
    lengths = {a: part[a][1] - part[a][0] for a in "YX"}
    canvas = dict(zip(view.shown, viewer.canvas.viewbox_size(viewer.layers), strict=True))
    fits = min(canvas[a] / (lengths[a] * sides[a]) for a in "YX") * min(sides.values())
    zoom = max(int(fits), 1) / min(sides.values())
    part = {a: _middle(*part[a]) for a in "YX"}
    key = tuple(slice(*part[a]) if a in part else view.index[a] for a in axes)
    pixels = np.asarray(finest_data(result)[key])
    if axes.index("Y") > axes.index("X"):
        pixels = np.swapaxes(pixels, 0, 1)
    seen_at_once = [max(round(canvas[a] / (zoom * sides[a])), 1) for a in "YX"]
    middle = busiest(as_channels(pixels, 1), (seen_at_once[0], seen_at_once[1]))
    at = dict(view.index)
    for a, m in zip("YX", middle, strict=True):
        across = zoom * sides[a]  # canvas pixels a pixel; on edges of both, sampling is exact
        odd = canvas[a] % 2 / 2
        at[a] = (round((part[a][0] + m + 0.5) * across - odd) + odd) / across - 0.5
    world = _world(result, viewer, [at[a] for a in axes])
    camera = viewer.scene.camera
    camera.zoom = zoom
    last = [float(world[d - viewer.dims.ndim]) for d in viewer.dims.displayed]
    camera.center = (*tuple(camera.center)[:-2], *last)


def _middle(first: int, last: int) -> tuple[int, int]:
    """The middle of a range, no longer than is looked at."""
    spare = max(last - first - _MOST, 0) // 2
    return first + spare, last - spare


def _part_in_view(viewer: napari.Viewer, seen: Image, result: Image) -> dict[str, tuple[int, int]]:
    """Rows and columns of the result that lie where the other layer is in view; all if none do."""
    axes = layer_axes(result).replace("S", "")
    view, own = view_of(seen, viewer.dims), layer_axes(seen).replace("S", "")
    corners = []
    for end in (0, 1):
        at = view.index | {"Y": view.rows[end] - 0.5, "X": view.cols[end] - 0.5}
        world = _world(seen, viewer, [at[a] for a in own])
        corners.append(result.world_to_data(to_layer_units(world, result, viewer.dims)))
    part = {}
    for a in "YX":
        size = finest_data(result).shape[axes.index(a)]
        ends = sorted(float(c[axes.index(a)]) + 0.5 for c in corners)
        first, last = (int(np.clip(round(e), 0, size)) for e in ends)
        part[a] = (first, last) if last - first >= 1 else (0, size)
    return part


def _world(layer: Any, viewer: Any, point: Sequence[float]) -> np.ndarray:
    """A point of a layer's data in the viewer's coordinates."""
    units = tuple(viewer.dims.units or ())[-layer.ndim :]
    world = np.asarray(layer.data_to_world(np.asarray(point, dtype=float)))
    if len(units) != layer.ndim:
        return world
    return world * [unit_ratio(own, u) for own, u in zip(layer.units, units, strict=True)]


def _step(layer: Any, viewer: Any, axis: int) -> float:
    """How far apart pixels lie along an axis, in the viewer's units."""
    here, there = np.zeros(layer.ndim), np.zeros(layer.ndim)
    there[axis] = 1
    return float(np.linalg.norm(_world(layer, viewer, there) - _world(layer, viewer, here)))


def _pixel(layer: Any, viewer: Any) -> float:
    """The side of a pixel on the canvas, in the viewer's units."""
    displayed = [d - viewer.dims.ndim for d in viewer.dims.displayed]
    sides = [_step(layer, viewer, layer.ndim + d) for d in displayed if layer.ndim + d >= 0]
    return min(sides, default=0.0)
