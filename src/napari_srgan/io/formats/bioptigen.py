"""Reading Bioptigen's .OCT: fields with their names, a header of them and one for each B-scan."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from napari_srgan.image.acquisition import Acquisition, Pattern
from napari_srgan.io.formats.oct_image import OctImage, StoredPlanes, damage_of
from napari_srgan.io.formats.source import Source

_BEFORE = 6  # bytes: a number that says what it is, and a version
_LONGEST_NAME, _LONGEST_VALUE = 64, 64  # bytes
_HEADINGS = ("FRAMEHEADER", "FRAMEDATA")
"""Fields whose length is that of the list after them."""
_PATTERNS: dict[int, Pattern] = {0: "line", 1: "volume", 3: "radial"}


def is_bioptigen(head: bytes) -> bool:
    """Say whether a file begins so."""
    return head[_BEFORE : _BEFORE + 15] == b"\x0b\0\0\0FRAMEHEADER"


def read_bioptigen(path: Path) -> list[OctImage]:
    """Map the B-scans of a Bioptigen file, in their order.

    Nothing is said of pixel sizes that could be relied on, nor of the eye.

    Raises
    ------
    InputError
        If it is damaged or holds fewer B-scans than it says.
    """
    source = Source.of(path)
    with damage_of(path, "Bioptigen .OCT"), source.open() as file:
        file.seek(_BEFORE)
        header = dict(_fields(file))
        count, across, depth = (
            _whole(header[name]) for name in ("FRAMECOUNT", "LINECOUNT", "LINELENGTH")
        )
        if min(count, across, depth) < 1 or count * across * depth * 2 > source.size:
            raise ValueError("it ends before its B-scans do")
        offsets = [_samples(file, across, depth) for _ in range(count)]
    data = StoredPlanes(
        source, offsets, (depth, across), "<u2", read_bioptigen, flat=count == 1, by_columns=True
    )
    return [
        OctImage(
            name="OCT",
            data=data,
            axes="ZYX"[-data.ndim :],
            acquisition=Acquisition(
                pattern=_PATTERNS.get(_whole(header.get("SCANTYPE", b"\xff"))), linear=False
            ),
        )
    ]


def _samples(file: BinaryIO, across: int, depth: int) -> int:
    """Go over a B-scan, and say where its samples begin."""
    size, at = across * depth * 2, -1
    for name, length in _names(file):
        begin = file.tell()
        if name == "FRAMELINES" and _whole(file.read(length)) != across:
            raise ValueError("a B-scan is of another size")
        if name == "FRAMESAMPLES":
            at = begin if length == size else -1
        file.seek(begin + length)
    if at < 0:
        raise ValueError("a B-scan is of another size")
    return at


def _fields(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    """Read fields to the end of their list, of long ones only the begin."""
    for name, size in _names(file):
        end = file.tell() + size
        yield name, file.read(min(size, _LONGEST_VALUE))
        file.seek(end)


def _names(file: BinaryIO) -> Iterator[tuple[str, int]]:
    """Name each field of a list and the length of its value, at which the file stands then."""
    while (size := struct.unpack("<I", file.read(4))[0]) != 0:
        if size > _LONGEST_NAME:
            raise ValueError("a field has no name")
        name = file.read(size).rstrip(b"\0").decode("ascii")
        length = struct.unpack("<I", file.read(4))[0]
        yield name, 0 if name in _HEADINGS else length


def _whole(value: bytes) -> int:
    return int.from_bytes(value[:8], "little")
