"""Reading Zeiss' .img, the raw export of a Cirrus: bytes that only the file's name explains."""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import Acquisition, Laterality
from napari_srgan.io.formats.oct_image import OctImage, StoredPlanes
from napari_srgan.io.formats.source import Source

_SIZE = re.compile(r"(?<![0-9])([1-9][0-9]{0,4})x([1-9][0-9]{0,4})(?![0-9])", re.IGNORECASE)
_EYE = re.compile(r"(?<![A-Za-z])(OD|OS)(?![A-Za-z])")
_DEPTH = 1024
_CUBES = {200 * 200 * _DEPTH: (200, 200), 512 * 128 * _DEPTH: (512, 128)}
"""A-scans and B-scans of the cubes that a Cirrus makes, by their bytes."""


def read_img(path: Path) -> list[OctImage]:
    """Map the B-scans of an .img file.

    The number of A-scans and B-scans is that of the name (``Macular Cube 512x128``), else that of
    a cube of this size. Planes are stored turned by half a circle, from the last to the first.

    Raises
    ------
    InputError
        If neither the name nor the size tells what it holds.
    """
    source = Source.of(path)
    named = _SIZE.search(path.name)
    across, count = map(int, named.groups()) if named else _CUBES.get(source.size, (0, 0))
    if not across or source.size % (across * count):
        raise InputError(
            f"{path.name}: its {source.size} bytes are none of Zeiss' cubes; keep the name that the"
            " Cirrus gave it, which says 200x200 or 512x128, or export it anew."
        )
    depth = source.size // (across * count)
    data = StoredPlanes(
        source,
        [i * across * depth for i in reversed(range(count))],
        (depth, across),
        "u1",
        read_img,
        flat=count == 1,
        upside_down=True,
        mirrored=True,
    )
    eye = _EYE.search(path.name)
    return [
        OctImage(
            name="OCT",
            data=data,
            axes="ZYX"[-data.ndim :],
            acquisition=Acquisition(
                laterality=cast("Laterality", eye[1]) if eye else None,
                pattern="volume" if count > 1 else "line",
                linear=False,
            ),
        )
    ]
