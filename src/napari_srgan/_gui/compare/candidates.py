"""The checkable list of candidates, which follows the layer list.

What belongs here: which layers are on offer, and which are ticked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QFontMetrics
from qtpy.QtWidgets import QListWidget, QListWidgetItem, QSizePolicy

from napari_srgan._gui.compare.curtain import CURTAIN_KEY
from napari_srgan._gui.parts.connections import Connections
from napari_srgan._gui.super_resolve.exports import record_of
from napari_srgan._gui.super_resolve.trust_maps import is_map

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

MAP_KEY = "napari_srgan_map"
"""Metadata of layers that show what was found about others: differences, errors, bicubic."""
_ROLE = Qt.ItemDataRole.UserRole


def is_candidate(layer: Any) -> bool:
    """Whether a layer is an image of its own, and no map of others and no part of the curtain."""
    from napari.layers import Image

    if not isinstance(layer, Image):
        return False
    found = any(layer.metadata.get(key) for key in (CURTAIN_KEY, MAP_KEY))
    return not found and not is_map(layer)


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
        blocked = self.blockSignals(True)
        self.clear()
        for layer in layers:
            item = QListWidgetItem(layer.name)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsUserCheckable)
            ticked = any(layer is la for la in wanted)
            item.setCheckState(Qt.CheckState.Checked if ticked else Qt.CheckState.Unchecked)
            item.setData(_ROLE, layer)
            item.setToolTip(layer.name)
            self.addItem(item)
        self.blockSignals(blocked)
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
