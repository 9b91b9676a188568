"""What computes a network: one file a backend, behind one call; and which is there.

A backend is a class that is made of a generator, a device and a number format, and is called with a
window in [0, 1]; it keeps nothing of a call, so that any number of threads may call one. Torch in
float32 on a CPU is the reference, bit for bit. Another backend gives the same within 1e-5 in
float32, and within the rule of `engine.number_format` in 16 bits.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import torch

    from napari_srgan.models.architectures.generator import Generator

log = logging.getLogger(__name__)

# Importing OpenVINO tells Intel of it through Google Analytics, under a number kept in the user's
# home, unless the user has refused. Without this package it does not, and works as well.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

INSTALL_OPENVINO = 'pip install "napari-srgan[cpu]"'


class Backend(Protocol):
    """A network on a device, in a number format."""

    def __call__(self, unit: NDArray[np.float32]) -> NDArray[np.float32]:
        """Enlarge a window, (y, x[, 3]) to (sy * y, sx * x[, 3]), both nominally in [0, 1]."""

    def release(self) -> None:
        """Give back the memory of the windows that were computed; the network stays ready."""


def build(backend: str, network: Generator, device: torch.device, precision: str) -> Backend:
    """Make a network ready to be computed.

    Parameters
    ----------
    backend : {"torch", "openvino"}
    network : Generator
        As trained; it is not changed.
    device : torch.device
    precision : {"float32", "bfloat16", "float16"}
        Of the layers between the first and the last, see `lowering`.
    """
    if backend == "openvino":
        from napari_srgan.engine.backends.openvino import OpenVINONetwork

        return OpenVINONetwork(network, precision)
    from napari_srgan.engine.backends.torch import TorchNetwork

    return TorchNetwork(network, device, precision)


def resolve_backend(name: str, device: torch.device, precision: str = "auto") -> str:
    """Find the backend that is meant.

    Parameters
    ----------
    name : {"auto", "torch", "openvino"}
        auto is torch: OpenVINO is for who asks for it, as long as it is not known why processes
        that had used it and then started others came to grief (docs/decisions.md).
    device : torch.device
    precision : str
        As asked for, auto included.

    Returns
    -------
    str
        "torch" or "openvino".

    Raises
    ------
    InputError
        If OpenVINO is asked for and cannot do it.
    """
    if name != "openvino":
        return "torch"
    if reason := _reason_against_openvino(device, precision):
        raise InputError(reason)
    return name


def _reason_against_openvino(device: torch.device, precision: str) -> str:
    """Say why OpenVINO cannot compute that; empty if it can."""
    if device.type != "cpu":
        return f"OpenVINO computes on the CPU, not on {device}; choose the backend torch."
    if _forked:
        return (
            "OpenVINO cannot go on in a process that was forked; start processes by spawn, or "
            "choose the backend torch."
        )
    formats = openvino_formats()
    if not formats:
        return f"OpenVINO is not installed, or does not start; {INSTALL_OPENVINO} installs it."
    if precision not in ("auto", *formats):
        return f"OpenVINO has no {precision} on this CPU; choose the backend torch."
    return ""


@cache
def openvino_formats() -> tuple[str, ...]:
    """List the number formats that OpenVINO computes in natively here; none where it is absent."""
    try:
        return tuple(import_module(f"{__name__}.openvino").formats())
    except Exception as error:  # a broken installation fails in many ways
        log.debug("OpenVINO cannot be used: %s: %s", type(error).__name__, error)
        return ()


_forked = False


def _after_fork() -> None:
    """Go on without the threads of the parent, which do not exist in the child.

    OpenMP and TBB wait for them for ever. With one thread torch needs none, and computes the same.
    """
    global _forked
    _forked = True
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
