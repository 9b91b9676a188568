"""Zarr arrays of version 2 and 3 in a local folder, read a chunk at a time.

They are read here and not by the package zarr, because a store may come from anybody: no codec that
executes anything is known, a chunk is unpacked no further than it has place for, and a chunk that
was lost is told from one that was never written.
"""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.io import schema
from napari_srgan.io.formats.source import FileArray, Source, check_memory

METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
"""The files of which a Zarr folder holds some."""

_LONGEST = 2**40
_MOST_CHUNKS = 2**20
"""Chunks that one read may touch: beyond that a store has chunks of a few pixels."""
_PACKED_MORE = 2**16
"""Bytes that a packed chunk may have beyond its pixels."""
_NOWHERE = 2**64 - 1
"""What a shard's index says of a chunk that it does not hold."""

Buffer = bytes | bytearray
Unpack = Callable[[Buffer, int], Buffer]
"""From packed bytes, and how many there must be, to the plain ones."""


def _inflated(data: Buffer, size: int) -> Buffer:
    return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(data, size)  # zlib's header or gzip's


_UNPACK: dict[str, Unpack] = {
    "blosc": lambda data, size: imagecodecs.blosc_decode(data, out=bytearray(size)),
    "zstd": lambda data, size: imagecodecs.zstd_decode(data, out=bytearray(size)),
    "lz4": lambda data, size: imagecodecs.lz4_decode(data, header=True, out=bytearray(size)),
    "zlib": _inflated,
    "gzip": _inflated,
    "crc32c": lambda data, size: data[:-4],
}


@dataclass(frozen=True)
class ChunkLayout:
    """How the pixels of a chunk become bytes.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy.dtype
        As stored, with its byte order.
    order : tuple of int
        Which axis comes first, second and so on in the bytes.
    codecs : tuple of str
        Keys of the decompressors, in the order in which they packed the bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: tuple[int, ...]
    codecs: tuple[str, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of the pixels."""
        return math.prod(self.shape) * self.dtype.itemsize

    def decode(self, data: Buffer) -> npt.NDArray[Any]:
        """Unpack a chunk; ValueError, or an error of a decompressor, if it is damaged."""
        if len(data) > self.nbytes + self.nbytes // 8 + _PACKED_MORE:
            raise ValueError("it has more bytes than its pixels")
        for codec in reversed(self.codecs):
            data = _UNPACK[codec](data, self.nbytes)
        if len(data) != self.nbytes:
            raise ValueError(f"it has {len(data)} bytes where {self.nbytes} are needed")
        stored = np.frombuffer(data, self.dtype).reshape([self.shape[i] for i in self.order])
        return stored.transpose(np.argsort(self.order))


@dataclass(frozen=True)
class ArrayLayout:
    """What the metadata of an array state.

    Attributes
    ----------
    shape : tuple of int
    chunk : ChunkLayout
        Of the smallest pieces that are read.
    shard : tuple of int or None
        Lengths of a shard, of whole chunks; without, each chunk is a file.
    index_first : bool
        Whether the index of a shard is at its beginning.
    index_check : int
        Bytes of the checksum behind it.
    fill : number
        Of chunks that were not written.
    names : tuple of str
        Of the axes; empty if they have none.
    prefix, separator : str
        Of the paths of chunks.
    """

    shape: tuple[int, ...]
    chunk: ChunkLayout
    shard: tuple[int, ...] | None
    index_first: bool
    index_check: int
    fill: Any
    names: tuple[str, ...]
    prefix: str
    separator: str

    @property
    def file_shape(self) -> tuple[int, ...]:
        """Lengths of what lies in one file."""
        return self.shard or self.chunk.shape

    def file_of(self, grid: Sequence[int]) -> str:
        """Path of a chunk's or shard's file within the array."""
        numbers = [*([self.prefix] if self.prefix else []), *map(str, grid)]
        return self.separator.join(numbers) or "0"


class ZarrArray(FileArray):
    """An array of a Zarr store.

    Parameters
    ----------
    store : Path
        The folder that the user knows.
    folder : Path
        That of the array.
    transposed : tuple of int, optional
        Which stored axis each axis of this array is.
    complete : bool
        Whether a file that is not there is a loss; otherwise it reads as the fill value.
    reopen : callable
        From the path of the store to this array anew.
    variant : hashable
        As for `FileArray`.

    Raises
    ------
    InputError
        If there is none, or it is stored in a way that is not read.
    """

    def __init__(
        self,
        store: Path,
        folder: Path,
        transposed: Sequence[int] | None = None,
        *,
        complete: bool = False,
        reopen: Callable[[Path], FileArray],
        variant: Hashable = None,
    ) -> None:
        self.layout = read_layout(store, folder)
        self._store, self.folder, self._complete = store, folder, complete
        self._transposed = tuple(transposed or range(len(self.layout.shape)))
        metadata = next(folder / n for n in METADATA[:2] if (folder / n).is_file())
        shape = [self.layout.shape[i] for i in self._transposed]
        dtype = self.layout.chunk.dtype.newbyteorder("=")
        super().__init__([Source.of(store), Source.of(metadata)], shape, dtype, reopen, variant)

    @property
    def chunk_shape(self) -> tuple[int, ...]:
        """Lengths of a chunk along the axes of this array."""
        return tuple(self.layout.chunk.shape[i] for i in self._transposed)

    def is_there(self, place: Sequence[int]) -> bool:
        """Whether the chunk that holds this pixel was written; of shards, its shard."""
        stored = [0] * len(place)
        for axis, at in zip(self._transposed, place, strict=True):
            stored[axis] = at
        grid = [at // n for at, n in zip(stored, self.layout.file_shape, strict=True)]
        return (self.folder / self.layout.file_of(grid)).is_file()

    def _read(self, ranges: list[range]) -> npt.NDArray[Any]:
        with self.sources[1].open():  # the metadata are as they were, before and after
            stored = [range(0)] * len(ranges)
            for axis, wanted in zip(self._transposed, ranges, strict=True):
                stored[axis] = wanted
            return self._read_stored(stored).transpose(self._transposed)

    def _read_stored(self, ranges: list[range]) -> npt.NDArray[Any]:
        layout = self.layout
        sides = layout.chunk.shape
        touched = math.prod(_touched(r, n) for r, n in zip(ranges, sides, strict=True))
        if touched > _MOST_CHUNKS:
            raise InputError(
                f"{self.name} has chunks of {' x '.join(map(str, layout.chunk.shape))}, so that"
                f" {touched} of them would have to be read at once; save it in larger ones."
            )
        if touched:
            check_memory(self.name, 2 * layout.chunk.nbytes)
        out = np.full([len(r) for r in ranges], layout.fill, self.dtype)
        pieces = [_pieces(r, n) for r, n in zip(ranges, sides, strict=True)]
        for piece in itertools.product(*pieces):
            number, inside, outside = zip(*piece, strict=True)
            chunk = self._chunk(number)
            if chunk is not None:
                out[outside] = chunk[inside]
        return out

    def _chunk(self, number: tuple[int, ...]) -> npt.NDArray[Any] | None:
        """Read the chunk with this number along each axis; None if it was not written."""
        layout = self.layout
        per = [f // c for f, c in zip(layout.file_shape, layout.chunk.shape, strict=True)]
        grid = [n // p for n, p in zip(number, per, strict=True)]
        file = self.folder / layout.file_of(grid)
        try:
            data = self._packed(file, [n % p for n, p in zip(number, per, strict=True)], per)
            if data is not None:
                return layout.chunk.decode(data)
        except InputError:
            raise
        except Exception as e:  # decompressors meet damage with errors of their own types
            why = (str(e) or type(e).__name__).rstrip(".")
            raise InputError(f"{self._shown(file)} is damaged: {why}.") from e
        return None

    def _packed(self, file: Path, inner: list[int], per: list[int]) -> bytes | None:
        """Read the bytes of a chunk out of its file, or out of its shard."""
        if not file.is_file():
            if self._complete:
                raise InputError(f"{self._shown(file)} is missing, so a part of the image is lost.")
            return None
        most = self.layout.chunk.nbytes + self.layout.chunk.nbytes // 8 + _PACKED_MORE
        with file.open("rb") as stream:
            if self.layout.shard is None:
                return stream.read(most + 1)
            count = math.prod(per)
            size = 16 * count + self.layout.index_check
            if count > _MOST_CHUNKS:
                raise ValueError(f"its index has {count} entries")
            stream.seek(0, 2)
            end = stream.tell()
            stream.seek(0 if self.layout.index_first else max(0, end - size))
            index = stream.read(size)
            if len(index) < size:
                raise ValueError("its index is cut short")
            entry = 16 * int(np.ravel_multi_index(inner, per))
            offset, length = struct.unpack_from("<QQ", index, entry)
            if offset == _NOWHERE == length:
                return None
            if offset + length > end:
                raise ValueError("a chunk lies behind its end")
            stream.seek(offset)
            return stream.read(min(length, most + 1))

    def _shown(self, file: Path) -> str:
        return f"{self.name}: the chunk {file.relative_to(self._store).as_posix()}"


def _touched(wanted: range, side: int) -> int:
    """Count the chunks of which a range needs something, or a few more."""
    span = abs(wanted[-1] // side - wanted[0] // side) + 1 if wanted else 0
    return min(len(wanted), span)


def _pieces(wanted: range, side: int) -> list[tuple[int, slice, slice]]:
    """Cut a range by chunks: number of the chunk, what is wanted of it, and where that goes."""
    forward = wanted if wanted.step > 0 else wanted[::-1]
    found = []
    position = 0
    while position < len(forward):
        number = forward[position] // side
        here = len(range(forward[position], min((number + 1) * side, forward.stop), forward.step))
        first = forward[position] - number * side
        inside = slice(first, first + (here - 1) * forward.step + 1, forward.step)
        at = slice(position, position + here)
        if wanted.step < 0:
            low, high = len(wanted) - position - here, len(wanted) - position
            at = slice(high - 1, low - 1 if low else None, -1)
        found.append((number, inside, at))
        position += here
    return found


def read_json(file: Path, store: Path) -> dict[str, Any]:
    """Read a metadata file; an empty object if it is not there.

    Raises
    ------
    InputError
        If it is damaged.
    """
    if not file.exists():
        return {}
    which = file.relative_to(store).as_posix()
    try:
        return schema.mapping(schema.from_json(schema.content(file)))
    except OSError as e:
        raise InputError(f"{store.name}: {which} cannot be read: {e.strerror}.") from e
    except ValueError as e:
        raise InputError(f"{store.name}: {which} is damaged: {e}.") from e


def read_layout(store: Path, folder: Path) -> ArrayLayout:
    """Read the metadata of an array.

    Raises
    ------
    InputError
        If it is none, or is stored in a way that is not read.
    """
    where = folder.relative_to(store).as_posix()
    try:
        if said := read_json(folder / "zarr.json", store):
            return _layout_3(said)
        if said := read_json(folder / ".zarray", store):
            return _layout_2(said)
        raise ValueError("it has no metadata")
    except ValueError as e:
        which = f"{store.name}: the array {where}" if where != "." else f"{store.name}: the array"
        raise InputError(f"{which} cannot be read: {e}.") from e


Readers = dict[str, schema.Reader[Any]]
_ENDIAN = {"big": ">", "little": "<"}
_SHAPE = schema.several(schema.whole(0, _LONGEST))
_CHUNK = schema.several(schema.whole(1, _LONGEST))


def _layout_2(said: Mapping[str, Any]) -> ArrayLayout:
    read: Readers = {"shape": _SHAPE, "chunks": _CHUNK, "dtype": schema.line, "order": schema.line}
    found = schema.fields_of(said, read, ("shape", "chunks", "dtype"))
    shape, chunks = found["shape"], found["chunks"]
    packed = said.get("compressor")
    codecs = () if packed is None else (str(schema.mapping(packed).get("id")),)
    if said.get("filters"):
        raise ValueError("it has filters; save it without")
    order = list(range(len(shape)))
    order = order[::-1] if found.get("order") == "F" else order
    separator = schema.one_of(("/", "."))(said.get("dimension_separator") or ".")
    return _layout(shape, chunks, found["dtype"], order, codecs, said.get("fill_value"), separator)


def _layout_3(said: Mapping[str, Any]) -> ArrayLayout:
    if said.get("node_type") != "array":
        raise ValueError("it is a group")
    read: Readers = {"shape": _SHAPE, "data_type": schema.line, "codecs": schema.several(_codec)}
    found = schema.fields_of(said, read, ("shape", "data_type", "codecs"))
    shape, codecs = found["shape"], found["codecs"]
    if said.get("storage_transformers"):
        raise ValueError("it has storage transformers, which are not read")
    chunks = _CHUNK(_configuration(said.get("chunk_grid"), "regular").get("chunk_shape"))
    keys = _codec(said.get("chunk_key_encoding") or {"name": "default"})
    separators = {"default": "/", "v2": "."}
    separator = keys[1].get("separator", separators[schema.one_of(tuple(separators))(keys[0])])
    names = said.get("dimension_names")
    more: dict[str, Any] = {
        "prefix": "c" if keys[0] == "default" else "",
        "names": tuple(str(n or "") for n in names) if isinstance(names, list) else (),
    }
    if codecs and codecs[0][0] == "sharding_indexed":
        if len(codecs) > 1:
            raise ValueError("its shards are packed as a whole, which is not read")
        sharding = codecs[0][1]
        index = [name for name, _ in schema.several(_codec)(sharding.get("index_codecs"))]
        if index[:1] != ["bytes"] or index[1:] not in ([], ["crc32c"]):
            raise ValueError("the index of its shards is stored in a way that is not read")
        more |= {
            "shard": chunks,
            "index_first": sharding.get("index_location", "end") == "start",
            "index_check": 4 * (len(index) - 1),
        }
        shard, chunks = chunks, _CHUNK(sharding.get("chunk_shape"))
        if len(shard) != len(chunks) or any(s % c for s, c in zip(shard, chunks, strict=True)):
            raise ValueError("its shards do not hold whole chunks")
        codecs = schema.several(_codec)(sharding.get("codecs"))
    order, endian, packing = list(range(len(shape))), "<", []
    for name, how in codecs:
        if name == "transpose":
            turned = schema.several(schema.whole(0, len(shape) - 1), len(shape))(how.get("order"))
            order = [order[i] for i in turned]
        elif name == "bytes":
            endian = _ENDIAN[schema.one_of(tuple(_ENDIAN))(how.get("endian", "little"))]
        else:
            packing.append(name)
    if sorted(order) != list(range(len(shape))):
        raise ValueError("its axes are turned in a way that makes no sense")
    try:
        dtype = np.dtype(found["data_type"]).newbyteorder(endian).str
    except TypeError:
        raise ValueError(f"its pixels are of the type {found['data_type']}") from None
    return _layout(shape, chunks, dtype, order, packing, said.get("fill_value"), separator, **more)


def _layout(
    shape: Sequence[int],
    chunks: Sequence[int],
    dtype: str,
    order: Sequence[int],
    codecs: Sequence[str],
    fill: Any,
    separator: str,
    *,
    shard: tuple[int, ...] | None = None,
    index_first: bool = False,
    index_check: int = 0,
    names: tuple[str, ...] = (),
    prefix: str = "",
) -> ArrayLayout:
    if len(chunks) != len(shape):
        raise ValueError(f"it has {len(shape)} axes, and its chunks {len(chunks)}")
    if unknown := [codec for codec in codecs if codec not in _UNPACK]:
        raise ValueError(f"it is packed with {unknown[0]}, which is not read; save it with blosc")
    try:
        kind = np.dtype(dtype)
    except TypeError:
        kind = np.dtype(object)
    if kind.kind not in "biufc":
        raise ValueError(f"its pixels are of the type {dtype}")
    value = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(str(fill), fill)
    if not isinstance(value, int | float):
        value = 0
    try:
        filled = np.asarray(value).astype(kind)[()]
    except (OverflowError, ValueError):
        filled = kind.type(0)
    chunk = ChunkLayout(tuple(chunks), kind, tuple(order), tuple(codecs))
    return ArrayLayout(
        tuple(shape), chunk, shard, index_first, index_check, filled, names, prefix, separator
    )


def _codec(value: Any) -> tuple[str, dict[str, Any]]:
    """Read a name with its configuration."""
    if isinstance(value, str):
        return value, {}
    said = schema.mapping(value)
    return schema.line(said.get("name")), schema.mapping(said.get("configuration") or {})


def _configuration(value: Any, name: str) -> dict[str, Any]:
    found, how = _codec(value)
    if found != name:
        raise ValueError(f"it is stored in a grid of the kind {found}, which is not read")
    return how
