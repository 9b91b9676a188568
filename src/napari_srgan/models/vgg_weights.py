"""Where the trained weights of VGG19 come from: a file, torchvision's cache, or its download.

Never random ones: features of an untrained network look like a loss and are none. Nothing that
could execute code is loaded.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch

from napari_srgan.errors import InputError
from napari_srgan.models.vgg import LAYERS, VGGFeatures, convolutions, layers_needed

_INSTEAD = (
    "give the weights of torchvision's VGG19 with --vgg-weights FILE, or choose --content none"
)
_TIMEOUT = 30.0  # seconds without an answer, after which a download has failed


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
    state, name = _read(weights) if weights is not None else _of_torchvision(download)
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
    return _read(path)[0]


def reach(state: Mapping[str, Any]) -> tuple[str, ...]:
    """Say which of the four layers a state dict reaches, from "vgg22" to "vgg54"."""
    return tuple(
        layer
        for layer in LAYERS
        if all(key in state for keys in layers_needed(layer).values() for key in keys)
    )


def _read(path: Path) -> tuple[dict[str, torch.Tensor], str]:
    """Return the state dict of a file, and what messages call it."""
    path = Path(path)
    name = f"The file {path.name}"
    if not path.is_file():
        raise InputError(f"There is no file {path}: {_INSTEAD}.")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError as error:
        raise InputError(f"{name} may not be read: {error.strerror}.") from error
    except MemoryError:
        raise
    # A damaged pickle can raise nearly anything.
    except Exception as error:
        raise InputError(
            f"{name} cannot be read as weights: it is damaged, or a pickle that could run code, "
            "which is refused; give a state dict of torchvision's VGG19 saved by torch, or a "
            ".safetensors file."
        ) from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or "features.0.weight" not in state:
        raise InputError(
            f"{name} holds no weights of VGG19, which begin with the key features.0.weight: "
            f"{_INSTEAD}."
        )
    known = {f"features.{index}.weight" for index in convolutions().values()}
    for key in state:
        if str(key).startswith("features.") and str(key).endswith(".weight") and key not in known:
            raise InputError(
                f"{name} is of another network than VGG19, which has no {key}: {_INSTEAD}."
            )
    return dict(state), name


def _of_torchvision(download: bool) -> tuple[dict[str, torch.Tensor], str]:
    """Return torchvision's weights, and what messages call them."""
    try:
        from torchvision.models import VGG19_Weights
    # A torchvision that does not fit the torch beside it fails with RuntimeError.
    except (ImportError, RuntimeError) as error:
        raise InputError(
            "VGG19's weights come with torchvision, which is not installed (pip install "
            f"'napari-srgan[train]'): install it, {_INSTEAD}."
        ) from error
    known = VGG19_Weights.IMAGENET1K_V1
    cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(known.url).path).name
    if cached.is_file():
        return _read(cached)
    if not download:
        raise InputError(f"VGG19's weights have not been downloaded yet: {_INSTEAD}.")
    try:
        with _no_endless_wait():
            known.get_state_dict(
                progress=sys.stderr.isatty(),
                check_hash=True,
                map_location="cpu",
                weights_only=True,
            )
    except (OSError, HTTPException, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"VGG19's weights could not be downloaded ({reason}): {_INSTEAD}, or run this once "
            "where there is a network, which keeps them."
        ) from error
    return _read(cached)


@contextmanager
def _no_endless_wait() -> Iterator[None]:
    """Let connections fail that do not answer: torch.hub sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


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
        for key in keys:
            value = state[key]
            shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
            if shape != tuple(own[key].shape):
                raise InputError(
                    f"{name} is not VGG19: {key} is {shape}, not {tuple(own[key].shape)}."
                )
            if not value.is_floating_point() or not bool(torch.isfinite(value).all()):
                raise InputError(f"{name} is damaged: values of {key} are not finite numbers.")
