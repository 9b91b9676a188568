"""Stacks compared with a reference: plane by plane, as a whole, and what a reader has to know.

Which stacks can be compared is `grid`'s, one plane is measured by `planes`.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale, plain_scale, scale_text
from napari_srgan.image.stack import Region, Stack
from napari_srgan.measure.checks import check_range
from napari_srgan.measure.grid import (
    matched,
    middle_plane,
    read_alike,
    reference_black,
    reference_range,
)
from napari_srgan.measure.planes import Settings, measure_plane
from napari_srgan.measure.shift import WARN_ABOVE, estimated_shift
from napari_srgan.measure.table import MEASURES, Figure

BICUBIC = "bicubic"
"""The name of the candidate that is computed from the low-resolution stack."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneFigures:
    """The figures of one plane of one candidate.

    Attributes
    ----------
    candidate : str
    index : tuple of int
        The plane, over the reference's `Stack.plane_axes`.
    figures : mapping of measure to float or None
        See `planes.measure_plane`.
    """

    candidate: str
    index: tuple[int, ...]
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackFigures:
    """The figures of a whole candidate.

    Attributes
    ----------
    figures : mapping of measure to float or None
        PSNR (infinite if all planes are equal), MSE, RMSE and MAE of all pixels, else the mean over
        the planes for which the measure is defined.
    psnr_mean : float or None
        dB, the mean over the planes with a finite one; None if there are none, or PSNR was not
        asked for.
    psnr_infinite : int
        How many planes equal the reference's; 0 if PSNR was not asked for.
    planes : int
        How many planes were compared.
    shift : tuple of float
        (dy, dx) of the middle plane in pixels of the reference, see `shift.estimated_shift`.
    scale : Scale
        How many times it was enlarged to the reference's grid by bicubic; (1, 1): it was not.
    """

    figures: Mapping[str, Figure]
    psnr_mean: float | None
    psnr_infinite: int
    planes: int
    shift: tuple[float, float]
    scale: Scale


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
        How the planes were compared.
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
    black = reference_black(reference) if settings.features else 0.0
    middle = middle_plane(reference, region)
    planes: list[PlaneFigures] = []
    shifts: dict[str, tuple[float, float]] = {}
    for index in reference.plane_indices(region):
        pixels = read_alike(reference, reference, index)
        for name, stack in stacks.items():
            other = read_alike(reference, stack, index)
            figures = measure_plane(pixels, other, span, settings, black)
            if index == middle:
                shifts[name] = estimated_shift(pixels, other)
            planes.append(PlaneFigures(candidate=name, index=index, figures=figures))
            yield planes[-1]
    whole = {
        name: _stack_figures(
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
        notes=_notes(reference, stacks, whole, planes, middle),
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
    laid: list[dict[str, Any]] = []
    for name, whole in comparison.stack.items():
        laid.append(
            {"candidate": name, "slice": "all"}
            | dict(whole.figures)
            | {
                "psnr_mean": whole.psnr_mean,
                "psnr_infinite": whole.psnr_infinite,
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
        laid.append({"candidate": plane.candidate, "slice": label} | at | dict(plane.figures) | how)
    return laid


def _stack_figures(
    planes: Sequence[PlaneFigures], data_range: float, shift: tuple[float, float], scale: Scale
) -> StackFigures:
    """Sum up the planes of one candidate, all of the same size and with the same measures."""
    columns = {name: [plane.figures[name] for plane in planes] for name in planes[0].figures}
    psnrs = [value for value in columns.get("psnr", ()) if value is not None]
    finite = [value for value in psnrs if math.isfinite(value)]
    return StackFigures(
        figures={n: MEASURES[n].of_stack(column, data_range) for n, column in columns.items()},
        psnr_mean=float(np.mean(finite)) if finite else None,
        psnr_infinite=len(psnrs) - len(finite),
        planes=len(planes),
        shift=shift,
        scale=scale,
    )


def _notes(
    reference: Stack,
    stacks: Mapping[str, Stack],
    whole: Mapping[str, StackFigures],
    planes: Sequence[PlaneFigures],
    middle: tuple[int, ...],
) -> tuple[str, ...]:
    """Compose the notes on a comparison; shifts are those of the middle plane."""
    notes = []
    for name, stack in stacks.items():
        scale = whole[name].scale
        if scale != (1, 1):
            what = name if name == stack.name else f"{name} is {stack.name}, which"
            notes.append(
                f"{what} was enlarged {scale_text(scale)} by bicubic to the grid of "
                f"{reference.name}."
            )
        if stack.dtype != reference.dtype:
            notes.append(
                f"{stack.name} is of the type {stack.dtype} and {reference.name} of the type "
                f"{reference.dtype}: the values are compared as they are."
            )
        shift = whole[name].shift
        if all(map(math.isfinite, shift)) and max(map(abs, shift)) > WARN_ABOVE:
            at = ", ".join(f"{a}={i}" for a, i in zip(reference.plane_axes, middle, strict=True))
            notes.append(
                f"Warning: {name} seems to lie {shift[0]:+.2f} px along Y and {shift[1]:+.2f} px "
                f"along X from {reference.name}{f' in slice {at}' if at else ''}; a shift lowers "
                "all figures, so align the images first."
            )
    return (*notes, *_not_defined(planes))


def _not_defined(planes: Sequence[PlaneFigures]) -> list[str]:
    notes = []
    for name in planes[0].figures:
        values = [plane.figures[name] for plane in planes]
        if count := values.count(None):
            where = "everywhere" if count == len(values) else f"in {count} of {len(values)} figures"
            notes.append(f"{MEASURES[name].undefined}; it is left out {where}.")
    return notes
