"""Tiny models with random weights, for tests where it matters that a model runs, not how well."""

import torch

from napari_srgan.models import catalogue as models
from napari_srgan.models.architectures.srresnet import SRResNet

GRAY, RGB = "tiny-gray", "tiny-rgb"


def save(folder, name, channels, scale=4, blocks=1, features=4, file="{}.safetensors"):
    """Write a model of that name to the folder and return its path."""
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
    )
    return models.save_model(folder / file.format(name), network, card)


def save_both(folder):
    """Write a gray and an RGB model; also under the names of "auto" if none are bundled."""
    save(folder, GRAY, 1)
    save(folder, RGB, 3)
    bundled = {info.card.name for info in models.list_models() if info.bundled}
    for channels, name in models.AUTO.items():
        if name not in bundled:
            save(folder, name, channels)


__all__ = ["GRAY", "RGB", "save", "save_both"]
