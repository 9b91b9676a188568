"""The sentences that the panels show: sizes, times, planes, and what will come out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_srgan._gui.layers import View

UNIT_SYMBOLS = {"micrometer": "µm", "millimeter": "mm", "nanometer": "nm", "pixel": "px"}


def size_text(nbytes: float) -> str:
    """Bytes as people read them: "2.1 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if nbytes < 1000:
            return f"{nbytes:.0f} {unit}" if unit == "bytes" else f"{nbytes:.3g} {unit}"
        nbytes /= 1000
    return f"{nbytes:.3g} TB"


def time_text(seconds: float) -> str:
    """A duration as people say it: "3 s", "2 min", "1 h 20 min"."""
    if seconds < 1:
        return "under 1 s"
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def plane_text(index: Mapping[str, int], sizes: Mapping[str, int]) -> str:
    """Name a plane by its sliders, counted from 0 as napari does: "slice Z = 12 (of 0 to 29)"."""
    parts = [f"{a} = {i} (of 0 to {sizes[a] - 1})" for a, i in index.items() if sizes[a] > 1]
    return "slice " + ", ".join(parts) if parts else "the image"


def view_note(view: View, sizes: Mapping[str, int]) -> str:
    """Say which plane is used when the canvas does not show it; empty in the ordinary view."""
    notes = []
    plane = plane_text(view.index, sizes)
    if not view.plain:
        shown = "a 3D view" if len(view.shown) > 2 else " x ".join(view.shown) + " planes"
        notes.append(f"The canvas shows {shown}; models work on Y x X planes. Used: {plane}.")
    if view.outside:
        notes.append(f"The slider is beyond this layer; the nearest plane is used: {plane}.")
    return " ".join(notes)


def outcome_text(
    axes: str,
    shape: Sequence[int],
    dtype: str,
    seconds: float | None,
    device: str,
) -> str:
    """Say what will come out.

    Parameters
    ----------
    axes : str
        Letters of the result's axes.
    shape : sequence of int
        Its shape, in the same order.
    dtype : str
        Name of its dtype, for example "uint16".
    seconds : float or None
        Expected time; None if it cannot be told.
    device : str
        Where it will be computed.
    """
    nbytes = math.prod(shape) * np.dtype(dtype).itemsize
    lengths = " x ".join(str(n) for n in shape)
    letters = " x ".join(axes.replace("S", "").upper()) + (" x RGB" if "S" in axes else "")
    text = f"Result: {lengths} ({letters}), {dtype}, {size_text(nbytes)}"
    if seconds is None:
        return text + "."
    spent = "under 1 s" if seconds < 1 else f"about {time_text(seconds)}"
    return f"{text}, in {spent} on {device}."


def progress_text(done: int, total: int, eta: float | None) -> str:
    """Progress with time left: "12 of 300 tiles, 3 min left"."""
    text = f"{done} of {total} {'tile' if total == 1 else 'tiles'}"
    return text if eta is None else f"{text}, {time_text(eta)} left"


def spacing_text(axes: str, scale: Sequence[float], units: Sequence[str], source: str) -> str:
    """The pixel size of a layer, or that it is unknown: "3.87 x 11.6 um (Y x X)"."""
    if source == "unknown":
        return "unknown"
    letters = [a for a in axes if a in "ZYX"]
    at = {a: (s, u) for a, s, u in zip(axes.replace("S", ""), scale, units, strict=True)}
    same = len({at[a][1] for a in letters}) == 1
    unit = [UNIT_SYMBOLS.get(at[a][1], at[a][1]) for a in letters]
    if same:
        return f"{' x '.join(f'{at[a][0]:.4g}' for a in letters)} {unit[0]} ({''.join(letters)})"
    each = (f"{at[a][0]:.4g} {u}" for a, u in zip(letters, unit, strict=True))
    return f"{' x '.join(each)} ({''.join(letters)})"
