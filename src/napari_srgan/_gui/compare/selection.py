"""What is chosen in Compare: the layers and the settings, as its parts share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_srgan.measure.planes import Settings

if TYPE_CHECKING:
    from napari.layers import Image


@dataclass(frozen=True)
class Selection:
    """The choices.

    Attributes
    ----------
    reference : Image
    candidates : tuple of Image
        The ticked ones, the topmost first.
    low : Image or None
        The LR input.
    settings : Settings
        With the measures of the table.
    data_range : float or None
        Given by hand.
    """

    reference: Image
    candidates: tuple[Image, ...]
    low: Image | None
    settings: Settings
    data_range: float | None = None

    def layers_key(self) -> tuple[object, ...]:
        """Equal for equal choices of layers."""
        layers = (self.reference, *self.candidates, self.low)
        return tuple(None if la is None else (id(la.data), la.name) for la in layers)

    def key(self) -> tuple[object, ...]:
        """Equal for equal choices: what was measured for another one is out of date."""
        return (*self.layers_key(), self.settings, self.data_range)
