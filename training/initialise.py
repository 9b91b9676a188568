"""Where a training starts: the first weights of a generator."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

from napari_srgan.models.architectures.build import Generator
from napari_srgan.models.architectures.rrdb import DenseBlock, RRDBNet
from napari_srgan.models.architectures.srresnet import ResidualBlock

# Quadratic (three-point Lagrange) interpolation at a quarter pixel to the left and to the
# right of the middle one: where the pixels of a 2x finer grid lie.
_QUARTER = (
    torch.tensor([5 / 32, 15 / 16, -3 / 32]),
    torch.tensor([-3 / 32, 15 / 16, 5 / 32]),
)


# Linear interpolation at the same places, after every pixel was repeated: the sub-pixel left of
# the middle sees its left neighbour once and its own pixel twice.
_AFTER_NEAREST = torch.tensor([1 / 4, 1 / 2, 1 / 4])


def initialise(network: Generator, how: str) -> None:
    """Set the first weights of a generator, in place.

    Parameters
    ----------
    network : Generator
    how : str
        "torch": leave them as torch makes them; "he": `he_at_start`; "interpolate":
        `interpolate_at_start`.
    """
    if how == "he":
        he_at_start(network)
    elif how == "interpolate":
        interpolate_at_start(network)


@torch.no_grad()
def he_at_start(network: nn.Module) -> None:
    """Draw weights as He et al. (arXiv 1502.01852), and before pixel shuffles as ICNR.

    ICNR (Aitken et al., arXiv 1707.02937) gives the channels that become the sub-pixels of one
    pixel the same weights, so that the untrained network repeats pixels and draws no checkerboard.
    Residual branches without batch norm start at a tenth, as in ESRGAN (arXiv 1809.00219, section
    3.1): at full size every block would double the variance of the signal.
    """
    blocks = [m for m in network.modules() if isinstance(m, DenseBlock | ResidualBlock)]
    branches = {c for block in blocks for c in _convolutions(block)}
    normalised = any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    for convolution in _convolutions(network):
        nn.init.kaiming_normal_(convolution.weight)
        if convolution in branches and not normalised:
            convolution.weight *= 0.1
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)
    for stage in (m for m in network.modules() if isinstance(m, nn.Sequential)):
        for layer, after in pairwise(stage):
            if isinstance(layer, nn.Conv2d) and isinstance(after, nn.PixelShuffle):
                several = after.upscale_factor**2
                layer.weight.copy_(layer.weight[::several].repeat_interleave(several, dim=0))


@torch.no_grad()
def interpolate_at_start(network: Generator) -> None:
    """Set weights so that the untrained network interpolates; the rest stays random.

    The first feature channels carry the image itself: through the head as it is, untouched by
    the body, through every up-sampling stage by interpolation (quadratic with pixel shuffles,
    linear after repeated pixels), to the output. All other features keep their random weights
    but do not reach the output yet; the tail's gradient for them is not zero, so they join from
    the first step on. A short training then spends its steps on what interpolation cannot do,
    where it would else still be learning to enlarge.
    """
    image = range(network.channels)
    last = [m for m in network.body if isinstance(m, nn.Conv2d | nn.BatchNorm2d)][-1]
    _clear(last, image)
    _pass_on(_convolutions(network.head)[0], image)
    for stage in network.upsample:
        convolution = _convolutions(stage)[0]
        for c in image:
            if isinstance(network, RRDBNet):
                _clear(convolution, range(c, c + 1))
                convolution.weight[c, c] = torch.outer(_AFTER_NEAREST, _AFTER_NEAREST)
                continue
            _clear(convolution, range(4 * c, 4 * c + 4))
            for phase in range(4):
                kernel = torch.outer(_QUARTER[phase // 2], _QUARTER[phase % 2])
                convolution.weight[4 * c + phase, c] = kernel
    for convolution in _convolutions(network.tail):
        _pass_on(convolution, image)


def _convolutions(part: nn.Module) -> list[nn.Conv2d]:
    return [m for m in part.modules() if isinstance(m, nn.Conv2d)]


def _pass_on(layer: nn.Conv2d, channels: range) -> None:
    """Let a convolution hand some channels on as they are."""
    _clear(layer, channels)
    middle = layer.kernel_size[0] // 2
    for c in channels:
        layer.weight[c, c, middle, middle] = 1.0


def _clear(layer: nn.Conv2d | nn.BatchNorm2d, channels: range) -> None:
    for parameter in layer.parameters():
        parameter[channels.start : channels.stop] = 0.0
