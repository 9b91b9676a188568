"""LPIPS: how different two images look, by features of a trained network and learned weights.

Zhang et al., CVPR 2018 (arXiv 1801.03924), version 0.1. The network's weights are torchvision's, as
`imagenet` has them; those that were learned from people's judgements, 1472 numbers for each
network, lie beside this file (`lpips_heads.safetensors`, made from richzhang/PerceptualSimilarity,
whose licence is in `lpips_heads.LICENSE`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, cast

import torch
from torch import nn

from napari_srgan.errors import InputError
from napari_srgan.models.imagenet import Trained, check_tensors, read_state

Network = Literal["alex", "vgg"]

HEADS = Path(__file__).parent / "lpips_heads.safetensors"

_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_SMALLEST_NORM = 1e-10  # of a pixel's features, where all are zero

_INSTEAD = "give torchvision's file with --lpips-weights FILE, or leave --lpips out"


@dataclass(frozen=True, slots=True)
class _Trunk:
    """The modules of a network's `features` up to the last ReLU that is compared.

    A layer is (features, side, stride, padding) of a convolution and its ReLU, or (side, stride) of
    a max pooling; `compared` are the convolutions after whose ReLU the features are compared.
    """

    title: str
    layers: tuple[tuple[int, ...], ...]
    compared: tuple[int, ...]
    smallest_side: int

    def modules(self) -> list[nn.Module]:
        built: list[nn.Module] = []
        channels = 3
        for layer in self.layers:
            if len(layer) == 2:
                built.append(nn.MaxPool2d(*layer))
                continue
            wider, side, stride, padding = layer
            built += [nn.Conv2d(channels, wider, side, stride, padding), nn.ReLU()]
            channels = wider
        return built

    def convolutions(self) -> list[int]:
        return [i for i, m in enumerate(self.modules()) if isinstance(m, nn.Conv2d)]


def _vgg_layers() -> tuple[tuple[int, ...], ...]:
    # Column D of table 1 of Simonyan and Zisserman, arXiv 1409.1556.
    layers: list[tuple[int, ...]] = []
    for count, features in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        layers += [(2, 2)] if layers else []
        layers += [(features, 3, 1, 1)] * count
    return tuple(layers)


_TRUNKS: Mapping[str, _Trunk] = {
    "alex": _Trunk(
        "AlexNet",
        (
            (64, 11, 4, 2), (3, 2), (192, 5, 1, 2), (3, 2),
            (384, 3, 1, 1), (256, 3, 1, 1), (256, 3, 1, 1),
        ),
        (0, 1, 2, 3, 4),
        smallest_side=31,
    ),
    "vgg": _Trunk("VGG16", _vgg_layers(), (1, 3, 6, 9, 12), smallest_side=16),
}  # fmt: skip

NETWORKS = tuple(_TRUNKS)


class LPIPS(nn.Module):
    """Features of images whose mean squared difference is LPIPS; frozen, always in eval mode.

    The weights of the network are random until they are loaded; `load_lpips` returns it with
    trained ones.

    Parameters
    ----------
    network : {"alex", "vgg"}
        AlexNet, by which LPIPS is mostly reported, or VGG16.

    Attributes
    ----------
    layer : str
        The measure: "lpips_alex" or "lpips_vgg".
    smallest_side : int
        Pixels a side that an image needs.
    """

    shift: torch.Tensor
    scale: torch.Tensor

    def __init__(self, network: Network) -> None:
        super().__init__()
        trunk = _TRUNKS[network]
        self.title = trunk.title
        self.layer = f"lpips_{network}"
        self.smallest_side = trunk.smallest_side
        self.features = nn.Sequential(*trunk.modules())
        convolutions = trunk.convolutions()
        self._compared = {convolutions[i] + 1: n for n, i in enumerate(trunk.compared)}
        from safetensors.torch import load_file

        heads = load_file(HEADS)
        for n in self._compared.values():  # roots: the features are squared with them
            self.register_buffer(f"root{n}", heads[f"{network}.{n}"].sqrt(), persistent=False)
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode."""
        del mode
        return super().train(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the features that are compared.

        Parameters
        ----------
        images : torch.Tensor
            In [0, 1], shape (N, C, Y, X); gray ones (C = 1) are taken three times, as R, G and B.

        Returns
        -------
        torch.Tensor
            Shape (N, F). Of two images of one size, the mean of the squared differences is their
            LPIPS: every feature carries the root of its learned weight and of its share in the
            mean over the pixels of its layer.
        """
        x = (2 * images.expand(-1, 3, -1, -1) - 1 - self.shift) / self.scale
        parts = []
        for index, module in enumerate(self.features):
            x = module(x)
            if index not in self._compared:
                continue
            norm = x.square().sum(1, keepdim=True).sqrt() + _SMALLEST_NORM
            root = cast(torch.Tensor, getattr(self, f"root{self._compared[index]}"))
            share = math.sqrt(1 / (x.shape[2] * x.shape[3]))
            parts.append((x / norm * (root * share).view(1, -1, 1, 1)).flatten(1))
        found = torch.cat(parts, 1)
        return found * math.sqrt(found.shape[1])


def load_lpips(
    network: Network = "alex", weights: Path | None = None, download: bool = True
) -> LPIPS:
    """Return LPIPS with the weights trained on ImageNet.

    Parameters
    ----------
    network : {"alex", "vgg"}
    weights : Path, optional
        A state dict of torchvision's AlexNet or VGG16 (.pth or .safetensors), or the convolutions
        of it. Without it, torchvision's own weights: from its cache, else downloaded there.
    download : bool
        Whether the network may be used.

    Raises
    ------
    InputError
        If the weights cannot be had, or are not that network's.
    """
    # The weights that it starts with must not advance the random numbers of a training.
    with torch.random.fork_rng(devices=[]):
        measure = LPIPS(network)
    trained = Trained(measure.title, _TRUNKS[network].convolutions(), _INSTEAD)
    state, name = trained.read(weights) if weights is not None else trained.fetch(download)
    own = measure.state_dict()
    if missing := next((key for key in own if key not in state), ""):
        raise InputError(f"{name} ends before {missing}, which LPIPS needs: {_INSTEAD}.")
    check_tensors(state, own, name, measure.title)
    measure.load_state_dict({key: state[key] for key in own})
    return measure


def wanted_lpips(choice: str, weights: Path | None) -> tuple[LPIPS, ...]:
    """Load what the options ``lpips`` and ``lpips_weights`` ask for.

    Parameters
    ----------
    choice : {"off", "alex", "vgg"}
    weights : Path or None
        With "off", of a network that the file itself tells.

    Returns
    -------
    tuple of LPIPS
        One at most.

    Raises
    ------
    InputError
        If the weights cannot be had.
    """
    if weights is not None:
        network = network_of(weights) if choice == "off" else choice
    elif choice == "off":
        return ()
    else:
        network = choice
    return (load_lpips(cast(Network, network), weights),)


def network_of(path: Path) -> Network:
    """Say which network a file of weights is of: AlexNet's first convolution is 11 px wide.

    Raises
    ------
    InputError
        If there is no such file, or it holds no such weights.
    """
    first = read_state(Path(path), "AlexNet or VGG16", _INSTEAD)["features.0.weight"]
    return "alex" if getattr(first, "shape", ())[2:] == (11, 11) else "vgg"
