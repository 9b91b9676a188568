"""Exact rewrites of a generator that make it faster and smaller to run, and faster to train.

Each returns the same function of the image as before (up to the rounding of float32) and is
proved so by a test: batch norm folded into convolutions, the 9x9 convolution at full
resolution turned into a 5x5 one before the last pixel shuffle, and the last stage evaluated
in strips of rows so that its wide features never exist all at once.
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import cast

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from napari_srgan.models.architectures.generator import Generator, features
from napari_srgan.models.architectures.receptive_field import halo

SMALLEST_STRIP = 32
"""LR rows that a strip has at least: the side of the frame that the engine sets smaller windows in,
within which it keeps track of whole windows only (`engine.window`)."""


def for_inference(network: Generator) -> InferenceForm:
    """Return a rewritten copy of a generator for inference; the original is left as it is.

    Parameters
    ----------
    network : Generator
        A trained generator.

    Returns
    -------
    InferenceForm
        The same map from LR to SR images, in eval mode, channels_last, without gradients.
    """
    network = copy.deepcopy(network).eval()
    fold_batch_norm(network)
    fold_branches(network)
    form = InferenceForm(network)
    form.requires_grad_(False)
    return form.eval().to(memory_format=torch.channels_last)


def for_training(network: Generator) -> nn.Module:
    """Return a module that computes what a generator does, with its own parameters, but faster.

    Parameters
    ----------
    network : Generator
        It is shared, not copied: what is learned, averaged, saved or loaded is the generator,
        in training or eval mode, on any device.

    Returns
    -------
    torch.nn.Module
        Has the generator as its attribute `network`, and no parameters beside.
    """
    return _ForTraining(network)


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


def fold_branches(module: nn.Module) -> None:
    """Put one convolution in the place of every layer that is trained in branches, in place."""
    for name, child in module.named_children():
        if callable(folded := getattr(child, "folded", None)):
            setattr(module, name, folded())
        else:
            fold_branches(child)


def tail_before_shuffle(tail: nn.Conv2d) -> nn.Conv2d:
    """Rewrite a convolution that follows a 2x pixel shuffle as one that precedes it.

    Parameters
    ----------
    tail : torch.nn.Conv2d
        Odd square kernel with half-width divisible by 2, "same" zero padding.

    Returns
    -------
    torch.nn.Conv2d
        The equal convolution on the coarse grid.

    Raises
    ------
    TypeError
        If the tail is another convolution.
    """
    reach = tail.kernel_size[0] // 2
    if reach % 2 or tail.kernel_size != (2 * reach + 1,) * 2 or tail.padding != (reach, reach):
        raise TypeError("The tail must be a square convolution with 'same' padding, 5x5 or 9x9.")
    with torch.no_grad():
        weight, bias = early_weights(tail)
        out_channels, in_channels, kernel, _ = weight.shape
        early = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2).to(weight)
        early.weight.copy_(weight)
        cast(nn.Parameter, early.bias).copy_(bias)
    return early


def early_weights(tail: nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
    """Rearrange weight and bias of a convolution for the grid before a 2x pixel shuffle.

    A k x k convolution on the fine grid, C -> D channels, is a convolution on the coarse
    grid, 4C -> 4D channels, followed by the same pixel shuffle: fine pixel 2i + a sees fine
    pixel 2i + a + t, which is sub-pixel (a + t) mod 2 of coarse pixel i + (a + t) // 2. A 9x9
    kernel becomes 5x5; the zero padding falls on the same pixels.

    So with a row of zeros on each side, the kernel of sub-pixel a is the 2j + s - a + 1 st row
    of weights for sub-pixel s of the j th coarse row: a window of rows that starts at 1 - a.
    Nothing but views and copies, through which gradients flow.
    """
    assert tail.bias is not None
    out_channels, in_channels, size, _ = tail.weight.shape
    rows = size + 1  # of a window: two for each row of the coarse kernel
    padded = functional.pad(tail.weight, (1, 1, 1, 1))
    windows = padded.unfold(2, rows, 1).unfold(3, rows, 1).flip(2, 3)  # D, C, a, b, rows, rows
    half = rows // 2
    split = windows.reshape(out_channels, in_channels, 2, 2, half, 2, half, 2)  # ..., j, s, j, s
    # Pixel shuffle keeps channel c of sub-pixel (a, b) at channel 4c + 2a + b.
    weight = split.permute(0, 2, 3, 1, 5, 7, 4, 6)
    weight = weight.reshape(4 * out_channels, 4 * in_channels, half, half)
    return weight, tail.bias.repeat_interleave(4)


def early_slopes(prelu: nn.PReLU) -> torch.Tensor:
    """Rearrange the slopes of a PReLU for the channels before a 2x pixel shuffle.

    It is pointwise, so it commutes with the shuffle; slopes of single channels serve the four
    sub-pixel channels that become that channel.
    """
    slopes = prelu.weight
    return slopes.repeat_interleave(4) if len(slopes) > 1 else slopes


class RowStrips(nn.Module):
    """Evaluate a stage strip by strip along Y, with exact overlaps.

    Parameters
    ----------
    stage : torch.nn.Sequential
        Convolutions of stride 1 with "same" zero padding, pointwise layers, and what makes the
        grid finer.
    rows : int
        Rows of the input that a strip yields results for.
    factor : int
        How many times finer the rows get.
    """

    def __init__(self, stage: nn.Sequential, rows: int, factor: int = 2) -> None:
        super().__init__()
        self.stage = stage
        self.rows = rows
        self.factor = factor
        self.overlap = halo(stage)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, C, Y, X) to (N, D, factor * Y, sx * X)."""
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
            first, end = self.factor * (top - above), self.factor * (bottom - above)
            strips.append(strip[:, :, first:end])
        return torch.cat(strips, dim=2)


class InferenceForm(nn.Module):
    """A generator after the rewrites, in two parts.

    Attributes
    ----------
    features : torch.nn.Module
        LR image -> features on the same grid.
    fine : torch.nn.Module
        These features -> SR image.
    """

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.features = _Features(network)
        self.fine = network.fine_for_inference()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Super-resolve, (N, C, Y, X) to (N, C, sy * Y, sx * X)."""
        x = self.features(x.contiguous(memory_format=torch.channels_last))
        return cast(torch.Tensor, self.fine(x))


class _Features(nn.Module):
    """Head and body of a generator."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.head, self.body, self._with_image = network.head, network.body, network.sees_image

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return features(self.head, self.body, x, self._with_image)


class _ForTraining(nn.Module):
    """A generator that runs as it is fastest to train."""

    def __init__(self, network: Generator) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.network.fine_for_training(self.network.features(x))
