"""Where the pixels of an enlarged image lie in the coordinates of its input.

The one rule, for every model, file and layer: a pixel's *centre* lies at its index (as in
napari and OME). Enlarging by f splits an input pixel into f equal ones, so pixel 0 of the
output has its centre at (1/f - 1)/2 in input pixels: -0.375 for f = 4. Dividing the scale alone
would shift the result by that much.
"""

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scale = tuple[int, int]
"""How many times finer Y and X become, or coarser; (4, 4) is "4x"."""

Factor = tuple[float, float]
"""How many times finer Y and X of a result are; not only by whole numbers, as a `Scale`."""

Number = TypeVar("Number", int, float)


def as_scale(value: int | Sequence[int]) -> Scale:
    """Return the scale that one number for both axes, or a pair (Y, X), stands for.

    Raises
    ------
    ValueError
        If it is neither, or a number is below 1.
    """
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(type(v) is int and v >= 1 for v in pair):
        raise ValueError(f"a scale is a whole number from 1 or two of them, not {value!r}")
    return pair[0], pair[1]


def plain_scale(scale: Factor) -> float | list[float]:
    """Return a scale as JSON has it: one number where Y and X are alike, else both."""
    plain = [int(v) if v == int(v) else v for v in scale]
    return plain[0] if plain[0] == plain[1] else plain


def scale_text(scale: Factor) -> str:
    """Write a scale as names have it, those of files too: "4x", or "1x4x" for 1 in Y and 4 in X."""
    y, x = (f"{v:g}x" for v in scale)
    return y if y == x else y + x


def times_text(scale: Factor) -> str:
    """Write a scale before the word "times": "4", or "1 and 4" along Y and X."""
    y, x = (f"{v:g}" for v in scale)
    return y if y == x else f"{y} and {x}"


def origin_shift(factor: float) -> float:
    """Say where output pixel 0 has its centre, in input pixels.

    Parameters
    ----------
    factor : float
        Enlargement along the axis, > 0; 1 leaves it as it is.

    Returns
    -------
    float
        (1/factor - 1)/2, which is 0 for 1 and -0.375 for 4.
    """
    if not factor > 0:
        raise ValueError(f"an enlargement must be above zero, not {factor}")
    return (1 / factor - 1) / 2


def factors(axes: str, scale: tuple[Number, Number]) -> tuple[Number | int, ...]:
    """Spread a scale over the axes: its numbers for Y and X, 1 for the others, none for S."""
    growth = {"Y": scale[0], "X": scale[1]}
    return tuple(growth.get(axis, 1) for axis in axes if axis != "S")


def enlarged_length(length: int, factor: float) -> int:
    """Count the output pixels that lie whole within so many input pixels."""
    return math.floor(length * factor + 1e-6)  # of 3 px, 4/3 times makes 4


def upscaled_placement(
    axes: str,
    scale: Sequence[float],
    translate: Sequence[float],
    finer: Factor,
    region: Mapping[str, tuple[int, int]] | None = None,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Place an enlarged region of an image that has a scale and an offset and no rotation.

    Parameters
    ----------
    axes : str
        Axes of the image, letters of T C Z Y X S.
    scale, translate : sequence of float
        World units a pixel, and world position of the centre of pixel 0, per axis without S.
    finer : Factor
        How many times finer Y and X became.
    region : mapping of axis letter to (start, stop), optional
        Part of the image that was enlarged, in input pixels; an axis left out is whole.

    Returns
    -------
    scale, translate : tuple of float
        Those of the result, per axis without S.
    """
    letters = axes.replace("S", "")
    if not len(letters) == len(scale) == len(translate):
        raise ValueError(f"axes {letters} do not fit scale {scale} and translate {translate}")
    starts = [(region or {}).get(axis, (0, 0))[0] for axis in letters]
    growth = factors(axes, finer)
    new_scale = tuple(s / f for s, f in zip(scale, growth, strict=True))
    new_translate = tuple(
        t + s * (start + origin_shift(f))
        for t, s, start, f in zip(translate, scale, starts, growth, strict=True)
    )
    return new_scale, new_translate


def placed_translate(
    linear: ArrayLike, translate: ArrayLike, offset: ArrayLike, factors: ArrayLike
) -> NDArray[np.float64]:
    """Give the translate of an enlarged region of an image with rotation, shear or an affine.

    Parameters
    ----------
    linear : array_like, shape (n, n)
        Maps input pixels to world units: rotate @ shear @ diag(scale).
    translate : array_like, shape (n,)
        World position of the centre of input pixel 0.
    offset : array_like, shape (n,)
        First input pixel of the region.
    factors : array_like, shape (n,)
        Enlargement per axis.

    Returns
    -------
    ndarray, shape (n,), float64
        World position of the centre of output pixel 0. The result keeps rotate and shear, and
        its scale is divided by `factors`.

    Notes
    -----
    That last sentence is exact when the scale is applied first, as in napari. An `affine` that
    a napari layer has beside these acts on world units and is carried over unchanged.
    """
    shift = np.array([origin_shift(float(f)) for f in np.atleast_1d(np.asarray(factors))])
    first = np.asarray(offset, dtype=np.float64) + shift
    result: NDArray[np.float64] = np.asarray(linear, np.float64) @ first + np.asarray(
        translate, np.float64
    )
    return result
