"""All slices measured: from layers to a comparison, and from it to curves over the slices and rows.

The button, the progress and the plot; what goes into the core's `compare`, and how its answer is
shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from superqt.utils import signals_blocked

from napari_srgan._gui.compare.candidates import CompareRequest
from napari_srgan._gui.compare.colours import compared_stack, differ
from napari_srgan._gui.compare.planes import DataRange, bicubic_name, enlarged, part_of
from napari_srgan._gui.compare.plot import Curve, CurvePlot
from napari_srgan._gui.compare.table import WHOLE, Row
from napari_srgan._gui.layers import layer_axes, slice_axis, unit_ratio, view_of
from napari_srgan._gui.parts.widgets import DropDown, Message, Part, button, column
from napari_srgan._gui.runner import End, RunnerBar, errors_said
from napari_srgan.engine.progress import Progress
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.image.views import PlaneArray
from napari_srgan.measure.grid import index_in, matched, whole_factors
from napari_srgan.measure.planes import Settings
from napari_srgan.measure.stacks import Comparison, PlaneFigures, compare
from napari_srgan.measure.table import MEASURES

if TYPE_CHECKING:
    import napari
    from napari.layers import Image


class WholeStack(Part):
    """Measure the whole stack.

    Signals
    -------
    measured(object)
        The `Comparison`, or None when it is out of date.
    """

    measured = Signal(object)

    def __init__(
        self, viewer: napari.Viewer, ranges: DataRange, ask: Callable[[], CompareRequest]
    ) -> None:
        super().__init__()
        self._viewer, self._ranges, self._ask = viewer, ranges, ask
        self._request: CompareRequest | None = None
        self._key: tuple[object, ...] | None = None  # what was asked, as it was then
        self._stacks: ComparedStacks | None = None
        self._planes: list[PlaneFigures] = []
        self.comparison: Comparison | None = None
        self.button = button(
            "Measure the whole stack", "Measure every slice of every candidate, and plot them"
        )
        self.runner = RunnerBar("%v of %m")
        self.measure = DropDown(tip="What is plotted")
        self.measure.setAccessibleName("Measure of the plot")
        self.plot = CurvePlot()
        self.notes = Message()
        column(self, self.button, self.runner, self.measure, self.plot, self.notes)
        self.button.clicked.connect(self.start)
        self.runner.stepped.connect(self._on_step)
        self.runner.ended.connect(self._on_end)
        self.measure.currentIndexChanged.connect(lambda _i: self._draw())
        self.plot.clicked.connect(self.go_to)
        self._show_plot(False)

    def start(self) -> None:
        """Measure what is chosen, or say why not."""
        if self.runner.running:
            return
        self.say()
        with errors_said(self.say):
            request = self._ask()
            stacks = stacks_for(request.reference, request.candidates, request.low)
            self.forget()
            self._request, self._stacks, self._key = request, stacks, request.key()
            with signals_blocked(self.measure):
                self.measure.clear()
                for name in request.settings.measures:
                    self.measure.addItem(f"{MEASURES[name].label} over the slices", name)
            self.button.setEnabled(False)
            self.runner.start(
                partial(measure_stacks, stacks, request.settings, self._ranges, request.data_range),
                self._show,
                self.say,
                cancelled="Cancelled; the whole stack was not measured.",
            )

    def check(self, key: tuple[object, ...] | None) -> None:
        """Take the figures away if they belong to other choices."""
        if self._request is not None and self._key != key:
            self.runner.stop()
            self.button.setEnabled(True)
            self.forget()

    def forget(self) -> None:
        """Show nothing."""
        had = self.comparison is not None
        self._request, self._stacks, self.comparison = None, None, None
        self._planes = []
        self.notes.say("")
        self._show_plot(False)
        if had:
            self.measured.emit(None)

    def follow(self) -> None:
        """Mark the slice in view."""
        if self._request is None or self._along() is None:
            self.plot.mark(None)
            return
        view = view_of(self._request.reference, self._viewer.dims)
        self.plot.mark(None if view.outside else float(view.index[self._along()]))
        if len(view.index) > 1:
            self._draw()  # with several sliders the others choose what is plotted

    def go_to(self, x: float) -> None:
        """Move the viewer's slider to the slice nearest to a place in the plot."""
        along = self._along()
        if self._request is None or along is None:
            return
        layer, dims = self._request.reference, self._viewer.dims
        if layer not in self._viewer.layers:
            return
        axis = layer_axes(layer).index(along)
        at = view_of(layer, dims).index
        point = [at.get(a, 0) for a in layer_axes(layer).replace("S", "")]
        point[axis] = int(np.clip(round(x), 0, self._stacks.reference.sizes[along] - 1))
        world = float(np.asarray(layer.data_to_world(point))[axis])
        where = dims.ndim - layer.ndim + axis
        if dims.units is not None and len(dims.units) == dims.ndim:
            world *= unit_ratio(layer.units[axis], dims.units[where])
        dims.set_point(where, world)

    def _along(self) -> str | None:
        return None if self._stacks is None else slice_axis(self._stacks.reference.sizes)

    def _on_step(self, step: Progress | PlaneFigures) -> None:
        if isinstance(step, PlaneFigures):
            self._planes.append(step)
        elif step.done % max(1, step.total // 200) == 0:
            self._draw()

    def _show(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self.notes.say(" ".join([shift_text(comparison), *comparison.notes]).strip())
        self._draw()
        self.measured.emit(comparison)

    def _on_end(self, end: End) -> None:
        self.button.setEnabled(True)
        if self.comparison is None:
            self.forget()

    def _draw(self) -> None:
        if self._stacks is None or not self._planes or self._along() is None:
            self._show_plot(False)
            return
        reference, measure = self._stacks.reference, self.measure.value()
        if measure is None:
            return
        at = view_of(self._request.reference, self._viewer.dims).index
        lines = curves(
            self._planes, reference.plane_axes, at, reference.sizes, measure, self._stacks.bicubic
        )
        self.plot.mark(float(at[self._along()]))
        y_label = MEASURES[measure].heading
        self.plot.show_curves(lines, x_label=self._along(), y_label=y_label)
        self._show_plot(True)

    def _show_plot(self, on: bool) -> None:
        self.plot.setVisible(on)
        self.measure.setVisible(on and self.measure.count() > 1)


@dataclass(frozen=True)
class ComparedStacks:
    """What is compared.

    Attributes
    ----------
    reference : Stack
    candidates : mapping of name to Stack
        With "bicubic", which is enlarged when it is read.
    bicubic : str or None
        The name of that row.
    """

    reference: Stack
    candidates: Mapping[str, Stack]
    bicubic: str | None


def stacks_for(reference: Image, candidates: Sequence[Image], low: Image | None) -> ComparedStacks:
    """Turn layers into stacks; nothing is read.

    Raises
    ------
    InputError
        If a layer cannot be measured, or the LR input does not fit.
    """
    mixed = differ([reference, *candidates, *([] if low is None else [low])])
    ref = compared_stack(reference, mixed)
    others = {layer.name: compared_stack(layer, mixed) for layer in candidates}
    for stack in others.values():
        matched(ref, stack)  # before the LR input: a result of one slice is not that one's fault
    name = None
    if low is not None:
        name = bicubic_name(candidates)
        others[name] = bicubic_stack(ref, compared_stack(low, mixed), part_of(low, candidates))
    if not others:
        raise InputError("Tick a candidate, or choose the LR input: there is nothing to measure.")
    return ComparedStacks(ref, others, name)


def bicubic_stack(reference: Stack, low: Stack, part: Mapping[str, tuple[int, int]]) -> Stack:
    """The LR input enlarged bicubically to the reference's grid, plane by plane when read.

    Raises
    ------
    InputError
        If one has colours and the other has not, or planes or sizes do not fit.
    """
    lengths = {a: hi - lo for a, (lo, hi) in part.items()}
    planes = {a: n for a, n in lengths.items() if a not in "YX" and n > 1}
    wanted = {a: reference.sizes[a] for a in reference.plane_axes if reference.sizes[a] > 1}
    if planes != wanted or low.is_rgb != reference.is_rgb:
        raise InputError(
            f"The LR input {low.name} does not have the slices or the colours of {reference.name}; "
            "choose another LR input, or none."
        )
    rows, cols = part["Y"], part["X"]
    shape = (reference.height, reference.width)

    def plane(index: tuple[int, ...]) -> np.ndarray:
        at = index_in(low, reference, index)
        at = tuple(i + part[a][0] for a, i in zip(low.plane_axes, at, strict=True))
        return enlarged(low.read(at), (rows, cols), shape, low.name)

    if whole_factors((lengths["Y"], lengths["X"]), shape) in (None, (1, 1)):
        raise InputError(
            f"The LR input {low.name} is {lengths['Y']} x {lengths['X']} px and the reference "
            f"{shape[0]} x {shape[1]} px: choose an LR input that is a whole number of times "
            "smaller, or none."
        )
    sizes = reference.sizes | {"S": low.samples}
    array = PlaneArray([sizes[a] for a in reference.axes], low.dtype, reference.axes, plane)
    return Stack(array, axes=reference.axes, name=f"bicubic of {low.name}")


def measure_stacks(
    stacks: ComparedStacks, settings: Settings, ranges: DataRange, data_range: float | None
) -> Generator[Progress | PlaneFigures, None, Comparison]:
    """Measure every plane of every candidate; for a thread.

    Yields
    ------
    PlaneFigures, then Progress
        After every plane of every candidate.

    Returns
    -------
    Comparison
    """
    total = math.prod(stacks.reference.plane_shape) * len(stacks.candidates)
    yield Progress(0, total)
    span = ranges.of_stack(stacks.reference) if data_range is None else data_range
    steps = compare(stacks.reference, stacks.candidates, data_range=span, settings=settings)
    done = 0
    while True:
        try:
            figures = next(steps)
        except StopIteration as end:
            comparison: Comparison = end.value
            return comparison
        done += 1
        yield figures
        yield Progress(done, total)


def stack_rows(comparison: Comparison) -> list[Row]:
    """One row a candidate for the table."""
    return [
        Row(
            name,
            WHOLE,
            {
                **whole.figures,
                "psnr_mean": whole.psnr_mean,
                "psnr_infinite": float(whole.psnr_infinite),
            },
        )
        for name, whole in comparison.stack.items()
    ]


def shift_text(comparison: Comparison) -> str:
    """Say how far the candidates seem to lie from the reference."""
    parts = []
    for name, whole in comparison.stack.items():
        if all(map(math.isfinite, whole.shift)):
            parts.append(f"{name} {whole.shift[0]:+.2f}, {whole.shift[1]:+.2f} px")
    return "Estimated shift (Y, X) of the middle slice: " + "; ".join(parts) + "." if parts else ""


def curves(
    planes: Sequence[PlaneFigures],
    axes: str,
    at: Mapping[str, int],
    sizes: Mapping[str, int],
    measure: str,
    dashed: str | None,
) -> list[Curve]:
    """Give one curve a candidate of a measure over the slices.

    Parameters
    ----------
    planes : sequence of PlaneFigures
        Measured so far.
    axes : str
        What their indices count.
    at : mapping of letter to int
        The slice in view: where there are several axes, the others stand there.
    sizes : mapping of letter to int
    measure : str
    dashed : str or None
        The candidate that the others are measured against.
    """
    along = slice_axis(dict(sizes))
    found: dict[str, tuple[list[float], list[float]]] = {}
    for plane in planes:
        index = dict(zip(axes, plane.index, strict=True))
        if any(i != at.get(a, i) for a, i in index.items() if a != along):
            continue
        value = plane.figures.get(measure)
        x, y = found.setdefault(plane.candidate, ([], []))
        x.append(float(index.get(along, 0)) if along else 0.0)
        y.append(math.nan if value is None else value)
    return [Curve(name, x, y, name == dashed) for name, (x, y) in found.items()]


def csv_rows(
    rows: Sequence[Row], data_range: float, how: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Lay the table's rows out for a file, in full precision."""
    return [
        {"candidate": r.candidate, "slice": r.where}
        | {m: v for m, v in r.figures.items() if m not in r.stale}
        | {"data_range": data_range}
        | dict(how)
        for r in rows
    ]
