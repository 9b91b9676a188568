"""How long a plan will take: pixels through the network over a rate measured on this machine."""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

import numpy as np

from napari_srgan.devices import resolve_device
from napari_srgan.job import Plan
from napari_srgan.models import load_model

_SIDE = 64  # LR px of the window that is timed


def estimate_seconds(plan: Plan) -> float:
    """Estimate how long a plan will take, in seconds.

    Parameters
    ----------
    plan : Plan

    Returns
    -------
    float
        In float32 and without reading and writing; the first call for a model and device
        takes the time of two small windows. Good to a factor of 2, and as far off as other
        programs use the machine more or less than now.
    """
    device = str(resolve_device(plan.job.device))
    return plan.pixels / _pixels_per_second(plan.model.path, plan.model.sha256, device)


@lru_cache(maxsize=16)
def _pixels_per_second(path: Path, sha256: str, device: str) -> float:
    from napari_srgan.engine.window import WindowNetwork

    network = WindowNetwork(load_model(path), resolve_device(device))
    unit = np.zeros((_SIDE, _SIDE, network.channels), np.float32)
    network(unit)  # the first call prepares the kernels
    start = time.perf_counter()
    network(unit)
    return _SIDE**2 / (time.perf_counter() - start)
