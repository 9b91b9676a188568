"""Strips and tiles of TIFF files: how the pixels of a page are stored in them, and unpacking these.

What is packed by deflate or PackBits is unpacked no further than it has place for; a large strip or
tile in bands, so that neither its size nor what its bytes swell to has to fit into memory.
"""

from __future__ import annotations

import io
import logging
import lzma
import math
import struct
import threading
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import tifffile

from napari_srgan.errors import InputError

JPEG = (6, 7, 33007, 34892)
"""Compressions by JPEG, whose YCbCr is decoded to RGB."""

_DEFLATE, _LZMA, _PACKBITS = (8, 32946), 34925, 32773
_JPEG2000, _JPEG2000_SIZE = (33003, 33004, 33005, 34712), b"\xff\x4f\xff\x51"
_MORE_PIXELS = 2**16
"""Pixels that a packed image may have beyond its strip or tile: it comes in whole blocks."""
_LZMA_MEMORY = 2**28
"""What a dictionary may take; a file can ask for any."""

_BAND = 2**23
"""Bytes of pixels that are unpacked at once of a strip or tile that can be unpacked in parts."""
_PACKED = 2**14
"""Bytes of such a strip or tile that are read at once."""

_SHORT = "a strip or tile ends too early"


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

    @property
    def rows_at_once(self) -> int:
        """Rows of a strip or tile that are decoded at once: all, or those of a band."""
        _, depth, rows, width, samples = self.segment_shape
        in_parts = self.key.compression in (*_DEFLATE, _PACKBITS) and self._has_plain_rows
        if depth > 1 or not in_parts:
            return rows
        return min(rows, max(1, _BAND // (width * samples * self.dtype.itemsize)))

    @property
    def _has_plain_rows(self) -> bool:
        """Whether what is decompressed is rows of numbers, by themselves or their differences."""
        key, kind = self.key, self.dtype
        predicted = {1: "iufc", 2: "iuf", 3: "f"}.get(key.predictor, "")
        return (
            kind.kind in predicted and key.bitspersample == 8 * kind.itemsize and key.fillorder == 1
        )

    def decode(self, data: bytes, index: int, shape: Sequence[int]) -> npt.NDArray[Any]:
        """Decode a strip or tile.

        Parameters
        ----------
        data : bytes
            As they are in the file.
        index : int
            Which strip or tile of its page it is.
        shape : sequence of int
            Its lengths along Z, Y, X and samples.

        Returns
        -------
        ndarray, shape `shape`
            In native byte order.
        """
        key = self.key
        if key.compression in (*_DEFLATE, _LZMA, _PACKBITS) and self._has_plain_rows:
            # tifffile would decompress whatever the data hold, also a thousandfold of the strip
            return self.rows(
                _decompressed(key.compression, data, math.prod(shape) * self.dtype.itemsize), shape
            )
        if _pixels_claimed(key.compression, data) > 4 * math.prod(shape[:3]) + _MORE_PIXELS:
            raise ValueError("a strip or tile claims more pixels than it has place for")
        with listening() as complaints:
            tables = {}
            if key.compression in JPEG:
                tables = {"jpegtables": key.jpegtables, "jpegheader": key.jpegheader}
            decoded = key.decode(data, index, _fullsize=key.is_tiled, **tables)[0]
        if complaints or decoded is None:
            raise ValueError(complaints[0] if complaints else "a strip or tile is empty")
        return decoded.reshape(shape)

    def rows(self, plain: bytes, shape: Sequence[int]) -> npt.NDArray[Any]:
        """Make pixels of decompressed rows, of a strip or tile or of a part of one.

        Parameters
        ----------
        plain : bytes
        shape : sequence of int
            Lengths along Z, Y, X and samples.

        Returns
        -------
        ndarray, shape `shape`
            In native byte order.
        """
        if len(plain) < math.prod(shape) * self.dtype.itemsize:
            raise EOFError(_SHORT)
        if self.key.predictor == 3:
            return _from_byte_planes(plain, shape, self.dtype)
        block = np.frombuffer(plain, self.stored_dtype).reshape(shape)
        block = block.astype(self.dtype, copy=False)
        if self.key.predictor == 2:  # of floats, the differences are those of their bits
            bits = np.dtype(f"u{self.dtype.itemsize}")
            block = np.cumsum(block.view(bits), axis=-2, dtype=bits).view(self.dtype)
        return block


class Unpacking(ABC):
    """A strip or tile that is unpacked from its beginning on, as far as is asked for.

    Parameters
    ----------
    offset, count : int
        Its bytes in the file.
    """

    def __init__(self, offset: int, count: int) -> None:
        self._at, self._left = offset, count

    @staticmethod
    def of(compression: int, offset: int, count: int) -> Unpacking:
        """Begin with one that is packed by deflate or PackBits."""
        return (PackBits if compression == _PACKBITS else Inflation)(offset, count)

    def copy(self) -> Self:
        """Give another that goes on from the same place; it takes about 60 kB at most."""
        return copy(self)

    @abstractmethod
    def read(self, file: BinaryIO, n: int) -> bytes:
        """Unpack the next `n` bytes; EOFError if there are fewer."""

    def _next(self, file: BinaryIO) -> bytes:
        """Read on in the file; nothing at the end of the strip or tile."""
        file.seek(self._at)
        packed = file.read(min(_PACKED, self._left))
        self._at += len(packed)
        self._left -= len(packed)
        return packed


class Inflation(Unpacking):
    """One that is deflated; see `Unpacking`."""

    def __init__(self, offset: int, count: int) -> None:
        super().__init__(offset, count)
        self._machine = zlib.decompressobj()

    def copy(self) -> Self:
        """See `Unpacking.copy`."""
        other = super().copy()
        other._machine = self._machine.copy()
        return other

    def read(self, file: BinaryIO, n: int) -> bytes:
        """See `Unpacking.read`."""
        parts = []
        while n:
            packed = self._machine.unconsumed_tail or self._next(file)
            part = self._machine.decompress(packed, n)
            if (self._machine.eof and len(part) < n) or not (part or packed):
                raise EOFError(_SHORT)
            parts.append(part)
            n -= len(part)
        return b"".join(parts)


class PackBits(Unpacking):
    """One that is packed in runs; see `Unpacking`."""

    def __init__(self, offset: int, count: int) -> None:
        super().__init__(offset, count)
        self._packed = self._plain = b""

    def read(self, file: BinaryIO, n: int) -> bytes:
        """See `Unpacking.read`."""
        plain, packed, i = bytearray(self._plain), self._packed, 0
        while len(plain) < n:
            if len(packed) - i < 129 and self._left:  # the longest run and its header
                packed, i = packed[i:] + self._next(file), 0
            if i + 1 >= len(packed):
                raise EOFError(_SHORT)
            head = packed[i]
            if head < 128:
                plain += packed[i + 1 : i + 2 + head]
                i += 2 + head
            elif head > 128:
                plain += packed[i + 1 : i + 2] * (257 - head)
                i += 2
            else:
                i += 1
        self._packed, self._plain = packed[i:], bytes(plain[n:])
        return bytes(plain[:n])


def _from_byte_planes(plain: bytes, shape: Sequence[int], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Undo TIFF's predictor for floats.

    A row has the first bytes of all its numbers, then the second ones and so on, most significant
    first whatever the byte order of the file; of these bytes it has the differences.
    """
    *rows, width, samples = shape
    steps = np.frombuffer(plain, np.uint8).reshape(*rows, -1, samples)
    planes = np.cumsum(steps, axis=-2, dtype=np.uint8)
    planes = planes.reshape(*rows, dtype.itemsize, width * samples)
    numbers = np.ascontiguousarray(np.moveaxis(planes, -2, -1)).view(dtype.newbyteorder(">"))
    return numbers.reshape(shape).astype(dtype)


def _decompressed(compression: int, data: bytes, most: int) -> bytes:
    """Decompress, and stop when `most` bytes are there."""
    if compression in _DEFLATE:
        return zlib.decompressobj().decompress(data, most)
    if compression == _PACKBITS:  # tifffile makes a number of eight bytes of every byte
        return PackBits(0, len(data)).read(io.BytesIO(data), most)
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


def _pixels_claimed(compression: int, data: bytes) -> int:
    """Pixels of a packed image by its own header, since decoders make room for all of them."""
    if compression in JPEG:
        at = 2
        while at + 9 <= len(data) and data[at] == 0xFF:
            marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
            if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
                height, width = struct.unpack_from(">HH", data, at + 5)
                return int(height * width)
            at += 2 + length
    at = data.find(_JPEG2000_SIZE, 0, 2**12) if compression in _JPEG2000 else -1
    if 0 <= at <= len(data) - 24:
        x1, y1, x0, y0 = struct.unpack_from(">4I", data, at + 8)
        return int(max(0, x1 - x0) * max(0, y1 - y0))
    return 0


def check_decodable(page: tifffile.TiffPage, name: str) -> None:
    """Refuse a compression that nothing here decodes.

    Raises
    ------
    InputError
        Naming it.
    """
    if page.compression == 1:
        return
    try:
        with listening():
            tifffile.TIFF.DECOMPRESSORS[page.compression]
        if page.compression in JPEG:  # the file is open only now, and these look into it
            _ = page.jpegtables, page.jpegheader, page.decode
    except KeyError:
        what = getattr(page.compression, "name", f"unknown ({int(page.compression)})")
        raise InputError(
            f"{name} is compressed in a way that is not read, {what}; save it uncompressed or with"
            " deflate (zlib)."
        ) from None
