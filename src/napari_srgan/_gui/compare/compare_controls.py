"""The controls of Compare and their order on the panel, from the choice of layers to the findings.

What belongs here: which controls there are and where they stand, and the choices as one value.
What happens when they are used is in compare.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import (
    QHBoxLayout,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_srgan._gui.compare.candidate_list import CandidateList, is_candidate
from napari_srgan._gui.compare.compare_maps import Maps
from napari_srgan._gui.compare.compare_settings import Columns, How
from napari_srgan._gui.compare.compare_slices import WholeStack
from napari_srgan._gui.compare.compare_table import FigureTable
from napari_srgan._gui.compare.compare_views import Views
from napari_srgan._gui.compare.readout import Ranges
from napari_srgan._gui.compare.selection import Selection
from napari_srgan._gui.compare.self_test import original_of
from napari_srgan._gui.compare.self_test_controls import SelfTest
from napari_srgan._gui.parts.connections import Connections
from napari_srgan._gui.parts.parts import Fold, LayerChoice, Message, Scrolling, form
from napari_srgan._gui.parts.report_button import ReportButton
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari

# The fidelity model that a report's maps are made with runs where and how it suits.
_AUTO = {"device": "auto", "precision": "auto", "tile": "auto"}
HINT = (
    "Choose a reference (the true high-resolution image) and tick a candidate (a result) of the "
    "same size. Without a reference, the self-test below makes its own pair."
)


class CompareControls(QWidget):
    """Everything on the panel, in its place, without behaviour."""

    def __init__(self, viewer: napari.Viewer) -> None:
        from napari.layers import Image

        super().__init__()
        self.viewer = viewer
        self._connections = Connections()
        self._ranges = Ranges()

        def choice(none: str) -> LayerChoice:
            return LayerChoice(viewer, Image, self._connections, none=none, fits=is_candidate)

        self.reference = choice("choose")
        self.candidates = CandidateList(viewer, self._connections)
        self.low = choice("none")
        self.low.setToolTip("The LR image that bicubic enlarges; found by itself where possible")
        self.how = How()
        self.heading = Message()
        self.table = FigureTable()
        self.where = Message()
        self.columns = Columns()
        self.copy = QPushButton("Copy")
        self.copy.setToolTip("Copy the table, tabs between the columns (Ctrl+C: selected rows)")
        self.save = QPushButton("Save CSV")
        self.save.setToolTip("Save the table, with every slice if the whole stack was measured")
        self.message = Message(HINT)
        self.stack = WholeStack(viewer, self._ranges, self.selection)
        self.views = Views(viewer, self.selection)
        self.maps = Maps(viewer, self._connections, self.selection)
        self.report = ReportButton(
            viewer, self._connections, lambda: _AUTO, reference=self.reference.value
        )
        self.self_test = SelfTest(viewer, self._to_test)
        self.self_test_fold = Fold("Self-test", self.self_test)
        self.maps_fold = Fold("Error map, Fourier rings, regions", self.maps)
        self._lay_out()

    def selection(self) -> Selection:
        """The choices.

        Raises
        ------
        InputError
            If no reference or nothing to compare is chosen, or the data range is no number.
        """
        reference, low = self.reference.value(), self.low.value()
        candidates = tuple(self.candidates.ticked())
        if reference is None or not (candidates or low is not None):
            raise InputError(HINT)
        return Selection(
            reference,
            candidates,
            low,
            self.how.settings(self.columns.value()),
            self.how.data_range(),
        )

    def _to_test(self) -> object:
        """The layer of the self-test: the reference, else the selected image, else the only one."""
        if self.reference.value() is not None:
            return original_of(self.reference.value(), self.reference.layers())
        layers, active = self.reference.layers(), self.viewer.layers.selection.active
        return active if active in layers else (layers[0] if len(layers) == 1 else None)

    def _lay_out(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        top = form()
        top.add("Reference", self.reference)
        top.add("Candidates", self.candidates)
        top.add("LR input", self.low)
        column.addLayout(top)
        column.addWidget(Fold("Settings", self.how))
        font = self.heading.font()
        font.setBold(True)
        self.heading.setFont(font)
        column.addWidget(self.heading)
        column.addWidget(self.table)
        column.addWidget(self.where)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for button in (self.columns, self.copy, self.save):
            buttons.addWidget(button, 1)
        column.addLayout(buttons)
        column.addWidget(self.message)
        column.addWidget(self.stack)
        column.addWidget(self.report)
        column.addWidget(self.views)
        column.addWidget(self.maps_fold)
        column.addWidget(self.self_test_fold)
        column.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(Scrolling(content))
