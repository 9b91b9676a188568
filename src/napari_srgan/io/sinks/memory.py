"""The promise that every sink makes, and the sink that keeps the result in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from napari_srgan.errors import InputError
from napari_srgan.io.journal import Found, Origin, Unfinished
from napari_srgan.io.output import OutputSpec


class Sink(Protocol):
    """Takes a result in blocks; after `open`, either `commit` or `abort` ends it."""

    def open(self, spec: OutputSpec, origin: Callable[[], Origin] | None = None) -> Unfinished:
        """Prepare for an output; InputError if there is no place for it.

        Parameters
        ----------
        spec : OutputSpec
        origin : callable, optional
            Says what a later run must share to go on with this one; without, none can.

        Returns
        -------
        Unfinished
            What a former run has made of it.
        """

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Take a block (h, w) or (h, w, S) whose corner is at (y, x) of the plane at `index`."""

    def plane_done(self, index: tuple[int, ...], found: Found | None = None) -> None:
        """Learn that the plane at `index` has all its blocks, and what was found on it."""

    def commit(self, metadata: Mapping[str, Any] | None = None) -> npt.NDArray[Any]:
        """Finish, with late additions to the metadata; return the result in spec.axes order."""

    def abort(self, keep: bool = False) -> None:
        """Give up; harmless at any time.

        Nothing is left behind, or with `keep` what a later run can go on with.
        """


class MemorySink:
    """Keeps the result as an array."""

    def __init__(self) -> None:
        self._spec: OutputSpec | None = None
        self._array: npt.NDArray[Any] | None = None

    def open(self, spec: OutputSpec, origin: Callable[[], Origin] | None = None) -> Unfinished:
        """Reserve the memory; InputError if there is not enough."""
        try:
            self._array = np.zeros(spec.shape, spec.dtype)
        except MemoryError:
            raise InputError(
                f"The result needs {size_text(spec.nbytes)} of memory, which is not there; write it"
                " to a file instead."
            ) from None
        self._spec = spec
        return Unfinished()

    def write(self, index: tuple[int, ...], y: int, x: int, block: npt.NDArray[Any]) -> None:
        """Take a block; see `Sink.write`."""
        assert self._spec is not None and self._array is not None
        plane = plane_view(self._array, self._spec.axes, index)
        plane[y : y + block.shape[0], x : x + block.shape[1]] = block

    def plane_done(self, index: tuple[int, ...], found: Found | None = None) -> None:
        """Nothing follows: the plane is where it belongs."""

    def commit(self, metadata: Mapping[str, Any] | None = None) -> npt.NDArray[Any]:
        """Return the array."""
        assert self._array is not None
        array, self._array = self._array, None
        return array

    def abort(self, keep: bool = False) -> None:
        """Let the memory go."""
        self._array = None


def plane_view(array: npt.NDArray[Any], axes: str, index: tuple[int, ...]) -> npt.NDArray[Any]:
    """View one plane of an array as (Y, X) or (Y, X, S)."""
    positions = iter(index)
    key = tuple(slice(None) if a in "YXS" else next(positions) for a in axes)
    inner = [a for a in axes if a in "YXS"]
    view: npt.NDArray[Any] = array[key]
    return view.transpose([inner.index(a) for a in "YXS" if a in inner])


def size_text(nbytes: int) -> str:
    """Write a number of bytes in the unit that suits it (powers of 1000)."""
    value, unit = float(nbytes), "bytes"
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"
