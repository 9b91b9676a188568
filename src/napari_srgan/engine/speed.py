"""How fast a model is here: measured on one tile, for who has to say how long work will take."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import TYPE_CHECKING

from napari_srgan.engine.run import Upscaler
from napari_srgan.models.catalogue import load_model

if TYPE_CHECKING:
    from pathlib import Path

    from napari_srgan.options import RestoreOptions

SIDE = 64
"""Of the tile, LR px: under a second for the bundled models on two cores."""


def measure_speed(path: Path, options: RestoreOptions) -> Generator[None, None, float]:
    """Time a model on one tile, as a run with these options would compute it.

    Parameters
    ----------
    path : Path
        Of the model.
    options : RestoreOptions
        Of these device, precision and backend count.

    Yields
    ------
    None
        Between two steps, where it can be given up.

    Returns
    -------
    float
        LR pixels a second, once the network is built.

    Raises
    ------
    InputError
        If the model, device, number format or backend cannot be used.
    """
    import numpy as np

    from napari_srgan.engine.window import window_network

    model = load_model(path)
    upscaler = Upscaler(model, options.device, options.precision, options.backend)
    yield
    backend, precision = upscaler.ready()
    network = window_network(model, upscaler.device, precision, backend)
    samples = (3,) if model.card.channels == 3 else ()
    tile = np.random.default_rng(0).random((SIDE, SIDE, *samples), np.float32)
    yield
    network(tile)  # the first call chooses algorithms and takes memory
    yield
    start = time.perf_counter()
    network(tile)
    return SIDE**2 / (time.perf_counter() - start)
