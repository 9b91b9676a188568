"""TiffArray: the pages of a TIFF file as one array that reads only what is asked of it.

tifffile says where the strips and tiles lie; here those that are needed are read and decoded.
"""

from __future__ import annotations

import itertools
import logging
import lzma
import math
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image, TiffImagePlugin

from napari_srgan.errors import InputError
from napari_srgan.io.formats.source import FileArray, Source, check_memory, read_block

Transform = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]

_KEPT = 2**26
"""Bytes of decoded strips and tiles that are kept for the next reads; the last one always is."""

_DEFLATE, _LZMA = (8, 32946), 34925
_LZMA_MEMORY = 2**28
"""What a dictionary may take; a file can ask for any."""


@dataclass(frozen=True)
class Pages:
    """Where the pixels of the pages of a series lie.

    Attributes
    ----------
    source : ndarray of int, shape (pages,)
        Which file each is in; -1 if it is in none, and reads as 0.
    number : ndarray of int, shape (pages,)
        Which page of that file it is.
    offsets, counts : ndarray of int, shape (pages, segments)
        The bytes of each strip or tile; a count of 0 if it is not there.
    in_one_piece : ndarray of bool, shape (pages,)
        Whether the pixels lie there as they are, from the first offset on.
    """

    source: npt.NDArray[np.intp]
    number: npt.NDArray[np.intp]
    offsets: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    in_one_piece: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PageLayout:
    """How the pixels of every page are stored.

    Attributes
    ----------
    key : tifffile.TiffPage
        A page that stands for all.
    shape : tuple of int
        Lengths of the axes of a page.
    places : tuple of int
        Where these axes are in ``key.shaped``: separate samples, Z, Y, X, samples.
    """

    key: tifffile.TiffPage
    shape: tuple[int, ...]
    places: tuple[int, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels, in native byte order."""
        return np.dtype(self.key.dtype).newbyteorder("=")

    @property
    def stored_dtype(self) -> np.dtype[Any]:
        """Of the pixels, as they are stored."""
        return self.dtype.newbyteorder(self.key.parent.byteorder)

    @classmethod
    def of(cls, key: tifffile.TiffPage) -> PageLayout:
        """Read it off a page; ValueError if it is none of those that are known."""
        places, shape = [], []
        for i, (axis, n) in enumerate(zip(key.axes, key.shape, strict=True)):
            if axis != "S" or n != 1:
                places.append({"Z": 1, "Y": 2, "X": 3}.get(axis, 0 if i == 0 else 4))
                shape.append(n)
        full = [1] * 5
        for place, n in zip(places, shape, strict=True):
            full[place] = n
        if full != list(key.shaped):
            raise ValueError("its pages are stored in a way that is not supported")
        return cls(key, tuple(shape), tuple(places))

    @property
    def segment_shape(self) -> tuple[int, ...]:
        """Lengths of a strip or tile along the five axes of ``key.shaped``."""
        key = self.key
        samples = key.shaped[4]
        if key.is_tiled:
            return 1, key.tiledepth, key.tilelength, key.tilewidth, samples
        return 1, 1, key.rowsperstrip, key.imagewidth, samples

    @property
    def grid(self) -> tuple[int, ...]:
        """How many strips or tiles there are along each of the five axes."""
        return tuple(-(-n // s) for n, s in zip(self.key.shaped, self.segment_shape, strict=True))


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
    dtype : numpy.dtype
        Of what is read.
    transform : callable or None
        Applied to what is read of a page (a palette, an inversion); it may add a last axis, which
        is counted in `stored_shape` and `page_ndim`.
    reopen : callable
        From a path to the same array anew, for another process.

    Notes
    -----
    Reading is safe from several threads and after a fork: nothing is shared but the decoded strips
    that are kept, in a dictionary that is replaced and never changed.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        pages: Pages,
        layout: PageLayout,
        order: tuple[int, ...],
        stored_shape: tuple[int, ...],
        page_ndim: int,
        dtype: np.dtype[Any],
        transform: Transform | None,
        reopen: Callable[[Path], TiffArray],
    ) -> None:
        first = int(pages.offsets[0, 0]) if pages.offsets.size else None
        shape = [stored_shape[i] for i in order]
        super().__init__(sources, shape, dtype, reopen, variant=(order, stored_shape, first))
        self._pages = pages
        self._layout = layout
        self._order = order
        self._frames = stored_shape[: len(stored_shape) - page_ndim]
        self._page_shape = stored_shape[len(stored_shape) - page_ndim :]
        self._transform = transform
        self._decodable = can_decode(layout.key)
        self._kept: dict[tuple[int, int], npt.NDArray[Any]] = {}

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
        stored = inner[: len(self._layout.shape)]
        source = self.sources[self._pages.source[number]]
        with source.open() as file:
            try:
                if self._pages.in_one_piece[number]:
                    block = self._read_rows(file, number, stored)
                else:
                    block = self._read_segments(file, number, stored)
                if self._transform is not None:
                    block = self._transform(block)
            except (InputError, MemoryError):
                raise
            except Exception as e:  # decoders meet damage with errors of every type
                first = (str(e).strip() or "it is damaged").splitlines()[0].rstrip(".")
                raise InputError(f"{source.name} cannot be read: {first}.") from e
        if len(inner) > len(stored):  # the colours of a palette
            block = block[..., list(inner[-1])]
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
        if not self._decodable:
            page = self._keep((number, 0), lambda: self._decode_with_pillow(file, number))
            return page[np.ix_(*stored)]
        low = [min(p) for p in parts]
        box = np.empty([max(p) + 1 - a for p, a in zip(parts, low, strict=True)], layout.dtype)
        sides, grid = layout.segment_shape, layout.grid
        touched = [
            range(min(p) // side, max(p) // side + 1) for p, side in zip(parts, sides, strict=True)
        ]
        for at in itertools.product(*touched):
            index = int(np.ravel_multi_index(at, grid))
            corner = [i * side for i, side in zip(at, sides, strict=True)]
            segment = self._segment(file, number, index, corner)
            here, there = [], []
            for c, n, a, m in zip(corner, segment.shape, low, box.shape, strict=True):
                start, stop = max(c, a), min(c + n, a + m)
                here.append(slice(start - c, stop - c))
                there.append(slice(start - a, stop - a))
            box[tuple(there)] = segment[tuple(here)]
        if any(p.step != 1 for p in parts):
            box = box[np.ix_(*([i - a for i in p] for p, a in zip(parts, low, strict=True)))]
        return box.transpose([*layout.places, *(i for i in range(5) if i not in layout.places)])[
            (...,) + (0,) * (5 - len(layout.places))
        ]

    def _segment(
        self, file: BinaryIO, number: int, index: int, corner: list[int]
    ) -> npt.NDArray[Any]:
        key, sides = self._layout.key, list(self._layout.segment_shape)
        if not key.is_tiled:
            sides[2] = min(sides[2], key.imagelength - corner[2])
        count = int(self._pages.counts[number, index])
        if not count:  # left out by programs that write sparse files
            return np.broadcast_to(np.asarray(key.nodata, self._layout.dtype), sides)

        def decoded() -> npt.NDArray[Any]:
            check_memory(self.name, math.prod(sides) * self._layout.dtype.itemsize)
            file.seek(int(self._pages.offsets[number, index]))
            data = file.read(count)
            if len(data) != count:
                raise EOFError("it is cut short")
            return _decode(self._layout, data, index, sides[1:])[np.newaxis]

        return self._keep((number, index), decoded)

    def _keep(
        self, which: tuple[int, int], make: Callable[[], npt.NDArray[Any]]
    ) -> npt.NDArray[Any]:
        """Give a strip or tile that was kept, or make it and keep it in the place of the oldest."""
        found = self._kept.get(which)
        if found is None:
            found = make()
            kept = {k: v for k, v in self._kept.items() if k != which}
            size = found.nbytes + sum(v.nbytes for v in kept.values())
            while kept and size > _KEPT:
                size -= kept.pop(next(iter(kept))).nbytes
            self._kept = kept | {which: found}
        return found

    def _decode_with_pillow(self, file: BinaryIO, number: int) -> npt.NDArray[Any]:
        """Decode one page with Pillow's libtiff, which knows LZW and JPEG."""
        key = self._layout.key
        check_memory(self.name, 3 * math.prod(key.shape) * self._layout.dtype.itemsize)
        try:
            with TiffImagePlugin.TiffImageFile(file) as image:
                image.seek(int(self._pages.number[number]))
                if image.width * image.height != key.imagewidth * key.imagelength:
                    raise ValueError("its pages are of several sizes")
                page = np.asarray(image)
        except (OSError, ValueError, EOFError, SyntaxError, Image.DecompressionBombError):
            page = np.empty(0)
        # Pillow turns what it has no mode for into something else, 16-bit colour into 8 bits
        if page.dtype.newbyteorder("=") != self._layout.dtype or page.size != math.prod(key.shape):
            raise NotImplementedError(
                f"its {tifffile.COMPRESSION(key.compression).name} compression needs the package"
                " imagecodecs (pip install imagecodecs), or save it uncompressed"
            )
        return page.reshape(self._layout.shape)


def _decode(layout: PageLayout, data: bytes, index: int, shape: Sequence[int]) -> npt.NDArray[Any]:
    """Decode a strip or tile to (Z, Y, X, samples)."""
    key, kind = layout.key, layout.stored_dtype
    needed = math.prod(shape) * kind.itemsize
    if (
        key.compression in (*_DEFLATE, _LZMA)
        and key.bitspersample == 8 * kind.itemsize
        and key.fillorder == 1
        and (key.predictor == 1 or (key.predictor == 2 and kind.kind in "iu"))
    ):
        # tifffile would decompress whatever the data hold, also a thousandfold of the strip
        plain = _decompressed(key.compression, data, needed)
        if len(plain) < needed:
            raise EOFError("a strip or tile ends too early")
        block = np.frombuffer(plain, kind).reshape(shape).astype(layout.dtype, copy=False)
        if key.predictor == 2:
            block = np.cumsum(block, axis=-2, dtype=layout.dtype)
        return block
    with listening() as complaints:
        tables = {}
        if key.compression in (6, 7, 33007, 34892):
            tables = {"jpegtables": key.jpegtables, "jpegheader": key.jpegheader}
        decoded = key.decode(data, index, _fullsize=key.is_tiled, **tables)[0]
    if complaints or decoded is None:
        raise ValueError(complaints[0] if complaints else "a strip or tile is empty")
    return decoded.reshape(shape)


def _decompressed(compression: int, data: bytes, most: int) -> bytes:
    """Decompress, and stop when `most` bytes are there."""
    if compression in _DEFLATE:
        return zlib.decompressobj().decompress(data, most)
    unpacker = lzma.LZMADecompressor(memlimit=_LZMA_MEMORY)
    parts = [unpacker.decompress(data, most)]
    while parts[-1] and not unpacker.eof and (left := most - sum(map(len, parts))) > 0:
        parts.append(unpacker.decompress(b"", left))
    return b"".join(parts)


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what tifffile logs in this thread, instead of showing it to the user.

    tifffile carries on after damage and only logs it; who listens can refuse the file.
    """
    complaints: list[str] = []
    thread = threading.get_ident()

    def keep(record: logging.LogRecord) -> bool:
        if threading.get_ident() != thread:
            return True
        complaints.append(record.getMessage())
        return False

    log = logging.getLogger("tifffile")
    log.addFilter(keep)
    try:
        yield complaints
    finally:
        log.removeFilter(keep)


def can_decode(page: tifffile.TiffPage) -> bool:
    """Whether tifffile can decompress a page here (without imagecodecs it knows only a few)."""
    if page.compression == 1:
        return True
    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
    except KeyError:
        return False
    return True
