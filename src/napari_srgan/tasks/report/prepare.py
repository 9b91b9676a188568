"""What a report is asked for, checked before any work, and its stacks brought together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_srgan.engine.plan import Plan, plan
from napari_srgan.engine.record import Record, input_label
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import scale_text
from napari_srgan.image.invalid import refuse_invalid
from napari_srgan.image.kind import gray_if_gray
from napari_srgan.image.stack import Region, Stack, check_region
from napari_srgan.image.units import PIXEL, is_length, ome_symbol
from napari_srgan.image.views import cropped, enlarged
from napari_srgan.measure.grid import matched, middle_plane, reference_range
from napari_srgan.measure.planes import Settings
from napari_srgan.options import RestoreOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest:
    """A report on the result of one input.

    Attributes
    ----------
    stack : Stack
        The low-resolution input.
    options : RestoreOptions
        How the result is made, and of which region; ``anonymise`` hides all names.
    reference : Stack, optional
        The true high-resolution image of the whole input.
    settings : Settings
        How images are compared with the reference.
    result : Stack, optional
        A result that is there already, of `result_region`; it is made without.
    result_region : mapping, optional
        In pixels of the input; the whole without.
    record : Record, optional
        The provenance of `result`; needed with it.
    shown : tuple of int, optional
        The plane of the pictures, over the input's `Stack.plane_axes`; the middle one without.
    page : Path, optional
        Where the page will be: a result that is too large for memory lies beside it meanwhile.
    """

    stack: Stack
    options: RestoreOptions
    reference: Stack | None = None
    settings: Settings = field(default_factory=Settings)
    result: Stack | None = None
    result_region: Region | None = None
    record: Record | None = None
    shown: tuple[int, ...] | None = None
    page: Path | None = None


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
        Of the result; its stack has the name that may be recorded, its options the range.
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
    options = request.options.unresized()
    stack = _labelled(request.stack, options)
    if request.result is not None:
        if request.record is None:
            raise ValueError("a result that is there needs its record")
        options = replace(options, region=request.result_region, back_project=False)
    if options.nan == "fill" and request.reference is not None:
        _refuse_nan(stack, options)
    planned = plan(stack, options)
    stack = planned.stack
    planned = replace(planned, options=replace(options, intensity=planned.intensity))
    shown = middle_plane(stack, planned.region) if request.shown is None else request.shown
    if shown not in set(stack.plane_indices(planned.region)):
        raise InputError(
            f"The slice {slice_label(stack, shown)} is not among those of the report; choose one "
            "of them."
        )
    reference = None
    if request.reference is not None:
        reference = _reference(_labelled(request.reference, options), planned)
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


def _labelled(stack: Stack, options: RestoreOptions) -> Stack:
    """Give a stack the name that may be recorded, so that no sentence holds another."""
    return replace(stack, name=input_label(stack.name, options.anonymise))


def _reference(reference: Stack, planned: Plan) -> Reference:
    stack, (sy, sx) = planned.stack, planned.scale
    if not stack.is_rgb:
        reference = gray_if_gray(reference)
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


def _refuse_nan(stack: Stack, options: RestoreOptions) -> None:
    try:
        refuse_invalid(stack, options.region)
    except InputError:
        raise InputError(
            f"{stack.name} holds NaN or infinite values, and so would its result, which could "
            "not be measured against a reference; crop them, or leave --reference out."
        ) from None


_SOURCES = {"file": "from the file", "user": "given by the user", "default": "a default"}


def facts(
    request: ReportRequest, prepared: Prepared, result: Stack, record: Record
) -> tuple[tuple[str, str], ...]:
    """Describe what the report is about.

    Returns
    -------
    tuple of (name, text)
    """
    stack = prepared.plan.stack
    found = [("Input", f"{stack.name}: {_size(stack)}"), ("Pixel size", pixel_size(stack))]
    if record.region:
        parts = (f"{axis} {a} to {b - 1}" for axis, (a, b) in record.region.items())
        found.append(("Part restored", ", ".join(parts) + " (pixels of the input from 0)"))
    found += [
        ("Result", f"{_size(result)}, by {prepared.plan.card.name}"),
        ("Intensity range", _range_text(record)),
    ]
    if prepared.reference is not None and request.reference is not None:
        name = prepared.reference.stack.name
        found.append(("Reference", f"{name}: {_size(request.reference)}"))
        source = "8-bit data" if request.reference.dtype == "uint8" else "stored range, all slices"
        found.append(("Data range", f"{prepared.reference.data_range:g} ({source})"))
    return tuple(found)


def pixel_size(stack: Stack) -> str:
    """Say the distance of pixels along Y and X and of slices, and where it comes from."""
    letters = stack.axes.replace("S", "")
    known = dict(zip(letters, zip(stack.scale, stack.units, strict=True), strict=True))
    if not is_length(known["Y"][1]) or stack.spacing_source == "unknown":
        return "not known"
    parts = [
        f"{axis} {abs(known[axis][0]):.4g} {ome_symbol(known[axis][1])}"
        for axis in "YXZ"
        if axis in known and known[axis][1] != PIXEL
    ]
    return f"{', '.join(parts)} ({_SOURCES[stack.spacing_source]})"


def _size(stack: Stack) -> str:
    axes = " x ".join(f"{axis} {n}" for axis, n in stack.sizes.items() if axis != "S")
    colour = {1: "", 3: ", RGB", 4: ", RGBA"}[stack.samples]
    return f"{axes} px{colour}, {stack.dtype.name}"


def _range_text(record: Record) -> str:
    intensity = record.intensity
    if intensity is None:
        return "not recorded"
    ends = zip(intensity.lo, intensity.hi, strict=True)
    how = f"{'; '.join(f'{lo:g} to {hi:g}' for lo, hi in ends)} ({intensity.mode})"
    if intensity.transform == "none":
        return how
    return f"{how}, after the transform {intensity.transform}"
