"""One window of an image through the network, in the backend and number format that were chosen.

What comes of a window is a function of model, backend, format and its pixels: nothing that was
computed before changes it, and any number of threads may call at once. Networks are kept for the
process, so that a second run finds them ready.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_srgan.engine.backends import Backend, build
from napari_srgan.models.architectures.receptive_field import finer
from napari_srgan.models.architectures.rewrite import RowStrips, for_inference

if TYPE_CHECKING:
    from napari_srgan.models.architectures.generator import Generator
    from napari_srgan.models.file import Model

TRUSTED = (-0.5, 1.5)
"""Intensities that 16 bits are trusted with. Their errors grow with the values, and the harm was
measured where they lie in [0, 1]."""

_KEPT = 4  # networks: a perceptual model and its fidelity model, each beside its float32


class WindowNetwork:
    """A model's network on a device, in a number format.

    Parameters
    ----------
    network : Generator
        As trained; it is not changed.
    device : torch.device
        Where to compute.
    precision : {"float32", "bfloat16", "float16"}
        Of the layers between the first and the last.
    backend : {"torch", "openvino"}

    Attributes
    ----------
    scale : (int, int)
    halo : int or None
        How far it looks, LR pixels; None: over the whole image.
    """

    def __init__(
        self,
        network: Generator,
        device: torch.device,
        precision: str = "float32",
        backend: str = "torch",
    ) -> None:
        self.device, self.precision, self.backend = device, precision, backend
        self.scale = network.scale
        self._network = network
        self.halo = network.halo
        self._chosen = build(backend, network, device, precision)

    def __call__(self, unit: NDArray[np.float32]) -> tuple[NDArray[np.float32], bool]:
        """Enlarge a window.

        Parameters
        ----------
        unit : ndarray of float32, shape (y, x) or (y, x, 3)
            Intensities, nominally in [0, 1].

        Returns
        -------
        enlarged : ndarray of float32, shape (sy * y, sx * x[, 3])
        in_float32 : bool
            Whether float32 was needed where 16 bits were asked for: the window holds values far
            from [0, 1], or 16 bits overflowed.
        """
        if self.precision == "float32":
            return self._chosen(unit), False
        if TRUSTED[0] <= unit.min() and unit.max() <= TRUSTED[1]:
            enlarged = self._chosen(unit)
            if np.isfinite(enlarged).all():
                return enlarged, False
        return self._float32(unit), True

    def release(self) -> None:
        """Give back the memory of the windows that were computed."""
        self._chosen.release()
        if "_float32" in self.__dict__:
            self._float32.release()

    @cached_property
    def bytes_per_pixel(self) -> int:
        """Memory that it takes per LR pixel of a window."""
        return bytes_per_pixel(for_inference(self._network))

    @cached_property
    def work_per_pixel(self) -> float:
        """Multiplications of its convolutions per LR pixel of a window."""
        finer_by, work = 1, 0.0
        for module in for_inference(self._network).modules():
            if isinstance(module, nn.Conv2d):
                work += module.weight.numel() * finer_by
            finer_by *= math.prod(finer(module))
        return work

    @cached_property
    def _float32(self) -> Backend:
        return build(self.backend, self._network, self.device, "float32")


_networks: dict[tuple[str, str, str, str], WindowNetwork] = {}
_building = threading.Lock()


def _build_anew() -> None:
    """Let a forked process build, whatever a thread of its parent was building."""
    global _building
    _building = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_build_anew)


def window_network(
    model: Model, device: torch.device, precision: str, backend: str
) -> WindowNetwork:
    """Return the network of a model, built at the first call and kept for the process.

    Parameters
    ----------
    model : Model
    device, precision, backend
        See `WindowNetwork`.
    """
    key = (model.sha256, str(device), precision, backend)
    with _building:
        found = _networks.pop(key, None)
        while found is None and len(_networks) >= _KEPT:
            del _networks[next(iter(_networks))]
        found = found or WindowNetwork(model.network, device, precision, backend)
        _networks[key] = found  # the last used stands last
    return found


def release(model: Model) -> None:
    """Give back the memory of the windows that the networks of a model computed."""
    with _building:
        kept = [network for key, network in _networks.items() if key[0] == model.sha256]
    for network in kept:
        network.release()


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
