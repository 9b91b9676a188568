"""Pixels that lie in a file as one contiguous array: blocks go straight to their place."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.io import schema
from napari_srgan.io.output import OutputSpec

_HEAD, _TAIL, _LAYOUT = "head", "tail", "layout.json"


@dataclass(frozen=True)
class Layout:
    """Where the pixels of a file lie.

    Attributes
    ----------
    offset : int
        Position of the first pixel in bytes.
    axes, shape : str and tuple of int
        Axes as stored, all of those of the output and perhaps some of length 1.
    """

    offset: int
    axes: str
    shape: tuple[int, ...]


class RawContent:
    """What .npy and TIFF files share once they are laid out; see `file.Content`.

    A run that goes on finds what is around the pixels as it was laid out, also where the former
    one had begun to write it anew: it is kept in the journal.

    Parameters
    ----------
    path : Path
        The file, as long as it will be.
    spec : OutputSpec
    layout : Layout
    """

    resumable: ClassVar[bool] = True

    def __init__(self, path: Path, spec: OutputSpec, layout: Layout) -> None:
        self.path, self._spec, self._layout = path, spec, layout
        self._file: BinaryIO = path.open("r+b")

    @staticmethod
    def check(spec: OutputSpec, name: str) -> None:
        """Every output can lie in such a file."""

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Write a block, or each of its rows where it is narrower than the plane."""
        layout, spec = self._layout, self._spec
        sizes = dict(zip(layout.axes, layout.shape, strict=True))
        at = dict(zip(spec.plane_axes, index, strict=True))
        plane_number = 0
        for a in layout.axes:
            if a not in "YXS":
                plane_number = plane_number * sizes[a] + at.get(a, 0)
        height, width = sizes["Y"], sizes["X"]
        pixel = spec.dtype.itemsize * sizes.get("S", 1)
        if y < 0 or x < 0 or y + block.shape[0] > height or x + block.shape[1] > width:
            raise IndexError(f"a block of {block.shape} at {(y, x)} leaves {height} x {width} px")
        start = layout.offset + ((plane_number * height + y) * width + x) * pixel
        if block.shape[1] == width:
            self._file.seek(start)
            self._file.write(block.data)
            return
        for row in block:
            self._file.seek(start)
            self._file.write(row.data)
            start += width * pixel

    def plane_done(self, index: tuple[int, ...]) -> None:
        """Nothing follows: the pixels are where they belong."""

    def flush(self) -> None:
        """Bring to the disk what was written."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def keep_frame(self, folder: Path) -> None:
        """Copy all but the pixels to a folder, for `with_its_frame`."""
        start, stop = self._layout.offset, self._layout.offset + self._spec.nbytes
        self._file.seek(0)
        (folder / _HEAD).write_bytes(self._file.read(start))
        self._file.seek(stop)
        (folder / _TAIL).write_bytes(self._file.read())
        (folder / _LAYOUT).write_text(json.dumps(asdict(self._layout)), "utf-8")

    def finish(self, notes: dict[str, Any]) -> None:
        """Close the file; a format that has a place for notes writes them."""
        self._file.close()

    def result(self, path: Path) -> npt.NDArray[Any]:
        """Map the file at `path`, read-only, as an array in the axis order of the output."""
        layout, spec = self._layout, self._spec
        whole = np.memmap(
            path, dtype=spec.dtype, mode="r", offset=layout.offset, shape=layout.shape
        )
        added = tuple(i for i, a in enumerate(layout.axes) if a not in spec.axes)
        kept = [a for a in layout.axes if a in spec.axes]
        return whole.squeeze(axis=added).transpose([kept.index(a) for a in spec.axes])

    def close(self) -> None:
        """Close the file as it is."""
        with suppress(OSError):  # closing writes what is buffered, which may fail again
            self._file.close()


def with_its_frame(path: Path, spec: OutputSpec, name: str, folder: Path) -> Layout:
    """Put what is around the pixels of an unfinished file back as it was laid out.

    Raises
    ------
    InputError
        If it is not the file that the journal in the folder is of.
    """
    count = schema.whole(0, 2**62)
    readers: dict[str, schema.Reader[Any]] = {
        "offset": count,
        "axes": schema.line,
        "shape": schema.several(count),
    }
    with suppress(ValueError, FileNotFoundError):
        said = schema.from_json((folder / _LAYOUT).read_bytes())
        layout = Layout(**schema.fields_of(said, readers, readers))
        head, tail = ((folder / part).read_bytes() for part in (_HEAD, _TAIL))
        end = layout.offset + spec.nbytes
        whole = math.prod(layout.shape) * spec.dtype.itemsize == spec.nbytes
        if whole and len(head) == layout.offset and path.stat().st_size >= end:
            with path.open("r+b") as file:
                file.write(head)
                file.seek(end)
                file.write(tail)
                file.truncate()
            return layout
    raise InputError(f"The unfinished {name} is damaged; start anew with --overwrite.")
