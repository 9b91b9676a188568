"""Arrays and stacks that are parts of others, or are computed from them, without being copied.

Nothing is read or computed before it is looked at. With them input, result and reference of a
region are brought together, so that one plane index means the same plane in all of them.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale, upscaled_placement
from napari_srgan.image.intensity import to_dtype
from napari_srgan.image.mapped import arrived, by_path
from napari_srgan.image.stack import Stack
from napari_srgan.image.valid import is_value

Key = int | slice

_MARGIN = 4
"""LR pixels around a region that bicubic enlargement is given: it looks two pixels far."""


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

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Compute everything; for saving a layer."""
        whole = self[...]
        return whole if dtype is None else whole.astype(dtype)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read what integers and slices address."""
        return self._read(complete_key(key, self.shape))

    def _read(self, keys: list[Key]) -> NDArray[Any]:
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

    Notes
    -----
    It can be pickled if `plane` can.
    """

    def __init__(
        self,
        shape: Sequence[int],
        dtype: Any,
        axes: str,
        plane: Callable[[tuple[int, ...]], NDArray[Any]],
    ) -> None:
        super().__init__(shape, dtype)
        self.axes = axes
        self._plane = plane
        self._kept: tuple[tuple[int, ...], NDArray[Any]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": None}

    def _read(self, keys: list[Key]) -> NDArray[Any]:
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

    def plane(self, index: tuple[int, ...]) -> NDArray[Any]:
        """Give one plane, (Y, X) or (Y, X, S), whatever the order of the axes."""
        # No lock: a process that is forked while another thread holds one would wait for ever.
        kept = self._kept
        if kept is None or kept[0] != index:
            kept = self._kept = index, np.asarray(self._plane(index), self.dtype)
        return kept[1]


class MovedArray(_Lazy):
    """A part of an array, or an array behind a frame.

    Parameters
    ----------
    data : array
        With shape, dtype and indexing; read only where this one is.
    shape : sequence of int
        Length of every axis.
    offsets : sequence of int
        Element i along an axis is element i + offset of `data`; what is not there (IndexError)
        belongs to the frame.
    """

    def __init__(self, data: Any, shape: Sequence[int], offsets: Sequence[int]) -> None:
        super().__init__(shape, data.dtype)
        self._data, self._offsets = data, tuple(offsets)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_data": by_path(self._data)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _data=arrived(state["_data"]))

    def _read(self, keys: list[Key]) -> NDArray[Any]:
        at: list[Key] = []
        for key, n, offset, there in zip(
            keys, self.shape, self._offsets, self._data.shape, strict=True
        ):
            picked = _picked(key, n)
            moved = range(picked.start + offset, picked.stop + offset, picked.step)
            if moved and not (min(moved) >= 0 and max(moved) < there):
                raise IndexError(f"{key} is not in the part that is there")
            if isinstance(key, slice):
                # A step backwards ends before 0, which a slice calls None.
                stop = None if moved.stop < 0 else moved.stop
                at.append(slice(moved.start, stop, moved.step) if moved else slice(0))
            else:
                at.append(moved.start)
        return np.asarray(self._data[tuple(at)])


class GrayArray(_Lazy):
    """One gray value a pixel of an array whose three colours all hold it.

    Parameters
    ----------
    data : array
        With shape, dtype and indexing.
    at : int
        The axis of the samples: three colours, and perhaps an alpha.
    alike : float
        How far the colours of a pixel may be apart, in units of the data.
    name : str
        In the error about a pixel that is no gray.

    Raises
    ------
    InputError
        When a part is read that holds colours, or is not opaque: that would be lost.
    """

    def __init__(self, data: Any, at: int, alike: float, name: str) -> None:
        super().__init__([*data.shape[:at], *data.shape[at + 1 :]], data.dtype)
        self._data, self._at, self._alike, self._name = data, at, alike, name
        identity = getattr(data, "identity", None)
        self.identity = None if identity is None else (identity, "gray")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_data": by_path(self._data)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _data=arrived(state["_data"]))

    def _read(self, keys: list[Key]) -> NDArray[Any]:
        block = np.asarray(self._data[(*keys[: self._at], slice(None), *keys[self._at :])])
        block = np.moveaxis(block, sum(isinstance(k, slice) for k in keys[: self._at]), -1)
        if not is_gray(block, self._alike):
            raise InputError(
                f"{self._name} is gray where it was looked at, but holds colours or transparent "
                "pixels elsewhere; name a model for RGB images to keep them."
            )
        return block[..., 1]


def is_gray(block: NDArray[Any], alike: float) -> bool:
    """Whether no pixel of (..., S) has colours further apart than that, or is transparent."""
    first, second, third = (block[..., k] for k in range(3))
    high = np.maximum(np.maximum(first, second), third)
    if (high > np.minimum(np.minimum(first, second), third).astype(np.float64) + alike).any():
        return False
    opaque = 1 if block.dtype.kind == "f" else np.iinfo(block.dtype).max
    return block.shape[-1] == 3 or bool((block[..., 3] == opaque).all())


def along_channels(stacks: Sequence[Stack]) -> Stack:
    """Put stacks of one shape, without channels of their own, behind each other along C, lazily."""
    first = stacks[0]

    def plane(index: tuple[int, ...]) -> NDArray[Any]:
        return stacks[index[0]].read(index[1:])

    dtype = np.result_type(*(stack.dtype for stack in stacks))
    axes = f"C{first.axes}"
    array = PlaneArray([len(stacks), *first.data.shape], dtype, axes, plane)
    return replace(
        first,
        data=array,
        axes=axes,
        scale=(1.0, *first.scale),
        translate=(0.0, *first.translate),
        units=("pixel", *first.units),
    )


def as_gray(stack: Stack, alike: float) -> Stack:
    """Take the one gray value of RGB pixels, lazily; `alike` is that of `GrayArray`."""
    data = GrayArray(stack.data, stack.axes.index("S"), alike, stack.name)
    return replace(stack, data=data, axes=stack.axes.replace("S", ""))


def without_first(data: Any, axis: int, count: int) -> MovedArray:
    """Leave out the first `count` elements of an array along one axis."""
    offsets = [count if i == axis else 0 for i in range(len(data.shape))]
    shape = [int(n) - offset for n, offset in zip(data.shape, offsets, strict=True)]
    return MovedArray(data, shape, offsets)


def cropped(stack: Stack, rows: tuple[int, int], cols: tuple[int, int]) -> Stack:
    """Take a part of every plane.

    Parameters
    ----------
    stack : Stack
    rows, cols : tuple of int
        Half-open, in pixels of the stack.

    Returns
    -------
    Stack
        With all planes of `stack`, lazily.
    """
    part = {"Y": rows, "X": cols}
    if all(part[a] == (0, stack.sizes[a]) for a in part):
        return stack
    sizes = {a: part[a][1] - part[a][0] if a in part else n for a, n in stack.sizes.items()}
    offsets = [part[a][0] if a in part else 0 for a in stack.axes]
    data = MovedArray(stack.data, [sizes[a] for a in stack.axes], offsets)
    _, translate = upscaled_placement(stack.axes, stack.scale, stack.translate, (1, 1), part)
    return replace(stack, data=data, translate=translate)


def placed(result: Stack, stack: Stack, region: Mapping[str, tuple[int, int]]) -> Stack:
    """Give the result of some planes the plane indices of its input.

    Parameters
    ----------
    result : Stack
        Its axes are those of the region; along Y and X as large as it is.
    stack : Stack
        The input.
    region : mapping
        Of every axis of the input but S.

    Returns
    -------
    Stack
        With as many planes as `stack`; only those of the region can be read.
    """
    sizes = [stack.sizes[a] if a in stack.plane_axes else n for a, n in result.sizes.items()]
    offsets = [-region[a][0] if a in stack.plane_axes else 0 for a in result.axes]
    if not any(offsets) and tuple(sizes) == result.shape:
        return result
    return replace(result, data=MovedArray(result.data, sizes, offsets))


def enlarged(stack: Stack, region: Mapping[str, tuple[int, int]], scale: Scale) -> Stack:
    """Enlarge the input by bicubic, plane by plane when it is read.

    Returns
    -------
    Stack
        All planes of `stack`, the region along Y and X of each; the dtype of the input, rounded
        and clipped as results are. What lies beside the region is taken into account.
    """
    axes = stack.plane_axes + "YX" + "S" * stack.is_rgb
    sides = [f * (region[a][1] - region[a][0]) for a, f in zip("YX", scale, strict=True)]
    shape = (*stack.plane_shape, *sides, *([stack.samples] * stack.is_rgb))
    rows, cols = region["Y"], region["X"]
    plane = partial(_enlarged_plane, stack, {"Y": rows, "X": cols}, scale)
    return Stack(PlaneArray(shape, stack.dtype, axes, plane), axes=axes, name="bicubic")


def _enlarged_plane(
    stack: Stack, region: Mapping[str, tuple[int, int]], scale: Scale, index: tuple[int, ...]
) -> NDArray[Any]:
    from napari_srgan.image.resampling import bicubic_enlarge

    inner, outer = [], []
    for axis, n, f in zip("YX", (stack.height, stack.width), scale, strict=True):
        start, stop = region[axis]
        first, last = max(0, start - _MARGIN), min(n, stop + _MARGIN)
        outer.append(slice(first, last))
        inner.append(slice(f * (start - first), f * (stop - first)))
    large = bicubic_enlarge(stack.read(index, *outer), scale)[tuple(inner)]
    return to_dtype(large, stack.dtype)


def values_range(plane: NDArray[Any], percentiles: tuple[float, float]) -> tuple[float, float]:
    """Give two percentiles of the finite values of a plane; a range of 1 where they are equal."""
    known = plane[is_value(plane)] if plane.dtype.kind == "f" else plane
    if not known.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(known, percentiles))
    return (low, high) if low < high else (low, low + 1.0)


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
