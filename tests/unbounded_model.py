"""A tiny generator that looks over the whole image, and how a test lists it as one of ours."""

import sys
from types import ModuleType

import torch
from torch import nn

from napari_srgan.models import architectures
from napari_srgan.models.architectures.generator import Generator
from napari_srgan.models.catalogue import Card, save_model


class Average(nn.Module):
    """The least attention over the whole image: every pixel sees the mean of all."""

    def __init__(self, features):
        super().__init__()
        self.mix = nn.Linear(features, features)

    def forward(self, x):
        mean = self.mix(x.mean(dim=(2, 3)))
        return x + mean[:, :, None, None]


class AverageNet(Generator):
    block = Average
    unbounded = True

    def __init__(self, channels=1, blocks=1, features=4, scale=4):
        super().__init__(channels, scale, blocks, features)
        self.head = nn.Conv2d(channels, features, 3, padding=1)
        last = nn.Conv2d(features, features, 3, padding=1)
        self.body = nn.Sequential(*(Average(features) for _ in range(blocks)), last)
        grow = nn.Conv2d(features, features * scale**2, 3, padding=1)
        self.upsample = nn.Sequential(nn.Sequential(grow, nn.PixelShuffle(scale), nn.PReLU()))
        self.tail = nn.Conv2d(features, channels, 3, padding=1)


class Undeclared(AverageNet):
    unbounded = False


def registered(name, cls, folder, monkeypatch):
    """List an architecture as one of ours, and write a model of it."""
    module = ModuleType(f"{architectures.__name__}.{name}")
    setattr(module, cls.__name__, cls)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    listed = architectures.Architecture(cls.__name__, "sees all")
    monkeypatch.setitem(architectures.ARCHITECTURES, name, listed)
    parameters = {"channels": 1, "blocks": 1, "features": 4, "scale": 4}
    torch.manual_seed(0)
    card = Card(
        name=name,
        architecture=name,
        parameters=parameters,
        channels=1,
        scale=(4, 4),
        degradation="area",
    )
    return save_model(folder / f"{name}.safetensors", cls(**parameters).eval(), card)
