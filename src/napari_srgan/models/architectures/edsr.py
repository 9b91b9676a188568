"""EDSR: residual blocks without batch norm."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from napari_srgan.models.architectures.sub_pixel import SubPixelGenerator


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a ReLU, scaled and added to their input."""

    def __init__(self, features: int, residual_scale: float) -> None:
        super().__init__()
        self.residual_scale = residual_scale
        self.body = nn.Sequential(
            nn.Conv2d(features, features, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(features, features, 3, padding=1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features to features, both (N, F, Y, X)."""
        return x + self.residual_scale * cast(torch.Tensor, self.body(x))


class EDSR(SubPixelGenerator):
    """The enhanced deep residual network (Lim et al., arXiv 1707.02921, figures 2 and 3).

    The authors take the mean colour of their photographs off the image before the network and add
    it after; here the first and the last convolution do what that does. Images are in [0, 1].

    Parameters
    ----------
    channels : int
        1 for grayscale, 3 for RGB.
    blocks : int
        Number of residual blocks; 16 in the paper's baseline, 32 in its large network.
    features : int
        Number of feature channels; 64 and 256.
    scale : int
        2, 3, 4 or 8.
    residual_scale : float
        What residuals are multiplied by; 1 and 0.1.

    Raises
    ------
    ValueError
        If the scale is not one of 2, 3, 4, 8, a size is not positive, or `residual_scale` not in
        0 to 1.
    """

    block = ResidualBlock

    def __init__(
        self,
        channels: int = 1,
        blocks: int = 16,
        features: int = 64,
        scale: int = 4,
        residual_scale: float = 1.0,
    ) -> None:
        if not 0 < residual_scale <= 1:
            raise ValueError(f"residual_scale must be above 0 and at most 1, not {residual_scale}.")
        made = (ResidualBlock(features, residual_scale) for _ in range(blocks))
        super().__init__(channels, scale, features, blocks, blocks=made)
