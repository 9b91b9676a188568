"""The part of Compare for judging a result: error map, Fourier rings, regions, consistency.

The buttons, and how their findings are shown. They act on the slice in view of the ticked
candidates; what is computed is in findings.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QGridLayout

from napari_srgan._gui.compare import findings
from napari_srgan._gui.compare.candidates import CompareRequest
from napari_srgan._gui.compare.findings import CandidateMap, RingCurve, SliceInView
from napari_srgan._gui.compare.plot import Curve, CurvePlot
from napari_srgan._gui.compare.views import symmetric_limit
from napari_srgan._gui.layers import add_plane, diverging
from napari_srgan._gui.parts.grid import show_map, view_kept
from napari_srgan._gui.parts.widgets import (
    Connections,
    DropDown,
    Form,
    LayerPicker,
    Message,
    Part,
    button,
    column,
    row,
)
from napari_srgan._gui.runner import RunnerBar, errors_said
from napari_srgan._gui.tags import role_tag
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari


class SliceMaps(Part):
    """Error map, Fourier ring correlation, CNR and ENL, and the consistency map."""

    def __init__(
        self, viewer: napari.Viewer, connections: Connections, ask: Callable[[], CompareRequest]
    ) -> None:
        from napari.layers import Shapes

        super().__init__()
        self._viewer, self._ask = viewer, ask
        self._key: tuple[object, ...] | None = None
        self._where = ""
        self.error = button("Error map", "What remains after gain, offset and blur are fitted")
        self.consistency = button(
            "Consistency map", "What the result, shrunk as its model assumes, leaves of the input"
        )
        self.rings = button("Fourier rings", "To which detail a candidate and the reference agree")
        self.regions = button("CNR and ENL", "Of the regions drawn in the Shapes layer")
        self.direction = DropDown(
            ("All directions", "all"), ("Axial (Y)", "axial"), ("Lateral (X)", "lateral")
        )
        self.direction.setAccessibleName("Direction of the Fourier rings")
        self.shapes = LayerPicker(viewer, Shapes, connections, none="none drawn")
        self.shapes.setAccessibleName("Regions for CNR and ENL")
        self.scale = DropDown(("linear intensity", "linear"), ("log, as stored", "log"))
        self.runner = RunnerBar("%v of %m")
        self.plot = CurvePlot()
        self.plot.setVisible(False)
        self.text = Message()
        self._lay_out()
        self.error.clicked.connect(self.map_errors)
        self.consistency.clicked.connect(self.map_consistency)
        self.rings.clicked.connect(self.correlate)
        self.regions.clicked.connect(self.measure_regions)

    def map_errors(self) -> None:
        """Add a map for every ticked candidate."""
        self._begin(findings.error_maps, self._show_errors)

    def map_consistency(self) -> None:
        """Add the map of every ticked candidate that says by which model it was made."""
        self._begin(findings.consistency_maps, self._show_consistency)

    def correlate(self) -> None:
        """Plot the Fourier ring correlation of every ticked candidate."""
        direction = self.direction.value()
        self._begin(lambda seen: findings.correlations(seen, direction), self._show_rings)

    def measure_regions(self) -> None:
        """Measure what is drawn, in the reference and in every ticked candidate."""
        shapes, scale = self.shapes.value(), self.scale.value()
        with errors_said(self.say):
            if shapes is None:
                raise InputError(
                    "Draw a region of signal and one of background in a Shapes layer, and choose "
                    "it here."
                )
            masks = findings.region_masks(shapes, self._ask().reference)
            self._begin(lambda seen: findings.region_figures(seen, masks, scale), self._say)

    def check(self, key: tuple[object, ...] | None) -> None:
        """Take findings away if they belong to other layers; those of a slice name it."""
        if key != self._key and not self.runner.running:
            self._key = key
            self.plot.setVisible(False)
            self.text.say("")

    def _begin(self, work: Callable[[SliceInView], Any], show: Callable[[Any], None]) -> None:
        if self.runner.running:
            return
        self.say()
        with errors_said(self.say):
            request = self._ask()
            seen = findings.slice_in_view(request, self._viewer.dims)
            self._key, self._where = request.layers_key(), seen.question.where
            self.runner.start(lambda: work(seen), show, self.say)

    def _show_errors(self, found: list[CandidateMap]) -> None:
        # One scale for all, or the maps could not be told apart by eye; the first one on top.
        limits = (0.0, max(symmetric_limit(one.plane) for one in found))
        names = {one.name: f"error map of {one.name}" for one in found}
        note = self._add(found, names, colormap="inferno", contrast_limits=limits)
        ends = f"Colours from 0 to {limits[1]:.4g} in stored values."
        self._say(*(one.text for one in found), ends, *note)

    def _show_consistency(self, found: list[CandidateMap]) -> None:
        limit = max(one.limit for one in found)
        names = {one.name: f"{one.kind} of {one.name}" for one in found}
        look = {"colormap": diverging(), "contrast_limits": (-limit, limit)}
        note = self._add(found, names, **look)
        legends = dict.fromkeys(one.legend for one in found)
        ends = f"Colours from {-limit:.3g} to {limit:.3g} in stored values."
        self._say(*(one.text for one in found), ends, *legends, *note)

    def _add(self, found: list[CandidateMap], names: dict[str, str], **shown: Any) -> list[str]:
        """Add the maps, the first one on top; out of the grid it alone is shown, which is said."""
        viewer, made = self._viewer, []
        with view_kept(viewer, found[0].layer):
            for one in reversed(found):
                if one.layer in viewer.layers:
                    about = {"legend": one.text, **role_tag("map")}
                    look = {"name": names[one.name], "metadata": about, **shown}
                    made.append(
                        add_plane(viewer, one.layer, one.index, one.plane, one.part, **look)
                    )
        for layer in made:
            show_map(viewer, layer)
            layer.visible = viewer.canvas.grid.enabled or layer is made[-1]
        hidden = any(not layer.visible for layer in made)
        return ["The other maps are hidden in the list of layers."] if hidden else []

    def _show_rings(self, found: list[RingCurve]) -> None:
        lines = [Curve(r.name, r.frequency, r.correlation, r.dashed) for r in found]
        self.plot.show_curves(
            lines,
            x_label=f"spatial frequency (1/{found[0].unit})",
            y_label="Fourier ring correlation",
            level=found[0].threshold,
        )
        self.plot.setVisible(True)
        self._say(*(r.text for r in found))

    def _say(self, *lines: str) -> None:
        self.text.say("\n".join([f"{self._where[:1].upper()}{self._where[1:]}.", *lines]))

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.addWidget(self.rings, 0, 0)
        grid.addWidget(self.direction, 0, 1)
        grid.addWidget(self.regions, 1, 0)
        grid.addWidget(self.shapes, 1, 1)
        values = Form(fields={"Values are": self.scale})
        top = row(self.error, self.consistency)
        column(self, top, grid, values, self.runner, self.plot, self.text)
