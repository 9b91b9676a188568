"""From a napari image layer to a Stack, and what the viewer shows of it.

What belongs here: reading layers and the viewer's dims. Nothing is changed and nothing is
restored here, and no Qt is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan.errors import InputError
from napari_srgan.stack import Stack

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image

_DEFAULT_AXES = {2: "YX", 3: "ZYX", 4: "TZYX", 5: "TCZYX"}
_LABELS = {"time": "T", "channel": "C", "channels": "C", "ch": "C", "depth": "Z", "plane": "Z"}


def layer_axes(layer: Image) -> str:
    """Name the axes of a layer: by its own labels if all of them are known, else by their number.

    Returns
    -------
    str
        Letters of T C Z Y X S in the order of the data; S is last in an RGB layer.

    Raises
    ------
    InputError
        If the layer has more axes than there are names for.
    """
    letters = [_LABELS.get(str(a).lower(), str(a).upper()) for a in layer.axis_labels]
    named = set(letters) <= set("TCZYX") and len(set(letters)) == len(letters)
    if not (named and {"Y", "X"} <= set(letters)):
        if layer.ndim not in _DEFAULT_AXES:
            raise InputError(
                f"{layer.name} has {layer.ndim} axes; set its axis labels to letters of TCZYX, "
                "or split it so that at most five remain."
            )
        letters = list(_DEFAULT_AXES[layer.ndim])
    return "".join(letters) + ("S" if layer.rgb else "")


def layer_stack(layer: Image) -> Stack:
    """Give the layer's pixels as a Stack; of a multiscale layer the finest level. Nothing is read.

    Raises
    ------
    InputError
        If the layer cannot be upscaled (dtype, size, number of axes).
    """
    return Stack(
        layer.data[0] if layer.multiscale else layer.data,
        axes=layer_axes(layer),
        name=layer.name,
        scale=tuple(float(s) for s in layer.scale),
        translate=tuple(float(t) for t in layer.translate),
        units=tuple(str(u) for u in layer.units),
        spacing_source=spacing_source(layer),
        metadata=dict(layer.metadata),
    )


def spacing_source(layer: Image) -> str:
    """Say where the layer's pixel size comes from: "file", "user" or "unknown".

    A reader or a user who gave no unit gave no physical size, whatever the numbers are.
    """
    axes = layer_axes(layer)
    lateral = [u for a, u in zip(axes, layer.units, strict=False) if a in "YX"]
    if any(str(u) == "pixel" for u in lateral):
        return "unknown"
    return str(layer.metadata.get("napari_srgan_spacing", "file" if layer.source.path else "user"))


@dataclass(frozen=True)
class View:
    """What the viewer shows of one layer.

    Attributes
    ----------
    index : dict of letter to int
        Position of the sliders along every axis but Y, X and S, within the layer.
    rows, cols : (int, int)
        The visible part along Y and X, half-open, in pixels of the layer; whole if the view
        does not show plain Y x X planes.
    shown : str
        The letters of the axes on the canvas, "YX" in the ordinary case.
    outside : bool
        Whether the sliders are beyond this layer, so that nothing of it is seen.
    """

    index: dict[str, int]
    rows: tuple[int, int]
    cols: tuple[int, int]
    shown: str
    outside: bool = False

    @property
    def plain(self) -> bool:
        """Whether the canvas shows the planes that a model works on, in either orientation."""
        return set(self.shown) == {"Y", "X"}


def view_of(layer: Image, dims: Dims) -> View:
    """Read from the viewer's dims which part of the layer is in view."""
    axes = layer_axes(layer).replace("S", "")
    sizes = dict(zip(axes, data_shape(layer), strict=False))
    extra = dims.ndim - layer.ndim
    shown = "".join(axes[d - extra] for d in dims.displayed if d >= extra)
    point = np.asarray(dims.point, dtype=float)[extra:] * _to_layer_units(layer, dims)
    at = dict(zip(axes, np.round(layer.world_to_data(point)).astype(int), strict=True))
    index = {a: int(np.clip(at[a], 0, sizes[a] - 1)) for a in axes if a not in "YX"}
    outside = any(at[a] != index[a] for a in index if a not in shown)
    rows, cols = (0, sizes["Y"]), (0, sizes["X"])
    if set(shown) == {"Y", "X"}:
        first, last = np.asarray(layer.corner_pixels)
        rows = _visible(first[axes.index("Y")], last[axes.index("Y")], sizes["Y"])
        cols = _visible(first[axes.index("X")], last[axes.index("X")], sizes["X"])
    return View(index, rows, cols, shown, outside)


def data_shape(layer: Image) -> tuple[int, ...]:
    """Shape of the layer's finest data, S included."""
    return tuple(int(n) for n in (layer.data[0] if layer.multiscale else layer.data).shape)


def unit_ratio(given: Any, wanted: Any) -> float:
    """How many `wanted` units one `given` unit is; 1 where they cannot be converted.

    napari draws layers whose units do not fit together as if they had none, so 1 is what is seen.
    """
    try:
        return float((1 * given).to(wanted).magnitude)
    except Exception:
        return 1.0


def _to_layer_units(layer: Image, dims: Dims) -> np.ndarray:
    units = tuple(dims.units or ())[-layer.ndim :]
    if len(units) != layer.ndim:
        return np.ones(layer.ndim)
    return np.array([unit_ratio(u, own) for u, own in zip(units, layer.units, strict=True)])


def _visible(first: int, last: int, size: int) -> tuple[int, int]:
    lo, hi = int(np.clip(first, 0, size)), int(np.clip(last + 1, 0, size))
    return (lo, hi) if hi > lo else (0, size)
