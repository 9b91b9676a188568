"""Calibration: the spacing, origin and units that a TIFF file states in its own format.

That is OME-XML, ImageJ's description and the resolution tags. What napari-srgan itself notes in a
file, beyond these, is in `notes`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import tifffile

from napari_srgan.image.units import PIXEL, convert, is_length, normalise_unit

PRINTING_DPI = (72.0, 96.0, 300.0)
"""Resolutions that programs fill in when they know none; they say nothing about the sample."""

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_INCH, _CENTIMETRE = 2, 3


@dataclass
class Calibration:
    """Spacing by axis letter; what a file does not state is missing.

    Attributes
    ----------
    scale : dict
        Distance of two pixels along an axis, in its unit.
    origin : dict
        Position of the centre of pixel 0, in the same unit.
    unit : dict
        pint's name of the unit; ``"pixel"`` where the number is relative only.
    """

    scale: dict[str, float] = field(default_factory=dict)
    origin: dict[str, float] = field(default_factory=dict)
    unit: dict[str, str] = field(default_factory=dict)

    def set(self, axis: str, scale: object, unit: str) -> None:
        """State the spacing of an axis; nonsense (zero, negative, infinite) is left out."""
        value = _number(scale)
        if value is not None and value > 0:
            self.scale[axis] = value
            self.unit[axis] = unit

    def set_origin(self, axis: str, position: float | None, unit: str) -> None:
        """State the position of pixel 0 of an axis whose spacing is known already."""
        if position is not None and axis in self.scale:
            here = convert(position, unit, self.unit[axis])
            if here is not None:
                self.origin[axis] = here

    @property
    def is_physical(self) -> bool:
        """Whether the file gives Y or X in a unit of length."""
        return any(is_length(self.unit.get(a, PIXEL)) for a in "YX")


def read_calibration(tif: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> Calibration:
    """Read what a TIFF file states about one of its series."""
    if series.kind == "ome" and tif.ome_metadata:
        return _from_ome(tif.ome_metadata, tif.series.index(series))
    notes: Mapping[str, Any] = {}
    if series.kind == "imagej":
        notes = tif.imagej_metadata or {}
    elif series.kind == "shaped" and tif.shaped_metadata:
        notes = tif.shaped_metadata[0]
    return _from_tags(series.keyframe, notes)


def _from_ome(xml: str, image: int) -> Calibration:
    found = Calibration()
    images = [e for e in ElementTree.fromstring(xml) if _tag(e) == "Image"]
    pixels = [e for e in images[image] if _tag(e) == "Pixels"] if image < len(images) else []
    if not pixels:
        return found
    given = pixels[0].attrib
    for axis in "XYZ":
        # OME's default unit of length is the micrometre, and of time the second
        unit = normalise_unit(given.get(f"PhysicalSize{axis}Unit", "µm"))
        found.set(axis, given.get(f"PhysicalSize{axis}"), unit)
    found.set("T", given.get("TimeIncrement"), normalise_unit(given.get("TimeIncrementUnit", "s")))
    plane = next((e for e in pixels[0] if _tag(e) == "Plane"), None)
    if plane is not None:
        for axis in "XYZ":
            unit = normalise_unit(plane.get(f"Position{axis}Unit"))
            found.set_origin(axis, _number(plane.get(f"Position{axis}")), unit)
    return found


def _from_tags(page: tifffile.TiffPage, notes: Mapping[str, Any]) -> Calibration:
    """Read resolution tags, with ImageJ's description (or tifffile's JSON) to interpret them."""
    found = Calibration()
    per_unit = {"X": _ratio(page, _X_RESOLUTION), "Y": _ratio(page, _Y_RESOLUTION)}
    tag_unit = page.tags.valueof(_RESOLUTION_UNIT)
    noted = normalise_unit(notes.get("unit"))
    in_micrometres = {_INCH: 25400.0, _CENTIMETRE: 10000.0}.get(int(tag_unit or 1))
    if in_micrometres:
        if not _is_printing(per_unit, in_micrometres):
            for axis, n in per_unit.items():
                found.set(axis, in_micrometres / n if n else None, "micrometer")
    elif "unit" in notes:
        for axis, n in per_unit.items():
            found.set(axis, 1 / n if n else None, noted)
    elif "ImageJ" in notes and any(n not in (None, 1.0) for n in per_unit.values()):
        for axis, n in per_unit.items():  # relative numbers: they keep the aspect ratio
            found.set(axis, 1 / n if n else None, PIXEL)
    depth = _number(notes.get("spacing"))
    found.set("Z", None if depth is None else abs(depth), noted)
    interval, rate = _number(notes.get("finterval")), _number(notes.get("fps"))
    if not interval and rate:
        interval = 1 / rate
    time = normalise_unit(notes.get("tunit", "s"))
    found.set("T", interval, time if convert(1.0, time, "second") else "second")
    for axis in "XYZ":  # ImageJ gives the pixel at which the coordinate is 0
        zero = _number(notes.get(f"{axis.lower()}origin"))
        if zero is not None and axis in found.scale:
            found.set_origin(axis, -zero * found.scale[axis], found.unit[axis])
    return found


def _is_printing(per_unit: Mapping[str, float | None], in_micrometres: float) -> bool:
    dots = [n * 25400.0 / in_micrometres for n in per_unit.values() if n]
    return all(any(abs(d / p - 1) < 0.005 for p in PRINTING_DPI) for d in dots)


def _ratio(page: tifffile.TiffPage, code: int) -> float | None:
    value = page.tags.valueof(code)
    try:
        number = value[0] / value[1] if isinstance(value, tuple) else float(value)
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        return None
    return number if math.isfinite(number) and number > 0 else None


def _number(text: object) -> float | None:
    try:
        value = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
