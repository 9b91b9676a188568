"""The whole stack measured: from layers to a comparison, and from it to curves and rows.

What belongs here: what goes into the core's `compare` and how its answer is shown, without a
window.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.compare.compare_plot import Curve
from napari_srgan._gui.compare.compare_rows import WHOLE, Row
from napari_srgan._gui.compare.comparison import bicubic_name, enlarged, part_of
from napari_srgan._gui.compare.readout import Ranges
from napari_srgan._gui.layers import layer_stack
from napari_srgan._gui.super_resolve.choice import slice_axis
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.image.views import PlaneArray
from napari_srgan.measure.grid import index_in, matched, whole_factors
from napari_srgan.measure.planes import Settings
from napari_srgan.measure.stacks import Comparison, PlaneFigures, compare

if TYPE_CHECKING:
    from napari.layers import Image


@dataclass(frozen=True)
class Stacks:
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


def stacks_for(reference: Image, candidates: Sequence[Image], low: Image | None) -> Stacks:
    """Turn layers into stacks; nothing is read.

    Raises
    ------
    InputError
        If a layer cannot be measured, or the LR input does not fit.
    """
    ref = layer_stack(reference)
    others = {layer.name: layer_stack(layer) for layer in candidates}
    for stack in others.values():
        matched(ref, stack)  # before the LR input: a result of one slice is not that one's fault
    name = None
    if low is not None:
        name = bicubic_name(candidates)
        others[name] = bicubic_stack(ref, layer_stack(low), part_of(low, candidates))
    if not others:
        raise InputError("Tick a candidate, or choose the LR input: there is nothing to measure.")
    return Stacks(ref, others, name)


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
    stacks: Stacks, settings: Settings, ranges: Ranges, data_range: float | None
) -> Generator[tuple[int, int, PlaneFigures | None], None, Comparison]:
    """Measure every plane of every candidate; for a thread.

    Yields
    ------
    tuple
        How many measurements are done, how many there are, and the last one's figures.

    Returns
    -------
    Comparison
    """
    total = math.prod(stacks.reference.plane_shape) * len(stacks.candidates)
    yield 0, total, None
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
        yield done, total, figures


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
