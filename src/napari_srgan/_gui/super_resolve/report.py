"""The report of a result in one click: a reference if there is one, and the button.

What belongs here: the button, where to save, and the offer to open the page. What is made from
which layers is report_work.py's.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_srgan._gui.compare.candidate_list import is_candidate
from napari_srgan._gui.parts.parts import LayerChoice
from napari_srgan._gui.parts.report_work import (
    ReportOrder,
    ReportOutcome,
    make_report,
    report_order,
)
from napari_srgan._gui.runner import Runner
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan._gui.parts.connections import Connections

FILTER = "HTML (*.html)"


class ReportButton(QWidget):
    """A choice of the reference, and "Report"; hidden while there is no result.

    Parameters
    ----------
    viewer : napari.Viewer
    connections : Connections
        Of the panel.
    settings : callable
        Gives device, precision and tile, as `Advanced.job` does.
    runner : Runner, optional
        That of the panel, which then hands what it ends with to `finish` while `running`; without,
        the button has a bar of its own.
    reference : callable, optional
        Gives the reference layer or None, where the panel has a choice of its own.

    Signals
    -------
    said(str, bool)
        A sentence, and whether it is an error.
    """

    said = Signal(str, bool)

    def __init__(
        self,
        viewer: napari.Viewer,
        connections: Connections,
        settings: Callable[[], dict[str, Any]],
        runner: Runner | None = None,
        reference: Callable[[], Image | None] | None = None,
    ) -> None:
        super().__init__()
        from napari.layers import Image

        self._viewer, self._settings = viewer, settings
        self._layer: Image | None = None
        self._order: ReportOrder | None = None
        self._written: Path | None = None
        self.button = QPushButton("Report")
        self.open_button = QPushButton("Open report")
        self.open_button.setToolTip("Show the page that was written in the browser")
        self.open_button.setVisible(False)
        row, column = QHBoxLayout(), QVBoxLayout(self)
        self.reference: LayerChoice | None = None
        if reference is None:
            self.reference = LayerChoice(
                viewer, Image, connections, none="no reference", fits=is_candidate
            )
            row.addWidget(self.reference, 1)
        self._reference = reference or self._chosen
        row.addWidget(self.button)
        row.addWidget(self.open_button)
        for layout in (column, row):
            layout.setContentsMargins(0, 0, 0, 0)
            layout.setSpacing(4)
        column.addLayout(row)
        self.runner = Runner() if runner is None else runner
        if runner is None:
            column.addWidget(self.runner)
            self.runner.ended.connect(self.finish)
        self.button.clicked.connect(self._on_report)
        self.open_button.clicked.connect(self.open_page)
        self.show_layer(None)

    @property
    def running(self) -> bool:
        """Whether a report is being made."""
        return self._order is not None

    def show_layer(self, layer: Image | None) -> None:
        """Report on this result from now on."""
        if layer is not self._layer:
            self.open_button.setVisible(False)
        self._layer = layer
        which = "a result" if layer is None else layer.name
        self.button.setToolTip(f"Write a page on {which}: pictures, measures, provenance")
        self.setVisible(layer is not None or self.running)

    def enable(self, on: bool) -> None:
        """Let the button be pressed, or not while something else runs."""
        self.button.setEnabled(on)

    def stop(self) -> None:
        """Cancel; for a panel that closes."""
        if self.running:
            self.runner.cancel()

    def report_to(self, path: str | Path) -> None:
        """Write the report, or say why not; a page that is there is replaced."""
        if self._layer is None or self.runner.running:
            return
        try:
            order = report_order(
                self._viewer, self._layer, self._reference(), self._settings(), Path(path)
            )
            self.runner.start(order, make_report)
        except InputError as error:
            self.said.emit(str(error), True)
            return
        self._order = order
        self.enable(False)
        self.open_button.setVisible(False)
        self.said.emit("", False)

    def finish(self, outcome: Any) -> None:
        """Say how it ended; takes what the runner ends with."""
        self._order = None
        self.enable(True)
        if outcome.error:
            self.said.emit(outcome.error, True)
        elif outcome.cancelled or not isinstance(outcome, ReportOutcome):
            self.said.emit("Cancelled; no report was written.", False)
        else:
            self._written = outcome.path
            self.open_button.setVisible(True)
            self.said.emit(f"Wrote {outcome.path}.", False)

    def open_page(self) -> None:
        """Show the page in the browser."""
        if self._written is None or not self._written.exists():
            self.said.emit("The report is no longer where it was written.", True)
        elif not QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._written.resolve()))):
            self.said.emit(f"No browser could be started; open {self._written} yourself.", True)

    def _chosen(self) -> Image | None:
        assert self.reference is not None
        layer: Image | None = self.reference.value()
        return layer

    def _on_report(self) -> None:
        if self._layer is None:
            return
        from napari_srgan.io.open import image_name

        # The name in the record, which is hidden where it may be a patient's.
        record = self._layer.metadata.get("napari_srgan") or {}
        proposal = f"{image_name(str(record.get('input') or 'result'))}_report.html"
        path, _ = QFileDialog.getSaveFileName(self, "Save the report", proposal, FILTER)
        if not path:
            return
        whole = Path(path)
        if not whole.suffix:
            # The dialog has asked about the name as it was typed only.
            whole = whole.with_name(whole.name + ".html")
            if whole.exists():
                self.said.emit(f"{whole} is already there; choose another name.", True)
                return
        self.report_to(whole)
