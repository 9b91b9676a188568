"""What input, result and reference are, in words: sizes, types, pixel size, intensity range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_srgan.image.stack import Stack
from napari_srgan.image.units import PIXEL, is_length, ome_symbol
from napari_srgan.tasks.report.prepare import Prepared
from napari_srgan.tasks.report.request import ReportRequest

_SOURCES = {"file": "from the file", "user": "given by the user", "default": "a default"}


def facts(
    request: ReportRequest, prepared: Prepared, result: Stack, record: Mapping[str, Any]
) -> tuple[tuple[str, str], ...]:
    """Describe what the report is about.

    Returns
    -------
    tuple of (name, text)
    """
    stack = prepared.plan.stack
    found = [("Input", f"{stack.name}: {_size(stack)}"), ("Pixel size", pixel_size(stack))]
    if record.get("region"):
        parts = (f"{axis} {a} to {b - 1}" for axis, (a, b) in record["region"].items())
        found.append(("Part restored", ", ".join(parts) + " (pixels of the input from 0)"))
    found += [
        ("Result", f"{_size(result)}, by {prepared.plan.model.card.name}"),
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


def range_span(record: Mapping[str, Any], channel: int) -> float | None:
    """Give hi - lo of a channel's intensity range; None if it is not recorded."""
    try:
        return float(record["intensity_hi"][channel]) - float(record["intensity_lo"][channel])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def _size(stack: Stack) -> str:
    axes = " x ".join(f"{axis} {n}" for axis, n in stack.sizes.items() if axis != "S")
    colour = {1: "", 3: ", RGB", 4: ", RGBA"}[stack.samples]
    return f"{axes} px{colour}, {stack.dtype.name}"


def _range_text(record: Mapping[str, Any]) -> str:
    ends = zip(record.get("intensity_lo", ()), record.get("intensity_hi", ()), strict=True)
    text = "; ".join(f"{lo:g} to {hi:g}" for lo, hi in ends) or "not recorded"
    mode, transform = record.get("intensity_mode", ""), record.get("transform", "none")
    how = f"{text} ({mode})" if mode else text
    return how if transform == "none" else f"{how}, after the transform {transform}"
