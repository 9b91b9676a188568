"""How an image was taken, as its file says: of which eye, along which lines, from how many frames.

Only numbers and words of fixed lists, so nothing in it can name a person. It is all that goes from
the file of a clinical instrument into layers and results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

KEY = "acquisition"
"""Where the metadata of a stack, a layer and an output hold it, as `Acquisition.to_dict`."""

ORIENTATION = "orientation"
"""Where metadata hold which way X, Y and Z run in the world, and where pixel 0 is in mm: 3 rows of
4, as in NIfTI."""

Modality = Literal["oct", "enface"]
Laterality = Literal["OD", "OS"]
Pattern = Literal["line", "circle", "volume", "radial"]
Provenance = Literal["file", "assumed", "unknown"]
LinesUnit = Literal["millimeter", "degree", "pixel"]
Line = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """How an image was taken; what a file does not say is None or empty.

    Attributes
    ----------
    modality : {"oct", "enface"} or None
        B-scans, or an image of the fundus.
    laterality : {"OD", "OS"} or None
        The right or the left eye.
    pattern : {"line", "circle", "volume", "radial"} or None
        How the B-scans lie.
    lines : tuple of (float, float, float, float)
        Where each B-scan begins and ends, as x, y, x, y; of a circle its begin and its centre.
    lines_unit : {"millimeter", "degree", "pixel"}
        Of `lines`; pixels are those of the image of the fundus that belongs to them.
    frames : tuple of int
        How many frames each B-scan is the mean of.
    linear : bool or None
        Whether the values are linear in intensity.
    spacing : mapping of axis letter to {"file", "assumed", "unknown"}
        Where the pixel distance along each axis comes from.
    """

    modality: Modality | None = "oct"
    laterality: Laterality | None = None
    pattern: Pattern | None = None
    lines: tuple[Line, ...] = ()
    lines_unit: LinesUnit = "millimeter"
    frames: tuple[int, ...] = ()
    linear: bool | None = None
    spacing: Mapping[str, Provenance] = field(default_factory=dict)

    def part(self, start: int, stop: int) -> Acquisition:
        """Return that of some of the B-scans."""
        return replace(self, lines=self.lines[start:stop], frames=self.frames[start:stop])

    def to_dict(self) -> dict[str, Any]:
        """Write what is known as JSON holds it."""
        known = {f.name: getattr(self, f.name) for f in fields(self)}
        known["lines"] = [list(line) for line in self.lines]
        known["frames"], known["spacing"] = list(self.frames), dict(self.spacing)
        if not self.lines:
            del known["lines_unit"]
        return {k: v for k, v in known.items() if v is not None and v not in ([], {})}

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Acquisition | None:
        """Read it from metadata; None if they hold none, or anything that it cannot hold."""
        given = metadata.get(KEY)
        if not isinstance(given, Mapping) or not set(given) <= set(_READERS):
            return None
        try:
            return cls(**{"modality": None} | {k: _READERS[k](v) for k, v in given.items()})
        except (TypeError, ValueError):
            return None


def orientation_of(metadata: Mapping[str, Any]) -> list[list[float]] | None:
    """Read the directions and the origin; None if metadata hold none."""
    try:
        rows = [[float(v) for v in row] for row in metadata.get(ORIENTATION) or []]
    except (TypeError, ValueError):
        return None
    fits = len(rows) == 3 and all(len(row) == 4 and all(map(math.isfinite, row)) for row in rows)
    return rows if fits else None


def without_names(
    metadata: Mapping[str, Any], slices: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Keep of metadata what cannot name a person: numbers, and words of fixed lists.

    Parameters
    ----------
    metadata : mapping
    slices : (int, int), optional
        The range along Z that is kept.
    """
    taken, placed = Acquisition.of(metadata), orientation_of(metadata)
    kept: dict[str, Any] = {}
    if taken is not None:
        kept[KEY] = (taken if slices is None else taken.part(*slices)).to_dict()
    return kept if placed is None else {**kept, ORIENTATION: placed}


def _one_of(kind: Any) -> Any:
    def read(value: Any) -> Any:
        if value not in get_args(kind):
            raise ValueError(f"{value!r} is none of {get_args(kind)}")
        return value

    return read


def _lines(value: Any) -> tuple[Line, ...]:
    found = []
    for line in value:
        x0, y0, x1, y1 = map(float, line)
        found.append((x0, y0, x1, y1))
    return tuple(found)


def _spacing(value: Any) -> dict[str, Provenance]:
    axis, source = _one_of(Literal["T", "C", "Z", "Y", "X"]), _one_of(Provenance)
    return {axis(a): source(s) for a, s in value.items()}


_READERS: Mapping[str, Any] = {
    "modality": _one_of(Modality),
    "laterality": _one_of(Laterality),
    "pattern": _one_of(Pattern),
    "lines": _lines,
    "lines_unit": _one_of(LinesUnit),
    "frames": lambda value: tuple(int(n) for n in value),
    "linear": _one_of(Literal[True, False]),
    "spacing": _spacing,
}
