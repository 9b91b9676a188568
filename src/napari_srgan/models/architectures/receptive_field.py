"""How far a network looks: the halo that a tile needs, read off the network's own modules."""

from __future__ import annotations

import math
from fractions import Fraction

from torch import nn


def halo(network: nn.Module) -> int:
    """Return how many LR pixels beyond its own position an output pixel depends on.

    Walks the modules in the order of registration and adds the half-width of every
    convolution, measured in LR pixels; a pixel shuffle or up-sampling makes the following
    pixels finer. Exact for a chain of layers with skips over it and dense connections along
    it, and never too small for branched ones.

    Parameters
    ----------
    network : torch.nn.Module
        A network built of convolutions of stride 1, pixel shuffles, nearest-neighbour
        up-sampling and pointwise layers.

    Returns
    -------
    int
        The halo in LR pixels, rounded up; at 4x, 40 for SRResNet with 16 blocks and 349 for
        RRDBNet with 23.

    Raises
    ------
    TypeError
        If a module is not known to keep to a fixed neighbourhood.
    """
    reach = Fraction(0)
    scale = 1
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            if module.stride != (1, 1):
                raise TypeError(f"No halo is known for a convolution of stride {module.stride}.")
            kernel = max(
                d * (int(k) - 1) for k, d in zip(module.kernel_size, module.dilation, strict=True)
            )
            reach += Fraction(kernel, 2 * scale)
        elif isinstance(module, (nn.PixelShuffle, nn.Upsample)):
            scale *= finer(module)
        elif not isinstance(module, _POINTWISE) and not list(module.children()):
            raise TypeError(f"No halo is known for {type(module).__name__}.")
    return math.ceil(reach)


def finer(module: nn.Module) -> int:
    """Return how many times finer in Y and X the pixels are that a layer gives.

    Raises
    ------
    TypeError
        If it is an up-sampling that mixes pixels, or not by a whole factor.
    """
    if isinstance(module, nn.PixelShuffle):
        return module.upscale_factor
    if isinstance(module, nn.Upsample):
        factor = module.scale_factor
        if module.mode != "nearest" or not isinstance(factor, float) or factor % 1:
            raise TypeError(f"No halo is known for an up-sampling of {module.extra_repr()}.")
        return int(factor)
    return 1


_POINTWISE = (nn.PReLU, nn.ReLU, nn.LeakyReLU, nn.BatchNorm2d, nn.Identity, nn.Sequential)
