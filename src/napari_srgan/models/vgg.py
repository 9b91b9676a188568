"""VGG19: the features that content losses and perceptual distances compare, and their weights.

The weights come from a file, torchvision's cache, or its download, never from chance: features of
an untrained network look like a loss and are none. Nothing that could execute code is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, cast

import torch
from torch import nn
from torch.nn import functional

from napari_srgan.errors import InputError
from napari_srgan.models.imagenet import Trained, check_tensors

# Output channels of the 3x3 convolutions before each max pooling (Simonyan and Zisserman,
# arXiv 1409.1556, table 1, column E).
_BLOCKS = ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4)

# Mean and standard deviation of ImageNet's R, G and B in [0, 1], which torchvision's weights
# expect (its VGG19_Weights.IMAGENET1K_V1.transforms()).
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)

_INSTEAD = (
    "give the weights of torchvision's VGG19 with --vgg-weights FILE, or choose --content none"
)

LAYERS: Mapping[str, tuple[int, int]] = {
    "vgg22": (2, 2),
    "vgg34": (3, 4),
    "vgg44": (4, 4),
    "vgg54": (5, 4),
}
"""phi_{i,j} of the SRGAN paper: the j-th convolution before the i-th max pooling."""


def convolutions() -> dict[str, int]:
    """Return the index in torchvision's `features` of every convolution, "conv1_1" first."""
    found = {}
    index = 0
    for i, block in enumerate(_BLOCKS, 1):
        for j, _ in enumerate(block, 1):
            found[f"conv{i}_{j}"] = index
            index += 2  # the convolution and its ReLU
        index += 1  # the max pooling
    return found


_VGG19 = Trained("VGG19", tuple(convolutions().values()), _INSTEAD)


def layers_needed(layer: str) -> dict[str, tuple[str, str]]:
    """Return the convolutions up to a layer and their keys in torchvision's state dict.

    Parameters
    ----------
    layer : str
        A key of `LAYERS`.

    Returns
    -------
    dict
        From names, "conv1_1" first, to the keys of weight and bias, such as
        "features.0.weight" and "features.0.bias".

    Raises
    ------
    ValueError
        If there is no such layer.
    """
    last = convolutions()[_last(layer)]
    return {
        name: (f"features.{index}.weight", f"features.{index}.bias")
        for name, index in convolutions().items()
        if index <= last
    }


class VGGFeatures(nn.Module):
    """VGG19 up to one layer: frozen, always in eval mode, with gradients for the image only.

    Its state dict has the keys of torchvision's VGG19. The weights are random until they are
    loaded; `load_vgg` returns it with trained ones.

    Parameters
    ----------
    layer : str
        "vgg22", "vgg34", "vgg44" or "vgg54": phi_{i,j} of the SRGAN paper (Ledig et al., arXiv
        1609.04802v5, section 2.2.1), the j-th convolution before the i-th max pooling.
    before_activation : bool
        The convolution's output as ESRGAN compares it (Wang et al., arXiv 1809.00219, section
        3.3), not that of the ReLU after it.

    Attributes
    ----------
    smallest_side : int
        Sides of an image that is large enough, in px: 2, 4, 8 or 16.

    Raises
    ------
    ValueError
        If there is no such layer.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, layer: str, before_activation: bool = False) -> None:
        super().__init__()
        self.layer = layer
        self.before_activation = before_activation
        end = convolutions()[_last(layer)] + (1 if before_activation else 2)
        self.features = nn.Sequential(*_modules()[:end])
        self.smallest_side = 2 ** (LAYERS[layer][0] - 1)
        # Not in the state dict, which has torchvision's keys and no others.
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in eval mode, also when the training that this is part of calls it."""
        del mode
        return super().train(False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute the feature map.

        Parameters
        ----------
        images : torch.Tensor
            In [0, 1], shape (N, C, Y, X); gray ones (C = 1) are taken three times, as R, G and B.

        Returns
        -------
        torch.Tensor
            Shape (N, F, Y // side, X // side), with 128, 256, 512 and 512 features F from
            "vgg22" to "vgg54", and side = `smallest_side`.

        Raises
        ------
        ValueError
            If the images are too small for the layer, or have neither 1 nor 3 channels.
        """
        if images.ndim != 4 or images.shape[1] not in (1, 3):
            raise ValueError(
                f"VGG19 takes images of shape (N, 1 or 3, Y, X), not {tuple(images.shape)}."
            )
        if min(images.shape[2:]) < self.smallest_side:
            raise ValueError(
                f"The layer {self.layer} needs images of {self.smallest_side} px a side or more, "
                f"not {images.shape[2]} x {images.shape[3]}."
            )
        images = images.expand(-1, 3, -1, -1)
        return cast(torch.Tensor, self.features((images - self.mean) / self.std))


@torch.no_grad()
def vgg_distance(features: VGGFeatures, first: torch.Tensor, second: torch.Tensor) -> float:
    """Return the mean squared difference of two images' feature maps.

    The mean is over images, features, Y and X; the maps are as they are, without the division
    by 12.75 of the SRGAN paper's loss.

    Parameters
    ----------
    features : VGGFeatures
        With trained weights.
    first, second : torch.Tensor
        Images in [0, 1], shape (N, 1 or 3, Y, X).

    Returns
    -------
    float
        0 for equal images.
    """
    return float(functional.mse_loss(features(first), features(second)))


def _last(layer: str) -> str:
    if layer not in LAYERS:
        raise ValueError(f"The layer must be one of {', '.join(LAYERS)}, not {layer}.")
    i, j = LAYERS[layer]
    return f"conv{i}_{j}"


def _modules() -> list[nn.Module]:
    modules: list[nn.Module] = []
    channels = 3
    for block in _BLOCKS:
        for wider in block:
            # Not in place: the map before the activation may be what is asked for.
            modules += [nn.Conv2d(channels, wider, 3, padding=1), nn.ReLU()]
            channels = wider
        modules.append(nn.MaxPool2d(2))
    return modules


def load_vgg(
    layer: str,
    weights: Path | None = None,
    before_activation: bool = False,
    download: bool = True,
) -> VGGFeatures:
    """Return VGG19's features with the weights trained on ImageNet.

    Parameters
    ----------
    layer : str
        "vgg22", "vgg34", "vgg44" or "vgg54"; see `VGGFeatures`.
    weights : Path, optional
        A state dict of torchvision's VGG19 (.pth or .safetensors), or its part up to the layer
        or deeper. Without it, torchvision's own weights: from its cache, else downloaded there.
    before_activation : bool
        See `VGGFeatures`.
    download : bool
        Whether the network may be used.

    Returns
    -------
    VGGFeatures
        On the CPU, frozen.

    Raises
    ------
    InputError
        If the weights cannot be had, are not VGG19's, or do not reach the layer.
    ValueError
        If there is no such layer.
    """
    # The weights that it starts with must not advance the random numbers of a training.
    with torch.random.fork_rng(devices=[]):
        features = VGGFeatures(layer, before_activation)
    state, name = _VGG19.read(weights) if weights is not None else _VGG19.fetch(download)
    _check(state, features, name)
    needed = [key for keys in layers_needed(layer).values() for key in keys]
    features.load_state_dict({key: state[key] for key in needed})
    return features


def read_vgg(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict of VGG19; also one that lies under the key "state_dict".

    Raises
    ------
    InputError
        If there is no such file, or it is damaged, a pickle of more than weights, or another
        network's.
    """
    return _VGG19.read(path)[0]


def reach(state: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which of the four layers a state dict reaches, from "vgg22" to "vgg54"."""
    return tuple(
        layer
        for layer in LAYERS
        if all(key in state for keys in layers_needed(layer).values() for key in keys)
    )


def _check(state: Mapping[str, Any], features: VGGFeatures, name: str) -> None:
    """Refuse a state dict that does not reach the layer, or whose weights cannot be right."""
    layer, own = features.layer, features.state_dict()
    reached = ""
    for convolution, keys in layers_needed(layer).items():
        if not all(key in state for key in keys):
            last = list(layers_needed(layer))[-1]
            shallower = reach(state)
            other = f"choose --content {shallower[-1]} or " if shallower else ""
            raise InputError(
                f"{name} reaches only {reached or 'no convolution'}, but {layer} needs {last}: "
                f"{other}give the full file."
            )
        reached = convolution
        check_tensors(state, {key: own[key] for key in keys}, name, "VGG19")
