"""The network in torch: the reference, exact whatever the window's size.

The result of a window is a function of its pixels alone, bit for bit in float32 on a CPU, so that a
tiled image equals the untiled one.
"""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_srgan.engine.backends.lowering import between_first_and_last, rounded_kernels
from napari_srgan.engine.progress import count_work
from napari_srgan.models.architectures.rewrite import for_inference

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


class TorchNetwork:
    """A generator on a device, in a number format; see `backends.Backend`.

    Parameters
    ----------
    network : Generator
        As trained; it is not changed.
    device : torch.device
    precision : {"float32", "bfloat16", "float16"}
        Of the layers between the first and the last.

    Attributes
    ----------
    scale : (int, int)
    """

    def __init__(
        self, network: Generator, device: torch.device, precision: str = "float32"
    ) -> None:
        self.device = device
        self.scale = network.scale
        # What sees the whole image would see the frame too.
        self._smallest = 1 if network.unbounded else _FRAME
        self._network = for_inference(network).to(device)
        if precision != "float32":
            _lower(self._network, getattr(torch, precision))
        # What differs from call to call belongs to the thread that calls.
        self._here = threading.local()
        for module in self._network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(self._clear_frame)
                module.register_forward_hook(_count)

    def __call__(self, unit: NDArray[np.float32]) -> NDArray[np.float32]:
        """Enlarge a window, (y, x[, 3]) to (sy * y, sx * x[, 3])."""
        height, width = unit.shape[:2]
        frame = max(height, self._smallest), max(width, self._smallest)
        samples = torch.from_numpy(np.ascontiguousarray(unit)).reshape(height, width, -1)
        framed = torch.zeros(1, samples.shape[2], *frame)
        framed[0, :, :height, :width] = samples.permute(2, 0, 1)
        self._here.sizes = None if frame == (height, width) else (height, width)
        with torch.inference_mode(), _full_float32(self.device):
            enlarged = self._network(framed.to(self.device))[0]
            inside = enlarged[:, : height * self.scale[0], : width * self.scale[1]]
            result = inside.permute(1, 2, 0).float().cpu().numpy()
        return np.ascontiguousarray(result.reshape(*result.shape[:2], *unit.shape[2:]))

    def release(self) -> None:
        """Torch holds no window after a call."""

    def _clear_frame(self, _: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        """Zero what lies beyond the window before a convolution, if there is a frame."""
        if self._here.sizes is None:
            return
        height, width = self._here.sizes
        frame_height, frame_width = max(height, _FRAME), max(width, _FRAME)
        features = inputs[0]
        features[..., features.shape[-1] // frame_width * width :] = 0
        # A window of the frame's height or more needs no rows, and may come in strips of rows.
        if height < frame_height:
            features[..., features.shape[-2] // frame_height * height :, :] = 0


def _count(layer: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
    """Tell of a convolution that is done."""
    assert isinstance(layer, nn.Conv2d)
    count_work(layer.weight.numel() * output.shape[-2] * output.shape[-1])


def _lower(network: nn.Module, dtype: torch.dtype) -> None:
    """Put the layers between the first and the last convolution into 16 bits, in place."""
    low = between_first_and_last(network)
    lowered = False  # whether the last convolution was; its activation takes what it gives
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            lowered = module in low
            if lowered:
                rounded = rounded_kernels(module.weight, dtype)
                module.to(dtype).weight.copy_(rounded)
            module.register_forward_pre_hook(_in_own_format)
        elif lowered and not list(module.children()):
            module.to(dtype)


def _in_own_format(layer: nn.Conv2d, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
    """Hand a convolution its input in the format of its weights."""
    return (inputs[0].to(layer.weight.dtype),)


# The switch is torch's, not a thread's, and a device computes one window at a time anyway.
_cudnn = threading.Lock()


class _FullFloat32(AbstractContextManager[None]):
    """Keep cuDNN from rounding float32 to TF32's 10 bits: float32 is the reference."""

    def __enter__(self) -> None:
        _cudnn.acquire()
        self._flags: Any = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        self._flags.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._flags.__exit__(*error)
        _cudnn.release()


def _full_float32(device: torch.device) -> AbstractContextManager[None]:
    return _FullFloat32() if device.type == "cuda" else nullcontext()
