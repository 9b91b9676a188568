"""TiffArray: the pages of a TIFF file as one array that reads only what is asked of it.

tifffile says where the strips and tiles lie; here those that are needed are read and decoded.
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.io.formats.source import FileArray, Source, check_memory, read_block
from napari_srgan.io.formats.tiff_claims import check_at_once
from napari_srgan.io.formats.tiff_colours import Meaning
from napari_srgan.io.formats.tiff_segments import PageLayout, Unpacking

_KEPT = 2**26
"""Bytes of decoded strips and tiles that are kept for the next reads; the last one always is."""

_MARKS = 256
"""Places in large packed strips and tiles that are kept, for reads to go on from."""


@dataclass(frozen=True)
class Pages:
    """Where the pixels of the pages of a series lie.

    Attributes
    ----------
    source : ndarray of int, shape (pages,)
        Which file each is in; -1 if it is in none, and reads as 0.
    offsets, counts : ndarray of int, shape (pages, segments)
        The bytes of each strip or tile; a count of 0 if it is not there.
    in_one_piece : ndarray of bool, shape (pages,)
        Whether the pixels lie there as they are, from the first offset on.
    """

    source: npt.NDArray[np.intp]
    offsets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    in_one_piece: npt.NDArray[np.bool_]


class TiffArray(FileArray):
    """One image series of a TIFF file, indexed with integers and slices.

    Parameters
    ----------
    sources : sequence of Source
        The files that `pages` lie in.
    pages : Pages
    layout : PageLayout
    order : tuple of int
        Order in which the stored axes (`stored_shape`) are presented, as for ``transpose``.
    stored_shape : tuple of int
        Lengths of the axes as stored: those over pages first, then those within a page.
    page_ndim : int
        How many of the stored axes lie within a page.
    meaning : Meaning
        What its samples stand for; an axis that it adds is counted in `stored_shape` and
        `page_ndim`.
    reopen : callable
        From a path to the same array anew, for another process.

    Notes
    -----
    Reading is safe from several threads and after a fork: nothing is shared but what is kept, in
    dictionaries that are replaced and never changed.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        pages: Pages,
        layout: PageLayout,
        order: tuple[int, ...],
        stored_shape: tuple[int, ...],
        page_ndim: int,
        meaning: Meaning,
        reopen: Callable[[Path], TiffArray],
    ) -> None:
        first = int(pages.offsets[0, 0]) if pages.offsets.size else None
        shape = [stored_shape[i] for i in order]
        super().__init__(
            sources, shape, meaning.dtype, reopen, variant=(order, stored_shape, first)
        )
        self._pages = pages
        self._layout = layout
        self._order = order
        self._frames = stored_shape[: len(stored_shape) - page_ndim]
        self._page_shape = stored_shape[len(stored_shape) - page_ndim :]
        self._meaning = meaning
        self._kept: dict[tuple[int, ...], npt.NDArray[Any]] = {}
        self._marks: dict[tuple[int, ...], Unpacking] = {}

    def _read(self, ranges: list[range]) -> npt.NDArray[Any]:
        stored = [range(0)] * self.ndim
        for axis, part in zip(self._order, ranges, strict=True):
            stored[axis] = part
        n = len(self._frames)
        out = np.empty([len(r) for r in stored], self.dtype)
        if out.size:
            for at in itertools.product(*(range(len(r)) for r in stored[:n])):
                frame = tuple(r[i] for r, i in zip(stored, at, strict=False))
                number = int(np.ravel_multi_index(frame, self._frames)) if frame else 0
                out[at] = self._read_page(number, stored[n:])
        return out.transpose(self._order)

    def _read_page(self, number: int, inner: list[range]) -> npt.NDArray[Any]:
        if self._pages.source[number] < 0:  # OME-TIFF may name planes that are not there
            return np.zeros([len(r) for r in inner], self.dtype)
        meaning, stored = self._meaning, inner[: len(self._layout.shape)]
        if meaning.mixed is not None:
            stored[meaning.mixed] = range(self._layout.shape[meaning.mixed])
        source = self.sources[self._pages.source[number]]
        with source.open() as file:
            try:
                if self._pages.in_one_piece[number]:
                    block = self._read_rows(file, number, stored)
                else:
                    block = self._read_segments(file, number, stored)
                if meaning.mixed is not None:
                    block = np.moveaxis(block, meaning.mixed, -1)
                if meaning.transform is not None:
                    block = meaning.transform(block)
            except (InputError, MemoryError):
                raise
            except Exception as e:  # decoders meet damage with errors of every type
                first = (str(e).strip() or "it is damaged").splitlines()[0].rstrip(".")
                raise InputError(f"{source.name} cannot be read: {first}.") from e
        if len(inner) > len(stored):  # the colours of a palette
            block = block[..., list(inner[-1])]
        if meaning.mixed is not None:
            block = np.moveaxis(block[..., list(inner[meaning.mixed])], -1, meaning.mixed)
        return block.astype(self.dtype, copy=False)

    def _read_rows(self, file: BinaryIO, number: int, stored: list[range]) -> npt.NDArray[Any]:
        offset, layout = int(self._pages.offsets[number, 0]), self._layout
        return read_block(file, offset, layout.shape, layout.stored_dtype, stored)

    def _read_segments(self, file: BinaryIO, number: int, stored: list[range]) -> npt.NDArray[Any]:
        """Decode the strips or tiles that hold a part of a page, and put that part together."""
        layout = self._layout
        parts = [range(1)] * 5
        for place, part in zip(layout.places, stored, strict=True):
            parts[place] = part
        low = [min(p) for p in parts]
        box = np.empty([max(p) + 1 - a for p, a in zip(parts, low, strict=True)], layout.dtype)
        sides, grid = layout.segment_shape, layout.grid
        touched = [
            range(min(p) // side, max(p) // side + 1) for p, side in zip(parts, sides, strict=True)
        ]
        for at in itertools.product(*touched):
            index = int(np.ravel_multi_index(at, grid))
            corner = [i * side for i, side in zip(at, sides, strict=True)]
            rows = range(low[2], low[2] + box.shape[2])
            for top, block in self._bands(file, number, index, corner[2], rows):
                corner[2] = top
                here, there = [], []
                for c, n, a, m in zip(corner, block.shape, low, box.shape, strict=True):
                    start, stop = max(c, a), min(c + n, a + m)
                    here.append(slice(start - c, stop - c))
                    there.append(slice(start - a, stop - a))
                box[tuple(there)] = block[tuple(here)]
        if any(p.step != 1 for p in parts):
            box = box[np.ix_(*([i - a for i in p] for p, a in zip(parts, low, strict=True)))]
        return box.transpose([*layout.places, *(i for i in range(5) if i not in layout.places)])[
            (...,) + (0,) * (5 - len(layout.places))
        ]

    def _bands(
        self, file: BinaryIO, number: int, index: int, first: int, rows: range
    ) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Decode what holds some rows of a page in a strip or tile that begins at row `first`.

        Yields the first row and the pixels of one band after another; most have only one.
        """
        layout = self._layout
        key, sides = layout.key, list(layout.segment_shape)
        if not key.is_tiled:
            sides[2] = min(sides[2], key.imagelength - first)
        if not self._pages.counts[number, index]:  # left out by programs that write sparse files
            yield first, np.broadcast_to(np.asarray(key.nodata, layout.dtype), sides)
            return
        step = layout.rows_at_once
        decode = self._decode if step >= sides[2] else self._decode_band
        for top in range(0, sides[2], step):
            if first + top < rows.stop and rows.start < first + top + step:
                which = number, index, top
                shape = sides[1], min(step, sides[2] - top), *sides[3:]
                yield first + top, self._keep(which, partial(decode, file, which, shape))

    def _decode(
        self, file: BinaryIO, which: tuple[int, int, int], shape: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        number, index, _ = which
        count = int(self._pages.counts[number, index])
        size = math.prod(shape) * self._layout.dtype.itemsize
        check_at_once(self.sources[0], size, count)
        check_memory(self.name, size)
        file.seek(int(self._pages.offsets[number, index]))
        data = file.read(count)
        if len(data) != count:
            raise EOFError("it is cut short")
        return self._layout.decode(data, index, shape)[np.newaxis]

    def _decode_band(
        self, file: BinaryIO, which: tuple[int, int, int], shape: tuple[int, ...]
    ) -> npt.NDArray[Any]:
        """Go on from the last place before a band that unpacking has come to."""
        number, index, top = which
        layout, step = self._layout, self._layout.rows_at_once
        row = math.prod(shape[2:]) * layout.dtype.itemsize
        count = int(self._pages.counts[number, index])
        check_at_once(self.sources[0], shape[1] * row, count)
        check_memory(self.name, shape[1] * row)
        # by process: a copy that is being made during a fork is locked for ever in the new one
        strip, marks = (os.getpid(), number, index), self._marks
        start = next((at for at in range(top, 0, -step) if (*strip, at) in marks), 0)
        if start:
            stream = marks[(*strip, start)].copy()
        else:
            offset = int(self._pages.offsets[number, index])
            stream = Unpacking.of(layout.key.compression, offset, count)
        for at in range(start, top, step):
            stream.read(file, step * row)
            self._mark((*strip, at + step), stream)
        plain = stream.read(file, shape[1] * row)
        self._mark((*strip, top + step), stream)
        return layout.rows(plain, shape)[np.newaxis]

    def _mark(self, where: tuple[int, ...], stream: Unpacking) -> None:
        """Keep the place that unpacking has come to, in that of the oldest."""
        kept = dict(list(self._marks.items())[1 - _MARKS :])
        self._marks = kept | {where: stream.copy()}

    def _keep(
        self, which: tuple[int, ...], make: Callable[[], npt.NDArray[Any]]
    ) -> npt.NDArray[Any]:
        """Give what was decoded and kept, or make it and keep it in the place of the oldest."""
        found = self._kept.get(which)
        if found is None:
            found = make()
            kept = {k: v for k, v in self._kept.items() if k != which}
            size = found.nbytes + sum(v.nbytes for v in kept.values())
            while kept and size > _KEPT:
                size -= kept.pop(next(iter(kept))).nbytes
            self._kept = kept | {which: found}
        return found
