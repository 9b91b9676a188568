"""SRResNet, the generator of SRGAN."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional

from napari_srgan.models.architectures.generator import (
    STAGES,
    Generator,
    float32,
    shuffle_stage_interpolates,
)
from napari_srgan.models.architectures.rewrite import (
    SMALLEST_STRIP,
    RowStrips,
    early_slopes,
    early_weights,
    tail_before_shuffle,
)

# Rows of the last stage's input that are evaluated together. Small enough that the widest
# features of a 256 px slice stay near 50 MB, large enough that the 6 rows that neighbouring
# strips compute twice do not matter.
_STRIP_ROWS = 96


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with a PReLU between them, added to their input."""

    def __init__(self, features: int, batch_norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1, bias=not batch_norm),
            *_norm(features, batch_norm),
            nn.PReLU(),
            nn.Conv2d(features, features, 3, padding=1, bias=not batch_norm),
            *_norm(features, batch_norm),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features to features, both (N, F, Y, X)."""
        return x + cast(torch.Tensor, self.body(x))


class SRResNet(Generator):
    """The generator of SRGAN (Ledig et al., arXiv 1609.04802v5, figure 4).

    9x9 head, residual blocks with batch norm and PReLU, a skip over all blocks, one
    pixel-shuffle stage per doubling (or tripling), 9x9 tail. The final tanh of some
    implementations is left out: images are in [0, 1], and an affine intensity map must be able to
    go beyond.

    Parameters
    ----------
    channels : int
        1 for grayscale, 3 for RGB.
    blocks : int
        Number of residual blocks; 16 in the paper.
    features : int
        Number of feature channels; 64 in the paper.
    scale : int
        2, 3, 4 or 8.
    batch_norm : bool
        With batch norm as in the paper. Without it the blocks are those of EDSR
        (Lim et al., arXiv 1707.02921), which reach a higher PSNR.

    Raises
    ------
    ValueError
        If the scale is not one of 2, 3, 4, 8, or a size is not positive.
    """

    block = ResidualBlock
    tail: nn.Conv2d

    def __init__(
        self,
        channels: int = 1,
        blocks: int = 16,
        features: int = 64,
        scale: int = 4,
        batch_norm: bool = True,
    ) -> None:
        super().__init__(channels, scale, blocks, features)
        self.head = nn.Sequential(nn.Conv2d(channels, features, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(features, batch_norm) for _ in range(blocks)),
            nn.Conv2d(features, features, 3, padding=1, bias=not batch_norm),
            *_norm(features, batch_norm),
        )
        self.upsample = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(features, finer**2 * features, 3, padding=1),
                    nn.PixelShuffle(finer),
                    nn.PReLU(),
                )
                for finer in STAGES[scale]
            )
        )
        self.tail = nn.Conv2d(features, channels, 9, padding=4)

    def fine_for_inference(self) -> nn.Module:
        """Return the stages and the tail, the last stage in strips of rows.

        At 2x, 4x and 8x the tail comes before the last pixel shuffle; at 3x that would be a 5x5
        convolution of nine times as many features on both sides, slower than the 9x9 one.
        """
        *stages, last = cast("list[nn.Sequential]", list(self.upsample))
        convolution, shuffle, prelu = last
        finer = cast(nn.PixelShuffle, shuffle).upscale_factor
        if finer == 2:
            early = tail_before_shuffle(self.tail)
            slopes = early_slopes(cast(nn.PReLU, prelu)).detach()
            commuted = nn.PReLU(len(slopes))
            with torch.no_grad():
                commuted.weight.copy_(slopes)
            strips = nn.Sequential(convolution, commuted, early, shuffle)
        else:
            strips = nn.Sequential(*last, self.tail)
        rows = max(_STRIP_ROWS, SMALLEST_STRIP * self.scale[0] // finer)
        return nn.Sequential(*stages, RowStrips(strips, rows, finer))

    def fine_for_training(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the stages and the tail, the tail before the last pixel shuffle if that is 2x.

        A training step was measured to be 1.15 times as fast on a CPU.
        """
        *stages, last = cast("list[nn.Sequential]", list(self.upsample))
        for stage in stages:
            x = stage(x)
        convolution, shuffle, prelu = last
        if cast(nn.PixelShuffle, shuffle).upscale_factor != 2:
            x = last(x)
            with float32(x):
                return cast(torch.Tensor, self.tail(x.to(self.tail.weight)))
        x = functional.prelu(convolution(x), early_slopes(cast(nn.PReLU, prelu)))
        weight, bias = early_weights(self.tail)
        with float32(x):
            x = functional.conv2d(x.to(weight), weight, bias, padding=weight.shape[-1] // 2)
        return cast(torch.Tensor, shuffle(x))

    def interpolate_stage(self, convolution: nn.Conv2d, factor: int) -> None:
        """Interpolate the image before the pixel shuffle."""
        shuffle_stage_interpolates(convolution, self.channels, (factor, factor))


def _norm(features: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(features)] if batch_norm else []
