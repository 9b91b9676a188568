"""The axis letters: guessing them, and checking that an image of these axes can be upscaled."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_srgan.errors import InputError

AXIS_LETTERS = "TCZYXS"
MIN_SIDE = 8
"""Fewest pixels along Y and along X: below this there is nothing for a 4x network to go by."""

_ADVICE = {
    "b": "convert it to uint8 (times 255) first",
    "c": "upscale its magnitude (numpy.abs) instead",
    "O": "convert it to a plain numeric array first",
}


def guess_axes(shape: tuple[int, ...], dtype: np.dtype[Any], name: str = "image") -> str:
    """Axes of an array that comes without any, by the rule given at `stack.Stack`.

    Raises
    ------
    InputError
        If no rule covers this number of axes.
    """
    colour = dtype == np.uint8 and len(shape) > 2 and shape[-1] in (3, 4)
    planar = len(shape) - colour
    if planar not in (2, 3, 4):
        raise InputError(
            f"{name}: an array of shape {tuple(shape)} needs its axes named; give them with"
            " letters of TCZYXS, for example TCZYX."
        )
    return ("YX", "ZYX", "TZYX")[planar - 2] + "S" * colour


def checked_dtype(dtype: object, name: str) -> np.dtype[Any]:
    """Return `dtype` as numpy's; InputError, naming it, unless it is real and at most 64 bits."""
    try:
        known: np.dtype[Any] = np.dtype(dtype)  # type: ignore[call-overload]
    except TypeError:
        raise InputError(f"{name}: pixels of type {dtype} are not supported.") from None
    if known.kind not in "uif" or known.itemsize > 8:
        advice = _ADVICE.get(known.kind, "convert it to float32 first")
        raise InputError(f"{name}: {known.name} images cannot be upscaled; {advice}.")
    return known


def checked_axes(given: str, shape: tuple[int, ...], name: str) -> str:
    """Return the axes in capitals; InputError unless they fit `shape` and it can be upscaled."""
    axes = str(given).upper()
    unknown = sorted(set(axes) - set(AXIS_LETTERS))
    if unknown:
        raise InputError(
            f"{name}: unknown axis {unknown[0]!r} in {axes!r}; the letters are {AXIS_LETTERS}."
        )
    if len(set(axes)) != len(axes):
        raise InputError(f"{name}: the axes {axes!r} name one axis twice.")
    if len(axes) != len(shape):
        raise InputError(
            f"{name}: the axes {axes!r} are {len(axes)}, but the image has {len(shape)}:"
            f" shape {shape}."
        )
    if "Y" not in axes or "X" not in axes:
        raise InputError(f"{name}: the axes {axes!r} must include Y and X.")
    sizes = dict(zip(axes, shape, strict=True))
    empty = [a for a, n in sizes.items() if n == 0]
    if empty:
        raise InputError(f"{name} is empty: its axis {empty[0]} has no pixels (shape {shape}).")
    if min(sizes["Y"], sizes["X"]) < MIN_SIDE:
        colours = f"{axes[1:]}S" if axes[-2:] == "YX" and len(axes) > 2 else ""
        advice = f" Give axes={colours!r} if the last axis holds colours."
        raise InputError(
            f"{name} is {sizes['Y']} x {sizes['X']} px (Y x X), but at least {MIN_SIDE} px"
            f" are needed on each side.{advice if colours and sizes['X'] in (3, 4) else ''}"
        )
    if sizes.get("S", 3) not in (3, 4):
        raise InputError(
            f"{name}: the axis S holds {sizes['S']} samples a pixel, but RGB has 3 and RGBA 4;"
            " name it C if these are channels."
        )
    return axes


_LABELS = {"time": "T", "channel": "C", "depth": "Z", "plane": "Z", "slice": "Z"}


def canonical(axes: str) -> str:
    """Put axis letters into the order in which files are written and foreign ones are shown."""
    return "".join(sorted(axes, key=AXIS_LETTERS.index))


def stated_axes(labels: tuple[str, ...]) -> str | None:
    """Letters of axes by their labels; None if these do not name different axes, Y and X among."""
    letters = "".join(_LABELS.get(label.lower(), label.upper()) for label in labels)
    sensible = set(letters) <= set("TCZYX") and len(set(letters)) == len(letters)
    return letters if sensible and {"Y", "X"} <= set(letters) else None


def axes_from_labels(labels: tuple[str, ...], ndim: int, rgb: bool = False) -> str | None:
    """Translate napari's axis labels to axis letters.

    Parameters
    ----------
    labels : tuple of str
        One label per axis without S, such as ``("z", "y", "x")`` or napari's default ("-2", "-1").
    ndim : int
        Number of axes without S.
    rgb : bool
        Whether a last axis of colour samples follows.

    Returns
    -------
    str or None
        YX, ZYX or TZYX for default labels; None if the labels do not say and cannot be guessed.
    """
    letters = stated_axes(labels)
    if letters is None or len(letters) != ndim:
        letters = {2: "YX", 3: "ZYX", 4: "TZYX"}.get(ndim, "")
    return letters + "S" * rgb if letters else None
