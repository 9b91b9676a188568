"""Stacks that are parts of others, or lie in a larger frame, or are enlarged, without being copied.

What belongs here: bringing input, result and reference of a region together, so that the same
plane index means the same plane in all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.geometry import Scale, upscaled_placement
from napari_srgan.image.intensity import to_dtype
from napari_srgan.image.stack import Stack

_MARGIN = 4
"""LR pixels around a region that bicubic enlargement is given: it looks two pixels far."""


class _Moved:
    """An array behind a frame: element i along an axis is element i + offset of the array."""

    def __init__(self, data: Any, shape: Sequence[int], offsets: Sequence[int]) -> None:
        self._data, self._offsets = data, tuple(offsets)
        self.shape, self.dtype = tuple(shape), data.dtype

    def __getitem__(self, key: Any) -> Any:
        at: list[int | slice] = []
        for k, n, offset, there in zip(
            key, self.shape, self._offsets, self._data.shape, strict=True
        ):
            start, stop = k.indices(n)[:2] if isinstance(k, slice) else (k, k + 1)
            if start + offset < 0 or stop + offset > there:
                raise IndexError(f"{k} is not in the part that is there")
            at.append(slice(start + offset, stop + offset) if isinstance(k, slice) else k + offset)
        return self._data[tuple(at)]


class _Enlarged:
    """Planes of a stack enlarged by bicubic, whole or a region of them; plane axes first."""

    def __init__(self, stack: Stack, region: Mapping[str, tuple[int, int]], scale: Scale) -> None:
        self._stack, self._region, self._scale = stack, region, scale
        sides = [f * (region[a][1] - region[a][0]) for a, f in zip("YX", scale, strict=True)]
        samples = [stack.samples] if stack.is_rgb else []
        self.shape = (*stack.plane_shape, *sides, *samples)
        self.dtype = stack.dtype

    def __getitem__(self, key: Any) -> NDArray[Any]:
        n = len(self._stack.plane_axes)
        plane: NDArray[Any] = self._plane(tuple(key[:n]))[tuple(key[n:])]
        return plane

    def _plane(self, index: tuple[int, ...]) -> NDArray[Any]:
        from napari_srgan.image.resampling import bicubic_enlarge

        stack, scale = self._stack, self._scale
        inner, outer = [], []
        for axis, n, f in zip("YX", (stack.height, stack.width), scale, strict=True):
            start, stop = self._region[axis]
            first, last = max(0, start - _MARGIN), min(n, stop + _MARGIN)
            outer.append(slice(first, last))
            inner.append(slice(f * (start - first), f * (stop - first)))
        large = bicubic_enlarge(stack.read(index, *outer), scale)[tuple(inner)]
        return to_dtype(large, stack.dtype)


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
    data = _Moved(stack.data, [sizes[a] for a in stack.axes], offsets)
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
    return replace(result, data=_Moved(result.data, sizes, offsets))


def enlarged(stack: Stack, region: Mapping[str, tuple[int, int]], scale: Scale) -> Stack:
    """Enlarge the input by bicubic, plane by plane when it is read.

    Returns
    -------
    Stack
        All planes of `stack`, the region along Y and X of each; the dtype of the input, rounded
        and clipped as results are. What lies beside the region is taken into account.
    """
    axes = stack.plane_axes + "YX" + "S" * stack.is_rgb
    return Stack(_Enlarged(stack, region, scale), axes=axes, name="bicubic")


def values_range(plane: NDArray[Any], percentiles: tuple[float, float]) -> tuple[float, float]:
    """Give two percentiles of the finite values of a plane; a range of 1 where they are equal."""
    known = plane[np.isfinite(plane)] if plane.dtype.kind == "f" else plane
    if not known.size:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(known, percentiles))
    return (low, high) if low < high else (low, low + 1.0)
