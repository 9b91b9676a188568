"""Reading .npy files, a part at a time."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.io.formats.source import FileArray, Source, check_series, read_block


class NpyArray(FileArray):
    """The array of an .npy file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If it is no .npy file, is cut short, or holds objects.
    """

    def __init__(self, path: Path) -> None:
        source = Source.of(path)
        with source.open() as file:
            try:
                shape, fortran, dtype = _header(file)
            except Exception as e:  # numpy evaluates the header, and damage is of any kind there
                raise InputError(f"{path.name} is not an .npy file, or it is damaged.") from e
            self._offset = file.tell()
        if dtype.hasobject:
            raise InputError(
                f"{path.name}: object arrays cannot be upscaled; save a plain numeric array."
            )
        end = self._offset + math.prod(shape) * dtype.itemsize
        if end > source.size:
            raise InputError(
                f"{path.name} is cut short: it should have {end} bytes, but has {source.size}."
            )
        self._fortran = fortran
        super().__init__([source], shape, dtype, NpyArray)

    def _read(self, ranges: list[range]) -> npt.NDArray[Any]:
        shape = list(self.shape)
        if self._fortran:  # in C order it is the transpose
            shape, ranges = shape[::-1], ranges[::-1]
        source = self.sources[0]
        with source.open() as file:
            try:
                block = read_block(file, self._offset, shape, self.dtype, ranges)
            except EOFError:
                raise InputError(f"{source.name} is cut short.") from None
        return block.T if self._fortran else block


def read_npy(path: Path, axes: str | None = None, series: int | None = None) -> Stack:
    """Open an .npy file as a stack; InputError if it is none, or cannot be upscaled."""
    check_series(path.name, series, 1)
    return Stack(NpyArray(path), axes, path.name)


def _header(file: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[np.lib.format.read_magic(file)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy only warns of a header that it had to guess at
        shape, fortran, dtype = read(file)
    if any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"shape {shape}")
    return shape, fortran, dtype
