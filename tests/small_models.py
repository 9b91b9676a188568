"""Tiny models with random weights, for tests where it matters that a model runs, not how well."""

import torch

from napari_srgan.models import catalogue as models
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


def save_both(folder):
    """Write a gray and an RGB model."""
    save(folder, GRAY, 1)
    save(folder, RGB, 3)


__all__ = ["GRAY", "PERCEPTUAL", "RGB", "save", "save_both"]
