"""Which layers are compared: the candidates, what is chosen by itself, and all as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QSizePolicy
from superqt.utils import signals_blocked

from napari_srgan._gui.layers import data_shape, layer_sizes
from napari_srgan._gui.parts.widgets import Connections
from napari_srgan._gui.tags import input_of, is_candidate, record_of
from napari_srgan.errors import InputError
from napari_srgan.measure.grid import whole_factors
from napari_srgan.measure.planes import Settings

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan._gui.compare.panel import Compare

_ROLE = Qt.ItemDataRole.UserRole


@dataclass(frozen=True)
class CompareRequest:
    """What is compared, and how.

    Attributes
    ----------
    reference : Image
    candidates : tuple of Image
        The ticked ones, the topmost first.
    low : Image or None
        The LR input.
    settings : Settings
        With the measures of the table.
    data_range : float or None
        Given by hand.
    """

    reference: Image
    candidates: tuple[Image, ...]
    low: Image | None
    settings: Settings
    data_range: float | None = None

    def layers_key(self) -> tuple[object, ...]:
        """Equal for equal choices of layers."""
        layers = (self.reference, *self.candidates, self.low)
        return tuple(None if la is None else (id(la.data), la.name) for la in layers)

    def key(self) -> tuple[object, ...]:
        """Equal for equal choices: what was measured for another one is out of date."""
        return (*self.layers_key(), self.settings, self.data_range)


class CandidateList(QListWidget):
    """Image layers with boxes to tick, the topmost first; results are ticked when they appear.

    Signals
    -------
    changed()
        When other layers are ticked than before.
    """

    changed = Signal()

    def __init__(self, viewer: napari.Viewer, connections: Connections) -> None:
        super().__init__()
        self._viewer = viewer
        self._left_out: Any = None
        self._known: list[Any] = []
        self.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        self.setSpacing(1)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setToolTip("What is measured against the reference")
        for name in ("inserted", "removed", "reordered", "renamed"):
            connections.connect(getattr(viewer.layers.events, name), self.refresh)
        self.itemChanged.connect(lambda _item: self.changed.emit())
        self.refresh()

    def layers(self) -> list[Image]:
        """The layers on offer, the topmost first."""
        found = [layer for layer in reversed(self._viewer.layers) if is_candidate(layer)]
        return [layer for layer in found if layer is not self._left_out]

    def ticked(self) -> list[Image]:
        """The ticked layers, the topmost first."""
        items = [self.item(row) for row in range(self.count())]
        return [i.data(_ROLE) for i in items if i.checkState() == Qt.CheckState.Checked]

    def tick(self, layer: Any, on: bool = True) -> None:
        """Tick a layer, or take its tick away."""
        for row in range(self.count()):
            if self.item(row).data(_ROLE) is layer:
                state = Qt.CheckState.Checked if on else Qt.CheckState.Unchecked
                self.item(row).setCheckState(state)

    def leave_out(self, layer: Any) -> None:
        """Do not offer this layer: it is the reference."""
        if layer is not self._left_out:
            self._left_out = layer
            self.refresh()

    def refresh(self, event: Any = None) -> None:
        """List the layers anew; ticks stay, and new results get one."""
        before = self.ticked()
        layers = self.layers()
        wanted = [
            la
            for la in layers
            if any(la is known for known in before)
            or (record_of(la) is not None and not any(la is known for known in self._known))
        ]
        # A reference that becomes a candidate again counts as known.
        self._known = [la for la in self._viewer.layers if is_candidate(la)]
        with signals_blocked(self):
            self.clear()
            for layer in layers:
                item = QListWidgetItem(layer.name)
                item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
                ticked = any(layer is la for la in wanted)
                item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
                item.setData(_ROLE, layer)
                item.setToolTip(layer.name)
                self.addItem(item)
        self.setFixedHeight(self.sizeHint().height())
        if [id(la) for la in before] != [id(la) for la in self.ticked()]:
            self.changed.emit()

    def showEvent(self, event: Any) -> None:
        """Fit the lines in the font of napari's theme, which is known only now."""
        super().showEvent(event)
        self.setFixedHeight(self.sizeHint().height())

    def sizeHint(self) -> QSize:
        """One to five lines high."""
        line = self.sizeHintForRow(0) if self.count() else QFontMetrics(self.font()).height()
        line += 2 * self.spacing()
        return QSize(120, min(max(self.count(), 1), 5) * line + 2 * self.frameWidth() + 4)


class Autofill:
    """Chooses reference and LR input where the answer is plain; what the user has chosen stays.

    Candidates that are results tick themselves.
    """

    def __init__(self, panel: Compare) -> None:
        self._panel = panel
        self._first: Any = None
        self._watched: list[Any] = []

    def complete(self) -> None:
        """Choose what was left open."""
        panel = self._panel
        with signals_blocked(panel.reference, panel.low):
            self._choose_reference()
            panel.candidates.leave_out(panel.reference.value())
            self._choose_low()
        self._watch()

    def _choose_reference(self) -> None:
        """Choose the only image that is no result and as large as the first candidate."""
        panel = self._panel
        ticked = panel.candidates.ticked()
        if panel.reference.value() is not None or not ticked:
            return
        fitting = [
            la
            for la in panel.reference.layers()
            if is_candidate(la)
            and record_of(la) is None
            and data_shape(la) == data_shape(ticked[0])
            and not any(la is t for t in ticked)
        ]
        if len(fitting) == 1:
            panel.reference.choose(fitting[0])

    def _choose_low(self) -> None:
        """With a new first candidate, choose the layer it was made from, else the one that fits."""
        panel = self._panel
        ticked, reference = panel.candidates.ticked(), panel.reference.value()
        first = ticked[0] if ticked else None
        if first is self._first:
            return
        self._first = first
        if first is None:
            return
        source = input_of(first, panel.low.layers())
        if source is None and panel.low.value() is None and reference is not None:
            smaller = [la for la in panel.low.layers() if is_candidate(la) and _fits(la, reference)]
            source = smaller[0] if len(smaller) == 1 else None
        if source is not None:
            panel.low.choose(source)

    def _watch(self) -> None:
        """Hear of new pixels in the chosen layers."""
        panel = self._panel
        chosen = [panel.reference.value(), *panel.candidates.ticked(), panel.low.value()]
        wanted = [la.events.data for la in chosen if la is not None]
        if [id(e) for e in wanted] == [id(e) for e in self._watched]:
            return
        if self._watched:
            panel._connections.disconnect_from(*self._watched)
        for emitter in wanted:
            panel._connections.connect(emitter, panel.data_changed)
        self._watched = wanted


def _fits(low: Any, reference: Any) -> bool:
    """Whether a layer is a whole number of times smaller, with the same slices and colours."""
    if low.rgb != reference.rgb or low.ndim != reference.ndim:
        return False
    try:
        sizes = [layer_sizes(la) for la in (low, reference)]
    except InputError:
        return False
    same = all(sizes[0].get(a) == sizes[1].get(a) for a in "TCZ")
    scale = whole_factors(*((s["Y"], s["X"]) for s in sizes))
    return same and scale not in (None, (1, 1))
