"""What to restore: which slices, and the whole frame or a drawn rectangle.

The controls, and their values as the region that the engine takes: half-open ranges per axis.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QLabel, QSpinBox, QWidget
from superqt.utils import signals_blocked

from napari_srgan._gui.layers import View, drawn_in_pixels, layer_axes, layer_sizes, slice_axis
from napari_srgan._gui.parts.grid import turn_grid
from napari_srgan._gui.parts.widgets import (
    Connections,
    DropDown,
    Form,
    LayerPicker,
    Part,
    button,
    column,
    row,
    timer,
)
from napari_srgan._gui.runner import errors_said
from napari_srgan.errors import InputError
from napari_srgan.image.axes import MIN_SIDE

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Shapes

Slices = Literal["view", "range", "all"]
Range = tuple[int, int]
SEEN = "What I see"


class RegionPicker(Part):
    """Slices and area: the whole frame, what the canvas shows, or a drawn rectangle."""

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, connections: Connections) -> None:
        from napari.layers import Shapes

        super().__init__()
        self._viewer, self._connections = viewer, connections
        self._image: Image | None = None
        self._axis: str | None = None
        self._drawing: Shapes | None = None
        self._watched: list[object] = []
        self.slices = DropDown(
            ("Whole stack", "all"), ("Slice in view", "view"), ("Slice range", "range")
        )
        self.first, self.last = _spin(), _spin()
        self.first.setAccessibleName("First slice")
        self.last.setAccessibleName("Last slice")
        self._span = QWidget()
        self._axis_text = QLabel()
        ends = row(self._axis_text, self.first, QLabel("to"), self.last)
        ends.setStretch(0, 0)
        ends.setStretch(2, 0)
        column(self._span, ends)
        self.area = LayerPicker(viewer, Shapes, connections, none="Whole frame", also=SEEN)
        self.draw = button("Draw", "Draw the area as a rectangle on the image")
        self.draw.setAccessibleName("Draw the area")
        area, choice = QWidget(), row(self.area, self.draw)
        choice.setStretch(1, 0)
        area.setLayout(choice)
        fields = {"Restore": self.slices, "Slices": self._span, "Area": area}
        self._layout = Form(self, fields)
        self.slices.currentIndexChanged.connect(lambda _i: self._on_change())
        self.first.valueChanged.connect(lambda _v: self.changed.emit())
        self.last.valueChanged.connect(lambda _v: self.changed.emit())
        self.area.changed.connect(self._on_change)
        self.draw.clicked.connect(self.start_drawing)
        # napari ends a drawing after it has told of it.
        self._drawn = timer(self, 0, self._end_drawing)
        camera = viewer.scene.camera.events
        for emitter in (camera.zoom, camera.center):
            connections.connect(emitter, self._on_camera)
        self._on_change()

    def drawn(self) -> Shapes | None:
        """The layer with the drawn area, if that is the choice."""
        chosen = self.area.value()
        return None if isinstance(chosen, str) else chosen

    def start_drawing(self) -> None:
        """Let the area be drawn: a hollow rectangle that lies on the image, not beside it."""
        viewer, image = self._viewer, self._image
        with errors_said(self.say):
            if image is None:
                raise InputError("There is no image to draw on; open an image first.")
            if viewer.dims.ndisplay != 2:
                raise InputError("An area is drawn in the 2D view; leave the 3D view first.")
            turn_grid(viewer, False, image)
            if self._drawing not in viewer.layers:
                self._drawing = viewer.add_shapes(**frame_arguments(image))
            self._drawing.visible = True
            viewer.layers.selection.active = self._drawing
            self._drawing.mode = "add_rectangle"
            self.area.choose(self._drawing)

    def _end_drawing(self) -> None:
        if self._drawing in self._viewer.layers and len(self._drawing.data):
            self._drawing.mode = "pan_zoom"

    def show_layer(self, layer: Image | None) -> None:
        """Offer what this layer has: no slices for a single plane."""
        self._image = layer
        self.draw.setEnabled(layer is not None)
        sizes = {} if layer is None else _sizes(layer)
        axis = slice_axis(sizes)
        self._layout.setRowVisible(self.slices, axis is not None)
        if axis is not None:
            last = sizes[axis] - 1
            other = (self._axis, self.last.maximum()) != (axis, last)
            for spin in (self.first, self.last):
                with signals_blocked(spin):
                    spin.setRange(0, last)
            if other:
                self.first.setValue(0)
                self.last.setValue(last)
            self._axis_text.setText(axis)
        self._axis = axis
        self._on_change()

    def set_defaults(self) -> None:
        """Choose the whole stack."""
        self.slices.choose("all")
        self.area.setCurrentIndex(0)

    def region(self, layer: Image, view: View) -> dict[str, tuple[int, int]]:
        """Give the chosen part of a layer.

        Raises
        ------
        InputError
            If the range is empty, or the area too small.
        """
        sizes = _sizes(layer)
        area, chosen = None, self.area.value()
        if isinstance(chosen, str):
            area = seen_area(layer, view)
        elif chosen is not None:
            area = rectangle(chosen, layer)
        # A layer without slices has no row to choose them in: it is always whole.
        slices = self.slices.value() if slice_axis(sizes) else "all"
        return region_for(sizes, view, slices, (self.first.value(), self.last.value()), area)

    def _on_change(self) -> None:
        ranged = self._axis is not None and self.slices.value() == "range"
        self._layout.setRowVisible(self._span, ranged)
        self._watch(self.drawn())
        self.changed.emit()

    def _watch(self, shapes: object) -> None:
        """Follow the drawing in the chosen Shapes layer."""
        wanted = [] if shapes is None else [shapes.events.data, shapes.events.highlight]
        if [id(e) for e in wanted] == [id(e) for e in self._watched]:
            return
        if self._watched:
            self._connections.disconnect_from(*self._watched)
        for emitter in wanted:
            self._connections.connect(emitter, self._on_drawing)
        self._watched = wanted

    def _on_drawing(self, event: Any = None) -> None:
        if getattr(event, "action", None) == "added":
            self._drawn.start()
        self.changed.emit()

    def _on_camera(self, event: Any = None) -> None:
        if isinstance(self.area.value(), str):
            self.changed.emit()


def _spin() -> QSpinBox:
    spin = QSpinBox()
    spin.setMinimumWidth(60)
    spin.setAlignment(Qt.AlignmentFlag.AlignCenter)
    return spin


def _sizes(layer: Image) -> dict[str, int]:
    """Lengths of the layer's axes; empty for a layer whose axes have no names (too many)."""
    try:
        return layer_sizes(layer)
    except InputError:
        return {}


def region_for(
    sizes: dict[str, int],
    view: View,
    slices: Slices,
    span: Range | None = None,
    area: tuple[Range, Range] | None = None,
) -> dict[str, Range]:
    """Put the choices together.

    Parameters
    ----------
    sizes : dict of letter to int
        Lengths of the layer's axes.
    view : View
        What the viewer shows.
    slices : {"view", "range", "all"}
        Which planes: the one in view, a range along `slice_axis`, or all of them.
    span : (int, int), optional
        First and last slice of the range, both included, counted from 0 as napari's slider does.
    area : ((int, int), (int, int)), optional
        Rows and columns, half-open; the whole frame by default.

    Returns
    -------
    dict
        Half-open ranges; axes that are taken whole are left out.

    Raises
    ------
    InputError
        If the range of slices is empty or outside.
    """
    region: dict[str, Range] = {}
    axis = slice_axis(sizes)
    if slices == "view":
        region |= {a: (i, i + 1) for a, i in view.index.items()}
    elif slices == "range" and axis is not None:
        first, last = span or (0, sizes[axis] - 1)
        if not 0 <= first <= last < sizes[axis]:
            raise InputError(
                f"The slices {first} to {last} are no range along {axis}, which goes from 0 to "
                f"{sizes[axis] - 1}; set the first at or below the last."
            )
        region[axis] = (first, last + 1)
    if area is not None:
        region["Y"], region["X"] = area
    return region


def frame_arguments(image: Image) -> dict[str, Any]:
    """Arguments of the Shapes layer that an area of an image is drawn in.

    A frame of the image's planes holds at every slice; where these are not the last two axes, it
    has the axes of the image.
    """
    axes = layer_axes(image).replace("S", "")
    ndim = 2 if set(axes[-2:]) == {"Y", "X"} else image.ndim
    ends = np.asarray(image.extent.world, dtype=float)[:, -ndim:]
    return {
        "ndim": ndim,
        "name": f"area of {image.name}",
        "units": image.units[-ndim:],
        "axis_labels": image.axis_labels[-ndim:],
        "face_color": "transparent",
        "edge_color": "#ffd84d",
        "edge_width": 0.004 * float((ends[1] - ends[0]).max()),
    }


def seen_area(image: Image, view: View) -> tuple[Range, Range]:
    """Rows and columns of the image that the canvas shows.

    Raises
    ------
    InputError
        If it shows no Y x X planes, or less than 8 x 8 px of one.
    """
    if not view.plain:
        raise InputError("The canvas shows no Y x X planes; turn it back, or take the whole frame.")
    height, width = (stop - start for start, stop in (view.rows, view.cols))
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"The canvas shows {height} x {width} px (Y x X) of {image.name}, but at least "
            f"{MIN_SIDE} px are needed on each side; zoom out."
        )
    return view.rows, view.cols


def rectangle(shapes: Shapes, image: Image) -> tuple[Range, Range]:
    """Rows and columns of the image that a drawn rectangle covers.

    The selected shape counts, else the one drawn last; of anything but an upright rectangle its
    bounding box. Layers may differ in scale, position, rotation and (convertible) units.

    Raises
    ------
    InputError
        If nothing is drawn, or it covers less than 8 x 8 px of the image.
    """
    if not len(shapes.data):
        raise InputError(f"Nothing is drawn in {shapes.name}; draw a rectangle over the image.")
    chosen = max(shapes.selected_data, default=len(shapes.data) - 1)
    corners = np.asarray(shapes.data[chosen], dtype=float)
    inside = drawn_in_pixels(corners, shapes, image)
    axes, sizes = layer_axes(image), layer_sizes(image)
    found: dict[str, Range] = {}
    for letter in "YX":
        along, size = inside[:, axes.index(letter)], sizes[letter]
        # Pixels whose centre is covered; the margin is for rounding in the transforms.
        lo, hi = math.ceil(along.min() - 1e-6), math.floor(along.max() + 1e-6) + 1
        found[letter] = (max(lo, 0), min(hi, size))
    height, width = (hi - lo for lo, hi in (found["Y"], found["X"]))
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"The shape in {shapes.name} covers {max(height, 0)} x {max(width, 0)} px (Y x X) of "
            f"{image.name}, but at least {MIN_SIDE} px are needed on each side; draw it larger."
        )
    return found["Y"], found["X"]


def preview_area(view: View, most: int) -> tuple[Range, Range]:
    """The part of what is in view that a preview restores: all of it, or its middle.

    Parameters
    ----------
    view : View
        What the viewer shows.
    most : int
        Number of pixels that can be restored in the time at hand.
    """
    (y0, y1), (x0, x1) = view.rows, view.cols
    height, width = y1 - y0, x1 - x0
    shrink = min(1.0, math.sqrt(most / max(height * width, 1)))
    # Keep the proportions, save where that would fall below what a model can use.
    h = min(height, max(MIN_SIDE, round(height * shrink)))
    w = min(width, max(MIN_SIDE, round(width * shrink)))
    top, left = y0 + (height - h) // 2, x0 + (width - w) // 2
    return (top, top + h), (left, left + w)
