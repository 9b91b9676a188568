"""An image as a file states it, of any size and dtype, before anything asks what can be done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from napari_srgan.image.stack import LazyArray, SpacingSource, Stack
from napari_srgan.image.units import PIXEL
from napari_srgan.io.calibration import Calibration


@dataclass(frozen=True)
class ImageFile:
    """An opened image; like a Stack, but of any size and dtype.

    Attributes
    ----------
    data, axes, scale, translate, units, spacing_source, metadata
        As for `stack.Stack`.
    own : bool
        Whether napari-srgan has written it: what it writes of a layer is a layer again.
    done : tuple of int, or None
        Of a result that is not finished the planes that are there, and how many there will be.
    """

    data: LazyArray
    axes: str
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]
    spacing_source: SpacingSource = "unknown"
    metadata: dict[str, Any] = field(default_factory=dict)
    own: bool = False
    done: tuple[int, int] | None = None

    def stack(self, name: str) -> Stack:
        """Return it as a stack; InputError if it cannot be upscaled."""
        return Stack(
            self.data,
            self.axes,
            name,
            scale=self.scale,
            translate=self.translate,
            units=self.units,
            spacing_source=self.spacing_source,
            metadata=self.metadata,
        )


def placed_image(
    data: LazyArray,
    axes: str,
    stated: Calibration,
    layout: Mapping[str, Any] | None,
    metadata: dict[str, Any],
) -> ImageFile:
    """Place an image as its notes say exactly, or else as its format states."""
    plain = axes.replace("S", "")
    scale = tuple(stated.scale.get(a, 1.0) for a in plain)
    translate = tuple(stated.origin.get(a, 0.0) for a in plain)
    units = tuple(stated.unit.get(a, PIXEL) for a in plain)
    physical = stated.is_physical
    if layout is not None:
        scale = tuple(float(v) for v in layout["scale"])
        translate = tuple(float(v) for v in layout["translate"])
        units = tuple(str(u) for u in layout["units"])
        physical = any(u != PIXEL for a, u in zip(plain, units, strict=True) if a in "YX")
    source: SpacingSource = "file" if physical else "unknown"
    return ImageFile(data, axes, scale, translate, units, source, metadata, own=layout is not None)
