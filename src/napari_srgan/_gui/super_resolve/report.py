"""The report of a result in one click.

A reference if there is one, and the button; from layers and their records to a request of the task;
where to save, and the offer to open the page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices

from napari_srgan._gui.layers import layer_stack, view_of
from napari_srgan._gui.parts.widgets import LayerPicker, Part, asked_path, button, column, row
from napari_srgan._gui.runner import End, RunnerBar, errors_said
from napari_srgan._gui.super_resolve.trust_maps import map_order
from napari_srgan._gui.tags import is_candidate, is_hidden, record_of
from napari_srgan.errors import InputError
from napari_srgan.tasks.steps import Progress, Work

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan._gui.parts.widgets import Connections
    from napari_srgan.tasks.report.prepare import ReportRequest


class ReportButton(Part):
    """A choice of the reference, and "Report"; hidden while there is no result.

    Parameters
    ----------
    viewer : napari.Viewer
    connections : Connections
        Of the panel.
    settings : callable
        Gives device, precision and tile, as `Advanced.values` does.
    runner : RunnerBar, optional
        That of the panel; without, the button has a bar of its own.
    beside : LayerPicker, optional
        Names the result, where the panel has a choice of the reference of its own; it stands where
        that choice would.
    reference : callable, optional
        Gives the reference layer or None then.
    """

    def __init__(
        self,
        viewer: napari.Viewer,
        connections: Connections,
        settings: Callable[[], dict[str, Any]],
        runner: RunnerBar | None = None,
        beside: LayerPicker | None = None,
        reference: Callable[[], Image | None] | None = None,
    ) -> None:
        super().__init__()
        from napari.layers import Image

        self._viewer, self._settings = viewer, settings
        self._layer: Image | None = None
        self.running = False
        """Whether a report is being made."""
        self._written: Path | None = None
        self.button = button("Report", "")
        self.open_button = button("Open report", "Show the page that was written in the browser")
        self.open_button.setVisible(False)
        buttons = row(self.button, self.open_button, stretch=0)
        if reference is None:
            self.reference = LayerPicker(
                viewer, Image, connections, none="no reference", fits=is_candidate
            )
            self.reference.setAccessibleName("Reference of the report")
        buttons.insertWidget(0, self.reference if beside is None else beside, 1)
        self._reference = reference or self.reference.value
        self.runner = RunnerBar() if runner is None else runner
        self.runner.ended.connect(self._on_ended)
        column(self, buttons, *([self.runner] if runner is None else []))
        self.button.clicked.connect(self._on_report)
        self.open_button.clicked.connect(self.open_page)
        self.show_layer(None)

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

    def report_to(self, path: str | Path) -> None:
        """Write the report, or say why not; a page that is there is replaced."""
        if self._layer is None or self.runner.running:
            return
        with errors_said(self.say):
            request = report_request(
                self._viewer, self._layer, self._reference(), self._settings(), Path(path)
            )
            self.runner.start(
                partial(make_report, request, Path(path)),
                self._show,
                self.say,
                cancelled="Cancelled; no report was written.",
            )
            self.running = True
            self.enable(False)
            self.open_button.setVisible(False)
            self.say()

    def _show(self, path: Path) -> None:
        self._written = path
        self.open_button.setVisible(True)
        self.say(f"Wrote {path}.")

    def _on_ended(self, end: End) -> None:
        self.running = False
        self.enable(True)

    def open_page(self) -> None:
        """Show the page in the browser."""
        if self._written is None or not self._written.exists():
            self.say("The report is no longer where it was written.", error=True)
        elif not QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._written.resolve()))):
            self.say(f"No browser could be started; open {self._written} yourself.", error=True)

    def _on_report(self) -> None:
        if self._layer is None:
            return
        from napari_srgan.io.open import image_name

        # The name in the record, which is hidden where it may be a patient's.
        record = record_of(self._layer)
        name = record.input if record is not None else ""
        proposal = f"{image_name(name or 'result')}_report.html"
        with errors_said(self.say):
            path = asked_path(self, "Save the report", proposal, "HTML (*.html)", ".html")
            if path is not None:
                self.report_to(path)


def report_request(
    viewer: napari.Viewer,
    result: Image,
    reference: Image | None,
    settings: dict[str, Any],
    path: Path,
) -> ReportRequest:
    """Ask for the report of a result layer; its pictures are of the slice in view.

    Parameters
    ----------
    viewer : napari.Viewer
    result : Image
        With its record; its input has to be open.
    reference : Image or None
        As large as a result of the whole input.
    settings : dict
        device, precision and tile, for the fidelity model.
    path : Path

    Raises
    ------
    InputError
        If the input is not open, or a layer or the place cannot be used.
    """
    # Late: the page brings matplotlib along, which opening the panel does not need.
    from napari_srgan.tasks.report.page import check_page_place
    from napari_srgan.tasks.report.prepare import ReportRequest

    check_page_place(path, overwrite=True)
    if reference is result:
        raise InputError(f"{result.name} is the result itself; choose another reference.")
    order = map_order("consistency", viewer, result, settings, whole=True)
    stack, region = order.request.stack, order.region
    at = view_of(order.source, viewer.dims).index
    inside = all(region[a][0] <= at[a] < region[a][1] for a in stack.plane_axes)
    hidden = is_hidden(order.record.input)
    return ReportRequest(
        stack=stack,
        options=replace(order.request.restore, anonymise=hidden),
        reference=None if reference is None else layer_stack(reference),
        result=order.request.result,
        result_region=order.request.result_region,
        record=order.record,
        shown=tuple(at[a] for a in stack.plane_axes) if inside else None,
    )


def make_report(request: ReportRequest, path: Path) -> Work[Path]:
    """Measure, write the page and return its path; for a thread."""
    yield Progress(0, 0, stage="Preparing the report")
    from napari_srgan.tasks.report.gather import gather
    from napari_srgan.tasks.report.page import write_page

    yield from write_page(gather(request), path, overwrite=True)
    return path
