"""Memory maps on their way to another process: by the path of the file, without the pixels.

numpy pickles a memory map as an array, with all its pixels. Here it is replaced by the place of
its elements, and mapped again where it arrives.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError


@dataclass(frozen=True)
class MappedPart:
    """Where the elements of a memory map, or of a view of one, lie in its file.

    Attributes
    ----------
    path : Path
        Of the file.
    start, stop : int
        The bytes of it that the elements lie in.
    first : int
        Where the element of index 0 begins, counted from `start`.
    dtype : numpy.dtype
    shape, strides : tuple of int
        As those of an array.
    """

    path: Path
    start: int
    stop: int
    first: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def open(self) -> npt.NDArray[Any]:
        """Map the elements into memory, read-only.

        Raises
        ------
        InputError
            If the file is not there any more, or is shorter than it was.
        """
        try:
            size = self.stop - self.start
            whole = np.memmap(self.path, np.uint8, "r", offset=self.start, shape=(size,))
        except (OSError, ValueError) as e:
            raise InputError(f"{self.path} has changed since it was opened; open it again.") from e
        return np.ndarray.__new__(
            np.memmap, self.shape, self.dtype, whole, self.first, self.strides
        )


def by_path(data: Any) -> Any:
    """Replace a memory map by the place of its elements; anything else stays as it is."""
    root, path = _mapped(data)
    # what was changed in another mode is not in the file
    if root is None or root.mode not in ("r", "r+") or not data.size:
        return data
    first = data.__array_interface__["data"][0]
    reaches = [(n - 1) * step for n, step in zip(data.shape, data.strides, strict=True)]
    low = first + sum(r for r in reaches if r < 0)
    high = first + sum(r for r in reaches if r > 0) + data.itemsize
    begin = root.offset - root.__array_interface__["data"][0]
    return MappedPart(
        path=path.absolute(),
        start=begin + low,
        stop=begin + high,
        first=first - low,
        dtype=data.dtype,
        shape=data.shape,
        strides=data.strides,
    )


def check_mapped(data: Any) -> None:
    """Raise InputError if data are a memory map of a file that has become shorter.

    Touching what is not there any more would end the process.
    """
    root, path = _mapped(data)
    if root is not None:
        try:
            size = path.stat().st_size
        except OSError:  # without its name a file still holds what is mapped
            return
        if size < root.offset + root.nbytes:
            raise InputError(f"{path.name} has changed since it was opened; open it again.")


def _mapped(data: Any) -> tuple[np.memmap[Any, Any] | None, Path]:
    """Give the memory map that an array is a view of, if its file is known, and the file."""
    root: Any = data
    while isinstance(root, np.ndarray) and isinstance(root.base, np.ndarray):
        root = root.base
    if (
        isinstance(root, np.memmap)
        and isinstance(root.base, mmap.mmap)
        and isinstance(root.filename, (str, os.PathLike))
    ):
        return root, Path(root.filename)
    return None, Path()


def arrived(data: Any) -> Any:
    """Undo `by_path`, where the data arrived."""
    return data.open() if isinstance(data, MappedPart) else data
