"""Reading arrays out of files that others may change, move or cut short meanwhile.

A file is opened for each read and closed after it, and its size and time are compared with those
at the start, before and after. So nothing is shared between threads or processes, no handle goes
stale, and no memory map of a file that shrank can end the process.
"""

from __future__ import annotations

import itertools
import math
import os
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import psutil

from napari_srgan.errors import InputError
from napari_srgan.image.views import complete_key

_SMALL = 2**25
"""Bytes that are asked for without a look at the free memory."""


@dataclass(frozen=True)
class Source:
    """A file, and what tells it from another one at the same path.

    Attributes
    ----------
    path : Path
        Absolute, without "..".
    size : int
        In bytes.
    modified : int
        When it was written last, in ns.
    inode : int
        Its number on its disk; not compared in reads, since some network disks change it.
    """

    path: Path
    size: int
    modified: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Look at a file; InputError if it is not there."""
        try:
            found = path.stat()
        except OSError as e:
            raise InputError(f"{path.name} cannot be read: {e.strerror}.") from e
        whole = path.absolute()
        if ".." in whole.parts:  # which leads elsewhere behind a link, and tifffile leaves it out
            whole = whole.parent.resolve() / whole.name
        return cls(whole, found.st_size, found.st_mtime_ns, found.st_ino)

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.name

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it for a read.

        Raises
        ------
        InputError
            If it cannot be read, or is not as it was, before or after what is read from it.
        """
        try:
            with self.path.open("rb") as file:
                self._compare(os.fstat(file.fileno()))
                try:
                    yield file
                finally:  # a change explains what went wrong better than what it led to
                    self._compare(self.path.stat())
        except OSError as e:
            raise InputError(f"{self.name} cannot be read: {e.strerror or e}.") from e

    def _compare(self, found: os.stat_result) -> None:
        if (found.st_size, found.st_mtime_ns) != (self.size, self.modified):
            raise InputError(f"{self.name} has changed since it was opened; open it again.")


class FileArray:
    """An array that stays in its files, and reads what integers and slices address.

    Parameters
    ----------
    sources : sequence of Source
        The files, the one that was asked for first.
    shape : sequence of int
        Length of every axis.
    dtype : numpy.dtype
        Of what is read.
    reopen : callable
        From a path to the same array anew, for another process.
    variant : hashable
        What tells it from other arrays of the same files and shape.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        shape: Sequence[int],
        dtype: npt.DTypeLike,
        reopen: Callable[[Path], FileArray],
        variant: Hashable = None,
    ) -> None:
        self.sources = tuple(sources)
        self.shape = tuple(shape)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.identity: Hashable = (self.sources, self.shape, self.dtype.str, variant)
        """Equal for arrays of equal pixels: what was measured on one holds for the other."""
        self.coarser: tuple[FileArray, ...] = ()
        """The same image in ever fewer pixels, where the file has such levels."""
        self._reopen = reopen

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Travel to another process by path."""
        return _arrived, (self._reopen, self.sources, self.shape, self.dtype)

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.sources[0].name

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Size of all the pixels in bytes, were they in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Read everything."""
        if copy is False:
            raise ValueError("a file cannot be read without a copy")
        return np.asarray(self[...], dtype=dtype)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """Read the part addressed by integers, slices and at most one ellipsis."""
        keys = complete_key(key, self.shape)
        ranges = [
            range(n)[k] if isinstance(k, slice) else range(k, k + 1)
            for k, n in zip(keys, self.shape, strict=True)
        ]
        check_memory(self.name, math.prod(map(len, ranges)) * self.dtype.itemsize)
        block = self._read(ranges)
        return block[tuple(slice(None) if isinstance(k, slice) else 0 for k in keys)]

    def _read(self, ranges: list[range]) -> npt.NDArray[Any]:
        """Read what lies at the crossings of one range an axis."""
        raise NotImplementedError


def check_series(
    name: str, series: int | None, count: int, default: int = 0, names: Sequence[str] = ()
) -> int:
    """Choose one of the images of a file; which of several is said where none was asked for.

    Parameters
    ----------
    name : str
        Of the file.
    series : int or None
        The number that was asked for, from 0.
    count : int
        How many images there are.
    default : int
        The one that is taken where none was asked for.
    names : sequence of str
        What the images are called, where they have names.

    Raises
    ------
    InputError
        If there is no such image.
    """
    known = f" ({', '.join(f'{i}: {n}' for i, n in enumerate(names))})" if any(names) else ""
    if series is None:
        if count > 1:
            warnings.warn(
                f"{name} holds {count} images{known}, of which number {default} is opened (counted"
                " from 0); --series N opens another.",
                stacklevel=2,
            )
        return default
    if not 0 <= series < count:
        there = f"number 0 to {count - 1}{known}" if count > 1 else "one image, number 0"
        raise InputError(f"{name} has no image number {series}; it holds {there}.")
    return series


def _arrived(
    reopen: Callable[[Path], FileArray],
    sources: tuple[Source, ...],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
) -> FileArray:
    """Open an array that came from another process, or from another time."""
    array = reopen(sources[0].path)
    then, now = (
        [(s.path, s.size, s.modified) for s in files] for files in (sources, array.sources)
    )
    if (then, shape, dtype) != (now, array.shape, array.dtype):
        raise InputError(f"{array.name} has changed since it was opened; open it again.")
    return array


def read_block(
    file: BinaryIO, offset: int, shape: Sequence[int], dtype: np.dtype[Any], ranges: Sequence[range]
) -> npt.NDArray[Any]:
    """Read a part of an array that lies in a file in C order, and little beside that part.

    Parameters
    ----------
    file : binary file
    offset : int
        Where the array begins, in bytes.
    shape, dtype
        Of the whole array, as stored.
    ranges : sequence of range
        One an axis.

    Returns
    -------
    ndarray
        As long as the ranges along each axis.

    Raises
    ------
    EOFError
        If the file ends before the part does.
    """
    if not all(ranges):
        return np.empty([len(r) for r in ranges], dtype)
    # from the last axis on, what is whole is one run of bytes with the next axis
    inner = len(shape) - 1
    while inner > 0 and ranges[inner] == range(shape[inner]):
        inner -= 1
    low, high = min(ranges[inner]), max(ranges[inner]) + 1
    row = math.prod(shape[inner + 1 :])
    strides = [math.prod(shape[i + 1 :]) for i in range(inner)]
    out = np.empty([*(len(r) for r in ranges[:inner]), high - low, *shape[inner + 1 :]], dtype)
    runs = out.reshape(-1, (high - low) * row)
    for run, at in zip(runs, itertools.product(*ranges[:inner]), strict=True):
        first = sum(i * n for i, n in zip(at, strides, strict=True)) + low * row
        file.seek(offset + first * dtype.itemsize)
        if file.readinto(run.view(np.uint8)) != run.nbytes:  # type: ignore[attr-defined]
            raise EOFError("it is cut short")
    picked = ranges[inner]
    if picked == range(low, high):
        return out
    return out[(slice(None),) * inner + ([i - low for i in picked],)]


def check_memory(name: str, nbytes: int) -> None:
    """Refuse what would not fit into the memory that is free now.

    Raises
    ------
    InputError
        If `nbytes` are more than that.
    """
    if nbytes > _SMALL:
        free = int(psutil.virtual_memory().available)
        if nbytes > free:
            raise InputError(
                f"{name}: {nbytes / 1e9:.1f} GB of it would have to be in memory at once, but only"
                f" {free / 1e9:.1f} GB are free; save it as TIFF in tiles or short strips, of which"
                " only those that are needed are read, or close other programs."
            )
