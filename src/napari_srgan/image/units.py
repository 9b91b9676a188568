"""Units of length and time: one spelling inside (pint's, which napari takes), many on disk."""

from __future__ import annotations

PIXEL = "pixel"

# pint's name: (its size in metres or seconds, OME's symbol, other spellings met in files)
_LENGTHS: dict[str, tuple[float, str, str]] = {
    "angstrom": (1e-10, "Å", "Å Å angstroms"),
    "nanometer": (1e-9, "nm", "nanometers nanometre nanometres"),
    # µ is U+00B5 or U+03BC; ImageJ escapes it in its text description
    "micrometer": (
        1e-6,
        "µm",
        "µm μm um µ μ \\u00b5m \\u03bcm micron microns micrometers micrometre micrometres",
    ),
    "millimeter": (1e-3, "mm", "millimeters millimetre millimetres"),
    "centimeter": (1e-2, "cm", "centimeters centimetre centimetres"),
    "meter": (1.0, "m", "meters metre metres"),
    "inch": (0.0254, "in", 'inches "'),
}
_TIMES: dict[str, tuple[float, str, str]] = {
    "nanosecond": (1e-9, "ns", "nanoseconds nsec"),
    "microsecond": (1e-6, "µs", "µs μs us microseconds usec"),
    "millisecond": (1e-3, "ms", "milliseconds msec"),
    "second": (1.0, "s", "seconds sec"),
    "minute": (60.0, "min", "minutes"),
    "hour": (3600.0, "h", "hours hr"),
    "day": (86400.0, "d", "days"),
}
_KNOWN = _LENGTHS | _TIMES
_SPELLINGS = {
    spelling: name
    for name, (_, symbol, others) in _KNOWN.items()
    for spelling in (name, symbol, *others.split())
}


def normalise_unit(text: object) -> str:
    """Spell a unit as pint does (``"um"`` -> ``"micrometer"``); ``"pixel"`` if unknown."""
    spelling = str(text or "").strip().strip("\0")
    return _SPELLINGS.get(spelling) or _SPELLINGS.get(spelling.lower(), PIXEL)


def convert(value: float, unit: str, target: str) -> float | None:
    """Convert a length or a time between pint names; None where there is no such conversion."""
    if unit == target:
        return value
    for kind in (_LENGTHS, _TIMES):
        if unit in kind and target in kind:
            return value * (kind[unit][0] / kind[target][0])
    return None


def ome_symbol(unit: str) -> str:
    """Spell a unit as OME-XML does; what OME has no symbol for becomes ``"pixel"``."""
    return _KNOWN[unit][1] if unit in _KNOWN else PIXEL


def is_length(unit: str) -> bool:
    """Whether `unit` (pint's name) is a physical length."""
    return unit in _LENGTHS


def is_time(unit: str) -> bool:
    """Whether `unit` (pint's name) is a time."""
    return unit in _TIMES
