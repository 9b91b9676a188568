"""The controls of Super-resolve and their order on the panel, from the input to the result.

What belongs here: which controls there are and where they stand. What happens when they are
used is in super_resolve.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_srgan._gui import remembered
from napari_srgan._gui.parts.connections import Connections
from napari_srgan._gui.parts.model_choice import ModelChoice, PreviewButton
from napari_srgan._gui.parts.parts import Fold, LayerChoice, Message, Scrolling, form
from napari_srgan._gui.parts.report_button import ReportButton
from napari_srgan._gui.runner import Runner
from napari_srgan._gui.super_resolve.advanced import Advanced
from napari_srgan._gui.super_resolve.exports import Exports
from napari_srgan._gui.super_resolve.pixel_size import PixelSize
from napari_srgan._gui.super_resolve.trust_maps import TrustMaps
from napari_srgan._gui.super_resolve.what import What

if TYPE_CHECKING:
    import napari


class Controls(QWidget):
    """Everything on the panel, in its place, without behaviour."""

    def __init__(self, viewer: napari.Viewer) -> None:
        from napari.layers import Image

        super().__init__()
        self.viewer = viewer
        self._connections = Connections()
        self.layer = LayerChoice(viewer, Image, self._connections)
        self.model = ModelChoice()
        self.what = What(viewer, self._connections)
        self.pixel_size = PixelSize()
        self.advanced = Advanced()
        self.fold = Fold("Advanced", self.advanced)
        self.grid = QCheckBox("Show side by side in the grid")
        self.grid.setChecked(remembered.side_by_side())
        self.summary = Message()
        self.preview = PreviewButton()
        self.run = QPushButton("Super-resolve")
        self.run.setToolTip("Restore what is chosen; the result becomes a new layer")
        self.runner = Runner()
        self.message = Message()
        self.exports = Exports(viewer)
        self.trust = TrustMaps(viewer, self.runner, self.advanced.job)
        self.report = ReportButton(viewer, self._connections, self.advanced.job, self.runner)
        self._lay_out()

    def _lay_out(self) -> None:
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        top = form()
        top.add("Image", self.layer)
        top.add("Model", self.model)
        top.addRow(self.model.purpose)
        column.addLayout(top)
        column.addWidget(self.what)
        size = form()
        size.add("Pixel size", self.pixel_size)
        column.addLayout(size)
        column.addWidget(self.fold)
        column.addWidget(self.grid)
        column.addWidget(self.summary)
        buttons = QHBoxLayout()
        buttons.addWidget(self.preview)
        buttons.addWidget(self.run, 1)
        column.addLayout(buttons)
        column.addWidget(self.runner)
        column.addWidget(self.message)
        column.addWidget(self.trust)
        column.addWidget(self.exports)
        column.addWidget(self.report)
        column.addStretch(1)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(Scrolling(content))
