"""SRResNet, the generator of SRGAN."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

SCALES = (2, 4, 8)


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


class SRResNet(nn.Module):
    """The generator of SRGAN (Ledig et al., arXiv 1609.04802v5, figure 4).

    9x9 head, residual blocks with batch norm and PReLU, a skip over all blocks, one
    pixel-shuffle stage per doubling, 9x9 tail. The final tanh of some implementations is
    left out: images are in [0, 1], and an affine intensity map must be able to go beyond.

    Parameters
    ----------
    channels : int
        1 for grayscale, 3 for RGB.
    blocks : int
        Number of residual blocks; 16 in the paper.
    features : int
        Number of feature channels; 64 in the paper.
    scale : int
        2, 4 or 8.
    batch_norm : bool
        With batch norm as in the paper. Without it the blocks are those of EDSR
        (Lim et al., arXiv 1707.02921), which reach a higher PSNR.

    Raises
    ------
    ValueError
        If the scale is not one of 2, 4, 8, or a size is not positive.
    """

    def __init__(
        self,
        channels: int = 1,
        blocks: int = 16,
        features: int = 64,
        scale: int = 4,
        batch_norm: bool = True,
    ) -> None:
        super().__init__()
        if scale not in SCALES:
            raise ValueError(f"The scale must be one of {SCALES}, not {scale}.")
        if min(channels, blocks, features) < 1:
            raise ValueError("Channels, blocks and features must be positive.")
        self.channels = channels
        self.scale = (scale, scale)
        self.head = nn.Sequential(nn.Conv2d(channels, features, 9, padding=4), nn.PReLU())
        self.body = nn.Sequential(
            *(ResidualBlock(features, batch_norm) for _ in range(blocks)),
            nn.Conv2d(features, features, 3, padding=1, bias=not batch_norm),
            *_norm(features, batch_norm),
        )
        self.upsample = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv2d(features, 4 * features, 3, padding=1),
                    nn.PixelShuffle(2),
                    nn.PReLU(),
                )
                for _ in range(scale.bit_length() - 1)
            )
        )
        self.tail = nn.Conv2d(features, channels, 9, padding=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Super-resolve.

        Parameters
        ----------
        x : torch.Tensor
            LR images in [0, 1], shape (N, C, Y, X).

        Returns
        -------
        torch.Tensor
            SR images, shape (N, C, scale * Y, scale * X), nominally in [0, 1].
        """
        x = self.head(x)
        x = x + self.body(x)
        return cast(torch.Tensor, self.tail(self.upsample(x)))


def _norm(features: int, batch_norm: bool) -> list[nn.Module]:
    return [nn.BatchNorm2d(features)] if batch_norm else []
