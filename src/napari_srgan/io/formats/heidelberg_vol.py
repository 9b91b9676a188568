"""Reading Heidelberg's raw export, .vol: B-scans linear in intensity, and the image of the fundus.

The layout is that of the header's own fields; nothing about the patient in them is read.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_srgan.image.acquisition import Acquisition, Laterality, Pattern
from napari_srgan.image.valid import is_value
from napari_srgan.io.formats.oct_image import MICROMETRES, OctImage, StoredPlanes, damage_of
from napari_srgan.io.formats.source import Source

SIGNATURES = (b"HSF-OCT-", b"ep-v")
"""How a file begins: Heidelberg's, and those that eyepy writes."""

_HEADER, _HEADER_SIZE = struct.Struct("<12s3I3d2I2dId4sQi"), 2048
_BSCAN, _BSCAN_SIZE = struct.Struct("<12sI4d"), 256
_PATTERNS: dict[int, Pattern] = {1: "line", 2: "circle", 3: "volume", 4: "volume", 5: "radial"}
_EYES: dict[bytes, Laterality] = {b"OD": "OD", b"OS": "OS"}


def read_vol(path: Path) -> list[OctImage]:
    """List the B-scans and the image of the fundus of a .vol file.

    Pixels that stand for no value are NaN. Only of a volume the distance of the B-scans is a pixel
    size along Z: those of a star or a circle lie otherwise.

    Raises
    ------
    InputError
        If it is damaged or cut short.
    """
    source = Source.of(path)
    with damage_of(path, "Heidelberg .vol"), source.open() as file:
        # version; width, number and height of the B-scans, their pixel sizes and distance in mm;
        # the same of the SLO image; its field and focus; eye, time, pattern
        _, nx, n, ny, dx, dz, dy, wide, high, slo_x, slo_y, _, _, eye, _, pattern = _HEADER.unpack(
            file.read(_HEADER.size)
        )
        if not n or n * (_BSCAN_SIZE + nx * ny * 4) > source.size:
            raise ValueError("it ends before its B-scans do")
        lines, offsets, at = [], [], _HEADER_SIZE + wide * high
        for _ in range(n):
            file.seek(at)
            _, size, x0, y0, x1, y1 = _BSCAN.unpack(file.read(_BSCAN.size))
            if size < _BSCAN_SIZE:
                raise ValueError("a B-scan is not where it should be")
            lines.append((x0, y0, x1, y1))
            offsets.append(at + size)
            at += size + nx * ny * 4
    along = _PATTERNS.get(pattern)
    spacing = {"Y": dy * MICROMETRES, "X": dx * MICROMETRES}
    if n > 1 and along in (None, "volume"):
        spacing["Z"] = dz * MICROMETRES
    laterality = _EYES.get(eye[:2])
    scans = StoredPlanes(
        source,
        offsets,
        (ny, nx),
        "<f4",
        read_vol,
        flat=n == 1,
        meaning=_with_nan,
        dtype=np.float32,
    )
    images = [
        OctImage(
            name="OCT",
            data=scans,
            axes="YX" if n == 1 else "ZYX",
            spacing=spacing,
            acquisition=Acquisition(
                laterality=laterality, pattern=along, lines=tuple(lines), linear=True
            ),
        )
    ]
    if wide and high:
        images.append(
            OctImage(
                name="SLO",
                data=StoredPlanes(
                    source, [_HEADER_SIZE], (high, wide), "u1", read_vol, 1, flat=True
                ),
                axes="YX",
                spacing={"Y": slo_y * MICROMETRES, "X": slo_x * MICROMETRES},
                acquisition=Acquisition(modality="enface", laterality=laterality),
            )
        )
    return images


def _with_nan(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.where(is_value(values), values, np.float32(np.nan))
