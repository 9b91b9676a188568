"""The discriminators, which tell high-resolution images from super-resolved ones."""

from __future__ import annotations

from itertools import pairwise
from typing import cast

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

_HIDDEN = 1024
_SLOPE = 0.2


class Discriminator(nn.Module):
    """Eight convolutions, every second of stride 2 (Ledig et al., arXiv 1609.04802v5, figure 4).

    Parameters
    ----------
    channels : int
        1 for grayscale, 3 for RGB.
    features : int
        Of the first convolution; 64 in the paper, doubled with every halving of the image.
    crop : int, optional
        Side of the images, px, for the paper's dense head. Without it the head averages over
        the image, so that crops of any size can be told apart.
    """

    def __init__(self, channels: int, features: int = 64, crop: int | None = None) -> None:
        super().__init__()
        widths = [features * 2**k for k in range(4)]
        layers: list[nn.Module] = [nn.Conv2d(channels, features, 3, padding=1)]
        layers += [nn.LeakyReLU(_SLOPE)]
        before = features
        for i, width in enumerate(w for w in widths for _ in range(2)):
            if i == 0:
                continue  # the first convolution, which has no batch norm
            stride = 1 if width != before else 2
            layers += [
                nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.LeakyReLU(_SLOPE),
            ]
            before = width
        self.body = nn.Sequential(*layers)
        side = 1 if crop is None else -(-crop // 16)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1) if crop is None else nn.Identity(),
            nn.Flatten(),
            nn.Linear(before * side * side, _HIDDEN),
            nn.LeakyReLU(_SLOPE),
            nn.Linear(_HIDDEN, 1),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, C, Y, X) in [0, 1] to logits (N, 1); above 0 means high-resolution."""
        return cast(torch.Tensor, self.head(self.body(images)))


class UNetDiscriminator(nn.Module):
    """A U-Net that judges every pixel (Wang et al., Real-ESRGAN, arXiv 2107.10833, section 3.3).

    Three halvings, three doublings with skips between them, and spectral norm (Miyato et al.,
    arXiv 1802.05957) in the place of batch norm, which keeps the gradient of such a strong opponent
    within bounds.

    Parameters
    ----------
    channels : int
        1 for grayscale, 3 for RGB.
    features : int
        Of the first and the last convolutions; 64 in the paper, doubled with every halving.
    """

    def __init__(self, channels: int, features: int = 64) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, features, 3, padding=1)
        widths = [features * 2**k for k in range(4)]
        self.down = nn.ModuleList(
            _bounded(nn.Conv2d(a, b, 4, stride=2, padding=1)) for a, b in pairwise(widths)
        )
        self.up = nn.ModuleList(
            _bounded(nn.Conv2d(a, b, 3, padding=1)) for a, b in pairwise(reversed(widths))
        )
        self.last = nn.Sequential(
            _bounded(nn.Conv2d(features, features, 3, padding=1)),
            nn.LeakyReLU(_SLOPE),
            _bounded(nn.Conv2d(features, features, 3, padding=1)),
            nn.LeakyReLU(_SLOPE),
            nn.Conv2d(features, 1, 3, padding=1),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, C, Y, X) in [0, 1] to logits (N, 1, Y, X)."""
        x = _leaky(self.first(images))
        skipped = []
        for layer in self.down:
            skipped.append(x)
            x = _leaky(layer(x))
        for layer in self.up:
            skip = skipped.pop()
            finer = functional.interpolate(x, skip.shape[2:], mode="bilinear", align_corners=False)
            x = _leaky(layer(finer)) + skip
        return cast(torch.Tensor, self.last(x))


def _bounded(layer: nn.Conv2d) -> nn.Module:
    return spectral_norm(layer)


def _leaky(x: torch.Tensor) -> torch.Tensor:
    return functional.leaky_relu(x, _SLOPE)
