"""Reading Heidelberg's .E2E: the volumes of an examination, and the images of the fundus.

A file is a chain of directories, whose entries say where each part lies and to which B-scan of
which series it belongs. The layout is known from UOCTE and LibE2E; as there, and other than in
Python's readers, the ten bits of a mantissa are taken in their order (docs/decisions.md).
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import Acquisition, Laterality, Line
from napari_srgan.io.formats.oct_image import (
    MICROMETRES,
    OctImage,
    StoredPlanes,
    damage_of,
    numbered,
)
from napari_srgan.io.formats.source import Source

SIGNATURES = (b"CMDb", b"E2EMultipleVolumeFile")
_SEVERAL_SKIP = 64  # bytes before all that positions count from, in the second kind

_HEAD, _DIRECTORY = 36, struct.Struct("<12s4x20x4I")  # number of entries, own place, that before
_ENTRY = np.dtype(
    [
        ("pos", "<u4"),
        ("start", "<u4"),
        ("size", "<u4"),
        ("zero", "<u4"),
        ("patient", "<i4"),
        ("study", "<i4"),
        ("series", "<i4"),
        ("slice", "<i4"),
        ("index", "<u2"),
        ("more", "<u2"),
        ("type", "<u4"),
        ("id", "<u4"),
    ]
)
_PART = 60  # bytes before the data of each part
_IMAGE, _EYE, _B_SCAN = 0x40000000, 11, 10004
_EYES: dict[int, Laterality] = {ord("R"): "OD", ord("L"): "OS"}
_BYTES, _FLOATS = 1, 32
"""Kinds of images: 8 bits of the fundus, and 16 bits of B-scans."""
_MOST_B_SCANS = 10_000
_LEAST = 72  # bytes of what is said of a B-scan; HEYEX's anonymisation leaves some of it empty


@dataclass
class _Series:
    """What is gathered of one series, by the number of the slice."""

    eye: Laterality | None = None
    b_scans: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    fundus: list[tuple[int, int, int]] = field(default_factory=list)
    said: dict[int, _Said] = field(default_factory=dict)


@dataclass(frozen=True)
class _Said:
    """What is said of a B-scan: its line in degrees, its pixels' height in mm, its place."""

    line: Line
    height: float
    count: int
    number: int
    frames: int


def read_e2e(path: Path) -> list[OctImage]:
    """List the volumes of an .E2E file, by their series, and the images of the fundus.

    Values are linear in intensity, and NaN where there is none. B-scans stand at the number that
    they have; one that the file lacks reads as 0, with a warning. Of the pixel sizes only the
    height is stated: lines are given in degrees.

    Raises
    ------
    InputError
        If it is damaged or cut short, or holds no image.
    """
    source = Source.of(path)
    with damage_of(path, "Heidelberg .E2E"), source.open() as file:
        base = _SEVERAL_SKIP if file.read(21) == SIGNATURES[1] else 0
        found: dict[tuple[int, int, int], _Series] = {}
        for entry in _entries(file, base, source.size):
            key = (int(entry["patient"]), int(entry["study"]), int(entry["series"]))
            _gather(file, base, entry, found.setdefault(key, _Series()))
    series = [found[key] for key in sorted(found)]
    scans = numbered(
        [_volume(source, one, i) for i, one in enumerate(s for s in series if s.b_scans)]
    )
    fundus: list[OctImage] = []
    for one in series:
        for offset, height, width in one.fundus:
            number = len(scans) + len(fundus)
            data = StoredPlanes(
                source, [offset], (height, width), "u1", read_e2e, number, flat=True
            )
            taken = Acquisition(modality="enface", laterality=one.eye)
            fundus.append(OctImage(name="SLO", data=data, axes="YX", acquisition=taken))
    if not scans and not fundus:
        raise InputError(f"{path.name} holds no images.")
    return scans + numbered(fundus)


def _entries(file: BinaryIO, base: int, size: int) -> Iterator[Any]:
    """Go along the chain of directories, from the last, and through the parts that each names."""
    file.seek(base + _HEAD)
    magic, _, at, _, _ = _DIRECTORY.unpack(file.read(_DIRECTORY.size))
    if not magic.startswith(b"MDbMDir"):
        raise ValueError("it has no directory")
    seen: set[int] = set()
    while at:
        if at in seen:
            raise ValueError("its directories go in a circle")
        seen.add(at)
        file.seek(base + at)
        magic, count, _, before, _ = _DIRECTORY.unpack(file.read(_DIRECTORY.size))
        if not magic.startswith(b"MDbDir") or count * _ENTRY.itemsize > size:
            raise ValueError("a directory is not where it should be")
        entries = np.frombuffer(file.read(count * _ENTRY.itemsize), _ENTRY)
        if len(entries) != count:
            raise ValueError("a directory is cut short")
        used = (entries["start"] > entries["pos"]) & (entries["series"] >= 0)
        yield from entries[used & np.isin(entries["type"], (_IMAGE, _EYE, _B_SCAN))]
        at = before


def _gather(file: BinaryIO, base: int, entry: Any, series: _Series) -> None:
    """Note of a part what is needed of it."""
    begin, where = base + int(entry["start"]) + _PART, int(entry["slice"])
    file.seek(begin)
    kind = int(entry["type"])
    if kind == _IMAGE:
        head = file.read(20)
        height, width = struct.unpack_from("<2I", head, 12)
        place = (begin + 20, height, width)
        if head[6] == _BYTES and height and width:
            series.fundus.append(place)
        elif head[6] == _FLOATS and where >= 0:
            series.b_scans[where] = place
    elif kind == _EYE:
        series.eye = _EYES.get(int.from_bytes(file.read(15)[14:], "little"))
    elif len(data := file.read(min(int(entry["size"]), 124))) >= _LEAST:
        x0, y0, x1, y1 = struct.unpack_from("<4f", data, 12)
        count, number = struct.unpack_from("<2I", data, 64)
        frames = struct.unpack_from("<I", data, 120)[0] if len(data) == 124 else 0
        height_mm = struct.unpack_from("<f", data, 36)[0]
        series.said[where] = _Said((x0, y0, x1, y1), height_mm, count, number, frames)


def _volume(source: Source, series: _Series, number: int) -> OctImage:
    """Put the B-scans of a series in order."""
    sizes = {place[1:] for place in series.b_scans.values()}
    if len(sizes) > 1:
        raise InputError(
            f"{source.name} has B-scans of different sizes in one volume, which is not supported."
        )
    said = [series.said.get(where) for where in sorted(series.b_scans)]
    known = [one for one in said if one is not None]
    places = [series.b_scans[where][0] for where in sorted(series.b_scans)]
    offsets, lines, frames = places, [one.line for one in known], [one.frames for one in known]
    if len(known) == len(places):
        order = {one.number: i for i, one in enumerate(known)}
        count = max(one.count for one in known)
        first = 1 if max(order) >= count > 0 else 0  # counted from 1 or from 0
        whole = min(order) >= first and max(order) - first < count <= _MOST_B_SCANS
        if len(order) == len(known) and whole:
            numbers = [order.get(first + i, -1) for i in range(count)]
            offsets = [places[i] if i >= 0 else -1 for i in numbers]
            if -1 in numbers:
                warnings.warn(
                    f"{source.name}: {numbers.count(-1)} of {count} B-scans are not in the file"
                    " and read as 0.",
                    stacklevel=2,
                )
                lines, frames = [], []
            else:
                lines, frames = [lines[i] for i in numbers], [frames[i] for i in numbers]
    data = StoredPlanes(
        source,
        offsets,
        sizes.pop(),
        "<u2",
        read_e2e,
        number,
        flat=len(offsets) == 1,
        meaning=_values,
        dtype=np.float32,
    )
    return OctImage(
        name="OCT",
        data=data,
        axes="ZYX"[-data.ndim :],
        spacing={"Y": known[0].height * MICROMETRES} if known else {},
        acquisition=Acquisition(
            laterality=series.eye,
            lines=tuple(lines) if len(lines) == len(offsets) else (),
            lines_unit="degree",
            frames=tuple(frames) if all(frames) and len(frames) == len(offsets) else (),
            linear=True,
        ),
    )


def _values(stored: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Read numbers of 6 bits of exponent and 10 of mantissa, without sign."""
    mantissa, exponent = (stored & 0x3FF).astype(np.float32), (stored >> 10).astype(np.int32)
    small = exponent == 0
    values = np.ldexp(mantissa / 1024 + ~small, np.where(small, 1, exponent) - 63)
    return np.where(exponent == 63, np.float32(np.nan), values.astype(np.float32))
