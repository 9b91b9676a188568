"""Pixels that lie in a file as one contiguous array: blocks go straight to their place."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.levels import PlaneLevels

_PIECE = 512
"""Side of the pieces of a plane that coarser levels are made of."""


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

    Parameters
    ----------
    path : Path
        The file, as long as it will be.
    spec : OutputSpec
    layout : Layout
    """

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
        """Let go what was kept for coarser levels; all pixels are where they belong."""
        self._planes.pop(index, None)

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
