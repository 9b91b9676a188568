"""Reading Thorlabs' .oct: a zip archive of a header and of arrays; the intensity is read."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import Acquisition
from napari_srgan.io.formats.oct_image import MICROMETRES, OctImage, damage_of, spacing_of
from napari_srgan.io.formats.source import Source, check_memory

_HEADER, _INTENSITY = "header.xml", "intensity.data"
_LARGEST_HEADER = 2**24  # bytes


def is_thorlabs(path: Path, head: bytes) -> bool:
    """Say whether a file is such an archive."""
    if not head.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return _HEADER in _parts(archive)
    except (OSError, zipfile.BadZipFile):
        return path.suffix.lower() == ".oct"


def read_thorlabs(path: Path) -> list[OctImage]:
    """Read the intensity of a Thorlabs file, in decibels as it is stored, at once.

    Raises
    ------
    InputError
        If it is damaged or holds spectra only.
    """
    source = Source.of(path)
    with (
        damage_of(path, "Thorlabs .oct"),
        source.open() as file,
        zipfile.ZipFile(file) as archive,
    ):
        parts = _parts(archive)
        if parts[_HEADER].file_size > _LARGEST_HEADER:
            raise ValueError("its header is no header")
        root = ElementTree.fromstring(archive.read(parts[_HEADER]))
        said = [e for e in root.iter("DataFile") if _name(e.text or "") == _INTENSITY]
        if not said or _INTENSITY not in parts:
            raise InputError(
                f"{path.name} holds no intensity, only spectra; process it in ThorImageOCT and"
                " save it with the processed data."
            )
        # an A-scan lies in one piece, along Z as Thorlabs names the depth
        sizes = {a: int(said[0].get(f"Size{a}") or 1) for a in "ZXY"}
        shape = sizes["Y"], sizes["X"], sizes["Z"]
        needed = 4 * shape[0] * shape[1] * shape[2]
        if min(shape) < 1 or parts[_INTENSITY].file_size != needed:
            raise ValueError("its intensity is not as large as its header says")
        check_memory(path.name, 2 * needed)
        stored = np.frombuffer(archive.read(parts[_INTENSITY]), "<f4").reshape(shape)
    data = np.ascontiguousarray(stored.transpose(0, 2, 1)).astype(np.float32, copy=False)
    axes = "ZYX" if len(data) > 1 else "YX"
    names = {"Z": "Y", "Y": "Z", "X": "X"}
    ranges = spacing_of(path, {ours: said[0].get(f"Range{names[ours]}") for ours in names})
    steps = {a: value / sizes[names[a]] * MICROMETRES for a, value in ranges.items()}
    return [
        OctImage(
            name="OCT",
            data=data if len(data) > 1 else data[0],
            axes=axes,
            spacing=steps,
            acquisition=Acquisition(pattern="volume" if len(data) > 1 else "line", linear=False),
        )
    ]


def _parts(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """List the parts of an archive by the last part of their names; Windows' separators too."""
    return {_name(part.filename): part for part in archive.infolist()}


def _name(path: str) -> str:
    return re.split(r"[\\/]", path.strip())[-1].lower()
