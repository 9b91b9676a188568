"""RRDBNet, the generator of ESRGAN."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from napari_srgan.models.architectures.generator import STAGES, Generator, clear, float32
from napari_srgan.models.architectures.rewrite import SMALLEST_STRIP, RowStrips

_SLOPE = 0.2
_RESIDUAL_SCALE = 0.2
_SMALLER_START = 0.1


class DenseBlock(nn.Module):
    """Five 3x3 convolutions, each of which sees all features before it, added to their input."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.growing = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(features + k * growth, growth, 3, padding=1), nn.LeakyReLU(_SLOPE)
            )
            for k in range(4)
        )
        self.last = nn.Conv2d(features + 4 * growth, features, 3, padding=1)
        # The paper's section 3.1: deep residual networks learn better from a small start.
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
                with torch.no_grad():
                    module.weight.mul_(_SMALLER_START)
                nn.init.zeros_(cast(nn.Parameter, module.bias))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features to features, both (N, F, Y, X)."""
        features = x
        for layer in self.growing:
            features = torch.cat((features, layer(features)), dim=1)
        return x + _RESIDUAL_SCALE * cast(torch.Tensor, self.last(features))


class RRDB(nn.Module):
    """Residual in residual: three dense blocks in a row, added to their input."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(*(DenseBlock(features, growth) for _ in range(3)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features to features, both (N, F, Y, X)."""
        return x + _RESIDUAL_SCALE * cast(torch.Tensor, self.body(x))


class RRDBNet(Generator):
    """The generator of ESRGAN (Wang et al., arXiv 1809.00219, figures 3 and 4).

    3x3 head, residual-in-residual dense blocks without batch norm, a skip over all blocks,
    nearest-neighbour up-sampling and a 3x3 convolution per doubling (or tripling), two 3x3
    convolutions as tail. Leaky ReLU of slope 0.2, residuals scaled by 0.2. Images are in [0, 1].

    It looks far: each block adds 15 LR pixels to the halo, so that 23 blocks at 4x reach 349
    LR pixels in every direction, beside SRResNet's 40. Almost nothing of the result depends
    on the farthest of them, but tiles are exact and read them all: an image of less than about
    1000 px a side is best computed whole, and one that does not fit the memory takes several
    times as long in tiles.

    Parameters
    ----------
    channels : int
        1 for grayscale, 3 for RGB.
    blocks : int
        Number of residual-in-residual blocks; 23 in the paper.
    features : int
        Number of feature channels; 64 in the authors' models.
    growth : int
        Feature channels that each convolution of a dense block adds; 32 in the authors' models.
    scale : int
        2, 3, 4 or 8.

    Raises
    ------
    ValueError
        If the scale is not one of 2, 3, 4, 8, or a size is not positive.
    """

    block = DenseBlock
    tail: nn.Sequential

    def __init__(
        self,
        channels: int = 1,
        blocks: int = 23,
        features: int = 64,
        growth: int = 32,
        scale: int = 4,
    ) -> None:
        super().__init__(channels, scale, blocks, features, growth)
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        self.body = nn.Sequential(
            *(RRDB(features, growth) for _ in range(blocks)),
            nn.Conv2d(features, features, 3, padding=1),
        )
        self.upsample = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Upsample(scale_factor=finer, mode="nearest"),
                    nn.Conv2d(features, features, 3, padding=1),
                    nn.LeakyReLU(_SLOPE),
                )
                for finer in STAGES[scale]
            )
        )
        self.tail = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(features, channels, 3, padding=1),
        )

    def fine_for_inference(self) -> nn.Module:
        """Return up-sampling and tail, in strips of rows."""
        fine = nn.Sequential(*self.upsample, *self.tail)
        return RowStrips(fine, SMALLEST_STRIP, self.scale[0])

    def fine_for_training(self, x: torch.Tensor) -> torch.Tensor:
        """Compute up-sampling and tail as they are, the last convolution in float32."""
        *before, final = self.tail
        last = cast(nn.Conv2d, final)
        x = nn.Sequential(self.upsample, *before)(x)
        with float32(x):
            return cast(torch.Tensor, last(x.to(last.weight)))

    def interpolate_stage(self, convolution: nn.Conv2d, factor: int) -> None:
        """Interpolate linearly after every pixel was repeated: smooth over its neighbours.

        The outermost of the repeated pixels lies 1/2 - 1/(2 factor) from the middle of the pixel.
        """
        beside = 0.5 - 0.5 / factor
        kernel = torch.tensor([beside, 1 - 2 * beside, beside])
        for c in range(self.channels):
            clear(convolution, range(c, c + 1))
            convolution.weight[c, c] = torch.outer(kernel, kernel)
