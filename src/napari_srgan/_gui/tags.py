"""From a result to a napari layer: where it lies, what it is called, how it is shown.

What belongs here: the arguments of `viewer.add_image`, as plain functions, and the one function
that adds the layer. Layers are touched on the GUI thread only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.layers import INPUT_KEY, layer_axes, spacing_source
from napari_srgan.engine.record import input_label
from napari_srgan.image.geometry import factors, placed_translate

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

LINKED = ("contrast_limits", "gamma", "colormap")


def unique_name(wanted: str, taken: Iterable[str]) -> str:
    """Return the name, with " [2]", " [3]" ... added if it is taken."""
    known = set(taken)
    name, n = wanted, 2
    while name in known:
        name, n = f"{wanted} [{n}]", n + 1
    return name


def result_name(input_name: str, model: str, factor: int, *, preview: bool = False) -> str:
    """Name a result: "eye1 [srresnet-gray 4x]"."""
    # The list of layers cuts long names in the middle: what tells them apart stands at the end.
    return f"{input_name} [{model} {factor}x{' preview' if preview else ''}]"


def linear_matrix(layer: Image) -> np.ndarray:
    """Matrix (n, n) from data to physical coordinates: rotate @ shear @ diag(scale)."""
    from napari.utils.transforms import Affine

    return np.asarray(
        Affine(rotate=layer.rotate, scale=layer.scale, shear=layer.shear).linear_matrix
    )


def placement(
    layer: Image, region: Mapping[str, tuple[int, int]], factor: int
) -> dict[str, np.ndarray | list[str] | Any]:
    """Give the spatial arguments of the layer of an enlarged region.

    Parameters
    ----------
    layer : Image
        The input.
    region : mapping of axis letter to (start, stop)
        Part that was restored; axes left out are whole.
    factor : int
        Enlargement of Y and X.

    Returns
    -------
    dict
        scale, translate, rotate, shear, affine, units and axis_labels, so that the outer corners
        of the result coincide with those of the region in world coordinates.
    """
    axes = layer_axes(layer).replace("S", "")
    growth = factors(axes, factor)
    offset = [region.get(a, (0, 0))[0] for a in axes]
    return {
        "scale": np.asarray(layer.scale) / growth,
        "translate": placed_translate(linear_matrix(layer), layer.translate, offset, growth),
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine.affine_matrix,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }


def in_layer_order(data: Any, axes: str, wanted: str) -> Any:
    """Return the data with its axes in the layer's order; a view, nothing is read."""
    if axes == wanted:
        return data
    if sorted(axes) != sorted(wanted):
        raise ValueError(f"a result with axes {axes} cannot stand beside a layer with {wanted}")
    return np.transpose(data, [axes.index(a) for a in wanted])


def layer_arguments(
    layer: Image,
    region: Mapping[str, tuple[int, int]],
    factor: int,
    name: str,
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    """Give all arguments of `viewer.add_image` for a result, but its data.

    It is shown as the input is: colormap, contrast limits and gamma are copied, never guessed
    anew, because a different grey scale would pass for an effect of the model.
    """
    arguments = placement(layer, region, factor) | {
        "name": name,
        "rgb": layer.rgb,
        "opacity": layer.opacity,
        "interpolation2d": layer.interpolation2d,
        "metadata": {
            **metadata,
            "spacing_source": spacing_source(layer),
            INPUT_KEY: {"id": str(layer.unique_id), "region": dict(region), "factor": factor},
        },
    }
    if not layer.rgb:
        arguments |= {
            "colormap": layer.colormap,
            "contrast_limits": tuple(layer.contrast_limits),
            "gamma": layer.gamma,
        }
    return arguments


def add_result(
    viewer: napari.Viewer,
    layer: Image,
    data: Any,
    arguments: Mapping[str, Any],
) -> Image:
    """Add a result right above its input, linked to it; the name is made unique first.

    An input that was deleted while the work went on leaves its result on top, with no link.
    """
    named = dict(arguments)
    named["name"] = unique_name(named["name"], (known.name for known in viewer.layers))
    there = layer in viewer.layers
    at = viewer.layers.index(layer) + 1 if there else len(viewer.layers)
    made = viewer.add_image(data, multiscale=False, **named)
    place = viewer.layers.index(made)
    if place != at:
        viewer.layers.move(place, at)
    if not layer.rgb:
        # The slider must reach what the input's slider reaches, or linked limits would be cut.
        made.contrast_limits_range = tuple(layer.contrast_limits_range)
        if there:
            viewer.layers.link_layers([layer, made], LINKED)
    viewer.layers.selection.active = made
    return made


def input_of(result: Image, layers: Iterable[Any]) -> Image | None:
    """Find the layer that a result was made from, by its id, else by the name in its record."""
    known = result.metadata.get(INPUT_KEY) or {}
    candidates = [layer for layer in layers if layer is not result]
    for layer in candidates:
        if str(layer.unique_id) == known.get("id"):
            return layer
    label = (result.metadata.get("napari_srgan") or {}).get("input")
    if not label:
        return None
    hidden = label.startswith("scan-")
    return next(
        (c for c in candidates if label == (input_label(c.name, True) if hidden else c.name)), None
    )
