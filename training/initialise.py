"""Where a training starts: a generator that already enlarges images as an interpolation does."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from napari_srgan.networks.srresnet import SRResNet

# Quadratic (three-point Lagrange) interpolation at a quarter pixel to the left and to the
# right of the middle one: where the pixels of a 2x finer grid lie.
_QUARTER = (
    torch.tensor([5 / 32, 15 / 16, -3 / 32]),
    torch.tensor([-3 / 32, 15 / 16, 5 / 32]),
)


@torch.no_grad()
def interpolate_at_start(network: SRResNet) -> None:
    """Set weights so that the untrained network interpolates; the rest stays random.

    The first feature channels carry the image itself: through the head as it is, untouched by
    the body, through every up-sampling stage by quadratic interpolation, to the output. All other
    features keep their random weights but do not reach the output yet; the tail's gradient
    for them is not zero, so they join from the first step on. A short training then spends its
    steps on what interpolation cannot do, where it would else still be learning to enlarge.

    Parameters
    ----------
    network : SRResNet
        Changed in place.
    """
    image = range(network.channels)
    head = cast(nn.Conv2d, network.head[0])
    _clear(head, image)
    last = [m for m in network.body if isinstance(m, nn.Conv2d | nn.BatchNorm2d)][-1]
    _clear(last, image)
    for stage in network.upsample:
        convolution = cast(nn.Conv2d, cast(nn.Sequential, stage)[0])
        for c in image:
            _clear(convolution, range(4 * c, 4 * c + 4))
            for phase in range(4):
                kernel = torch.outer(_QUARTER[phase // 2], _QUARTER[phase % 2])
                convolution.weight[4 * c + phase, c] = kernel
    _clear(network.tail, image)
    for c in image:
        head.weight[c, c, 4, 4] = 1.0
        network.tail.weight[c, c, 4, 4] = 1.0


def _clear(layer: nn.Conv2d | nn.BatchNorm2d, channels: range) -> None:
    for parameter in layer.parameters():
        parameter[channels.start : channels.stop] = 0.0
