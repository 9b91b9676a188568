"""TiffArray: the pages of a TIFF file as one array that reads only what is asked of it.

tifffile carries on after damage and only logs it; `listening` collects that, so that a damaged file
is refused and not shown.
"""

from __future__ import annotations

import itertools
import logging
import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from napari_srgan.errors import InputError

Transform = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class TiffArray:
    """One image series of a TIFF file, indexed with integers and slices.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        The images. Their file may be closed: it is opened at the first read, and stays open.
    order : tuple of int
        Order in which the stored axes (`stored_shape`) are presented, as for ``transpose``.
    stored_shape : tuple of int
        Lengths of the axes as stored: those over pages first, then those within a page.
    page_ndim : int
        How many of the stored axes lie within a page.
    dtype : numpy.dtype
        Of what is read.
    transform : callable, optional
        Applied to each page (a palette, an inversion); it may add a last axis, which is counted
        in `stored_shape` and `page_ndim`.
    reopen : callable, optional
        Opens the same array anew; it is what is pickled, and the pixels stay in the file.

    Notes
    -----
    Reading is safe from several threads: one lock guards the file handle and the page kept from
    the last read. Uncompressed pages are read by rows, so that a tile costs a tile.
    """

    def __init__(
        self,
        series: tifffile.TiffPageSeries,
        order: tuple[int, ...],
        stored_shape: tuple[int, ...],
        page_ndim: int,
        dtype: np.dtype[Any],
        transform: Transform | None = None,
        reopen: Callable[[], TiffArray] | None = None,
    ) -> None:
        self.dtype = dtype
        self.shape = tuple(stored_shape[i] for i in order)
        self._series = series
        self._order = order
        self._stored = stored_shape
        self._frames = stored_shape[: len(stored_shape) - page_ndim]
        self._page_shape = stored_shape[len(stored_shape) - page_ndim :]
        self._transform = transform
        self._reopen = reopen
        self._lock = threading.RLock()
        self._kept: tuple[int, npt.NDArray[Any]] | None = None

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Travel to another process by path."""
        if self._reopen is None:
            raise TypeError(f"{self.name}: this array does not know how it was opened")
        return self._reopen, ()

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of all the pixels in bytes, were they in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read everything."""
        if copy is False:
            raise ValueError("a file cannot be read without a copy")
        return np.asarray(self[...], dtype=dtype)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """Read the part addressed by integers, slices and at most one ellipsis."""
        keys = _expand(key, self.ndim)
        stored: list[range] = [range(0)] * self.ndim
        for axis, part in zip(self._order, keys, strict=True):
            stored[axis] = _as_range(part, self._stored[axis])
        n = len(self._frames)
        out = np.empty([len(r) for r in stored], self.dtype)
        inner = tuple(stored[n:])
        if out.size:
            for at in itertools.product(*(range(len(r)) for r in stored[:n])):
                frame = tuple(r[i] for r, i in zip(stored, at, strict=False))
                number = int(np.ravel_multi_index(frame, self._frames)) if frame else 0
                out[at] = self._read_page(number, inner)
        out = out.transpose(self._order)
        return out[tuple(0 if not isinstance(k, slice) else slice(None) for k in keys)]

    def _read_page(self, number: int, inner: tuple[range, ...]) -> npt.NDArray[Any]:
        with self._lock:
            if self._kept is not None and self._kept[0] == number:
                page = self._kept[1]
            else:
                rows = self._read_rows(number, inner)
                if rows is not None:
                    return rows
                page = self._decode(number)
                self._kept = (number, page)
        return page[np.ix_(*inner)] if inner else page

    def _read_rows(self, number: int, inner: tuple[range, ...]) -> npt.NDArray[Any] | None:
        """Read from an uncompressed page only the rows (first page axis) that are needed."""
        key = self._series.keyframe
        if self._transform is not None or not key.is_final or self._series.is_multifile:
            return None
        start = self._data_offset(number)
        if start is None or not inner[0]:
            return None
        low, high = min(inner[0]), max(inner[0]) + 1
        row = math.prod(self._page_shape[1:])
        stored_dtype = self.dtype.newbyteorder(key.parent.byteorder)
        handle = _open(key.parent.filehandle)
        handle.seek(start + low * row * self.dtype.itemsize)
        data = handle.read((high - low) * row * self.dtype.itemsize)
        if len(data) != (high - low) * row * self.dtype.itemsize:
            raise self._broken("it is cut short")
        block = np.frombuffer(data, stored_dtype).reshape(high - low, *self._page_shape[1:])
        shifted = range(inner[0].start - low, inner[0].stop - low, inner[0].step)
        if inner[0].step < 0:
            shifted = range(inner[0][0] - low, -1, inner[0].step)
        return block[np.ix_(shifted, *inner[1:])]

    def _data_offset(self, number: int) -> int | None:
        """Position of a page's pixels; a single page header may stand for all that follow it."""
        _open(self._series.keyframe.parent.filehandle)
        if self._series.dataoffset is not None:
            return int(self._series.dataoffset) + number * int(self._series.keyframe.nbytes)
        page = self._series[number]
        return int(page.dataoffsets[0]) if page is not None and page.dataoffsets else None

    def _decode(self, number: int) -> npt.NDArray[Any]:
        key = self._series.keyframe
        try:
            _open(key.parent.filehandle)
            page = self._series[number]
            if page is None:  # OME-TIFF may name planes that are not there: they are zero
                return np.zeros(self._page_shape, self.dtype)
            handle = _open(page.parent.filehandle)
            with listening() as complaints:
                if can_decode(key):
                    image = page.asarray(maxworkers=1)
                else:
                    image = _decode_with_pillow(Path(handle.path), page.index, key)
            if complaints:
                raise ValueError(complaints[0])
            if self._transform is not None:
                image = self._transform(image)
            return image.reshape(self._page_shape).astype(self.dtype, copy=False)
        except MemoryError:
            raise
        except Exception as e:  # decoders meet damage with errors of every type
            raise self._broken(str(e)) from e

    @property
    def name(self) -> str:
        """Name of the file."""
        return str(self._series.keyframe.parent.filehandle.name)

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        with self._lock:
            self._series.keyframe.parent.filehandle.close()
            self._kept = None

    def _broken(self, why: str) -> InputError:
        first = (why.strip() or "it is damaged").splitlines()[0].rstrip(".")
        return InputError(f"{self.name} cannot be read: {first}.")


@contextmanager
def listening() -> Iterator[list[str]]:
    """Collect what tifffile logs in this thread, instead of showing it to the user."""
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


def _open(handle: tifffile.FileHandle) -> tifffile.FileHandle:
    if handle.closed:
        handle.open()
    return handle


def _decode_with_pillow(path: Path, index: int, key: tifffile.TiffPage) -> npt.NDArray[Any]:
    """Decode one page with Pillow's libtiff, which knows LZW and JPEG."""
    try:
        with Image.open(path) as file:
            file.seek(index)
            image = np.asarray(file)
    except (OSError, ValueError, EOFError, SyntaxError):
        image = np.empty(0)
    # Pillow turns what it has no mode for into something else, 16-bit colour into 8 bits
    if image.dtype.newbyteorder("=") != key.dtype or image.size != math.prod(key.shape):
        raise NotImplementedError(
            f"its {tifffile.COMPRESSION(key.compression).name} compression needs the package"
            " imagecodecs (pip install imagecodecs), or save it uncompressed"
        )
    return image


def _expand(key: Any, ndim: int) -> list[int | slice]:
    keys = list(key) if isinstance(key, tuple) else [key]
    dots = [i for i, k in enumerate(keys) if k is Ellipsis]
    if dots:
        keys[dots[0] : dots[0] + 1] = [slice(None)] * (ndim - len(keys) + 1)
    keys += [slice(None)] * (ndim - len(keys))
    if len(keys) != ndim or any(k is Ellipsis for k in keys):
        raise IndexError(f"too many indices for {ndim} axes")
    return [k if isinstance(k, slice) else int(k) for k in keys]


def _as_range(part: int | slice, length: int) -> range:
    if isinstance(part, slice):
        return range(*part.indices(length))
    at = part + length if part < 0 else part
    if not 0 <= at < length:
        raise IndexError(f"index {part} is outside of an axis of {length}")
    return range(at, at + 1)
