"""The weights of torchvision's ImageNet networks: from a file, its cache, or its download.

Never from chance: features of an untrained network look like a distance and are none. Nothing that
could execute code is loaded.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch

from napari_srgan.errors import InputError

_TIMEOUT = 30.0  # seconds without an answer, after which a download has failed


@dataclass(frozen=True, slots=True)
class Trained:
    """A network of torchvision as far as its convolutions.

    Attributes
    ----------
    title : str
        As torchvision spells it: "VGG19", "AlexNet".
    convolutions : collection of int
        Their places in its `features`.
    instead : str
        What a person can do without its weights, the end of sentences.
    """

    title: str
    convolutions: Collection[int]
    instead: str

    def read(self, path: Path) -> tuple[dict[str, torch.Tensor], str]:
        """Read a state dict, also one that lies under the key "state_dict".

        Parameters
        ----------
        path : Path
            .pth or .safetensors.

        Returns
        -------
        state : dict of str to Tensor
            Of the network or a part of it; what is in the tensors is not looked at.
        name : str
            What messages call the file.

        Raises
        ------
        InputError
            If there is no such file, or it is damaged, a pickle of more than weights, or another
            network's.
        """
        path = Path(path)
        name = f"The file {path.name}"
        state = read_state(path, self.title, self.instead)
        known = {f"features.{index}.weight" for index in self.convolutions}
        for key in state:
            if key.startswith("features.") and key.endswith(".weight") and key not in known:
                raise InputError(
                    f"{name} is of another network than {self.title}, which has no {key}: "
                    f"{self.instead}."
                )
        return state, name

    def fetch(self, download: bool) -> tuple[dict[str, torch.Tensor], str]:
        """Return torchvision's own weights, and what messages call them; see `read`.

        Parameters
        ----------
        download : bool
            Whether the network may be used where they are not in torchvision's cache.

        Raises
        ------
        InputError
            If they cannot be had.
        """
        try:
            models = import_module("torchvision.models")
            known = getattr(models, f"{self.title}_Weights").IMAGENET1K_V1
        # A torchvision that does not fit the torch beside it fails with RuntimeError.
        except (ImportError, RuntimeError) as error:
            raise InputError(
                f"{self.title}'s weights come with torchvision, which is not installed (pip "
                f"install 'napari-srgan[train]'): install it, {self.instead}."
            ) from error
        cached = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(known.url).path).name
        if cached.is_file():
            return self.read(cached)
        if not download:
            raise InputError(
                f"{self.title}'s weights have not been downloaded yet: {self.instead}."
            )
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
                f"{self.title}'s weights could not be downloaded ({reason}): {self.instead}, or "
                "run this once where there is a network, which keeps them."
            ) from error
        return self.read(cached)


def read_state(path: Path, title: str, instead: str) -> dict[str, torch.Tensor]:
    """Read a state dict that has `features` of whatever network.

    Parameters
    ----------
    path : Path
    title, instead : str
        For messages, see `Trained`.

    Raises
    ------
    InputError
        If there is no such file, or it is damaged, a pickle of more than weights, or no such state.
    """
    name = f"The file {path.name}"
    if not path.is_file():
        raise InputError(f"There is no file {path}: {instead}.")
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
            f"which is refused; give a state dict of torchvision's {title} saved by torch, or a "
            ".safetensors file."
        ) from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or "features.0.weight" not in state:
        raise InputError(
            f"{name} holds no weights of {title}, which begin with the key features.0.weight: "
            f"{instead}."
        )
    return {str(key): value for key, value in state.items()}


def check_tensors(
    state: Mapping[str, Any], own: Mapping[str, torch.Tensor], name: str, title: str
) -> None:
    """Refuse a state dict in which tensors have other shapes than `own`, or are not numbers."""
    for key, expected in own.items():
        value = state[key]
        shape = tuple(value.shape) if isinstance(value, torch.Tensor) else type(value).__name__
        if shape != tuple(expected.shape):
            raise InputError(
                f"{name} is not {title}: {key} is {shape}, not {tuple(expected.shape)}."
            )
        if not value.is_floating_point() or not bool(torch.isfinite(value).all()):
            raise InputError(f"{name} is damaged: values of {key} are not finite numbers.")


@contextmanager
def _no_endless_wait() -> Iterator[None]:
    """Let connections fail that do not answer: torch.hub sets no limit of its own."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
