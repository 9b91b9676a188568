"""Checking a request before any work, and bringing its stacks together.

What belongs here: mistakes, names that may be recorded, and which plane is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from napari_srgan.engine.plan import Job, Plan, plan
from napari_srgan.engine.record import input_label
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import scale_text
from napari_srgan.image.invalid import refuse_invalid
from napari_srgan.image.stack import Region, Stack, check_region
from napari_srgan.image.views import cropped, enlarged
from napari_srgan.measure.grid import matched, middle_plane, reference_range
from napari_srgan.tasks.report.request import ReportRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A reference that fits.

    Attributes
    ----------
    stack : Stack
        All its planes; along Y and X the part of the report.
    region : Region
        The planes of the report.
    data_range : float
        See `grid.reference_range`; of the whole reference.
    """

    stack: Stack
    region: Region
    data_range: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request that can be carried out.

    Attributes
    ----------
    plan : Plan
        Of the result; its stack has the name that may be recorded, its job the intensity range.
    shown : tuple of int
        The plane of the pictures, over the input's plane axes.
    bicubic : Stack
        The enlarged input, see `views.enlarged`.
    reference : Reference or None
    """

    plan: Plan
    shown: tuple[int, ...]
    bicubic: Stack
    reference: Reference | None


def prepare(request: ReportRequest) -> Prepared:
    """Check a request.

    Raises
    ------
    InputError
        If the result cannot be made, or the reference is not what the result should be.
    """
    stack = _labelled(request.stack, request.job)
    job = request.job
    if request.result is not None:
        if request.record is None:
            raise ValueError("a result that is there needs its record")
        job = replace(job, region=request.result_region, back_project=False)
    if job.nan == "fill" and request.reference is not None:
        _refuse_nan(stack, job)
    planned = plan(stack, job)
    planned = replace(planned, job=replace(job, intensity=planned.intensity))
    shown = middle_plane(stack, planned.region) if request.shown is None else request.shown
    if shown not in set(stack.plane_indices(planned.region)):
        raise InputError(
            f"The slice {slice_label(stack, shown)} is not among those of the report; choose one "
            "of them."
        )
    reference = None
    if request.reference is not None:
        reference = _reference(_labelled(request.reference, job), planned)
    return Prepared(
        plan=planned,
        shown=shown,
        bicubic=enlarged(stack, planned.region, planned.scale),
        reference=reference,
    )


def slice_label(stack: Stack, index: tuple[int, ...]) -> str:
    """Name a plane by its position along the axes that have more than one; "" if none has."""
    at = zip(stack.plane_axes, index, strict=True)
    return ", ".join(f"{axis}={i}" for axis, i in at if stack.sizes[axis] > 1)


def label_of(stack: Stack, axes: str, index: tuple[int, ...]) -> str:
    """Name the plane of `stack` that another one, of a matched stack, stands for."""
    at = dict(zip(axes, index, strict=True))
    return slice_label(stack, tuple(at.get(axis, 0) for axis in stack.plane_axes))


def _labelled(stack: Stack, job: Job) -> Stack:
    """Give a stack the name that may be recorded, so that no sentence holds another."""
    return replace(stack, name=input_label(stack.name, job.anonymise))


def _reference(reference: Stack, planned: Plan) -> Reference:
    stack, (sy, sx) = planned.stack, planned.scale
    if matched(reference, stack) != (sy, sx):
        raise InputError(
            f"{reference.name} is {reference.height} x {reference.width} px, but the "
            f"{scale_text((sy, sx))} result of {stack.name} will be {sy * stack.height} x "
            f"{sx * stack.width} px: give the "
            "reference of that size."
        )
    span = reference_range(reference, "choose another reference, or leave it out")
    (y0, y1), (x0, x1) = planned.region["Y"], planned.region["X"]
    rows, cols = (sy * y0, sy * y1), (sx * x0, sx * x1)
    part = cropped(reference, rows, cols)
    planes: Mapping[str, tuple[int, int]] = {
        a: planned.region[a] for a in reference.plane_axes if a in planned.region
    }
    return Reference(stack=part, region=check_region(part, planes), data_range=span)


def _refuse_nan(stack: Stack, job: Job) -> None:
    try:
        refuse_invalid(stack, job.region)
    except InputError:
        raise InputError(
            f"{stack.name} holds NaN or infinite values, and so would its result, which could "
            "not be measured against a reference; crop them, or leave --reference out."
        ) from None
