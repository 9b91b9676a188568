"""Pixels that lie in a file as one contiguous array: blocks go straight to their place."""

from __future__ import annotations

import json
import math
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.io import schema
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.levels import PlaneLevels

_PIECE = 512
"""Side of the pieces of a plane that coarser levels are made of."""

_FRAME, _LAYOUT = "frame", "layout.json"


@dataclass(frozen=True)
class Layout:
    """Where the pixels of a file lie.

    Attributes
    ----------
    offset : int
        Position of the first pixel in bytes.
    axes, shape : str and tuple of int
        Axes as stored, all of those of the output and perhaps some of length 1.
    coarser : tuple of Layout
        Of the same image in ever fewer pixels.
    """

    offset: int
    axes: str
    shape: tuple[int, ...]
    coarser: tuple[Layout, ...] = ()


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
        self._planes: dict[tuple[int, ...], PlaneLevels] = {}

    @staticmethod
    def check(spec: OutputSpec, name: str) -> None:
        """Every output can lie in such a file."""

    @staticmethod
    def nbytes(spec: OutputSpec, name: str) -> int:
        """Count the bytes of the pixels."""
        return spec.nbytes

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Write a block, and what it completes of coarser levels."""
        self._put(index, 0, y, x, block)
        if not self._layout.coarser:
            return
        if index not in self._planes:
            sizes = dict(zip(self._spec.axes, self._spec.shape, strict=True))
            shape = tuple(sizes[a] for a in "YXS" if a in sizes)
            put = partial(self._put_coarser, index)
            self._planes[index] = PlaneLevels(shape, self._spec.dtype, _PIECE, put)
        self._planes[index].add(y, x, block)

    def _put_coarser(
        self, index: tuple[int, ...], level: int, y: int, x: int, piece: npt.NDArray[Any]
    ) -> None:
        if level:  # the finest is there already
            self._put(index, level, y, x, np.ascontiguousarray(piece))

    def _put(
        self, index: tuple[int, ...], level: int, y: int, x: int, block: npt.NDArray[Any]
    ) -> None:
        """Write a block of a level, or each of its rows where it is narrower than the plane."""
        spec = self._spec
        layout = (self._layout, *self._layout.coarser)[level]
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
        """Let go of what is buffered, so that who maps the file sees the plane."""
        self._planes.pop(index, None)
        self._file.flush()

    def flush(self) -> None:
        """Bring to the disk what was written."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def keep_frame(self, folder: Path) -> None:
        """Copy all but the pixels to a folder, for `with_its_frame`."""
        parts = []
        for start, stop in _gaps(self._layout, self._spec, self.path.stat().st_size):
            self._file.seek(start)
            parts.append(self._file.read(stop - start))
        (folder / _FRAME).write_bytes(b"".join(parts))
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
    with suppress(ValueError, FileNotFoundError):
        layout = _read_layout(schema.from_json((folder / _LAYOUT).read_bytes()))
        frame = (folder / _FRAME).read_bytes()
        end = len(frame) + sum(nbytes for _, nbytes in _blocks(layout, spec))
        gaps = _gaps(layout, spec, end)
        whole = math.prod(layout.shape) * spec.dtype.itemsize == spec.nbytes
        fits = sum(stop - start for start, stop in gaps) == len(frame)
        if whole and fits and path.stat().st_size >= gaps[-1][0]:
            with path.open("r+b") as file:
                at = 0
                for start, stop in gaps:
                    file.seek(start)
                    file.write(frame[at : at + stop - start])
                    at += stop - start
                file.truncate(end)
            return layout
    raise InputError(f"The unfinished {name} is damaged; start anew with --overwrite.")


def _blocks(layout: Layout, spec: OutputSpec) -> list[tuple[int, int]]:
    """List where the pixels of each level begin, and how many bytes they are."""
    levels = sorted((layout, *layout.coarser), key=lambda level: level.offset)
    return [(level.offset, math.prod(level.shape) * spec.dtype.itemsize) for level in levels]


def _gaps(layout: Layout, spec: OutputSpec, end: int) -> list[tuple[int, int]]:
    """List from where to where there are no pixels, in a file that ends at `end`."""
    blocks = _blocks(layout, spec)
    starts = [0, *(offset + nbytes for offset, nbytes in blocks)]
    return list(zip(starts, [*(offset for offset, _ in blocks), end], strict=True))


def _read_layout(value: Any) -> Layout:
    count = schema.whole(0, 2**62)
    readers: dict[str, schema.Reader[Any]] = {
        "offset": count,
        "axes": schema.line,
        "shape": schema.several(count),
        "coarser": schema.several(_read_layout),
    }
    return Layout(**schema.fields_of(value, readers, readers))
