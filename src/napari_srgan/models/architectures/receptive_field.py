"""How far a network looks: the halo that a tile needs, read off the network's own modules."""

from __future__ import annotations

import math
from fractions import Fraction

from torch import nn

from napari_srgan.image.geometry import Scale
from napari_srgan.models.architectures.shuffle import LateralShuffle


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
    reach = [Fraction(0), Fraction(0)]
    scale = [1, 1]
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            if module.stride != (1, 1):
                raise TypeError(f"No halo is known for a convolution of stride {module.stride}.")
            for axis in (0, 1):
                width = module.dilation[axis] * (module.kernel_size[axis] - 1)
                reach[axis] += Fraction(width, 2 * scale[axis])
        elif isinstance(module, (nn.PixelShuffle, LateralShuffle, nn.Upsample)):
            scale = [s * f for s, f in zip(scale, finer(module), strict=True)]
        elif not isinstance(module, _POINTWISE) and not list(module.children()):
            raise TypeError(f"No halo is known for {type(module).__name__}.")
    return math.ceil(max(reach))


def finer(module: nn.Module) -> Scale:
    """Return how many times finer along Y and X the pixels are that a layer gives.

    Raises
    ------
    TypeError
        If it is an up-sampling that mixes pixels, or not by whole factors.
    """
    if isinstance(module, nn.PixelShuffle):
        return module.upscale_factor, module.upscale_factor
    if isinstance(module, LateralShuffle):
        return 1, module.factor
    if isinstance(module, nn.Upsample):
        factor = module.scale_factor
        y, x = factor if isinstance(factor, tuple) else (factor, factor)
        if module.mode != "nearest" or y is None or x is None or y % 1 or x % 1:
            raise TypeError(f"No halo is known for an up-sampling of {module.extra_repr()}.")
        return int(y), int(x)
    return 1, 1


_POINTWISE = (
    nn.PReLU, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh,
    nn.BatchNorm2d, nn.Identity, nn.Sequential,
)  # fmt: skip
