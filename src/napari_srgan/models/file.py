"""The model file: weights and their card in one safetensors file.

A file is data only: nothing in it can execute. The card lies in its header as JSON under
`napari_srgan`, so that a list of models can be made without reading a weight.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_srgan.errors import InputError
from napari_srgan.io.atomic import whole_file

if TYPE_CHECKING:
    from torch import nn

    from napari_srgan.models.architectures.build import Generator

SUFFIX = ".safetensors"
_KEY = "napari_srgan"


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a model is, what it was trained on and how good it is.

    Attributes
    ----------
    name : str
        As it appears in lists, for example "srresnet-gray".
    architecture : str
        "srresnet" or "rrdb".
    parameters : dict
        Keyword arguments of the architecture.
    channels : int
        1 for grayscale, 3 for RGB.
    scale : int
        How many times Y and X grow.
    purpose : str
        One line: what to use it for.
    degradation : str
        Name of the operator that made its LR images; "measured" if they were measured too.
    trained_on : tuple of str
        The data, each with its terms.
    training : dict
        Recipe and number of steps.
    validation : tuple of dict
        One entry a validation set: "set", "images", "psnr", "psnr_bicubic", "ssim",
        "ssim_bicubic"; PSNR in dB.
    limits : str
        Known failures and what the model must not be used for.
    date : str
        Of the training, ISO 8601.
    tool_version : str
        Version of napari-srgan that wrote it.
    """

    name: str
    architecture: str
    parameters: Mapping[str, Any]
    channels: int
    scale: int
    purpose: str = ""
    degradation: str = "bicubic"
    trained_on: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    validation: tuple[Mapping[str, Any], ...] = ()
    limits: str = ""
    date: str = ""
    tool_version: str = ""

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read a card; unknown keys of later versions are ignored.

        Raises
        ------
        ValueError
            If the text is no JSON object or lacks a required key.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("the card is not a JSON object")
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in values.items() if k in known}
        for key in ("trained_on", "validation"):
            values[key] = tuple(values.get(key, ()))
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError("the card is not complete") from error


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
    from napari_srgan.models.architectures.build import ARCHITECTURES, build

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


@lru_cache(maxsize=8)
def load_file(path: Path, modified: int) -> Model:
    """Load a model file; `modified` is its time of modification in ns.

    Raises
    ------
    InputError
        If the file is damaged, a pickle, or of another kind.
    """
    del modified  # part of the cache's key, so that a file trained anew is read anew
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

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
