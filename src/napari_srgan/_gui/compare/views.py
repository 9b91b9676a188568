"""The part of Compare for looking: side by side, the curtain, and the difference of two layers.

The difference is a layer that is computed when it is seen. Blue: the right layer is darker than the
left one; red: it is brighter; the colour in the middle is exactly zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QPushButton
from superqt.utils import signals_blocked

from napari_srgan._gui.compare.candidates import CompareRequest
from napari_srgan._gui.compare.colours import compared_stack, differ
from napari_srgan._gui.compare.planes import part_of
from napari_srgan._gui.compare.whole_stack import bicubic_stack
from napari_srgan._gui.layers import (
    add_layer,
    layer_arguments,
    link_looks,
    placement,
    view_of,
)
from napari_srgan._gui.parts.curtain import Curtain
from napari_srgan._gui.parts.grid import name_cells, show_map, turn_grid, view_kept
from napari_srgan._gui.parts.widgets import DropDown, Form, Part, button, column, row
from napari_srgan._gui.runner import RunnerBar, errors_said
from napari_srgan._gui.tags import role_tag, view_key, view_tag
from napari_srgan.engine.progress import Progress, Work
from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.views import PlaneArray
from napari_srgan.measure.grid import index_in, matched, on_reference_grid
from napari_srgan.measure.stacks import BICUBIC

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.image.stack import Stack

COLORMAP = "coolwarm"  # Moreland, "Diverging color maps for scientific visualization" (2009)
_PERCENTILE = 99.9
_SAMPLE = 2**18  # pixels


class Views(Part):
    """Buttons for looking at two layers."""

    def __init__(self, viewer: napari.Viewer, ask: Callable[[], CompareRequest]) -> None:
        super().__init__()
        self._viewer, self._ask = viewer, ask
        self._hidden: list[Any] = []
        self._named: list[Any] = []
        self.left, self.right = DropDown(tip="Left of the line"), DropDown(tip="Right of it")
        self.grid = button(
            "Side by side",
            "Reference and ticked layers in the grid, zoom and contrast linked",
            checkable=True,
        )
        self.draw = button(
            "Curtain", "Both layers on one canvas, with a line to drag", checkable=True
        )
        self.difference = button(
            "Difference", "A layer of right - left: red is brighter on the right"
        )
        self.runner = RunnerBar("%p %")
        self.curtain = Curtain(viewer, self)
        self._lay_out()
        self.grid.toggled.connect(self._on_grid)
        self.draw.toggled.connect(self._on_curtain)
        self.difference.clicked.connect(self.subtract)
        self.curtain.closed.connect(lambda: self._untoggle(self.draw))
        for box in (self.left, self.right):
            box.currentIndexChanged.connect(lambda _i: self.curtain.close())

    def offer(self, reference: Any, candidates: list[Any], low: Any) -> None:
        """Offer the chosen layers; what was chosen stays while it is there."""
        entries = [(la.name, la) for la in (reference, *candidates) if la is not None]
        if low is not None:
            entries.append((BICUBIC, BICUBIC))
        for box in (self.left, self.right):
            known = [(box.itemText(i), box.itemData(i)) for i in range(box.count())]
            if _same(known, entries):
                continue
            chosen = box.value()
            with signals_blocked(box):
                box.clear()
                for name, what in entries:
                    box.addItem(name, what)
                kept = next((i for i, (_, w) in enumerate(entries) if _one(w, chosen)), None)
                if box is self.right and (kept is None or _one(chosen, self.left.value())):
                    # A pair of one layer is no choice: there was nothing else to choose.
                    others = (i for i in range(box.count()) if i != self.left.currentIndex())
                    kept = next(others, 0)
                box.setCurrentIndex(kept or 0)
        ready = len(entries) > 1
        for each in (self.grid, self.draw, self.difference):
            each.setEnabled(ready or each.isChecked())

    def subtract(self) -> None:
        """Add the difference of the two layers, when a first plane of it has been looked at."""
        if self.runner.running:
            return
        self.say()
        with errors_said(self.say):
            left, right = self._layers(self._ask())
            if left is right:
                raise InputError("The difference needs two different layers; choose another one.")
            mixed = differ([left, right])
            array = difference_array(*(compared_stack(la, mixed) for la in (left, right)))
            at = view_of(left, self._viewer.dims).index
            index = tuple(at[a] for a in array.axes if a not in "YX")

            def work() -> Work[float]:
                yield Progress(0, 1)
                return symmetric_limit(array.plane(index))

            def show(limit: float) -> None:
                if left in self._viewer.layers:
                    made = add_difference(self._viewer, left, right, array, limit)
                    self.say(
                        f"{made.name}: zero is in the middle of the colours, which end at "
                        f"±{limit:.4g} in stored values."
                    )

            self.runner.start(work, show, self.say)

    def close_curtain(self) -> None:
        """Put the viewer back as it was; for a panel that closes."""
        self.curtain.close()

    # --- side by side -----------------------------------------------------------------------

    def _on_grid(self, on: bool) -> None:
        viewer = self._viewer
        if not on:
            turn_grid(viewer, False, self._named[0])
            for layer in self._hidden:
                layer.visible = True
            for layer in self._named:
                layer.name_overlay.visible = False
            self._hidden, self._named = [], []
            return
        self.curtain.close()
        self.say()
        try:
            chosen = self._ask()
        except InputError as error:
            self._untoggle(self.grid)
            self.say(str(error), error=True)
            return
        shown = [chosen.reference, *chosen.candidates]
        shown += [chosen.low] if chosen.low is not None else []
        self._hidden = [la for la in viewer.layers if la.visible and la not in shown]
        for layer in self._hidden:
            layer.visible = False
        for layer in shown:
            layer.visible = True
        self._named = shown
        link_looks(viewer, shown)
        turn_grid(viewer, True, chosen.reference)
        name_cells(viewer, chosen.reference, shown[1:])

    # --- curtain ----------------------------------------------------------------------------

    def _on_curtain(self, on: bool) -> None:
        if not on:
            self.curtain.close()
            return
        if self.grid.isChecked():
            self.grid.setChecked(False)
        try:
            left, right = self._layers(self._ask())
            link_looks(self._viewer, [left, right])
            self.curtain.open([left], [right])
        except InputError as error:
            self._untoggle(self.draw)
            self.say(str(error), error=True)
            return
        self.say("Drag the yellow line on the canvas; hold H to flip.")

    def _untoggle(self, toggle: QPushButton) -> None:
        with signals_blocked(toggle):
            toggle.setChecked(False)

    # --- layers -----------------------------------------------------------------------------

    def _layers(self, chosen: CompareRequest) -> tuple[Image, Image]:
        found = []
        for box in (self.left, self.right):
            what = box.value()
            found.append(bicubic_layer(self._viewer, chosen) if isinstance(what, str) else what)
        if None in found:
            raise InputError("Choose two layers to look at.")
        return found[0], found[1]

    def _lay_out(self) -> None:
        pair = Form()
        pair.add("Left", self.left)
        pair.add("Right", self.right)
        buttons = row(self.grid, self.draw, self.difference)
        column(self, pair, buttons, self.runner)


def _same(known: list[tuple[str, Any]], entries: list[tuple[str, Any]]) -> bool:
    return len(known) == len(entries) and all(
        a[0] == b[0] and _one(a[1], b[1]) for a, b in zip(known, entries, strict=True)
    )


def _one(first: Any, second: Any) -> bool:
    """Whether two entries are one: == on layers would compare pixels, and Qt copies texts."""
    texts = isinstance(first, str) and isinstance(second, str)
    return bool(first == second) if texts else first is second


def bicubic_layer(viewer: napari.Viewer, chosen: CompareRequest) -> Image:
    """The layer of the enlarged LR input; it is made once, and computed where it is seen.

    Raises
    ------
    InputError
        If the LR input does not fit the reference.
    """
    key = (str(chosen.low.unique_id), str(chosen.reference.unique_id))
    for layer in viewer.layers:
        if view_key(layer) == key:
            return layer
    part = part_of(chosen.low, chosen.candidates)
    pair = chosen.reference, chosen.low
    stack = bicubic_stack(*(compared_stack(la, differ(pair)) for la in pair), part)
    name = f"{chosen.low.name} [bicubic]"
    arguments = layer_arguments(chosen.reference, {}, (1, 1), name, {}, rgb=stack.is_rgb)
    return add_layer(viewer, stack.data, arguments | {"metadata": view_tag(key)})


def difference_array(reference: Stack, candidate: Stack) -> PlaneArray:
    """Give candidate - reference, computed plane by plane.

    Parameters
    ----------
    reference, candidate : Stack
        With the same planes; a candidate that is a whole number of times smaller is enlarged by
        bicubic. Of RGB the luma is used, because a colour has no sign.

    Returns
    -------
    PlaneArray
        The reference's axes without S; float32, or float64 where the values have more than 16
        bits. Unsigned integers are made floating before they are subtracted.

    Raises
    ------
    InputError
        If the two cannot be compared.
    """
    matched(reference, candidate)
    exact = all(s.dtype.itemsize <= 2 for s in (reference, candidate))
    dtype = np.dtype(np.float32 if exact else np.float64)

    def plane(index: tuple[int, ...]) -> np.ndarray:
        first = reference.read(index)
        second, _ = on_reference_grid(
            candidate.read(index_in(candidate, reference, index)), first.shape
        )
        values = as_channels(second.astype(dtype), 1)
        values -= as_channels(first.astype(dtype), 1)
        return values

    axes = reference.axes.replace("S", "")
    return PlaneArray([reference.sizes[a] for a in axes], dtype, axes, plane)


def symmetric_limit(plane: np.ndarray) -> float:
    """Where the colours end on both sides of zero: so that one pixel in a thousand is beyond.

    Parameters
    ----------
    plane : ndarray, shape (Y, X)
        Of the difference; of a large one a regular sample is looked at.

    Returns
    -------
    float
        Above 0; 1 if nothing differs.
    """
    values = np.abs(plane.ravel()[:: max(1, plane.size // _SAMPLE)])
    values = values[np.isfinite(values)]
    if not values.size:
        return 1.0
    limit = float(np.percentile(values, _PERCENTILE)) or float(values.max())
    return limit or 1.0


def add_difference(
    viewer: napari.Viewer, reference: Image, candidate: Image, array: PlaneArray, limit: float
) -> Image:
    """Add a difference on top of the layers, where the reference lies.

    Parameters
    ----------
    viewer : napari.Viewer
    reference, candidate : Image
        The layers that were subtracted.
    array : PlaneArray
        See `difference_array`.
    limit : float
        The colours reach from -limit to limit; the sliders reach as far as the dtype can differ.
    """
    widest = max(_span(reference), _span(candidate), limit)
    arguments = placement(reference, {}, (1, 1)) | {
        "name": f"{candidate.name} - {reference.name}",
        "rgb": False,
        "colormap": COLORMAP,
        "contrast_limits": (-limit, limit),
        "metadata": role_tag("map"),
    }
    with view_kept(viewer, reference):
        made = add_layer(viewer, array, arguments, select=True)
    made.contrast_limits_range = (-widest, widest)
    show_map(viewer, made)
    return made


def _span(layer: Any) -> float:
    low, high = layer.contrast_limits_range if not layer.rgb else (0, 255)
    return float(high) - float(low)
