"""Notes: what napari-srgan writes into an image file beyond what the format has a place for.

One JSON object under the key ``napari_srgan``: ``metadata`` (the provenance of a result among
it) and ``layout`` (axes, scale, translate and units, exactly). It lies in ImageJ's Info, in an
OME annotation, in tifffile's JSON description or in a PNG text chunk, so that other programs
carry it along. It is believed only while it still describes the pixels.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from napari_srgan.image.units import PIXEL, convert
from napari_srgan.io import schema
from napari_srgan.io.calibration import Calibration
from napari_srgan.io.output import OutputSpec

if TYPE_CHECKING:
    import tifffile


KEY = "napari_srgan"
NAMESPACE = "napari-srgan"
"""Namespace of the annotation in OME-XML."""
_LEVELS = schema.DEEPEST - 2  # the notes themselves, and what a format wraps them in


def notes_for(spec: OutputSpec, metadata: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Compose the notes of an output; what JSON cannot hold is left out of its metadata."""
    return {
        "layout": {
            "axes": spec.axes,
            "shape": list(spec.shape),
            "scale": list(spec.scale),
            "translate": list(spec.translate),
            "units": list(spec.units),
        },
        "metadata": jsonable({**spec.metadata, **(metadata or {})}),
    }


def notice(notes: Mapping[str, Any]) -> str:
    """Return the sentence about research use that a result's provenance holds, or ``""``."""
    provenance = notes.get("metadata", {}).get(KEY)
    return str(provenance.get("notice", "")) if isinstance(provenance, dict) else ""


def to_text(notes: Mapping[str, Any]) -> str:
    """Write the notes as one line of ASCII, which every format can hold."""
    return json.dumps(notes, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def from_text(text: object) -> dict[str, Any] | None:
    """Read what `to_text` wrote; None if it is anything else, or beyond the bounds of `schema`.

    Returns
    -------
    dict or None
        ``metadata``, a dictionary, and ``layout`` if every field of it is what it must be.
    """
    try:
        value = schema.from_json(text) if isinstance(text, str | bytes) else schema.bounded(text)
        notes = schema.fields_of(value, {"metadata": schema.mapping})
    except ValueError:
        return None
    try:
        return notes | {"layout": schema.fields_of(value.get("layout"), _LAYOUT, _LAYOUT)}
    except ValueError:
        return notes


def _scale(value: Any) -> float:
    scale = schema.number(value)
    if scale == 0:
        raise ValueError("must not be 0")
    return scale


_LAYOUT: Mapping[str, schema.Reader[Any]] = {
    "axes": schema.line,
    "shape": schema.several(schema.whole(1, 2**40)),
    "scale": schema.several(_scale),
    "translate": schema.several(schema.number),
    "units": schema.several(schema.line),
}


def to_info(notes: Mapping[str, Any]) -> str:
    """Write the notes as ImageJ's Info, whose lines are ``key = value``."""
    first = f"notice = {notice(notes)}\n" if notice(notes) else ""
    return f"{first}{KEY} = {to_text(notes)}\n"


def read_notes(tif: tifffile.TiffFile) -> dict[str, Any] | None:
    """Find the notes in a TIFF file of any flavour."""
    if tif.is_ome and tif.ome_metadata:
        for element in ElementTree.fromstring(tif.ome_metadata).iter():
            if element.tag.endswith("}M") and element.get("K") == KEY:
                return from_text(element.text)
    if tif.is_imagej:
        for line in str((tif.imagej_metadata or {}).get("Info", "")).splitlines():
            key, _, value = line.partition(" = ")
            if key.strip() == KEY:
                return from_text(value)
    if tif.is_shaped and tif.shaped_metadata:
        return from_text(tif.shaped_metadata[0].get(KEY))
    return None


def valid_layout(
    notes: Mapping[str, Any] | None, axes: str, shape: Sequence[int], stated: Calibration | None
) -> dict[str, Any] | None:
    """Return the layout if it still describes the pixels.

    Another program may have cropped, reordered or recalibrated the image and kept the notes; the
    file's own calibration then holds, and the layout must not.

    Parameters
    ----------
    notes : mapping or None
        As read from the file.
    axes, shape : str and sequence of int
        As the file states them, in any order; axes of length 1 may be missing.
    stated : Calibration or None
        The file's own calibration; None if its format has no place for one.
    """
    layout: dict[str, Any] | None = (notes or {}).get("layout")
    if layout is None:
        return None
    try:
        letters = layout["axes"]
        noted = dict(zip(letters, layout["shape"], strict=True))
        plain = letters.replace("S", "")
        scale = dict(zip(plain, layout["scale"], strict=True))
        translate = dict(zip(plain, layout["translate"], strict=True))
        units = dict(zip(plain, layout["units"], strict=True))
        same = _long(noted) == _long(dict(zip(axes, shape, strict=True)))
        if same and stated is not None:
            same = all(
                _agrees(stated, a, scale[a], translate[a], units[a]) for a in "ZYX" if a in scale
            )
    except ValueError:  # not as many as there are axes
        return None
    return layout if same else None


def jsonable(value: Any, levels: int = _LEVELS) -> Any:
    """Keep of nested metadata what JSON can hold and `from_text` reads again.

    Numpy scalars become numbers, and what lies deeper than so many levels becomes None.
    """
    if isinstance(value, (Mapping, list, tuple)) and not levels:
        return None
    if isinstance(value, Mapping):
        pairs = {str(k): jsonable(v, levels - 1) for k, v in value.items()}
        return {k: v for k, v in pairs.items() if v is not None or value.get(k) is None}
    if isinstance(value, (list, tuple)):
        return [jsonable(v, levels - 1) for v in value]
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, (str, int, float, bool)) else None


def _long(sizes: Mapping[str, int]) -> dict[str, int]:
    return {a: int(n) for a, n in sizes.items() if n != 1}


def _agrees(stated: Calibration, axis: str, scale: float, translate: float, unit: str) -> bool:
    if axis == "Z" and axis not in stated.scale:
        return True  # ImageJ has one unit for all axes: a Z in another one was not written
    its_unit = stated.unit.get(axis, PIXEL)
    its_scale = stated.scale.get(axis, 1.0)
    # a unit that the format has no name for was written as pixels, with the same number
    noted = scale if its_unit == PIXEL else convert(abs(scale), unit, its_unit)
    if noted is None or not math.isclose(abs(noted), its_scale, rel_tol=1e-4):
        return False
    shift = stated.origin.get(axis, 0.0) / its_scale - translate / abs(scale)
    return abs(shift) < 1e-3
