"""What a reference sets for a comparison: its grid of pixels, its planes, and its range.

Which stacks can be compared with a reference at all, and how a smaller one comes to its grid.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale
from napari_srgan.image.intensity import to_dtype
from napari_srgan.image.sampling import windows
from napari_srgan.image.stack import Region, Stack
from napari_srgan.image.valid import is_value

_BY_HAND = "give the range by hand (--range; in the window under Settings)"


def reference_range(stack: Stack, remedy: str = _BY_HAND) -> float:
    """Give the range that PSNR and SSIM refer to, one for the whole stack.

    Parameters
    ----------
    stack : Stack
        The reference; read in bands of rows, in bounded memory.
    remedy : str
        What the user can do about a reference that has no range, the end of the sentence; not
        everything that compares has a place for a range.

    Returns
    -------
    float
        255 for uint8; otherwise the largest stored value of all planes less the smallest, alpha
        left out (see `metrics.data_range`).

    Raises
    ------
    InputError
        If it holds NaN or infinity, or is constant (and not uint8).
    """
    if stack.dtype == np.uint8:
        return 255.0
    low, high = _ends(stack)
    if low == high:
        raise InputError(
            f"{stack.name} is constant ({low:g} everywhere), so PSNR and SSIM have no range to "
            f"refer to: {remedy}."
        )
    return high - low


def reference_black(stack: Stack) -> float:
    """Give where that range begins: 0 for uint8, otherwise the smallest stored value."""
    return 0.0 if stack.dtype == np.uint8 else _ends(stack)[0]


def _ends(stack: Stack) -> tuple[float, float]:
    low, high = np.inf, -np.inf
    for index, _, block in windows(stack):
        first, last = float(block.min()), float(block.max())
        # NaN wins every minimum, so these two tell of all.
        if not (is_value(first) and is_value(last)):
            refuse_invalid_plane(stack.read(index), stack, index)
        low, high = min(low, first), max(high, last)
    return low, high


def refuse_invalid_plane(plane: NDArray[Any], stack: Stack, index: tuple[int, ...]) -> None:
    """Raise InputError, naming the stack and the slice, if a plane holds NaN or infinity."""
    if plane.dtype.kind != "f":
        return
    bad = plane.size - int(np.count_nonzero(is_value(plane)))
    if bad:
        at = ", ".join(f"{a}={i}" for a, i in zip(stack.plane_axes, index, strict=True))
        raise InputError(
            f"{stack.name} holds {bad} NaN or infinite values{f' in slice {at}' if at else ''}, "
            "where nothing can be measured; fill or crop them first."
        )


def on_reference_grid(plane: NDArray[Any], shape: tuple[int, ...]) -> tuple[NDArray[Any], Scale]:
    """Enlarge a plane by bicubic to a reference's grid, if it is a whole number of times smaller.

    Parameters
    ----------
    plane : ndarray
        Shape (y, x) or (y, x, S), any real dtype.
    shape : tuple of int
        Of the reference's plane; the first two count.

    Returns
    -------
    plane : ndarray
        Shape (Y, X) or (Y, X, S), in the dtype of `plane`: integers are rounded and clipped to
        it, as those of a restoration are. As it was if it has that size.
    scale : Scale
        How many times it was enlarged along Y and X; (1, 1): it was not.

    Raises
    ------
    InputError
        If the sizes do not differ by whole factors.

    Notes
    -----
    `resampling.bicubic_enlarge`, which calculates in float32: 24-bit values are exact at most.
    """
    from napari_srgan.image.resampling import bicubic_enlarge

    (height, width), (large_y, large_x) = plane.shape[:2], shape[:2]
    scale = whole_factors((height, width), (large_y, large_x))
    if scale is None:
        raise InputError(
            f"The reference plane is {large_y} x {large_x} px and the other {height} x {width} px: "
            "choose images of the same size, or one that is a whole number of times smaller."
        )
    if scale == (1, 1):
        return plane, scale
    return to_dtype(bicubic_enlarge(plane, scale), plane.dtype), scale


def whole_factors(small: tuple[int, int], large: tuple[int, int]) -> Scale | None:
    """Return the whole numbers of times that Y and X are larger; None if there are none."""
    if large[0] % small[0] or large[1] % small[1] or min(large) < 1:
        return None
    return large[0] // small[0], large[1] // small[1]


def matched(reference: Stack, other: Stack) -> Scale:
    """Check that a stack can be compared with a reference plane by plane.

    Parameters
    ----------
    reference, other : Stack
        Axes of length 1 may be missing in one of them.

    Returns
    -------
    Scale
        How many times smaller `other` is along Y and X.

    Raises
    ------
    InputError
        If one is gray and the other RGB, their axes or numbers of planes differ, or their sizes
        do not differ by a whole factor; the sentence names both.
    """
    check_kind(reference, other)
    if _long_axes(reference) != _long_axes(other):
        raise InputError(
            f"{reference.name} has {_planes_text(reference)} and {other.name} "
            f"{_planes_text(other)}: choose stacks with the same axes and slices."
        )
    return plane_factors(reference, other)


def check_kind(reference: Stack, other: Stack) -> None:
    """Raise InputError, naming both, if one is gray and the other RGB."""
    if reference.is_rgb != other.is_rgb:
        kinds = ["RGB" if s.is_rgb else "gray" for s in (reference, other)]
        raise InputError(
            f"{reference.name} is {kinds[0]} and {other.name} {kinds[1]}: choose two images of the "
            "same kind."
        )


def plane_factors(reference: Stack, other: Stack) -> Scale:
    """Return how many times smaller another stack's planes are.

    Raises
    ------
    InputError
        If their sizes do not differ by a whole factor; the sentence names both.
    """
    scale = whole_factors((other.height, other.width), (reference.height, reference.width))
    if scale is None:
        raise InputError(
            f"{reference.name} is {reference.height} x {reference.width} px and {other.name} "
            f"{other.height} x {other.width} px: choose images of the same size, or one that is a "
            "whole number of times smaller than the reference."
        )
    return scale


def index_in(other: Stack, reference: Stack, index: tuple[int, ...]) -> tuple[int, ...]:
    """Find the plane of a matched stack that belongs to one of the reference's."""
    at = dict(zip(reference.plane_axes, index, strict=True))
    return tuple(at.get(axis, 0) for axis in other.plane_axes)


def read_alike(reference: Stack, other: Stack, index: tuple[int, ...]) -> NDArray[Any]:
    """Read a plane of a matched stack on the reference's grid.

    Parameters
    ----------
    reference, other : Stack
        See `matched`.
    index : tuple of int
        Of the reference's plane.

    Returns
    -------
    ndarray
        Shape (Y, X) or (Y, X, S) with the reference's Y and X, in the dtype of `other`.

    Raises
    ------
    InputError
        If it holds NaN or infinity.
    """
    at = index_in(other, reference, index)
    plane = other.read(at)
    refuse_invalid_plane(plane, other, at)
    return on_reference_grid(plane, (reference.height, reference.width))[0]


def middle_plane(stack: Stack, region: Region | None = None) -> tuple[int, ...]:
    """Return the plane that stands for all where one has to do: the middle one of a region."""
    indices = list(stack.plane_indices(region))
    return indices[len(indices) // 2]


def _long_axes(stack: Stack) -> dict[str, int]:
    return {a: stack.sizes[a] for a in stack.plane_axes if stack.sizes[a] > 1}


def _planes_text(stack: Stack) -> str:
    axes = _long_axes(stack)
    if not axes:
        return "one slice"
    return "slices " + " x ".join(f"{a}={n}" for a, n in axes.items())
