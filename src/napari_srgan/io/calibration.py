"""Calibration: the spacing, origin and units that a TIFF file states in its own format.

That is OME-XML, ImageJ's description, Micro-Manager's summary and the resolution tags. What
napari-srgan itself notes in a file, beyond these, is in `notes`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

import tifffile

from napari_srgan.image.units import PIXEL, convert, is_length, normalise_unit

PRINTING_DPI = (72.0, 96.0, 150.0, 300.0, 600.0, 1200.0)
"""Resolutions that programs fill in when they know none; they say nothing about the sample."""
_FEWEST_DPI, _MOST_DPI = 50, 1200
"""Between these any whole number of dots an inch is one of paper."""
_MICROSCOPY = re.compile(
    r"\b(imagej|fiji|bio-?formats|ome|micro-?manager|zen|las ?x|leica|olympus|cellsens"
    r"|nis-elements|metamorph|slidebook|imaris|napari)\b",
    re.IGNORECASE,
)
"""Programs that mean what they state as the resolution."""

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _SOFTWARE = 282, 283, 296, 305
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

    def update(self, other: Calibration) -> None:
        """Take over what another states."""
        self.scale |= other.scale
        self.unit |= other.unit
        self.origin = {a: v for a, v in self.origin.items() if a not in other.scale} | other.origin

    @property
    def is_physical(self) -> bool:
        """Whether the file gives Y or X in a unit of length."""
        return any(is_length(self.unit.get(a, PIXEL)) for a in "YX")


def read_calibration(
    tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, position: int = 0
) -> Calibration:
    """Read what a TIFF file states about one of its series, or about a position of one."""
    if series.kind == "ome" and tif.ome_metadata:
        return _from_ome(tif.ome_metadata, tif.series.index(series))
    if series.kind == "lsm":
        return _from_lsm(tif.lsm_metadata or {})
    notes: Mapping[str, Any] = {}
    if series.kind == "imagej":
        notes = tif.imagej_metadata or {}
    elif series.kind == "shaped" and tif.shaped_metadata:
        notes = tif.shaped_metadata[0]
    found = _from_tags(series.keyframe, notes)
    if tif.is_mmstack or tif.is_ndtiff:  # whose series tifffile calls by their own names
        found.update(_from_summary((tif.micromanager_metadata or {}).get("Summary") or {}))
        if tif.ome_metadata:
            found.update(_from_ome(tif.ome_metadata, position))
    return found


def _from_summary(summary: Mapping[str, Any]) -> Calibration:
    found = Calibration()
    for axis in "XY":
        found.set(axis, summary.get("PixelSize_um"), "micrometer")
    step = _number(summary.get("z-step_um"))
    found.set("Z", None if step is None else abs(step), "micrometer")
    found.set("T", summary.get("Interval_ms"), "millisecond")
    return found


def _from_lsm(said: Mapping[str, Any]) -> Calibration:
    """Read the voxel size of a Zeiss LSM, in metres, and its interval in seconds."""
    found = Calibration()
    for axis in "XYZ":
        size = _number(said.get(f"VoxelSize{axis}"))
        found.set(axis, None if size is None else size * 1e6, "micrometer")
    found.set("T", said.get("TimeIntervall"), "second")
    return found


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
    in_micrometres = {_INCH: 25400.0, _CENTIMETRE: 10000.0}.get(int(tag_unit or 1))
    # ImageJ's unit is that of X, and of the other axes that have none of their own; it outrules
    # the tag, as in ImageJ.
    noted = {
        axis: normalise_unit(notes.get(f"{axis.lower()}unit") or notes.get("unit"))
        for axis in "XYZ"
    }
    if "unit" in notes:
        for axis, n in per_unit.items():
            found.set(axis, 1 / n if n else None, noted[axis])
    elif in_micrometres:
        if not _is_printing(page, per_unit, in_micrometres):
            for axis, n in per_unit.items():
                found.set(axis, in_micrometres / n if n else None, "micrometer")
    elif "ImageJ" in notes and any(n not in (None, 1.0) for n in per_unit.values()):
        for axis, n in per_unit.items():  # relative numbers: they keep the aspect ratio
            found.set(axis, 1 / n if n else None, PIXEL)
    depth = _number(notes.get("spacing"))
    found.set("Z", None if depth is None else abs(depth), noted["Z"])
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


def _is_printing(
    page: tifffile.TiffPage, per_unit: Mapping[str, float | None], in_micrometres: float
) -> bool:
    """Whether a resolution is one of paper or screens, which says nothing about the sample."""
    given = [n for n in per_unit.values() if n]
    dots = [n * 25400.0 / in_micrometres for n in given]
    if all(any(abs(d / p - 1) < 0.005 for p in PRINTING_DPI[:2]) for d in dots):
        return True
    if _MICROSCOPY.search(str(page.tags.valueof(_SOFTWARE) or "")):
        return False
    if in_micrometres != 25400.0 and all(n == round(n) for n in given):
        return all(any(abs(d / p - 1) < 0.005 for p in PRINTING_DPI) for d in dots)
    return all(
        any(abs(d / p - 1) < 0.005 for p in PRINTING_DPI)
        or (_FEWEST_DPI <= d <= _MOST_DPI and abs(d - round(d)) < 0.01)
        for d in dots
    )


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
