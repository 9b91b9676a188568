"""Stacks compared with a reference: plane by plane, and as a whole.

What belongs here: the walk over planes and candidates, and how figures of planes become those of
a stack. What can be compared at all is `reference_grid`'s, one plane is measured by
`plane_measures`, and files and tables for people are `commands.compare`'s.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import plain_scale
from napari_srgan.image.stack import Region, Stack
from napari_srgan.measure.comparison_notes import notes_on
from napari_srgan.measure.measurable import check_range
from napari_srgan.measure.plane_measures import MEASURES, Settings, measure_plane
from napari_srgan.measure.reference_grid import (
    matched,
    middle_plane,
    on_reference_grid,
    read_alike,
    reference_range,
)
from napari_srgan.measure.shift import estimated_shift
from napari_srgan.measure.stack_figures import PlaneFigures, StackFigures, stack_figures

__all__ = [
    "BICUBIC",
    "MEASURES",
    "Comparison",
    "PlaneFigures",
    "Settings",
    "StackFigures",
    "compare",
    "measure_plane",
    "on_reference_grid",
    "reference_range",
    "rows",
]

BICUBIC = "bicubic"
"""The name of the candidate that is computed from the low-resolution stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What came of a comparison.

    Attributes
    ----------
    reference : str
        Name of the reference.
    axes : str
        Letters of the axes over which planes are counted.
    data_range : float
        What PSNR and SSIM refer to, in the unit of the pixels.
    settings : Settings
    planes : tuple of PlaneFigures
        Plane by plane, in it the candidates in their order.
    stack : mapping of candidate to StackFigures
    notes : tuple of str
        Sentences on what a reader of the figures has to know: candidates that were enlarged, lie
        elsewhere or are of another type, and measures that are not defined everywhere.
    """

    reference: str
    axes: str
    data_range: float
    settings: Settings
    planes: tuple[PlaneFigures, ...]
    stack: Mapping[str, StackFigures]
    notes: tuple[str, ...]


def compare(
    reference: Stack,
    candidates: Mapping[str, Stack],
    *,
    low: Stack | None = None,
    data_range: float | None = None,
    settings: Settings | None = None,
    region: Region | None = None,
) -> Generator[PlaneFigures, None, Comparison]:
    """Compare any number of stacks with a reference, reading one plane of each at a time.

    Parameters
    ----------
    reference : Stack
    candidates : mapping of name to Stack
        With the planes of the reference, on its grid or a whole number of times smaller; those
        are enlarged by bicubic.
    low : Stack, optional
        The low-resolution stack; its enlargement by bicubic becomes the candidate `BICUBIC`.
    data_range : float, optional
        The range of the data in the unit of the pixels; by default `reference_range` of the
        whole reference, whatever the region.
    settings : Settings, optional
    region : Region, optional
        The planes that are compared; ranges along Y and X are not looked at.

    Yields
    ------
    PlaneFigures
        After every plane of every candidate.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        Before any plane is measured, if nothing is to be compared, stacks do not belong together
        or there is no range; at a plane that holds NaN or infinity.
    """
    settings = settings or Settings()
    stacks = dict(candidates)
    if low is not None:
        if BICUBIC in stacks:
            raise InputError(
                f"A candidate is named {BICUBIC!r}, as is the enlargement of {low.name}; rename it."
            )
        stacks[BICUBIC] = low
    if not stacks:
        raise InputError("There is nothing to compare: give a candidate or a low-resolution image.")
    scales = {name: matched(reference, stack) for name, stack in stacks.items()}
    if low is not None and scales[BICUBIC] == (1, 1):
        raise InputError(
            f"The low-resolution image {low.name} is as large as {reference.name}, so there is "
            "nothing to enlarge by bicubic; leave it out or choose the smaller image."
        )
    span = reference_range(reference) if data_range is None else float(data_range)
    check_range(span)
    middle = middle_plane(reference, region)
    planes: list[PlaneFigures] = []
    shifts: dict[str, tuple[float, float]] = {}
    for index in reference.plane_indices(region):
        pixels = read_alike(reference, reference, index)
        for name, stack in stacks.items():
            other = read_alike(reference, stack, index)
            figures = measure_plane(pixels, other, span, settings)
            if index == middle:
                shifts[name] = estimated_shift(pixels, other)
            planes.append(PlaneFigures(candidate=name, index=index, figures=figures))
            yield planes[-1]
    whole = {
        name: stack_figures(
            [p for p in planes if p.candidate == name], span, shifts[name], scales[name]
        )
        for name in stacks
    }
    return Comparison(
        reference=reference.name,
        axes=reference.plane_axes,
        data_range=span,
        settings=settings,
        planes=tuple(planes),
        stack=whole,
        notes=notes_on(reference, stacks, whole, planes, middle),
    )


def rows(comparison: Comparison) -> list[dict[str, Any]]:
    """Lay a comparison out in rows, for CSV files and tables.

    Parameters
    ----------
    comparison : Comparison

    Returns
    -------
    list of dict
        First one row a candidate for the whole stack, with "slice" "all", "psnr_mean",
        "psnr_infinite", "shift_y", "shift_x" and "enlarged"; then one row for every plane and
        candidate, with its position under the letter of each axis. Infinite PSNRs are
        ``math.inf``, and what is not defined is None.
    """
    settings = comparison.settings
    how = {
        "reference": comparison.reference,
        "data_range": comparison.data_range,
        "mode": settings.mode,
        "border": settings.border,
    }
    found: list[dict[str, Any]] = []
    for name, whole in comparison.stack.items():
        values = {"psnr": whole.psnr, **whole.figures}
        found.append(
            {"candidate": name, "slice": "all"}
            | {measure: values[measure] for measure in settings.measures}
            | {
                "psnr_mean": whole.mean_psnr,
                "psnr_infinite": whole.infinite,
                "slices": whole.planes,
                "shift_y": whole.shift[0],
                "shift_x": whole.shift[1],
                "enlarged": plain_scale(whole.scale),
            }
            | how
        )
    for plane in comparison.planes:
        at = dict(zip(comparison.axes, plane.index, strict=True))
        label = ", ".join(f"{axis}={i}" for axis, i in at.items()) or "0"
        found.append(
            {"candidate": plane.candidate, "slice": label} | at | dict(plane.figures) | how
        )
    return found
