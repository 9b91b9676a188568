"""Arrays that are computed plane by plane when they are looked at, and parts of arrays.

What belongs here: what napari and `Stack` need of an array (shape, dtype, indexing), over a
function that makes one plane, or over a part of another array. Nothing is computed before.
"""

from __future__ import annotations

import itertools
import math
import operator
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Key = int | slice


class _Lazy:
    """Shape, dtype and indexing; subclasses read a block for one complete key."""

    def __init__(self, shape: Sequence[int], dtype: Any) -> None:
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Compute everything; for saving a layer."""
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype)

    def __getitem__(self, key: Any) -> np.ndarray:
        """Read what integers and slices address."""
        return self._read(complete_key(key, self.shape))

    def _read(self, keys: list[Key]) -> np.ndarray:
        raise NotImplementedError


class PlaneArray(_Lazy):
    """An array whose planes a function makes.

    Parameters
    ----------
    shape : sequence of int
        Length of every axis.
    dtype : dtype
        Of what `plane` returns.
    axes : str
        Letters of T C Z Y X S in the order of `shape`.
    plane : callable
        From a position over all axes but Y, X and S to the plane, (Y, X) or (Y, X, S). It may be
        called from several threads; the last plane is kept.
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: Any,
        axes: str,
        plane: Callable[[tuple[int, ...]], np.ndarray],
    ) -> None:
        super().__init__(shape, dtype)
        self.axes = axes
        self._plane = plane
        self._lock = threading.Lock()
        self._kept: tuple[tuple[int, ...], np.ndarray] | None = None

    def _read(self, keys: list[Key]) -> np.ndarray:
        at = dict(zip(self.axes, keys, strict=True))
        sizes = dict(zip(self.axes, self.shape, strict=True))
        outer = [a for a in self.axes if a not in "YXS"]
        inner = [a for a in "YXS" if a in self.axes]
        picked = [_picked(at[a], sizes[a]) for a in outer]
        part = tuple(_as_slice(at[a]) for a in inner)
        blocks = [self.plane(index)[part] for index in itertools.product(*picked)]
        lengths = [len(p) for p in picked]
        empty = [len(_picked(at[a], sizes[a])) for a in inner]
        block = np.stack(blocks) if blocks else np.empty([0, *empty], self.dtype)
        block = block.reshape(*lengths, *block.shape[1:])
        names = [*outer, *inner]
        block = block.transpose([names.index(a) for a in self.axes])
        return block[tuple(0 if isinstance(k, int) else slice(None) for k in keys)]

    def plane(self, index: tuple[int, ...]) -> np.ndarray:
        """Give one plane, (Y, X) or (Y, X, S), whatever the order of the axes."""
        with self._lock:
            if self._kept is None or self._kept[0] != index:
                self._kept = index, np.asarray(self._plane(index), self.dtype)
            return self._kept[1]


class PartArray(_Lazy):
    """An array without its first elements along one axis.

    Parameters
    ----------
    data : array
        With shape, dtype and indexing; read only where this one is.
    axis : int
        Along which it is cut.
    start : int
        How many elements are left out.
    """

    def __init__(self, data: Any, axis: int, start: int) -> None:
        shape = [int(n) for n in data.shape]
        shape[axis] -= start
        super().__init__(shape, data.dtype)
        self._data, self._axis, self._start = data, axis, start

    def _read(self, keys: list[Key]) -> np.ndarray:
        along = keys[self._axis]
        if isinstance(along, slice):
            first, stop, step = along.indices(self.shape[self._axis])
            end = stop + self._start
            # A step backwards ends before 0, which a slice calls None.
            keys[self._axis] = slice(first + self._start, None if end < 0 else end, step)
        else:
            keys[self._axis] = along + self._start
        return np.asarray(self._data[tuple(keys)])


def complete_key(key: Any, shape: Sequence[int]) -> list[Key]:
    """Spell an index out: one integer from 0, or a slice, for every axis.

    Raises
    ------
    IndexError
        If it has too many entries, or an integer is outside.
    """
    given = list(key) if isinstance(key, tuple) else [key]
    dots = [i for i, k in enumerate(given) if k is Ellipsis]
    if dots:
        filling = [slice(None)] * (len(shape) - len(given) + 1)
        given[dots[0] : dots[0] + 1] = filling
    given += [slice(None)] * (len(shape) - len(given))
    if len(given) != len(shape):
        raise IndexError(f"{len(given)} indices for {len(shape)} axes")
    return [
        k if isinstance(k, slice) else _inside(operator.index(k), n)
        for k, n in zip(given, shape, strict=True)
    ]


def _inside(position: int, length: int) -> int:
    if not -length <= position < length:
        raise IndexError(f"{position} is outside of an axis of {length}")
    return position % length


def _picked(key: Key, length: int) -> range:
    return range(length)[key] if isinstance(key, slice) else range(key, key + 1)


def _as_slice(key: Key) -> slice:
    return key if isinstance(key, slice) else slice(key, key + 1)
