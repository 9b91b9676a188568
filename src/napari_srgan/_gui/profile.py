"""The dock widget Line profile: a drawn line, and what input, bicubic, result and reference show.

The line is drawn on whichever image; each is sampled where the line crosses it in the viewer's
coordinates, so that layers of other pixel sizes and places line up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractItemView, QHeaderView, QSpinBox, QTableWidget
from qtpy.QtWidgets import QTableWidgetItem as Item

from napari_srgan._gui.compare.plot import Curve, CurvePlot
from napari_srgan._gui.layers import (
    drawn_in_pixels,
    layer_axes,
    layer_stack,
    linear_matrix,
    view_of,
)
from napari_srgan._gui.parts.grid import turn_grid
from napari_srgan._gui.parts.widgets import (
    Form,
    LayerPicker,
    Message,
    Panel,
    asked_path,
    button,
    row,
)
from napari_srgan._gui.runner import End, LastQuestion, errors_said
from napari_srgan._gui.tags import input_of, is_candidate, is_restored
from napari_srgan.errors import InputError
from napari_srgan.io.tables import csv_file
from napari_srgan.tasks.profile import LineProfiles, OnLine, measure_line

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Shapes

LAYER = "line profile"
HINT = "Draw a line across a structure: press Draw a line, then drag on the canvas."
ROLES = ("input", "bicubic", "result", "reference")


class LineProfile(Panel):
    """Profiles along a drawn line.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; napari passes it by this name.
    """

    title = "Line profile"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        from napari.layers import Image

        super().__init__(napari_viewer)

        def picker(tip: str) -> LayerPicker:
            made = LayerPicker(
                self.viewer, Image, self._connections, none="none", fits=is_candidate
            )
            made.setAccessibleName(tip)
            return made

        self.low, self.result = picker("LR input"), picker("Result")
        self.reference = picker("Reference")
        self.width = QSpinBox()
        self.width.setRange(1, 99)
        self.width.setSuffix(" px")
        self.width.setToolTip("Average over lines side by side, in pixels of the finest image")
        self.draw = button("Draw a line", "Draw on the canvas; the line drawn last is measured")
        self.plot = CurvePlot()
        self.table = WidthTable()
        self.save = button("Save CSV", "Save all samples, with the widths")
        self.message = Message(HINT)
        self.found: LineProfiles | None = None
        self._question = LastQuestion(self)
        self._watched: list[Any] = []
        self._new: Any = None
        self.fill(
            Form(
                fields={
                    "Input": self.low,
                    "Result": self.result,
                    "Reference": self.reference,
                    "Average": self.width,
                }
            ),
            row(self.draw, self.save),
            self.message,
            self.plot,
            self.table,
        )
        self._connect()
        self.refresh()

    @property
    def busy(self) -> bool:
        """Whether the profiles shown are not yet those of the line."""
        return self._question.busy or self._pending.isActive()

    def line_layer(self) -> Shapes | None:
        """The layer whose line is measured: the selected Shapes layer, else the plugin's own."""
        from napari.layers import Shapes

        active = self.viewer.layers.selection.active
        if isinstance(active, Shapes):
            return active
        return next((la for la in self.viewer.layers if la.name == LAYER), None)

    def start_drawing(self) -> None:
        """Let the user draw a line on the canvas."""
        image = self._first_image()
        if image is None:
            self.message.say("Open an image first: File > Open, or File > Open Sample.", error=True)
            return
        viewer = self.viewer
        turn_grid(viewer, False)  # a drawing has a cell of its own there
        if LAYER not in viewer.layers:
            at = [layer_axes(image).replace("S", "").index(a) for a in "YX"]
            viewer.add_shapes(
                name=LAYER,
                ndim=2,
                scale=[image.scale[i] for i in at],
                units=[image.units[i] for i in at],
                edge_color="#ffd84d",
                face_color="transparent",
                edge_width=2,
            )
        layer = viewer.layers[LAYER]
        layer.visible = True
        viewer.layers.selection.active = layer
        layer.mode = "add_line"

    def refresh(self) -> None:
        """Measure along the line as it is now."""
        self._pending.stop()
        self._choose()
        shapes = self.line_layer()
        self._watch(shapes)
        try:
            work = self._work(shapes)
        except InputError as error:
            self._show(None)
            self.message.say(str(error), error=str(error) != HINT)
            return
        self._question.ask(work)

    # --- following the viewer -----------------------------------------------------------------

    def _connect(self) -> None:
        for picker in (self.low, self.result, self.reference):
            picker.changed.connect(self.refresh_soon)
        self.width.valueChanged.connect(self.refresh_soon)
        self.draw.clicked.connect(self.start_drawing)
        self.save.clicked.connect(self._on_save)
        self._question.found.connect(self._on_found)
        dims, layers = self.viewer.dims.events, self.viewer.layers
        for emitter in (
            dims.current_step,
            dims.order,
            layers.events.inserted,
            layers.events.removed,
            layers.selection.events.active,
        ):
            self._connections.connect(emitter, self.refresh_soon)

    def _choose(self) -> None:
        """Take a new result with its input; what the user has chosen stays until then."""
        results = [la for la in self.result.layers() if is_restored(la)]
        newest = results[0] if results else None
        if newest is not None and newest is not self._new:
            self.result.choose(newest)
            self.low.choose(input_of(newest, self.low.layers()))
        elif newest is None and self._first_image() is None and self.low.layers():
            self.low.choose(self.low.layers()[0])
        self._new = newest
        self._pending.stop()

    def _watch(self, shapes: Any) -> None:
        chosen = [shapes, self.low.value(), self.result.value(), self.reference.value()]
        wanted = [la.events.data for la in chosen if la is not None]
        if shapes is not None:
            wanted.append(shapes.events.highlight)
        if [id(e) for e in wanted] != [id(e) for e in self._watched]:
            if self._watched:
                self._connections.disconnect_from(*self._watched)
            for emitter in wanted:
                self._connections.connect(emitter, self.refresh_soon)
            self._watched = wanted

    def _first_image(self) -> Any:
        chosen = (self.result.value(), self.reference.value(), self.low.value())
        return next((la for la in chosen if la is not None), None)

    def _work(self, shapes: Any) -> Any:
        """What is to be measured; raises `InputError` where there is nothing."""
        image, line = self._first_image(), None if shapes is None else drawn_line(shapes)
        if image is None or line is None:
            raise InputError(HINT)
        roles = {
            "input": self.low.value(),
            "bicubic": self.low.value(),
            "result": self.result.value(),
            "reference": self.reference.value(),
        }
        if not view_of(image, self.viewer.dims).plain:
            raise InputError("Profiles are measured on Y x X planes; put the axes back in order.")
        placed = PlacedLine(shapes, line, image)
        images = [
            self._on_line(role, layer, placed) for role, layer in roles.items() if layer is not None
        ]
        width = (self.width.value() - 1) * placed.pixel
        return partial(found, images, placed.length, placed.unit, width)

    def _on_line(self, role: str, layer: Image, placed: PlacedLine) -> OnLine:
        view, stack = view_of(layer, self.viewer.dims), layer_stack(layer)
        if view.outside:
            raise InputError(f"{layer.name} has no slice here; move the slider.")
        index = tuple(view.index[a] for a in stack.axes if a not in "YXS")
        kernel = "cubic" if role == "bicubic" else "linear"
        return OnLine(role, stack, index, *placed.on(layer), kernel)

    # --- what was found -----------------------------------------------------------------------

    def _on_found(self, found: Any) -> None:
        if isinstance(found, End):
            self._show(None)
            self.message.say(found.error, error=True)
            return
        self._show(found)
        self.message.say("")

    def _show(self, found: LineProfiles | None) -> None:
        self.found = found
        self.save.setEnabled(found is not None)
        self.plot.setVisible(found is not None)
        self.table.setVisible(found is not None)
        if found is None:
            return
        curves = [
            Curve(p.name, p.distance, p.values, dashed=p.name == "reference")
            for p in found.profiles
        ]
        self.plot.show_curves(curves, x_label=f"distance ({found.symbol})", y_label="intensity")
        self.table.show_profiles(found)

    def _on_save(self) -> None:
        with errors_said(self._say):
            path = asked_path(self, "Save the profiles", "profile.csv", "CSV (*.csv)", ".csv")
            if path is not None:
                self.save_to(path)

    def save_to(self, path: str | Path) -> None:
        """Write all samples, with the widths."""
        path = Path(path)
        try:
            with csv_file(path, overwrite=True) as write:
                write(self.found.rows())
        except OSError as error:
            self._say(f"{path.name} could not be written: {error.strerror}.", error=True)
        else:
            self._say(f"Saved {path.name}.")

    def _say(self, text: str, error: bool = False) -> None:
        self.message.say(text, error=error)

    def let_go(self) -> None:
        """Give up all work and hear of the viewer no more."""
        self._question.forget()
        super().let_go()


class WidthTable(QTableWidget):
    """The widths of all profiles, one a row."""

    def __init__(self) -> None:
        super().__init__(0, 2)
        self.setAccessibleName("Widths of the profiles")
        self.setTabKeyNavigation(False)  # arrows go through the cells, Tab leaves them
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.horizontalHeader().setSectionResizeMode(QHeaderView.ResizeMode.Stretch)
        self.setToolTip("Full width at half maximum, and the rise of an edge from 10 to 90 %")

    def show_profiles(self, found: LineProfiles) -> None:
        """Show the widths; a dash stands where the line crosses no such structure."""
        self.setHorizontalHeaderLabels([f"FWHM ({found.symbol})", f"10-90 % ({found.symbol})"])
        self.setRowCount(len(found.profiles))
        self.setVerticalHeaderLabels([p.name for p in found.profiles])
        for at, profile in enumerate(found.profiles):
            for column, value in enumerate((profile.fwhm, profile.edge)):
                cell = Item("–" if value is None else f"{value:.3g}")
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
                self.setItem(at, column, cell)
        rows = sum(self.rowHeight(at) for at in range(self.rowCount()))
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + rows + 4)


def found(images: Sequence[OnLine], length: float, unit: str, width: float) -> Any:
    """Measure, and yield what was found as `LastQuestion` wants it."""
    steps = measure_line(images, length, unit, width)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            yield end.value
            return


def drawn_line(shapes: Shapes) -> np.ndarray | None:
    """The ends of the selected line, else of the one drawn last, in the layer's data; (2, axes)."""
    lines = [i for i, kind in enumerate(shapes.shape_type) if str(kind) == "line"]
    chosen = [i for i in lines if i in shapes.selected_data] or lines
    return np.asarray(shapes.data[chosen[-1]], dtype=float) if chosen else None


class PlacedLine:
    """Where a drawn line lies in layers.

    Parameters
    ----------
    shapes : Shapes
    line : ndarray, shape (2, axes of `shapes`)
    image : Image
        Whose unit and pixels lengths are given in.

    Attributes
    ----------
    length : float
        In `unit`.
    unit : str
        As pint spells it.
    pixel : float
        The shorter side of a pixel of `image`, in `unit`.
    """

    def __init__(self, shapes: Shapes, line: np.ndarray, image: Image) -> None:
        self._image = image
        at = self._columns(image)
        self._ends = drawn_in_pixels(line, shapes, image)
        matrix = linear_matrix(image)[np.ix_(at, at)]
        along = matrix @ (self._ends[1] - self._ends[0])[at]
        self.length = float(np.linalg.norm(along))
        self.unit = str(image.units[at[1]])
        self.pixel = float(np.linalg.norm(matrix, axis=0).min())
        aside = np.array([-along[1], along[0]]) / (self.length or 1.0)
        self._beside = self._ends[0].copy()
        self._beside[at] += np.linalg.solve(matrix, aside)

    def on(self, layer: Image) -> tuple[Any, Any, Any]:
        """Start, end and what lies one unit beside, in pixels of a layer along Y and X."""
        points = np.array([*self._ends, self._beside])
        if layer is not self._image:
            points = drawn_in_pixels(points, self._image, layer)
        start, end, beside = points[:, self._columns(layer)]
        return tuple(start), tuple(end), tuple(beside - start)

    @staticmethod
    def _columns(layer: Image) -> list[int]:
        axes = layer_axes(layer).replace("S", "")
        return [axes.index(a) for a in "YX"]
