"""The model file: weights and their card in one safetensors file.

A file is data only: nothing in it can execute. The card lies in its header as JSON under
`napari_srgan`, so that a list of models can be made without reading a weight.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from napari_srgan.errors import InputError
from napari_srgan.io.atomic import whole_file
from napari_srgan.models.architectures import ARCHITECTURES, build
from napari_srgan.models.card import Card

if TYPE_CHECKING:
    from torch import nn

    from napari_srgan.models.architectures.generator import Generator

SUFFIX = ".safetensors"
_KEY = "napari_srgan"


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model.

    Attributes
    ----------
    card : Card
        What it is.
    network : Generator
        The generator as trained, in eval mode, on the CPU.
    sha256 : str
        Of the file.
    path : Path
        The file.
    """

    card: Card
    network: Generator
    sha256: str
    path: Path


def read_card(path: Path) -> Card:
    """Read the card from a file's header.

    Raises
    ------
    InputError
        If the file is not a model of this program.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(8)
            length = int.from_bytes(start, "little")
            # The header's length may by chance begin like a pickle; its first brace decides.
            is_safetensors = file.read(1) == b"{" and 2 <= length <= size - 8
            if not is_safetensors and (start[:2] == b"PK" or start[:1] == b"\x80"):
                raise InputError(
                    f"{path.name} is a pickled checkpoint, which can run code when loaded, so it "
                    f"is refused; a model is a {SUFFIX} file written by napari-srgan."
                )
            if not is_safetensors:
                raise ValueError("no safetensors header")
            file.seek(8)
            header = json.loads(file.read(length))
        return Card.from_json(header["__metadata__"][_KEY])
    except KeyError as error:
        raise InputError(
            f"{path.name} holds weights without a card, so it is not a napari-srgan model."
        ) from error
    except (OSError, ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path.name} is not a model file of napari-srgan, or is damaged ({error})."
        ) from error


def build_network(card: Card) -> Generator:
    """Build the network that a card describes, with random weights.

    Raises
    ------
    InputError
        If this version does not know the architecture or its parameters.
    """
    if card.architecture not in ARCHITECTURES:
        raise InputError(
            f"The model {card.name} has the architecture '{card.architecture}', which this "
            "version does not know; a newer napari-srgan may."
        )
    try:
        network = build(card.architecture, card.parameters)
    except (TypeError, ValueError) as error:
        raise InputError(f"The card of {card.name} describes no valid network: {error}") from error
    if (network.channels, network.scale) != (card.channels, card.scale):
        raise InputError(f"The card of {card.name} contradicts its own network parameters.")
    return network


def save_model(path: str | Path, network: nn.Module, card: Card) -> Path:
    """Write weights and card to one file, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Where to; an existing file is replaced.
    network : torch.nn.Module
        The network that `build_network` makes from the card, with trained weights.
    card : Card
        Its card.

    Returns
    -------
    Path
        The file.
    """
    from safetensors.torch import save

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    # Not `save_file`, which makes files that only their owner may read.
    with whole_file(path) as partial:
        partial.write_bytes(save(weights, metadata={_KEY: card.to_json()}))
    return path


@dataclass(frozen=True, slots=True)
class _Version:
    """A file as it was at one time: one that is trained anew is read anew."""

    path: Path
    modified: int


def load(path: Path) -> Model:
    """Load a model file, once: as long as it does not change, the same object is returned.

    Raises
    ------
    InputError
        If the file is damaged, a pickle, or of another kind.
    """
    path = path.resolve()
    return _load(_Version(path, path.stat().st_mtime_ns))


@lru_cache(maxsize=8)
def _load(version: _Version) -> Model:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = version.path
    card = read_card(path)
    network = build_network(card)
    try:
        weights = load_file(path)
        # Weights may be stored in float16 for size; the network computes in float32.
        weights = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
        network.load_state_dict(weights)
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0].rsplit("header: ", 1)[-1].rstrip(":")
        raise InputError(f"The model file {path.name} is damaged: {reason}.") from error
    if not all(torch.isfinite(v).all() for v in weights.values() if v.is_floating_point()):
        raise InputError(f"The model file {path.name} is damaged: some weights are not finite.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Model(card, network.eval().requires_grad_(False), digest, path)
