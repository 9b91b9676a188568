"""What the generators have in common: their parts, how they start, and what they run as."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import ClassVar, cast

import torch
from torch import nn

from napari_srgan.image.geometry import Scale
from napari_srgan.models.architectures.receptive_field import finer, halo

STAGES = {2: (2,), 3: (3,), 4: (2, 2), 8: (2, 2, 2)}
"""By how much each stage of up-sampling makes the grid finer, for every scale."""


class Generator(nn.Module):
    """A network that super-resolves: (N, C, Y, X) in [0, 1] to (N, C, sy * Y, sx * X).

    A head, a body with a skip over it, up-sampling in stages, and a tail. How far it looks is read
    off its modules (`receptive_field.halo`), and one with a module whose reach is not known there
    is refused, unless it says that it is `unbounded`.

    Parameters
    ----------
    channels : int
        1 for grayscale, 3 for RGB.
    scale : int
        How many times Y and X become finer: 2, 3, 4 or 8.
    sizes : int
        What else must be above 0.

    Attributes
    ----------
    channels : int
    scale : Scale
    head, body, upsample, tail : torch.nn.Module
        Set by the subclass. The body ends in a convolution, or in a batch norm after one;
        `upsample` has a convolution and more for each of its stages.
    block : type of torch.nn.Module
        What the body consists of: residual branches, whose convolutions start small.
    sees_image : bool
        Whether what follows the body sees the image too, as its first channels.
    unbounded : bool
        Of the class: whether a pixel of the result depends on the whole image, as with attention
        over all of it. Planes are then restored whole and never in tiles.

    Raises
    ------
    ValueError
        If the scale is another, or a size is not positive.
    """

    head: nn.Module
    body: nn.Sequential
    upsample: nn.Sequential
    tail: nn.Module
    block: ClassVar[type[nn.Module]]
    sees_image: ClassVar[bool] = False
    unbounded: ClassVar[bool] = False

    def __init__(self, channels: int, scale: int, *sizes: int) -> None:
        super().__init__()
        if not all(type(n) is int for n in (channels, scale, *sizes)):
            raise ValueError("Channels, blocks, features and scale must be whole numbers.")
        if scale not in STAGES:
            raise ValueError(f"The scale must be one of {tuple(STAGES)}, not {scale}.")
        if min(channels, *sizes) < 1:
            raise ValueError("Channels, blocks and features must be positive.")
        self.channels = channels
        self.scale: Scale = (scale, scale)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Super-resolve.

        Parameters
        ----------
        x : torch.Tensor
            LR images in [0, 1], shape (N, C, Y, X).

        Returns
        -------
        torch.Tensor
            SR images, shape (N, C, sy * Y, sx * X), nominally in [0, 1].
        """
        return cast(torch.Tensor, self.tail(self.upsample(self.features(x))))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Compute what head and body give, on the grid of the input."""
        return features(self.head, self.body, x, self.sees_image)

    @property
    def halo(self) -> int | None:
        """How far beyond its own position a pixel looks, LR pixels; None if it is `unbounded`."""
        return None if self.unbounded else halo(self)

    def fine_for_inference(self) -> nn.Module:
        """Return what follows the body, rewritten to be fast; may take the modules over."""
        return nn.Sequential(self.upsample, self.tail)

    def fine_for_training(self, x: torch.Tensor) -> torch.Tensor:
        """Compute what follows the body with the generator's own weights, as fast as can be.

        The last convolution is to be outside mixed precision, see `float32`; here all is.
        """
        with float32(x):
            return cast(torch.Tensor, self.tail(self.upsample(x.to(next(self.parameters()).dtype))))

    def interpolate_stage(self, convolution: nn.Conv2d, factor: int) -> None:
        """Let the convolution of an up-sampling stage interpolate the first `channels` features."""
        raise NotImplementedError

    def initialise(self, how: str) -> None:
        """Set the first weights of a training, in place.

        Parameters
        ----------
        how : str
            "torch": leave them as torch makes them; "he" or "interpolate": see these methods.
        """
        if how == "he":
            self.he()
        elif how == "interpolate":
            self.interpolate()

    @torch.no_grad()
    def he(self) -> None:
        """Draw weights as He et al. (arXiv 1502.01852), and before pixel shuffles as ICNR.

        ICNR (Aitken et al., arXiv 1707.02937) gives the channels that become the sub-pixels of one
        pixel the same weights, so that the untrained network repeats pixels and draws no
        checkerboard. Residual branches without batch norm start at a tenth, as in ESRGAN (arXiv
        1809.00219, section 3.1): at full size every block would double the variance of the signal.
        """
        blocks = [m for m in self.modules() if isinstance(m, self.block)]
        branches = {c for block in blocks for c in convolutions(block)}
        normalised = any(isinstance(m, nn.BatchNorm2d) for m in self.modules())
        for convolution in convolutions(self):
            nn.init.kaiming_normal_(convolution.weight)
            if convolution in branches and not normalised:
                convolution.weight *= 0.1
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
        for stage in (m for m in self.modules() if isinstance(m, nn.Sequential)):
            for layer, after in pairwise(stage):
                if isinstance(layer, nn.Conv2d) and isinstance(after, nn.PixelShuffle):
                    several = after.upscale_factor**2
                    layer.weight.copy_(layer.weight[::several].repeat_interleave(several, dim=0))

    @torch.no_grad()
    def interpolate(self) -> None:
        """Set weights so that the untrained network interpolates; the rest stays random.

        The first feature channels carry the image itself: through the head as it is, untouched by
        the body, through every up-sampling stage by interpolation (quadratic with pixel shuffles,
        linear after repeated pixels), to the output. All other features keep their random weights
        but do not reach the output yet; the tail's gradient for them is not zero, so they join from
        the first step on. A short training then spends its steps on what interpolation cannot do,
        where it would else still be learning to enlarge.
        """
        image = range(self.channels)
        last = [m for m in self.body if isinstance(m, nn.Conv2d | nn.BatchNorm2d)][-1]
        clear(last, image)
        pass_on(convolutions(self.head)[0], image)
        for stage in self.upsample:
            factor = math.prod(finer(layer)[0] for layer in stage.modules())
            self.interpolate_stage(convolutions(stage)[0], factor)
        for convolution in convolutions(self.tail):
            pass_on(convolution, image)


def features(head: nn.Module, body: nn.Module, x: torch.Tensor, with_image: bool) -> torch.Tensor:
    """Compute head and body with the skip over the body, and put the image before it if asked."""
    made = head(x)
    made = made + body(made)
    return torch.cat([x, made], 1) if with_image else made


def float32(x: torch.Tensor) -> torch.autocast:
    """Leave mixed precision for the last convolution: 16 bits hold too few grey levels."""
    return torch.autocast(x.device.type, enabled=False)


def convolutions(part: nn.Module) -> list[nn.Conv2d]:
    """Return the convolutions of a part, in order."""
    return [m for m in part.modules() if isinstance(m, nn.Conv2d)]


def pass_on(layer: nn.Conv2d, channels: range) -> None:
    """Let a convolution hand some channels on as they are."""
    clear(layer, channels)
    middle = layer.kernel_size[0] // 2
    for c in channels:
        layer.weight[c, c, middle, middle] = 1.0


def clear(layer: nn.Conv2d | nn.BatchNorm2d, channels: range) -> None:
    """Let a layer give zero in some channels."""
    for parameter in layer.parameters():
        parameter[channels.start : channels.stop] = 0.0


def shuffle_stage_interpolates(convolution: nn.Conv2d, channels: int, factors: Scale) -> None:
    """Let a 3x3 convolution before a pixel shuffle interpolate the first channels.

    Quadratic (three-point Lagrange) interpolation at the places of the finer pixels, which lie at
    t = (i + 1/2) / factor - 1/2 from the middle one: -1/4 and 1/4 for 2x.
    """
    rows, columns = (_taps(factor) for factor in factors)
    kernels = [torch.outer(row, column) for row in rows for column in columns]
    clear(convolution, range(channels * len(kernels)))
    for c in range(channels):
        for phase, kernel in enumerate(kernels):
            convolution.weight[len(kernels) * c + phase, c] = kernel


def _taps(factor: int) -> list[torch.Tensor]:
    """Return the three taps of the quadratic interpolation at each of the finer pixels."""
    at = [(i + 0.5) / factor - 0.5 for i in range(factor)]
    return [torch.tensor([t * (t - 1) / 2, 1 - t * t, t * (t + 1) / 2]) for t in at]
