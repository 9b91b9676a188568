"""What Compare's views and maps do to layers: the same gray scale, and layers that show findings.

What belongs here: adding and linking layers, on the GUI thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.compare.candidate_list import MAP_KEY
from napari_srgan._gui.compare.compare_stack import bicubic_stack
from napari_srgan._gui.compare.comparison import part_of
from napari_srgan._gui.compare.selection import Selection
from napari_srgan._gui.layers import layer_axes, layer_stack
from napari_srgan._gui.result_layer import LINKED, layer_arguments, placement, unique_name

if TYPE_CHECKING:
    import napari
    from napari.layers import Image


def link_grays(viewer: napari.Viewer, layers: list[Any]) -> None:
    """Show gray layers of one dtype with the first one's contrast, and link them.

    A different gray scale would pass for a difference of the images.
    """
    first = layers[0]
    same = [la for la in layers if not la.rgb and not first.rgb and la.dtype == first.dtype]
    if len(same) < 2:
        return
    for layer in same[1:]:
        layer.contrast_limits_range = tuple(first.contrast_limits_range)
        for name in LINKED:
            setattr(layer, name, getattr(first, name))
    viewer.layers.link_layers(same, LINKED)


def bicubic_layer(viewer: napari.Viewer, chosen: Selection) -> Image:
    """The layer of the enlarged LR input; it is made once, and computed where it is seen.

    Raises
    ------
    InputError
        If the LR input does not fit the reference.
    """
    key = (str(chosen.low.unique_id), str(chosen.reference.unique_id))
    for layer in viewer.layers:
        if layer.metadata.get(MAP_KEY) == key:
            return layer
    part = part_of(chosen.low, chosen.candidates)
    stack = bicubic_stack(layer_stack(chosen.reference), layer_stack(chosen.low), part)
    name = unique_name(f"{chosen.low.name} [bicubic]", [la.name for la in viewer.layers])
    arguments = layer_arguments(chosen.reference, {}, (1, 1), name, {})
    arguments["metadata"] = {MAP_KEY: key}
    return _added(viewer, stack.data, multiscale=False, **arguments)


def add_map(
    viewer: napari.Viewer,
    layer: Image,
    index: Mapping[str, int],
    plane: np.ndarray,
    name: str,
    *,
    part: Mapping[str, tuple[int, int]] | None = None,
    **shown: Any,
) -> Image:
    """Add what was found about one plane of a layer, at its place among the slices.

    Parameters
    ----------
    viewer : napari.Viewer
    layer : Image
        Whose plane it is.
    index : mapping of letter to int
        Its position.
    plane : ndarray, shape (Y, X)
        Of the size of the layer's planes, or of the part.
    name : str
        Made unique.
    part : mapping of letter to (start, stop), optional
        Ranges along Y and X.
    **shown
        Colormap, contrast limits and metadata.
    """
    axes = layer_axes(layer).replace("S", "")
    region = {a: (i, i + 1) for a, i in index.items()} | dict(part or {})
    names = [a for a in axes if a in "YX"]
    data = plane if names == ["Y", "X"] else plane.T
    data = np.expand_dims(data, [i for i, a in enumerate(axes) if a not in "YX"])
    metadata = {**shown.pop("metadata", {}), MAP_KEY: True}
    return _added(
        viewer,
        data,
        name=unique_name(name, [la.name for la in viewer.layers]),
        metadata=metadata,
        rgb=False,
        multiscale=False,
        **shown,
        **placement(layer, region, (1, 1)),
    )


def _added(viewer: napari.Viewer, data: Any, **arguments: Any) -> Image:
    """Add a layer; what was selected stays selected."""
    active = viewer.layers.selection.active
    made = viewer.add_image(data, **arguments)
    viewer.layers.selection.active = active
    return made
