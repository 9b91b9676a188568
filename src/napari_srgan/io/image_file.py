"""What a file holds once it is opened: like a Stack, but of any size and dtype."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from napari_srgan.image.stack import LazyArray, SpacingSource, Stack


@dataclass(frozen=True)
class ImageFile:
    """An opened image.

    `own` says that napari-srgan has written it: what it writes of a layer is a layer again.
    """

    data: LazyArray
    axes: str
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    units: tuple[str, ...]
    spacing_source: SpacingSource = "unknown"
    metadata: dict[str, Any] = field(default_factory=dict)
    own: bool = False

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
