"""Exact rewrites of a trained generator that make it faster and smaller to run.

Each returns the same function of the image as before (up to the rounding of float32) and is
proved so by a test: batch norm folded into convolutions, the 9x9 convolution at full
resolution turned into a 5x5 one before the last pixel shuffle, and that last stage
evaluated in strips of rows so that its wide features never exist all at once.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import cast

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_srgan.networks.srresnet import SRResNet

# Rows of the last stage's input that are evaluated together. Small enough that the widest
# features of a 256 px slice stay near 50 MB, large enough that the 6 rows that neighbouring
# strips compute twice do not matter.
_STRIP_ROWS = 96


def for_inference(network: SRResNet) -> nn.Module:
    """Return a rewritten copy of a generator for inference; the original is left as it is.

    Parameters
    ----------
    network : SRResNet
        A trained generator.

    Returns
    -------
    torch.nn.Module
        The same map from LR to SR images, in eval mode, channels_last, without gradients.
    """
    network = copy.deepcopy(network).eval()
    fold_batch_norm(network)
    last = cast(nn.Sequential, network.upsample[-1])
    stages: list[nn.Module] = [*network.upsample[:-1], _late_shuffle(last, network.tail)]
    rewritten = _Rewritten(network.head, network.body, nn.Sequential(*stages))
    rewritten.requires_grad_(False)
    return rewritten.eval().to(memory_format=torch.channels_last)


def fold_batch_norm(module: nn.Module) -> None:
    """Fold every batch norm that follows a convolution into it, in place (eval mode only)."""
    for child in module.children():
        fold_batch_norm(child)
    if isinstance(module, nn.Sequential):
        layers: list[nn.Module] = []
        for layer in module:
            if isinstance(layer, nn.BatchNorm2d) and layers and isinstance(layers[-1], nn.Conv2d):
                layers[-1] = fuse_conv_bn_eval(layers[-1], layer)
            else:
                layers.append(layer)
        if len(layers) != len(module):
            module.__init__(*layers)  # type: ignore[misc]


def tail_before_shuffle(tail: nn.Conv2d) -> nn.Conv2d:
    """Rewrite a convolution that follows a 2x pixel shuffle as one that precedes it.

    A k x k convolution on the fine grid, C -> D channels, is a convolution on the coarse
    grid, 4C -> 4D channels, followed by the same pixel shuffle: fine pixel 2i + a sees fine
    pixel 2i + a + t, which is sub-pixel (a + t) mod 2 of coarse pixel i + (a + t) // 2. A 9x9
    kernel becomes 5x5; the zero padding falls on the same pixels.

    Parameters
    ----------
    tail : torch.nn.Conv2d
        Odd square kernel with half-width divisible by 2, "same" zero padding.

    Returns
    -------
    torch.nn.Conv2d
        The equal convolution on the coarse grid.
    """
    reach = tail.kernel_size[0] // 2
    if reach % 2 or tail.kernel_size != (2 * reach + 1,) * 2 or tail.padding != (reach, reach):
        raise TypeError("The tail must be a square convolution with 'same' padding, 5x5 or 9x9.")
    half = reach // 2
    out_channels, in_channels = tail.weight.shape[:2]
    early = nn.Conv2d(4 * in_channels, 4 * out_channels, 2 * half + 1, padding=half)
    weight = torch.zeros_like(early.weight)
    # Pixel shuffle keeps channel c of sub-pixel (a, b) at channel 4c + 2a + b.
    view = weight.view(out_channels, 2, 2, in_channels, 2, 2, 2 * half + 1, 2 * half + 1)
    for a in range(2):
        for b in range(2):
            for ty in range(-reach, reach + 1):
                for tx in range(-reach, reach + 1):
                    (iy, sy), (ix, sx) = divmod(a + ty, 2), divmod(b + tx, 2)
                    view[:, a, b, :, sy, sx, iy + half, ix + half] = tail.weight[
                        :, :, ty + reach, tx + reach
                    ]
    assert tail.bias is not None
    with torch.no_grad():
        early.weight.copy_(weight)
        cast(nn.Parameter, early.bias).copy_(tail.bias.repeat_interleave(4))
    return early


class RowStrips(nn.Module):
    """Evaluate a stage strip by strip along Y, with exact overlaps.

    Parameters
    ----------
    stage : torch.nn.Sequential
        Convolutions of stride 1 with "same" zero padding and pointwise layers, then a 2x
        pixel shuffle.
    rows : int
        Rows of the input that a strip yields results for.
    """

    def __init__(self, stage: nn.Sequential, rows: int = _STRIP_ROWS) -> None:
        super().__init__()
        self.stage = stage
        self.rows = rows
        self.overlap = sum(m.kernel_size[0] // 2 for m in stage if isinstance(m, nn.Conv2d))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, Y, X) to (N, D, 2Y, 2X)."""
        height = x.shape[2]
        if height <= self.rows + 2 * self.overlap:
            return cast(torch.Tensor, self.stage(x))
        strips = []
        # Even strips: on a thin last one torch would choose another algorithm, with other last
        # bits, and a tiled image would no longer equal the untiled one.
        count = -(-height // self.rows)
        for top, bottom in pairwise(height * k // count for k in range(count + 1)):
            # Clipped at the image border, where the zero padding belongs.
            above, below = max(top - self.overlap, 0), min(bottom + self.overlap, height)
            strip = self.stage(x[:, :, above:below])
            strips.append(strip[:, :, 2 * (top - above) : 2 * (bottom - above)])
        return torch.cat(strips, dim=2)


class _Rewritten(nn.Module):
    """Head, body and up-sampling of a generator after the rewrites."""

    def __init__(self, head: nn.Module, body: nn.Module, upsample: nn.Module) -> None:
        super().__init__()
        self.head, self.body, self.upsample = head, body, upsample

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.head(x.contiguous(memory_format=torch.channels_last))
        return cast(torch.Tensor, self.upsample(x + self.body(x)))


def _late_shuffle(stage: nn.Sequential, tail: nn.Conv2d) -> RowStrips:
    convolution, shuffle, prelu = stage
    early = tail_before_shuffle(tail)
    slopes = cast(nn.PReLU, prelu).weight.detach()
    # PReLU is pointwise, so it commutes with the shuffle; slopes of single channels
    # serve the four sub-pixel channels that become that channel.
    commuted = nn.PReLU(4 * len(slopes) if len(slopes) > 1 else 1)
    with torch.no_grad():
        commuted.weight.copy_(slopes.repeat_interleave(4) if len(slopes) > 1 else slopes)
    return RowStrips(nn.Sequential(convolution, commuted, early, shuffle))
