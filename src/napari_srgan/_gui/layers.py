"""From a napari image layer to a Stack, and what the viewer shows of it.

What belongs here: reading layers and the viewer's dims. Nothing is changed and nothing is
restored here, and no Qt is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan.errors import InputError
from napari_srgan.image.axes import axes_from_labels
from napari_srgan.image.stack import Stack

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image

INPUT_KEY = "napari_srgan_input"
"""Metadata of a result layer: id of the layer it was made from, the region and the scale."""
PREVIEW_KEY = "napari_srgan_preview"
"""Metadata of a preview layer; previews replace each other, results never."""
SESSION_KEYS = (INPUT_KEY, PREVIEW_KEY)
"""Metadata that means something in this session only: it is neither passed on nor saved."""


def layer_axes(layer: Image) -> str:
    """Name the axes of a layer: by its own labels if all of them are known, else by their number.

    Returns
    -------
    str
        Letters of T C Z Y X S in the order of the data; S is last in an RGB layer.

    Raises
    ------
    InputError
        If the layer has more axes than can be guessed, and no labels.
    """
    axes = axes_from_labels(tuple(layer.axis_labels), layer.ndim, layer.rgb)
    if axes is None:
        raise InputError(
            f"{layer.name} has {layer.ndim} axes without known labels; set its axis labels to "
            "letters of TCZYX, or split it."
        )
    return axes


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
        metadata={k: v for k, v in layer.metadata.items() if k not in SESSION_KEYS},
    )


def spacing_source(layer: Image) -> str:
    """Say where the layer's pixel size comes from: "file", "user", "default" or "unknown".

    Whatever the numbers are: without a unit along Y and X there is no physical size.
    """
    units = zip(layer_axes(layer), layer.units, strict=False)
    if any(str(u) == "pixel" for a, u in units if a in "YX"):
        return "unknown"
    known = layer.metadata.get("spacing_source")
    if known in ("file", "user", "default"):
        return str(known)
    return "file" if layer.source.path else "user"


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
    except (TypeError, AttributeError):  # pint's error of dimensions is a TypeError
        return 1.0


def _to_layer_units(layer: Image, dims: Dims) -> np.ndarray:
    units = tuple(dims.units or ())[-layer.ndim :]
    if len(units) != layer.ndim:
        return np.ones(layer.ndim)
    return np.array([unit_ratio(u, own) for u, own in zip(units, layer.units, strict=True)])


def _visible(first: int, last: int, size: int) -> tuple[int, int]:
    lo, hi = int(np.clip(first, 0, size)), int(np.clip(last + 1, 0, size))
    return (lo, hi) if hi > lo else (0, size)
