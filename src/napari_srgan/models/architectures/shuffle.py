"""A pixel shuffle along X alone, for networks that make only the lateral axis finer."""

from __future__ import annotations

import torch
from torch import nn


class LateralShuffle(nn.Module):
    """A pixel shuffle along X alone: (N, f * C, Y, X) to (N, C, Y, f * X).

    Parameters
    ----------
    factor : int
        How many times finer X becomes. The f channels from f * c on become the pixels of channel c.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Shuffle."""
        n, channels, height, width = x.shape
        phases = x.reshape(n, channels // self.factor, self.factor, height, width)
        return phases.movedim(2, -1).flatten(3)
