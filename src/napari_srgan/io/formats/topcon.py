"""Reading Topcon's .fda and .fds: parts with their names, of which a few are read."""

from __future__ import annotations

import io
import struct
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, Jpeg2KImagePlugin, JpegImagePlugin

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import Acquisition, Laterality, Pattern
from napari_srgan.io.formats.oct_image import (
    MICROMETRES,
    OctImage,
    StoredPlanes,
    array_of,
    damage_of,
)
from napari_srgan.io.formats.source import FileArray, Source, check_memory

SIGNATURE = b"FOCT"
_BEFORE = 15  # bytes: what it is, and versions

_RAW = (b"@IMG_SCAN_03", b"@IMG_MOT_COMP_03")
"""B-scans in 16 bits, as taken or with the motion of the eye undone."""
_RAW_HEAD = struct.Struct("<B4IBI")  # pattern; width, height, bits, B-scans; format, bytes
_JPEG = b"@IMG_JPEG"
_JPEG_HEAD = struct.Struct("<B6I")  # pattern; unknown, unknown, width, height, B-scans, unknown
_FUNDUS = {b"@IMG_FUNDUS": (24, True), b"@IMG_OBS": (21, False), b"@IMG_TRC_02": (21, True)}
"""Images of the fundus: the length of their header, and whether they are compressed."""
_SCANS: dict[bytes, int] = {b"@PARAM_SCAN_04": 12, b"@PARAM_SCAN_02": 21}
"""Where the width and the length of the scan in mm and the height of a pixel in um stand."""
_CAPTURE = (b"@CAPTURE_INFO_02", b"@CAPTURE_INFO")
_EYES: dict[int, Laterality] = {0: "OD", 1: "OS"}
_PATTERNS: dict[int, Pattern] = {2: "volume", 3: "radial"}
_MOST = 2**16
"""Of pixels along an axis, and of B-scans."""


def read_topcon(path: Path) -> list[OctImage]:
    """List the scans and the images of the fundus of a Topcon file.

    Raises
    ------
    InputError
        If it is damaged or cut short, or holds B-scans in none of the ways that are read.
    """
    source = Source.of(path)
    images: list[OctImage] = []
    with damage_of(path, "Topcon"), source.open() as file:
        parts = _parts(file, source.size)
        eye = None
        for name in reversed(_CAPTURE):
            if name in parts:
                file.seek(parts[name][0])
                eye = _EYES.get(file.read(1)[0])
        for name in (*_RAW, _JPEG):
            if name in parts:
                images.append(_scan(file, source, parts, name, eye, len(images)))
        if not images:
            raise InputError(
                f"{path.name} holds no B-scans that are read; export them as DICOM or TIFF from the"
                " Topcon's program."
            )
        for name, (head, packed) in _FUNDUS.items():
            if name in parts:
                images.append(_fundus(file, source, parts[name], head, packed, len(images), eye))
    return images


def _parts(file: BinaryIO, size: int) -> dict[bytes, tuple[int, int]]:
    """Say where each part begins and how long it is; of several of one name the first."""
    found: dict[bytes, tuple[int, int]] = {}
    at = _BEFORE
    while True:
        file.seek(at)
        length = file.read(1)[0]
        if not length:
            return found
        name = file.read(length)
        count = struct.unpack("<I", file.read(4))[0]
        begin = file.tell()
        at = begin + count
        if at > size:
            raise ValueError("a part is cut short")
        found.setdefault(name, (begin, count))


def _scan(
    file: BinaryIO,
    source: Source,
    parts: dict[bytes, tuple[int, int]],
    name: bytes,
    eye: Laterality | None,
    number: int,
) -> OctImage:
    begin, length = parts[name]
    file.seek(begin)
    data: FileArray
    if name == _JPEG:
        mode, _, _, width, height, count, _ = _JPEG_HEAD.unpack(file.read(_JPEG_HEAD.size))
        _check(width, height, count)
        places = _packed(file, count, begin + length)
        data = _PackedPlanes(source, places, (height, width), number)
    else:
        mode, width, height, bits, count, _, _ = _RAW_HEAD.unpack(file.read(_RAW_HEAD.size))
        _check(width, height, count)
        first, plane = begin + _RAW_HEAD.size, width * height * 2
        if bits != 16 or _RAW_HEAD.size + count * plane > length:
            raise ValueError("its B-scans are not as large as it says")
        offsets = [first + i * plane for i in range(count)]
        data = StoredPlanes(
            source, offsets, (height, width), "<u2", read_topcon, number, flat=count == 1
        )
    pattern = _PATTERNS.get(mode)
    spacing = _spacing(file, parts, width, count if pattern == "volume" else 1)
    return OctImage(
        name="OCT, motion corrected" if b"MOT_COMP" in name else "OCT",
        data=data,
        axes="ZYX"[-data.ndim :],
        spacing=spacing,
        acquisition=Acquisition(laterality=eye, pattern=pattern, linear=False),
    )


def _check(width: int, height: int, count: int) -> None:
    if min(width, height, count) < 1 or max(width, height, count) > _MOST:
        raise ValueError("it has no B-scans")


def _spacing(
    file: BinaryIO, parts: dict[bytes, tuple[int, int]], width: int, count: int
) -> dict[str, float]:
    for name, where in _SCANS.items():
        if name in parts:
            file.seek(parts[name][0] + where)
            along, across, height = struct.unpack("<3d", file.read(24))
            found = {"Y": height, "X": along / width * MICROMETRES}
            return found | ({"Z": across / count * MICROMETRES} if count > 1 else {})
    return {}


def _fundus(
    file: BinaryIO,
    source: Source,
    part: tuple[int, int],
    head: int,
    packed: bool,
    number: int,
    eye: Laterality | None,
) -> OctImage:
    begin, length = part
    file.seek(begin)
    width, height = struct.unpack("<2I", file.read(8))
    _check(width, height, 1)
    if packed:
        array = _decoded(source, begin + head, length - head, (height, width))
    else:
        if head + width * height * 3 > length:
            raise ValueError("its image of the fundus is not as large as it says")
        file.seek(begin + head)
        array = np.frombuffer(file.read(width * height * 3), np.uint8).reshape(height, width, 3)
    if array.ndim == 3:
        array = np.ascontiguousarray(array[..., ::-1])  # stored as blue, green and red
    return OctImage(
        name="fundus",
        data=array,
        axes="YXS"[: array.ndim],
        acquisition=Acquisition(modality="enface", laterality=eye),
    )


def _packed(file: BinaryIO, count: int, end: int) -> list[tuple[int, int]]:
    """Say where each compressed B-scan lies and how long it is."""
    places = []
    for _ in range(count):
        length = struct.unpack("<i", file.read(4))[0]
        at = file.tell()
        if length < 1 or at + length > end:
            raise ValueError("a B-scan is cut short")
        places.append((at, length))
        file.seek(at + length)
    return places


class _PackedPlanes(FileArray):
    """B-scans that are compressed each by itself, and decoded when they are asked for."""

    def __init__(
        self, source: Source, places: list[tuple[int, int]], plane: tuple[int, int], number: int
    ) -> None:
        self._places, self._plane = places, plane
        first = _decoded(source, *places[0], plane)
        shape = plane if len(places) == 1 else (len(places), *plane)
        reopen = partial(array_of, reader=read_topcon, number=number)
        super().__init__([source], shape, first.dtype, reopen, number)

    def _read(self, ranges: list[range]) -> npt.NDArray[Any]:
        planes = ranges[0] if self.ndim == 3 else range(1)
        inner = np.ix_(*ranges[-2:])
        found = [_decoded(self.sources[0], *self._places[i], self._plane)[inner] for i in planes]
        out = np.array(found, self.dtype).reshape(len(found), *map(len, ranges[-2:]))
        return out if self.ndim == 3 else out[0]


def _decoded(source: Source, at: int, length: int, size: tuple[int, int]) -> npt.NDArray[Any]:
    """Decode a JPEG or JPEG 2000 of a known size."""
    check_memory(source.name, 4 * size[0] * size[1])
    with damage_of(source.path, "Topcon"):
        with source.open() as file:
            file.seek(at)
            data = io.BytesIO(file.read(length))
        image: Image.Image
        if data.getvalue().startswith(b"\xff\xd8"):
            image = JpegImagePlugin.JpegImageFile(data)
        else:
            image = Jpeg2KImagePlugin.Jpeg2KImageFile(data)
        if image.size != size[::-1]:
            raise ValueError("an image is of another size")
        return np.asarray(image)
