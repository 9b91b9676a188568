"""Plain: 3x3 convolutions at the size of the input and one pixel shuffle, for speed."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import nn
from torch.nn import functional

from napari_srgan.models.architectures.generator import (
    Generator,
    clear,
    convolutions,
    shuffle_stage_interpolates,
)
from napari_srgan.models.architectures.shuffle import LateralShuffle

ACTIVATIONS: dict[str, type[nn.Module]] = {"silu": nn.SiLU, "relu": nn.ReLU, "prelu": nn.PReLU}
_WIDER = 2  # features of the branch between its 1x1 convolutions, of those of the layer
_SMALLER_START = 0.1


class BranchedConv2d(nn.Conv2d):
    """A 3x3 convolution that is trained as a sum of branches.

    Beside its own kernel a chain 1x1 - 3x3 - 1x1, a 1x1 convolution and the identity, as in ECBSR
    (Zhang et al., doi 10.1145/3474085.3475291) and RepSR (arXiv 2205.05671): the same functions of
    the image, but another path for the optimiser. No inner convolution has a bias, so zero padding
    means the same to all of them, and the sum is one kernel (`kernel`) exactly. It is summed as
    weights also in training, which costs less than the branches would.

    Parameters
    ----------
    features : int
        Channels of input and output.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features, features, 3, padding=1)
        wider = _WIDER * features
        self.enter = nn.Parameter(torch.empty(wider, features))
        self.between = nn.Parameter(torch.empty(wider, wider, 3, 3))
        self.leave = nn.Parameter(torch.empty(features, wider))
        self.point = nn.Parameter(torch.empty(features, features))
        for branch in (self.enter, self.between, self.leave, self.point):
            nn.init.kaiming_uniform_(branch, a=math.sqrt(5))  # as torch's own convolutions start

    @property
    def kernel(self) -> torch.Tensor:
        """The sum of all branches, shape (features, features, 3, 3)."""
        chain = torch.einsum("ow,wvyx,vi->oiyx", self.leave, self.between, self.enter)
        point = self.point + torch.eye(len(self.point)).to(self.point)
        return self.weight + chain + functional.pad(point[..., None, None], (1, 1, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map features to features, both (N, F, Y, X)."""
        return functional.conv2d(x, self.kernel, self.bias, padding=1)

    @torch.no_grad()
    def folded(self) -> nn.Conv2d:
        """Return the plain convolution that does the same."""
        one = nn.Conv2d(self.in_channels, self.out_channels, 3, padding=1).to(self.weight)
        one.weight.copy_(self.kernel)
        cast(nn.Parameter, one.bias).copy_(cast(nn.Parameter, self.bias))
        return one


class Plain(Generator):
    """Convolutions and activations in a row, and nothing else that would take time.

    A 3x3 head, `blocks` 3x3 convolutions with activations and a skip over them, and one 3x3
    convolution to the pixels of the result, which sees the image beside the features and starts as
    an interpolation of it. So 10 blocks of 64 features take 378,000 multiply-adds per LR pixel at
    4x, beside 2,060,000 of SRResNet, and look 12 LR pixels far instead of 40. Four years of the
    NTIRE contests for efficient networks end at this shape (see docs/decisions.md).

    Parameters
    ----------
    channels : int
        1 for grayscale, 3 for RGB.
    blocks : int
        Number of 3x3 convolutions between the first and the last.
    features : int
        Number of feature channels.
    scale : int
        2, 3, 4 or 8.
    activation : {"silu", "relu", "prelu"}
    branches : bool
        Train the blocks as sums of branches (`BranchedConv2d`), which are folded for inference.
    lateral : bool
        Only X becomes finer: OCT with fewer A-scans, whose depth is sampled as it was.

    Raises
    ------
    ValueError
        If the scale is not one of 2, 3, 4, 8, a size is not positive, or the activation is unknown.
    """

    block = BranchedConv2d
    sees_image = True

    def __init__(
        self,
        channels: int = 1,
        blocks: int = 10,
        features: int = 64,
        scale: int = 4,
        activation: str = "silu",
        branches: bool = True,
        lateral: bool = False,
    ) -> None:
        super().__init__(channels, scale, blocks, features)
        self.scale = (1, scale) if lateral else (scale, scale)
        if activation not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ValueError(f"The activation must be one of {known}, not {activation}.")
        act = ACTIVATIONS[activation]
        self.head = nn.Sequential(nn.Conv2d(channels, features, 3, padding=1), act())
        layers: list[nn.Module] = []
        for _ in range(blocks):
            layer = (
                BranchedConv2d(features)
                if branches
                else nn.Conv2d(features, features, 3, padding=1)
            )
            layers += [layer, act()]
        self.body = nn.Sequential(*layers)
        self.upsample = nn.Sequential()
        last = nn.Conv2d(channels + features, channels * math.prod(self.scale), 3, padding=1)
        shuffle = LateralShuffle(scale) if lateral else nn.PixelShuffle(scale)
        self.tail = nn.Sequential(last, shuffle)

    @torch.no_grad()
    def _interpolate_image(self) -> None:
        """Let the last convolution interpolate the image that it sees beside the features."""
        (last,) = convolutions(self.tail)
        features = last.weight[:, self.channels :].clone()
        shuffle_stage_interpolates(last, self.channels, self.scale)
        last.weight[:, self.channels :] = features

    @torch.no_grad()
    def he(self) -> None:
        """Draw weights as He et al., in branches and the last convolution small."""
        for layer in convolutions(self):
            nn.init.kaiming_normal_(layer.weight)
            nn.init.zeros_(cast(nn.Parameter, layer.bias))
            if isinstance(layer, BranchedConv2d):
                layer.weight.mul_(_SMALLER_START)  # the identity carries the features
        (last,) = convolutions(self.tail)
        last.weight.mul_(_SMALLER_START)
        self._interpolate_image()

    @torch.no_grad()
    def interpolate(self) -> None:
        """Set weights so that the untrained network interpolates; the rest stays as it is drawn."""
        (last,) = convolutions(self.tail)
        clear(last, range(last.out_channels))
        self._interpolate_image()
