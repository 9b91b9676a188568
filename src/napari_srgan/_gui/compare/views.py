"""The part of Compare for looking: side by side, the curtain, and the difference of two layers.

What belongs here: the buttons and which layers they act on.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from napari_srgan._gui.background import End
from napari_srgan._gui.compare.compare_layers import bicubic_layer, link_grays
from napari_srgan._gui.compare.curtain import Curtain
from napari_srgan._gui.compare.difference import add_difference, difference_array, symmetric_limit
from napari_srgan._gui.compare.selection import Selection
from napari_srgan._gui.layers import layer_stack, view_of
from napari_srgan._gui.parts.grid import side_by_side, turn_grid
from napari_srgan._gui.parts.parts import Choice, form
from napari_srgan._gui.task import Task
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

BICUBIC = "bicubic"
_STEPS = 1000


class Views(QWidget):
    """Buttons for looking at two layers.

    Signals
    -------
    said(str, bool)
        A sentence, and whether it reports an error.
    """

    said = Signal(str, bool)

    def __init__(self, viewer: napari.Viewer, select: Callable[[], Selection]) -> None:
        super().__init__()
        self._viewer, self._select = viewer, select
        self._hidden: list[Any] = []
        self._named: list[Any] = []
        self._pair: tuple[Any, Any] = (None, None)
        self.left, self.right = Choice(tip="Left of the divider"), Choice(tip="Right of it")
        self.grid = QPushButton("Side by side")
        self.grid.setToolTip("Reference and ticked layers in the grid, zoom and contrast linked")
        self.grid.setCheckable(True)
        self.draw = QPushButton("Curtain")
        self.draw.setToolTip("Both layers on one canvas, with a divider to drag")
        self.draw.setCheckable(True)
        self.difference = QPushButton("Difference")
        self.difference.setToolTip("A layer of right - left: red is brighter on the right")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, _STEPS)
        self.slider.setToolTip("Where the divider is; it can be dragged on the canvas as well")
        self.slider.setVisible(False)
        self.task = Task()
        self.curtain = Curtain(viewer, self)
        self._lay_out()
        self.grid.toggled.connect(self._on_grid)
        self.draw.toggled.connect(self._on_curtain)
        self.difference.clicked.connect(self.subtract)
        self.slider.valueChanged.connect(lambda v: self.curtain.move_to(v / _STEPS))
        self.curtain.moved.connect(self._on_moved)
        self.curtain.closed.connect(lambda: self._untoggle(self.draw))
        self.task.ended.connect(self._on_difference)
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
            chosen, blocked = box.value(), box.blockSignals(True)
            box.clear()
            for name, what in entries:
                box.addItem(name, what)
            kept = next((i for i, (_, w) in enumerate(entries) if _one(w, chosen)), None)
            if box is self.right and (kept is None or _one(chosen, self.left.value())):
                # A pair of one layer is no choice: there was nothing else to choose.
                others = (i for i in range(box.count()) if i != self.left.currentIndex())
                kept = next(others, 0)
            box.setCurrentIndex(kept or 0)
            box.blockSignals(blocked)
        ready = len(entries) > 1
        for button in (self.grid, self.draw, self.difference):
            button.setEnabled(ready or button.isChecked())

    def subtract(self) -> None:
        """Add the difference of the two layers, when a first plane of it has been looked at."""
        if self.task.running:
            return
        self.said.emit("", False)
        try:
            chosen = self._select()
            left, right = self._layers(chosen)
            if left is right:
                raise InputError("The difference needs two different layers; choose another one.")
            array = difference_array(layer_stack(left), layer_stack(right))
            at = view_of(left, self._viewer.dims).index
            index = tuple(at[a] for a in array.axes if a not in "YX")
        except InputError as error:
            self.said.emit(str(error), True)
            return

        def work() -> Generator[tuple[int, int], None, Any]:
            yield 0, 1
            return left, right, array, symmetric_limit(array.plane(index))

        self.task.start(work)

    def stop(self) -> None:
        """Put the viewer back as it was; for a panel that closes."""
        self.task.stop()
        with suppress(RuntimeError):  # the window may have gone first
            self.curtain.close()

    # --- side by side -----------------------------------------------------------------------

    def _on_grid(self, on: bool) -> None:
        viewer = self._viewer
        if not on:
            turn_grid(viewer, False)
            for layer in self._hidden:
                layer.visible = True
            for layer in self._named:
                layer.name_overlay.visible = False
            self._hidden, self._named = [], []
            return
        self.curtain.close()
        self.said.emit("", False)
        try:
            chosen = self._select()
        except InputError as error:
            self._untoggle(self.grid)
            self.said.emit(str(error), True)
            return
        shown = [chosen.reference, *chosen.candidates]
        shown += [chosen.low] if chosen.low is not None else []
        self._hidden = [la for la in viewer.layers if la.visible and la not in shown]
        for layer in self._hidden:
            layer.visible = False
        for layer in shown:
            layer.visible = True
        self._named = shown
        link_grays(viewer, shown)
        side_by_side(viewer, chosen.reference, shown[1:])

    # --- curtain ----------------------------------------------------------------------------

    def _on_curtain(self, on: bool) -> None:
        if not on:
            self.curtain.close()
            return
        if self.grid.isChecked():
            self.grid.setChecked(False)
        try:
            left, right = self._layers(self._select())
            link_grays(self._viewer, [left, right])
            self.curtain.open(left, right)
        except InputError as error:
            self._untoggle(self.draw)
            self.said.emit(str(error), True)
            return
        self.slider.setVisible(True)
        self.said.emit("Drag the yellow divider on the canvas.", False)

    def _on_moved(self, position: float) -> None:
        blocked = self.slider.blockSignals(True)
        self.slider.setValue(round(position * _STEPS))
        self.slider.blockSignals(blocked)

    def _untoggle(self, button: QPushButton) -> None:
        blocked = button.blockSignals(True)
        button.setChecked(False)
        button.blockSignals(blocked)
        if button is self.draw:
            self.slider.setVisible(False)

    # --- layers -----------------------------------------------------------------------------

    def _layers(self, chosen: Selection) -> tuple[Image, Image]:
        found = []
        for box in (self.left, self.right):
            what = box.value()
            found.append(bicubic_layer(self._viewer, chosen) if isinstance(what, str) else what)
        if None in found:
            raise InputError("Choose two layers to look at.")
        return found[0], found[1]

    def _on_difference(self, end: End) -> None:
        if end.error:
            self.said.emit(end.error, True)
        if end.result is None:
            return
        left, right, array, limit = end.result
        if left not in self._viewer.layers:
            return
        made = add_difference(self._viewer, left, right, array, limit)
        self.said.emit(
            f"{made.name}: zero is in the middle of the colours, which end at ±{limit:.4g}.", False
        )

    def _lay_out(self) -> None:
        pair = form()
        pair.addRow("Left", self.left)
        pair.addRow("Right", self.right)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.grid, self.draw, self.difference):
            buttons.addWidget(button, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(pair)
        column.addLayout(buttons)
        column.addWidget(self.slider)
        column.addWidget(self.task)


def _same(known: list[tuple[str, Any]], entries: list[tuple[str, Any]]) -> bool:
    return len(known) == len(entries) and all(
        a[0] == b[0] and _one(a[1], b[1]) for a, b in zip(known, entries, strict=True)
    )


def _one(first: Any, second: Any) -> bool:
    """Whether two entries are one: == on layers would compare pixels, and Qt copies texts."""
    texts = isinstance(first, str) and isinstance(second, str)
    return bool(first == second) if texts else first is second
