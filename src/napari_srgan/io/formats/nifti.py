"""Reading NIfTI, whose header nibabel explains; its axes are x, y, z, t and channels, x fastest.

A stack has no rotation, so it lies in the volume's own axes; the affine that places these in the
world goes along, and a result in NIfTI is placed by it.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import ORIENTATION
from napari_srgan.image.units import convert
from napari_srgan.io.appearance import KEY as APPEARANCE
from napari_srgan.io.appearance import Appearance
from napari_srgan.io.extras import imported
from napari_srgan.io.formats.image_file import ImageFile
from napari_srgan.io.formats.oct_image import damage_of
from napari_srgan.io.formats.source import (
    FileArray,
    Source,
    check_memory,
    check_series,
    read_block,
)
from napari_srgan.io.notes import from_text

EXTRA = "medical"
COMMENT = 6
"""Code of the extension that holds our notes."""

_ORDER = "XYZTC"
_UNITS = {
    "meter": "meter",
    "mm": "millimeter",
    "micron": "micrometer",
    "unknown": "millimeter",  # as the standard has coordinates
    "sec": "second",
    "msec": "millisecond",
    "usec": "microsecond",
}
_HEAD = 348  # bytes
_GROWTH = 1100
"""How many bytes a byte of gzip can stand for."""


def is_nifti(path: Path, head: bytes) -> bool:
    """Say whether a file begins as NIfTI does, perhaps compressed."""
    if head.startswith(b"\x1f\x8b") and path.name.lower().endswith(".gz"):
        try:
            with gzip.open(path) as file:
                head = file.read(_HEAD)
        except (OSError, EOFError):
            return path.name.lower().endswith(".nii.gz")
    return head[344:348] == b"n+1\0" or head[4:8] == b"n+2\0"


def open_nifti(path: Path, axes: str | None = None, series: int | None = None) -> ImageFile:
    """Open a NIfTI file; uncompressed ones are read a part at a time.

    Values are those that are stored; a slope and an intercept become a calibration.

    Raises
    ------
    InputError
        If nibabel is missing, the file is damaged, or has axes that mean nothing here.
    """
    if axes is not None:
        raise InputError(f"{path.name} names its axes itself; leave --axes out.")
    check_series(path.name, series, 1)
    nibabel = imported("nibabel", EXTRA, path.name)
    source = Source.of(path)
    with damage_of(path, "NIfTI"), source.open() as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        begin = file.read(_HEAD)
        kind = nibabel.Nifti2Image if begin[4:8] == b"n+2\0" else nibabel.Nifti1Image
        file.seek(0)
        header = kind.header_class.from_fileobj(file)
        shape = tuple(int(n) for n in header.get_data_shape())
        while len(shape) > 2 and shape[-1] == 1:
            shape = shape[:-1]
        letters = _ORDER[: len(shape)]
        if not 2 <= len(shape) <= len(_ORDER):
            raise InputError(f"{path.name} has {len(shape)} axes; NIfTI of 2 to 5 is read.")
        affine = header.get_best_affine()
        stored = header.get_data_dtype()
        offset = int(header.get_data_offset())
        notes = [e.get_content() for e in header.extensions if e.get_code() == COMMENT]
        space, time = header.get_xyzt_units()
        slope, intercept = header.get_slope_inter()
        steps = [float(v) for v in np.linalg.norm(affine[:3, :3], axis=0)]
        interval = float(header["pixdim"][4])
    if colours := len(stored.names or ()):
        stored, shape, letters = np.dtype("u1"), (colours, *shape), "S" + letters
    data = _NiftiArray(source, shape[::-1], stored, offset, packed)
    order = letters[::-1]
    plain = order.replace("S", "")
    known = dict(zip("XYZ", steps, strict=True)) | {"T": interval, "C": 1.0}
    units = dict.fromkeys("XYZ", _UNITS.get(space, "millimeter")) | {"C": "pixel"}
    units["T"] = _UNITS.get(time, "second") if time != "unknown" else "pixel"
    scale = tuple(known[a] if known[a] > 0 else 1.0 for a in plain)
    metadata: dict[str, Any] = {}
    if notes:
        metadata |= (from_text(notes[0]) or {}).get("metadata") or {}
    to_mm = convert(1.0, units["X"], "millimeter") or 1.0
    metadata[ORIENTATION] = [
        [*map(float, row[:3] / [step or 1.0 for step in steps]), float(row[3]) * to_mm]
        for row in affine[:3]
    ]
    if slope not in (None, 1) or intercept not in (None, 0):
        line = {"cf": 0, "c0": float(intercept or 0), "c1": float(slope or 1)}
        metadata[APPEARANCE] = Appearance(calibration={**line, "vunit": "gray value"})
    return ImageFile(
        data,
        order,
        scale,
        (0.0,) * len(plain),
        tuple(units[a] for a in plain),
        "file",
        metadata,
        own=bool(notes),
    )


class _NiftiArray(FileArray):
    """The voxels of a file in C order; those of a compressed one are kept once they are read."""

    def __init__(
        self,
        source: Source,
        shape: tuple[int, ...],
        stored: np.dtype[Any],
        offset: int,
        packed: bool,
    ) -> None:
        self._stored, self._offset, self._packed = stored, offset, packed
        self._voxels: npt.NDArray[Any] | None = None
        super().__init__([source], shape, stored, _array_of)
        if not packed and offset + self.nbytes > source.size:
            raise InputError(
                f"{source.name} is cut short: it should have {offset + self.nbytes} bytes, but has"
                f" {source.size}."
            )
        if packed and self.nbytes > _GROWTH * source.size:
            raise InputError(
                f"{source.name} claims more voxels than its {source.size} bytes can hold; it is"
                " damaged."
            )

    def _read(self, ranges: list[range]) -> npt.NDArray[Any]:
        source = self.sources[0]
        if not self._packed:
            with source.open() as file:
                try:
                    return read_block(file, self._offset, self.shape, self._stored, ranges)
                except EOFError:
                    raise InputError(f"{source.name} is cut short.") from None
        if self._voxels is None:
            check_memory(source.name, 2 * self.nbytes)
            with damage_of(source.path, "NIfTI"), source.open() as raw, gzip.open(raw) as file:
                file.seek(self._offset)
                content = file.read(self.nbytes)
                self._voxels = np.frombuffer(content, self._stored).reshape(self.shape)
        return self._voxels[np.ix_(*ranges)]


def _array_of(path: Path) -> FileArray:
    return cast("FileArray", open_nifti(path).data)
