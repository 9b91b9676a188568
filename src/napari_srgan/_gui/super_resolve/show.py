"""From an outcome to layers in the viewer, and the sentence that tells of it.

What belongs here: what happens on the GUI thread when the work is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_srgan._gui.layers import PREVIEW_KEY, layer_axes
from napari_srgan._gui.parts.grid import side_by_side
from napari_srgan._gui.result_layer import add_result, in_layer_order, layer_arguments, result_name
from napari_srgan._gui.sentences import plane_text, time_text
from napari_srgan.trust.consistency import sentence

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Shapes

    from napari_srgan._gui.super_resolve.order import Order
    from napari_srgan._gui.worker import Made, Outcome


@dataclass(frozen=True)
class Shown:
    """The new layers, and what the panel says about them."""

    layers: tuple[Image, ...]
    text: str


def show_outcome(
    viewer: napari.Viewer,
    orders: Sequence[Order],
    outcome: Outcome,
    *,
    seconds: float,
    grid: bool,
    drawn: Shapes | None = None,
) -> Shown:
    """Add the results above their inputs and, with `grid`, show them side by side.

    `seconds` is the time from the click to the result, as the user lived it. A layer with a
    `drawn` area is hidden in the grid, where it would get a cell of its own.
    """
    if orders[0].preview:
        _remove_previews(viewer)
    pairs = list(zip(orders, outcome.made, strict=True))
    # Each goes right above the input, so the last is added first.
    made = [_add(viewer, order, one) for order, one in reversed(pairs)][::-1]
    note = ""
    if grid:
        if drawn is not None and drawn.visible:
            drawn.visible = False
            note = f"{drawn.name} is hidden, to leave its room in the grid."
        side_by_side(viewer, orders[0].layer, made)
    last, sizes = orders[-1], orders[-1].stack.sizes
    if last.preview:
        (y0, y1), (x0, x1) = last.region["Y"], last.region["X"]
        whole = (y0, y1) == last.view.rows and (x0, x1) == last.view.cols
        part = "what is in view" if whole else "the middle of the view"
        if not whole and viewer.dims.ndisplay == 2:
            viewer.fit_to_view(layers=made)
        plane = plane_text(last.view.index, sizes)
        text = f"Preview of {part}, {y1 - y0} x {x1 - x0} px of {plane}, in {time_text(seconds)}."
    else:
        text = f"Done in {time_text(seconds)}: {made[-1].name}."
        if last.path is not None:
            text += f" Written to {last.path}."
    text = f"{text} {sentence(outcome.made[-1].result.metadata['napari_srgan'])}".rstrip()
    return Shown(tuple(made), " ".join([text, *outcome.warnings, note]).rstrip())


def _remove_previews(viewer: napari.Viewer) -> None:
    """Take former previews away: they are looks, not results."""
    for layer in [la for la in viewer.layers if la.metadata.get(PREVIEW_KEY)]:
        viewer.layers.remove(layer)


def _add(viewer: napari.Viewer, order: Order, one: Made) -> Image:
    layer, model = order.layer, order.model.card.name
    # The recorded name, not the layer's: it is hidden where it may be a patient's.
    recorded = str(one.result.metadata["napari_srgan"]["input"])
    metadata: dict[str, Any] = dict(one.result.metadata)
    if order.preview:
        metadata[PREVIEW_KEY] = True
    arguments = layer_arguments(
        layer,
        order.region,
        order.scale,
        result_name(recorded, model, order.scale, preview=order.preview),
        metadata,
    )
    data = in_layer_order(one.result.data, one.result.axes, layer_axes(layer))
    return add_result(viewer, layer, data, arguments)
