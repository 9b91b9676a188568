"""Tiny models with random weights, for tests where it matters that a model runs, not how well."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from safetensors.torch import save as safetensors

from napari_srgan.engine.plan import plan
from napari_srgan.engine.run import Upscaler
from napari_srgan.models import catalogue as models
from napari_srgan.models.architectures import build
from napari_srgan.models.architectures.srresnet import SRResNet

GRAY, RGB = "tiny-gray", "tiny-rgb"


PERCEPTUAL = {"role": "perceptual", "training": {"init": "srresnet-tiny"}}
"""What the card of srgan-tiny says: it was trained from srresnet-tiny."""


def save(folder, name, channels, scale=4, blocks=1, features=4, file="{}.safetensors", **said):
    """Write a model of that name to the folder and return its path; `said` is for its card."""
    parameters = {
        "channels": channels,
        "blocks": blocks,
        "features": features,
        "scale": scale,
        "batch_norm": True,
    }
    torch.manual_seed(channels)
    network = SRResNet(**parameters).eval()
    card = models.Card(
        name=name,
        architecture="srresnet",
        parameters=parameters,
        channels=channels,
        scale=(scale, scale),
        purpose="tests",
        validation=({"set": "noise", "psnr": 30.5, "psnr_bicubic": 29.25},),
        **said,
    )
    return models.save_model(folder / file.format(name), network, card)


def with_card(text):
    """Return the bytes of a model file without weights whose card is this text."""
    return safetensors({}, metadata={"napari_srgan": text})


def save_rrdb(folder, scale=4, blocks=1, features=8, growth=4):
    """Write a gray RRDB model of that size to the folder and return its path."""
    sizes = {"blocks": blocks, "features": features, "growth": growth}
    parameters = {"channels": 1, "scale": scale, **sizes}
    torch.manual_seed(0)
    network = build("rrdb", parameters)
    for weights in network.body.parameters():
        weights.data *= 5  # the small start of a dense block would hide its share in the result
    card = models.Card(
        name="rrdb", architecture="rrdb", parameters=parameters, channels=1, scale=(scale, scale)
    )
    return models.save_model(folder / "rrdb.safetensors", network, card)


def save_lateral(folder, name, factor, **said):
    """Write a gray model that makes X alone finer to the folder and return its path."""
    sizes = {"blocks": 1, "features": 8, "scale": factor, "lateral": True}
    parameters = {"channels": 1, **sizes}
    torch.manual_seed(0)
    card = models.Card(
        name=name,
        architecture="plain",
        parameters=parameters,
        channels=1,
        scale=(1, factor),
        **said,
    )
    return models.save_model(folder / f"{name}.safetensors", build("plain", parameters), card)


def save_both(folder):
    """Write a gray and an RGB model."""
    save(folder, GRAY, 1)
    save(folder, RGB, 3)


def restore_stack(stack, options, sink=None):
    """Plan and carry out: the engine without a task around it."""
    planned = plan(stack, options)
    return (yield from Upscaler.of(planned).run(planned, sink))


def assert_threads_agree(network):
    """Hold windows of many sizes, computed by eight threads at once, to what one thread computes.

    Some are below the frame of small windows and some above it: each has its own border of zeros.
    """
    rng = np.random.default_rng(0)
    windows = [rng.random((8 + 3 * k, 50 - 3 * k), np.float32) for k in range(12)]
    expected = [network(window)[0] for window in windows]
    start = threading.Barrier(8)

    def work(thread):
        start.wait()
        return [network(windows[(k + thread) % 12])[0] for k in range(12)]

    with ThreadPoolExecutor(8) as pool:
        for thread, results in enumerate(pool.map(work, range(8))):
            for k, result in enumerate(results):
                assert np.array_equal(result, expected[(k + thread) % 12])
