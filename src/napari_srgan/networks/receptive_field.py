"""How far a network looks: the halo that a tile needs, read off the network's own modules."""

from __future__ import annotations

import math
from fractions import Fraction

from torch import nn


def halo(network: nn.Module) -> int:
    """Return how many LR pixels beyond its own position an output pixel depends on.

    Walks the modules in the order of registration and adds the half-width of every
    convolution, measured in LR pixels; a pixel shuffle makes the following pixels finer.
    Exact for a chain of layers with skips over it, and never too small for branched ones.

    Parameters
    ----------
    network : torch.nn.Module
        A network built of convolutions of stride 1, pixel shuffles and pointwise layers.

    Returns
    -------
    int
        The halo in LR pixels, rounded up; 40 for SRResNet with 16 blocks at 4x.

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
        elif isinstance(module, nn.PixelShuffle):
            scale *= module.upscale_factor
        elif not isinstance(module, _POINTWISE) and not list(module.children()):
            raise TypeError(f"No halo is known for {type(module).__name__}.")
    return math.ceil(reach)


_POINTWISE = (nn.PReLU, nn.ReLU, nn.LeakyReLU, nn.BatchNorm2d, nn.Identity, nn.Sequential)
