"""Writing NIfTI: a header by nibabel, room for the notes, and the voxels as one block."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import orientation_of
from napari_srgan.image.units import PIXEL, convert
from napari_srgan.io.appearance import appearance_of
from napari_srgan.io.extras import imported
from napari_srgan.io.formats.nifti import COMMENT, EXTRA
from napari_srgan.io.notes import to_text
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.raw import Layout, RawContent, with_its_frame

_MOST = 2**15 - 1  # along an axis, in the first kind of NIfTI
_ROOM = 2**14  # bytes for what is noted later
_COLOURS = {3: [(c, "u1") for c in "RGB"], 4: [(c, "u1") for c in "RGBA"]}


class NiftiContent(RawContent):
    """The inside of a NIfTI file; see `file.Content`."""

    def __init__(
        self,
        path: Path,
        spec: OutputSpec,
        name: str,
        notes: dict[str, Any],
        former: Path | None = None,
    ) -> None:
        layout = (
            _lay_out(path, spec, name, notes)
            if former is None
            else with_its_frame(path, spec, name, former)
        )
        super().__init__(path, spec, layout)

    @staticmethod
    def check(spec: OutputSpec, name: str) -> None:
        """Refuse colours of more than 8 bits and types that NIfTI lacks."""
        imported("nibabel", EXTRA, name)
        if "S" in spec.axes and spec.dtype != np.uint8:
            raise InputError(f"{name}: NIfTI has colours of 8 bits only; name the output .tif.")
        if spec.dtype == np.float16:
            raise InputError(f"{name}: NIfTI cannot hold float16; name the output .npy.")

    def finish(self, notes: dict[str, Any]) -> None:
        """Write the notes into their room, and close the file."""
        text = to_text(notes).encode()
        self._file.seek(0)
        begin = _begin(int.from_bytes(self._file.read(4), "little"))
        room = self._layout.offset - begin
        if len(text) > room:
            raise RuntimeError("the notes have grown beyond their room")
        self._file.seek(begin)
        self._file.write(text.ljust(room))
        super().finish(notes)


def _begin(header: int) -> int:
    """Say where the notes begin: after the header, four bytes and the head of an extension."""
    return header + 4 + 8


def _lay_out(path: Path, spec: OutputSpec, name: str, notes: dict[str, Any]) -> Layout:
    """Write the header, and leave room for the notes and the voxels."""
    sizes = dict(zip(spec.axes, spec.shape, strict=True))
    colours = "S" * ("S" in sizes)
    axes = "CTZYX"[-max(2, *("XYZTC".index(a) + 1 for a in spec.axes if a != "S")) :]
    header = _header(spec, [sizes.get(a, 1) for a in reversed(axes)], name)
    begin = _begin(header.sizeof_hdr)
    offset = (begin + len(to_text(notes)) + _ROOM + 15) // 16 * 16
    header.set_data_offset(offset)
    header["magic"] = header.single_magic
    with path.open("wb") as file:
        file.write(header.binaryblock)
        file.write(b"\1\0\0\0" + np.array([offset - begin + 8, COMMENT], "<i4").tobytes())
        file.truncate(offset + spec.nbytes)
    return Layout(offset, axes + colours, tuple(sizes.get(a, 1) for a in axes + colours))


def _header(spec: OutputSpec, shape: list[int], name: str) -> Any:
    nibabel = imported("nibabel", EXTRA, name)
    small = max(shape) <= _MOST
    header = (nibabel.Nifti1Header if small else nibabel.Nifti2Header)(endianness="<")
    plain = spec.axes.replace("S", "")
    scale = dict(zip(plain, spec.scale, strict=True))
    at = dict(zip(plain, spec.translate, strict=True))
    units = dict(zip(plain, spec.units, strict=True))
    samples = dict(zip(spec.axes, spec.shape, strict=True)).get("S")
    header.set_data_dtype(np.dtype(_COLOURS[samples]) if samples else spec.dtype)
    header.set_data_shape(shape)
    space = "millimeter" if units["X"] != PIXEL else PIXEL
    known = [(scale.get(a, 1.0), at.get(a, 0.0), units.get(a, PIXEL)) for a in "XYZ"]
    steps = np.array([_in(step, unit, space) for step, _, unit in known])
    moved = np.array([_in(shift, unit, space) for _, shift, unit in known])
    rows = orientation_of(spec.metadata)
    directions = np.eye(4)[:3] if rows is None else np.array(rows)
    affine = np.eye(4)
    affine[:3, :3] = directions[:, :3] * steps
    affine[:3, 3] = directions[:, 3] + directions[:, :3] @ moved
    header.set_qform(affine, "scanner")
    header.set_sform(affine, "scanner")
    time = None
    if "T" in scale:
        seconds = convert(scale["T"], units["T"], "second")
        header["pixdim"][4] = scale["T"] if seconds is None else seconds
        time = None if seconds is None else "sec"
    header.set_xyzt_units("mm" if space != PIXEL else None, time)
    header["descrip"] = b"napari-srgan"
    line = appearance_of(spec.metadata).calibration or {}
    if line.get("cf") == 0 and {"c0", "c1"} <= set(line):
        header.set_slope_inter(float(line["c1"]), float(line["c0"]))
    return header


def _in(value: float, unit: str, space: str) -> float:
    found = convert(value, unit, space)
    return value if found is None else found
