"""A layer that shows one part of what is made of an image, and moves with what is looked at.

Around it, and at other slices, the input is seen, which napari enlarges.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.layers import (
    add_result,
    in_layer_order,
    layer_arguments,
    layer_axes,
    placement,
)
from napari_srgan._gui.tags import made_from, role_tag
from napari_srgan.image.geometry import Factor

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

PLACED = ("scale", "translate", "rotate", "shear", "affine")
"""What places a layer."""


class PartLayer:
    """The layer, while there is something to show.

    It is of the role *view*, so that nothing saves or measures it, is not selected, and looks as
    its input does.

    Attributes
    ----------
    layer : Image or None
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self.layer: Image | None = None
        self._shown: Hashable = None

    def show(
        self,
        key: Hashable,
        source: Image,
        data: Any,
        axes: str,
        region: Mapping[str, tuple[int, int]],
        factor: Factor,
        name: str,
        metadata: Mapping[str, Any],
        framed: bool,
    ) -> None:
        """Show a part, in a white frame or without.

        Parameters
        ----------
        key : hashable
            Stands for the part; what is shown already is not shown again.
        source : Image
            The input.
        data, axes
            The pixels, and the letters of all their axes.
        region, factor
            What they are of, and how many times finer.
        name, metadata
            Of the layer.
        framed : bool
        """
        if self.show_again(key):  # so it is while the layer is being added
            return
        rgb = "S" in axes
        if self.layer is not None and (self.layer.rgb, self.layer.ndim) != (rgb, source.ndim):
            self.remove()
        self._shown = key
        arguments = layer_arguments(source, region, factor, name, metadata, rgb=rgb)
        arguments["metadata"] |= role_tag("view")
        data = in_layer_order(data, axes, layer_axes(source))
        if self.layer is None:
            selected = self._viewer.layers.selection.active
            self.layer = add_result(self._viewer, source, data, arguments)
            self._viewer.layers.selection.active = selected
            frame = self.layer.bounding_box
            frame.points, frame.line_color = False, "white"
        else:
            self.layer.data = data
            for moved in ("scale", "translate"):
                if not np.array_equal(getattr(self.layer, moved), arguments[moved]):
                    setattr(self.layer, moved, arguments[moved])  # each is drawn anew
            self.layer.metadata = arguments["metadata"]
            if self.layer.name != name:
                self.layer.name = name
            self._see(True)
        self.layer.bounding_box.visible = framed

    def show_again(self, key: Hashable) -> bool:
        """Show what was shown last if it is this part; return whether it is."""
        if key != self._shown:
            return False
        self._see(True)
        return True

    def place(self, source: Image) -> None:
        """Put it where its input has been moved to."""
        made = None if self.layer is None else made_from(self.layer)
        if made is not None:
            placed = placement(source, made.region, made.scale)
            for changed in PLACED:
                setattr(self.layer, changed, placed[changed])

    def hide(self) -> None:
        """Show nothing for a while."""
        self._see(False)

    def forget(self) -> None:
        """Show the next part also if it is called as the last one."""
        self._shown = None

    def remove(self) -> None:
        """Take the layer away."""
        layer, self.layer, self._shown = self.layer, None, None
        if layer is not None:
            with suppress(ValueError):  # it, or all, is being removed
                self._viewer.layers.remove(layer)

    def _see(self, on: bool) -> None:
        if self.layer is not None and self.layer.visible != on:
            self.layer.visible = on
