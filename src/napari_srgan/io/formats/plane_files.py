"""A stack whose planes lie in files of their own: slices of a folder, exports of a viewer."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.image.stack import LazyArray
from napari_srgan.io.formats.source import FileArray, Source


class PlaneFiles(FileArray):
    """The arrays of several files, one after the other along a new first axis.

    Parameters
    ----------
    first : Source
        What was asked for: one of the files, or one that lists them.
    planes : sequence of (Path, LazyArray)
        Each file with its array.
    reopen : callable
        From the path of `first` to the same array anew, for another process.
    variant : hashable
        What tells it from other arrays of the same files.

    Raises
    ------
    InputError
        If they differ in shape or dtype.
    """

    def __init__(
        self,
        first: Source,
        planes: Sequence[tuple[Path, LazyArray]],
        reopen: Callable[[Path], FileArray],
        variant: Hashable = None,
    ) -> None:
        (path, one), *others = planes
        for other, array in others:
            if (array.shape, array.dtype) != (one.shape, one.dtype):
                raise InputError(
                    f"{other.name} is {_said(array)}, but {path.name} is {_said(one)}; slices of"
                    " one stack must be alike."
                )
        self._planes = [array for _, array in planes]
        sources = dict.fromkeys([first, *(Source.of(p) for p, _ in planes)])
        super().__init__(list(sources), (len(planes), *one.shape), one.dtype, reopen, variant)

    def _read(self, ranges: list[range]) -> npt.NDArray[Any]:
        out = np.empty([len(r) for r in ranges], self.dtype)
        inner = tuple(slice(r.start, r.stop if r.stop >= 0 else None, r.step) for r in ranges[1:])
        for into, number in zip(out, ranges[0], strict=True):
            into[...] = self._planes[number][inner]
        return out


def _said(array: LazyArray) -> str:
    return f"{' x '.join(map(str, array.shape))} of {np.dtype(array.dtype).name}"
