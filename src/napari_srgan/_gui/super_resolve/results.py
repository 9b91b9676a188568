"""A result in the viewer, and what is done with it: save it or the canvas, copy the methods text.

The record behind the text is the engine's, the file formats are those of files.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import PIL.Image
from qtpy.QtWidgets import QApplication

from napari_srgan._gui.files import shown_data
from napari_srgan._gui.layers import (
    add_result,
    in_layer_order,
    layer_arguments,
    layer_axes,
    result_name,
    spacing_source,
)
from napari_srgan._gui.parts.grid import arrange, name_cells, view_kept
from napari_srgan._gui.parts.widgets import Part, asked_path, button, row
from napari_srgan._gui.runner import End, Runner, errors_said
from napari_srgan._gui.sentences import plane_text, time_text
from napari_srgan._gui.super_resolve.advanced import FILTERS
from napari_srgan._gui.tags import record_of, role_of, role_tag
from napari_srgan.engine.record import methods_text
from napari_srgan.io.atomic import whole_file
from napari_srgan.io.formats.source import FileArray
from napari_srgan.tasks.steps import Progress, Work

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Shapes

    from napari_srgan._gui.super_resolve.order import Order
    from napari_srgan.tasks.restore import Restored

CANVAS = {".png": "PNG", ".jpg": "JPEG", ".tif": "TIFF", ".tiff": "TIFF"}


def show_results(
    viewer: napari.Viewer,
    orders: Sequence[Order],
    restored: Sequence[Restored],
    *,
    seconds: float,
    grid: bool,
    drawn: Shapes | None = None,
) -> tuple[list[Image], str]:
    """Add the results above their inputs and, with `grid`, show them side by side.

    Parameters
    ----------
    viewer : napari.Viewer
    orders, restored
        What was asked for, and what came of it.
    seconds : float
        From the click to the result, as the user lived it.
    grid : bool
    drawn : Shapes, optional
        The layer with the drawn area; it is hidden in the grid, where it would get a cell.

    Returns
    -------
    list of Image, str
        The new layers, and what the panel says about them.
    """
    note, pairs, source = "", list(zip(orders, restored, strict=True)), orders[0].layer
    with view_kept(viewer, source):
        if orders[0].preview:
            # They are looks, not results.
            for layer in [la for la in viewer.layers if role_of(la) == "preview"]:
                viewer.layers.remove(layer)
        sources = [order.layer for order in orders]
        made = [
            _add(viewer, order, one, sources) for order, one in pairs
        ]  # the last on top, and selected
        if grid:
            if drawn is not None and drawn.visible:
                drawn.visible = False
                note = f"{drawn.name} is hidden, to leave its room in the grid."
            arrange(viewer, source)
            viewer.canvas.grid.enabled = True
    if grid:
        for order, layer in zip(orders, made, strict=True):
            name_cells(viewer, order.layer, [layer])
    last, sizes = orders[-1], orders[-1].ahead.stack.sizes
    if last.preview:
        (y0, y1), (x0, x1) = last.ahead.region["Y"], last.ahead.region["X"]
        whole = (y0, y1) == last.view.rows and (x0, x1) == last.view.cols
        part = "what is in view" if whole else "the middle of the view"
        plane = plane_text(last.view.index, sizes)
        text = f"Preview of {part}, {y1 - y0} x {x1 - x0} px of {plane}, in {time_text(seconds)}."
    else:
        text = f"Done in {time_text(seconds)}: {', '.join(layer.name for layer in made)}."
        if last.path is not None:
            text += f" Written to {last.path}."
    text = f"{text} {restored[-1].record.sentence}".rstrip()
    warnings = dict.fromkeys(w for one in restored for w in one.plan.warnings)
    return made, " ".join([text, *warnings, note]).rstrip()


def _add(viewer: napari.Viewer, order: Order, one: Restored, among: Sequence[Image]) -> Image:
    layer, scale = order.layer, order.ahead.factor
    role = role_tag("preview" if order.preview else "result")
    arguments = layer_arguments(
        layer,
        order.ahead.region,
        scale,
        # The recorded name, not the layer's: it is hidden where it may be a patient's.
        result_name(one.record.input, order.model, scale, preview=order.preview),
        dict(one.result.metadata) | role,
        rgb="S" in one.result.axes,
    )
    data = in_layer_order(one.result.data, one.result.axes, layer_axes(layer))
    if isinstance(data, FileArray):  # which stays in its chunks
        data = shown_data(data, one.result.axes)
    return add_result(viewer, layer, data, arguments, among)


def calibrated(viewer: napari.Viewer) -> bool:
    """Whether a scale bar in this view would be true.

    It would if every visible image has a physical pixel size that is known, not assumed, and
    napari can bring their units together.
    """
    from napari.layers import Image

    shown = [la for la in viewer.layers if isinstance(la, Image) and la.visible]
    known = bool(shown) and all(spacing_source(la) in ("file", "user") for la in shown)
    return known and viewer.layers.units is not None


def save_canvas(viewer: napari.Viewer, path: str | Path) -> bool:
    """Write the canvas as it is to an image file, with a scale bar if that is true.

    Returns
    -------
    bool
        Whether a scale bar was drawn. The view is afterwards as it was.
    """
    bar = viewer.canvas.overlays.scale_bar
    before, drawn = (bar.visible, bar.gridded), calibrated(viewer)
    try:
        bar.visible = drawn
        pixels = viewer.screenshot(canvas_only=True, flash=False, scale=2)
        kind = CANVAS[Path(path).suffix.lower()]
        with whole_file(Path(path)) as partial:
            PIL.Image.fromarray(pixels).convert("RGB").save(partial, kind)
    finally:
        bar.visible, bar.gridded = before
    return drawn


def save_layer(path: Path, data: Any, attributes: dict[str, Any]) -> Work[str]:
    """Write a result with its provenance, and return the name of the file; for a thread."""
    from napari_srgan._gui.files import write_image

    yield Progress(0, 0, stage="Saving")
    write_image(str(path), data, attributes)
    return path.name


class Exports(Part):
    """Save result, save canvas, copy methods text; enabled when there is a result."""

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._layer: Image | None = None
        self._saving = Runner(self)
        self._saving.ended.connect(self._on_saved)
        self.save = button(
            "Save result", "Write the result with its pixel size and where it comes from"
        )
        self.canvas = button(
            "Save canvas", "Write the canvas as an image; with a scale bar only if calibrated"
        )
        """Placed by the panel, among what is wanted rarely."""
        self.methods = button(
            "Copy methods", "Copy the methods text, a paragraph for a paper, to the clipboard"
        )
        self.setLayout(row(self.save, self.methods))
        self.save.clicked.connect(self._on_save)
        self.canvas.clicked.connect(self._on_canvas)
        self.methods.clicked.connect(self._on_methods)
        self.show_layer(None)

    @property
    def layer(self) -> Image | None:
        """The result that the buttons act on."""
        return self._layer

    def show_layer(self, layer: Image | None) -> None:
        """Act on this result from now on."""
        self._layer = layer
        self.save.setEnabled(layer is not None and not self._saving.running)
        self.methods.setEnabled(layer is not None)
        self.setVisible(layer is not None)

    def _on_save(self) -> None:
        name = f"{self._layer.name.replace(' [', '_').rstrip(']').replace(' ', '_')}.tif"
        with errors_said(self.say):
            path = asked_path(self, "Save the result", name, FILTERS, ".tif")
            if path is not None:
                self.save_to(path)

    def save_to(self, path: str | Path) -> None:
        """Write the result in a thread, so that the window stays alive."""
        data, attributes, _ = self._layer.as_layer_data_tuple()
        self._saving.start(lambda: save_layer(Path(path), data, attributes))
        self.save.setEnabled(False)
        self.say(f"Saving {Path(path).name} ...")

    def _on_saved(self, end: End) -> None:
        self.save.setEnabled(self._layer is not None)
        self.say(end.error or f"Saved {end.result}.", error=bool(end.error))

    def _on_canvas(self) -> None:
        with errors_said(self.say):
            path = asked_path(self, "Save the canvas", "canvas.png", "PNG (*.png)", ".png")
            if path is not None:
                self.canvas_to(path)

    def canvas_to(self, path: str | Path) -> None:
        """Write the canvas."""
        if Path(path).suffix.lower() not in CANVAS:
            self.say(
                f"{Path(path).name}: the canvas is written as {', '.join(CANVAS)}.", error=True
            )
            return
        try:
            drawn = save_canvas(self._viewer, path)
        except OSError as error:
            self.say(f"{Path(path).name} could not be written: {error.strerror}.", error=True)
            return
        why = "" if drawn else ", without a scale bar because the pixel size is not known"
        self.say(f"Saved {Path(path).name}{why}.")

    def _on_methods(self) -> None:
        record = record_of(self._layer)
        if record is None:
            self.say("This layer carries no record of how it was made.", error=True)
            return
        QApplication.clipboard().setText(methods_text(record))
        self.say("The methods text is on the clipboard.")
