"""How long a job will take, how much a preview may cover, and whether a result fits in memory.

What belongs here: rough arithmetic from pixels to seconds, corrected by what was measured.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from napari_srgan._gui.super_resolve.order import Order
    from napari_srgan._gui.worker import Outcome

_HALO = 40
"""Low-resolution pixels that a tile reads beyond its interior (16-block network)."""
_CPU_PER_CORE = 13e3
_GPU = 2e6
"""Guesses, in low-resolution pixels a second, until the first run has measured it."""
PREVIEW_SECONDS = 1.5


class Speeds:
    """Low-resolution pixels a second, per model and device, as measured in this session."""

    def __init__(self) -> None:
        self._measured: dict[tuple[str, str], float] = {}

    def note(self, model: str, device: str, pixels: float, seconds: float) -> None:
        """Remember a run; a very short one says little and is left out."""
        if seconds > 0.05 and pixels > 0:
            self._measured[model, device] = pixels / seconds

    def note_all(self, orders: Iterable[Order], outcome: Outcome) -> None:
        """Remember every run of an outcome."""
        for order, made in zip(orders, outcome.made, strict=True):
            device = str(made.result.metadata["napari_srgan"]["device"])
            self.note(order.model.card.name, device, order.pixels, made.seconds)

    def measured(self, model: str, device: str) -> bool:
        """Whether the speed is known from a run."""
        return (model, device) in self._measured

    def of(self, model: str, device: str) -> float:
        """Pixels a second, measured or guessed."""
        if (model, device) in self._measured:
            return self._measured[model, device]
        return _CPU_PER_CORE * (os.cpu_count() or 2) if device == "cpu" else _GPU


def read_pixels(height: int, width: int, planes: int, room_y: int = 0, room_x: int = 0) -> float:
    """Pixels that the network sees for an area, its halo included.

    Parameters
    ----------
    height, width, planes : int
        Size of the area and number of planes.
    room_y, room_x : int
        Pixels of the frame that lie outside of the area along Y and X; a halo reaches no further.
    """
    grown = (height + min(room_y, 2 * _HALO)) * (width + min(room_x, 2 * _HALO))
    return float(planes * grown)


def preview_pixels(speed: float, models: int) -> int:
    """Pixels that a preview may cover, so that all its models are done within a second or two."""
    side = math.sqrt(max(speed, 1.0) * PREVIEW_SECONDS / max(models, 1)) - 2 * _HALO
    return max(int(side), 64) ** 2


def place_for(
    nbytes: int, available: int, wanted: Literal["auto", "memory", "file"]
) -> Literal["memory", "file"]:
    """Say where a result goes: by itself to a file when it would take over half of what is free."""
    if wanted != "auto":
        return wanted
    return "file" if nbytes > available / 2 else "memory"
