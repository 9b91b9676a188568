"""RCAN: residual groups with attention to channels."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from napari_srgan.models.architectures.sub_pixel import SubPixelGenerator

_REDUCTION = 16  # the paper's: channels inside an attention, of those of the features


class ChannelAttention(nn.Module):
    """Weigh each channel by what its mean over the whole image says."""

    def __init__(self, features: int) -> None:
        super().__init__()
        fewer = max(1, features // _REDUCTION)
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(features, fewer, 1),
            nn.ReLU(),
            nn.Conv2d(fewer, features, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features to features, both (N, F, Y, X)."""
        return x * cast(torch.Tensor, self.weigh(x))


class AttentionBlock(nn.Module):
    """Two 3x3 convolutions around a ReLU, and attention, added to their input."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1),
            ChannelAttention(features),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features to features, both (N, F, Y, X)."""
        return x + cast(torch.Tensor, self.body(x))


class Group(nn.Module):
    """Blocks and a 3x3 convolution, added to their input."""

    def __init__(self, features: int, blocks: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(AttentionBlock(features) for _ in range(blocks)),
            nn.Conv2d(features, features, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features to features, both (N, F, Y, X)."""
        return x + cast(torch.Tensor, self.body(x))


class RCAN(SubPixelGenerator):
    """The residual channel attention network (Zhang et al., arXiv 1807.02758, figure 2).

    Its attention looks at means over the whole image, so a pixel depends on all others: planes are
    restored whole, and what comes of a part of an image is not what comes of the whole.

    Parameters
    ----------
    channels : int
        1 for grayscale, 3 for RGB.
    blocks : int
        Number of blocks in a group; 20 in the paper.
    features : int
        Number of feature channels; 64 in the paper.
    scale : int
        2, 3, 4 or 8.
    groups : int
        Number of groups; 10 in the paper.

    Raises
    ------
    ValueError
        If the scale is not one of 2, 3, 4, 8, or a size is not positive.
    """

    block = AttentionBlock
    unbounded = True

    def __init__(
        self,
        channels: int = 1,
        blocks: int = 20,
        features: int = 64,
        scale: int = 4,
        groups: int = 10,
    ) -> None:
        made = (Group(features, blocks) for _ in range(groups))
        super().__init__(channels, scale, features, blocks, groups, blocks=made)
