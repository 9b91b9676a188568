"""One window of an image through the network: exact whatever its size, in any number format.

The network ready to run on a device, and nothing of tiles or stacks. The result of a window is a
function of its pixels alone, bit for bit in float32 on a CPU, so that a tiled image equals the
untiled one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_srgan.models.architectures.receptive_field import finer
from napari_srgan.models.architectures.rewrite import RowStrips, for_inference

if TYPE_CHECKING:
    from napari_srgan.models.architectures.generator import Generator

_FRAME = 32
"""Smallest side of what a network is given, LR px.

Torch and oneDNN choose another algorithm, with another order of summation, for small images
(3x3 convolutions of up to 20480 values, 5x5 ones narrower than 32 px: last bits differ). So
a smaller window is set into a frame of this size, which is kept at zero before every
convolution: the padding that the window would have had, computed by the algorithm of the
larger ones.
"""

_CLOSE_ANYWHERE = 2 / 255
_CLOSE_IN_THE_MEAN = 0.3 / 255


class WindowNetwork:
    """A model's network on a device, in a number format.

    Parameters
    ----------
    network : Generator
        As trained; it is not changed.
    device : torch.device
        Where to compute.
    precision : str
        "float32", "bfloat16" or "float16"; the last convolution is float32 in any case, since
        16 bits hold too few grey levels.

    Attributes
    ----------
    scale : (int, int)
    halo : int or None
        How far it looks, LR pixels; None: over the whole image.
    bytes_per_pixel : int
        Memory that it takes per LR pixel of a window.
    """

    def __init__(
        self, network: Generator, device: torch.device, precision: str = "float32"
    ) -> None:
        self.device = device
        self.precision = precision
        self.scale = network.scale
        self._float32 = for_inference(network).to(device)
        self.halo = network.halo
        self.bytes_per_pixel = bytes_per_pixel(self._float32)
        self._network = self._float32
        if precision != "float32":
            self._network = _lowered(self._float32, getattr(torch, precision))

    def __call__(self, unit: NDArray[np.float32]) -> tuple[NDArray[np.float32], bool]:
        """Enlarge a window.

        Parameters
        ----------
        unit : ndarray of float32, shape (y, x) or (y, x, 3)
            Intensities, nominally in [0, 1].

        Returns
        -------
        enlarged : ndarray of float32, shape (sy * y, sx * x[, 3])
        repeated : bool
            Whether 16 bits overflowed, so that the window was computed again in float32.
        """
        enlarged = self._run(self._network, unit)
        if self.precision == "float32" or np.isfinite(enlarged).all():
            return enlarged, False
        return self._run(self._float32, unit), True

    def close_to_float32(self, unit: NDArray[np.float32]) -> bool:
        """Say whether a window comes out as in float32 within 2 grey levels of 255, mean 0.3."""
        with np.errstate(invalid="ignore"):
            difference = np.abs(self._run(self._network, unit) - self._run(self._float32, unit))
            return bool(
                difference.max() <= _CLOSE_ANYWHERE and difference.mean() <= _CLOSE_IN_THE_MEAN
            )

    def _run(self, network: nn.Module, unit: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = unit.shape[:2]
        samples = torch.from_numpy(np.ascontiguousarray(unit)).reshape(height, width, -1)
        # What sees the whole image would see the frame too.
        side = 0 if self.halo is None else _FRAME
        framed = torch.zeros(1, samples.shape[2], max(height, side), max(width, side))
        framed[0, :, :height, :width] = samples.permute(2, 0, 1)
        with (
            torch.inference_mode(),
            _full_float32(self.device),
            _frame_at_zero(network, height, width) if side else nullcontext(),
        ):
            enlarged = network(framed.to(self.device))[0]
            inside = enlarged[:, : height * self.scale[0], : width * self.scale[1]]
            result = inside.permute(1, 2, 0).float().cpu().numpy()
        return np.ascontiguousarray(result.reshape(*result.shape[:2], *unit.shape[2:]))


def bytes_per_pixel(network: nn.Module) -> int:
    """Estimate the memory that a network takes in float32 per LR pixel of a window.

    Four times its widest features. With 64 features (1024 bytes at 2x) a CPU was measured to
    take 5.2, 3.7 and 2.6 kB for windows of 128, 256 and 464 px, and RRDBNet (3072 bytes) 4.6,
    2.7 and 2.1 kB; a stage in strips of rows does not count, since it does not grow with the
    window's height.
    """
    finer_by, widest = 1, 0  # pixels per LR pixel
    for module in _outside_strips(network):
        if isinstance(module, nn.Conv2d):
            # Both ends of it: those of a dense block take in more than they give.
            channels = max(module.in_channels, module.out_channels)
            widest = max(widest, channels * finer_by)
        finer_by *= math.prod(finer(module))
    return 4 * 4 * widest


def _outside_strips(module: nn.Module) -> Iterator[nn.Module]:
    """Walk the modules in order, without what is evaluated in strips of rows."""
    yield module
    for child in module.children():
        if not isinstance(child, RowStrips):
            yield from _outside_strips(child)


def _lowered(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Copy a network into a 16-bit format, all but its last convolution."""
    network = copy.deepcopy(network).to(dtype)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    convolutions[-1].float()
    convolutions[-1].register_forward_pre_hook(lambda _, inputs: (inputs[0].float(),))
    network.register_forward_pre_hook(lambda _, inputs: (inputs[0].to(dtype),))
    return network


@contextmanager
def _frame_at_zero(network: nn.Module, height: int, width: int) -> Iterator[None]:
    """Zero what lies beyond a window of this size before every convolution, if it has a frame."""
    frame_height, frame_width = max(height, _FRAME), max(width, _FRAME)

    def clear(_: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        features = inputs[0]
        features[..., features.shape[-1] // frame_width * width :] = 0
        # A window of the frame's height or more needs no rows, and may come in strips of rows.
        if height < frame_height:
            features[..., features.shape[-2] // frame_height * height :, :] = 0

    if (frame_height, frame_width) == (height, width):
        yield
        return
    hooks = [
        module.register_forward_pre_hook(clear)
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _full_float32(device: torch.device) -> AbstractContextManager[Any]:
    """Keep cuDNN from rounding float32 to TF32's 10 bits: float32 is the reference."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
