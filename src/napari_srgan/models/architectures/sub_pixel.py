"""What EDSR and its successors end in: pixel shuffles, and one 3x3 convolution at full size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from torch import nn

from napari_srgan.models.architectures.generator import (
    STAGES,
    Generator,
    float32,
    shuffle_stage_interpolates,
)
from napari_srgan.models.architectures.rewrite import SMALLEST_STRIP, RowStrips


class SubPixelGenerator(Generator):
    """A generator with a 3x3 head, up-sampling by pixel shuffles without activations, a 3x3 tail.

    Parameters
    ----------
    channels, scale : int
        As for `Generator`.
    features : int
        Number of feature channels.
    sizes : int
        What else must be above 0.
    blocks : iterable of torch.nn.Module
        The body, made when the sizes are known to be right; a 3x3 convolution is put after it.

    Raises
    ------
    ValueError
        As for `Generator`.
    """

    tail: nn.Conv2d

    def __init__(
        self, channels: int, scale: int, features: int, *sizes: int, blocks: Iterable[nn.Module]
    ) -> None:
        super().__init__(channels, scale, features, *sizes)
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        # In the order of the work, which `halo` goes by.
        self.body = nn.Sequential(*blocks, nn.Conv2d(features, features, 3, padding=1))
        self.upsample = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(features, features * finer**2, 3, padding=1), nn.PixelShuffle(finer)
                )
                for finer in STAGES[scale]
            )
        )
        self.tail = nn.Conv2d(features, channels, 3, padding=1)

    def fine_for_inference(self) -> nn.Module:
        """Return up-sampling and tail, in strips of rows."""
        fine = nn.Sequential(*self.upsample, self.tail)
        return RowStrips(fine, SMALLEST_STRIP, self.scale[0])

    def fine_for_training(self, x: torch.Tensor) -> torch.Tensor:
        """Compute up-sampling and tail as they are, the last convolution in float32."""
        x = self.upsample(x)
        with float32(x):
            return cast(torch.Tensor, self.tail(x.to(self.tail.weight)))

    def interpolate_stage(self, convolution: nn.Conv2d, factor: int) -> None:
        """Interpolate quadratically; see `shuffle_stage_interpolates`."""
        shuffle_stage_interpolates(convolution, self.channels, (factor, factor))
