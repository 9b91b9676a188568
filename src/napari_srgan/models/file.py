"""The model file: weights and their card in one safetensors file.

A file is data only: nothing in it can execute. The card lies in its header as JSON under
`napari_srgan`, so that a list of models can be made without reading a weight.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_srgan.errors import InputError
from napari_srgan.io import schema
from napari_srgan.io.atomic import whole_file
from napari_srgan.models.architectures import ARCHITECTURES, build
from napari_srgan.models.card import Card

if TYPE_CHECKING:
    from torch import nn

    from napari_srgan.models.architectures.generator import Generator

SUFFIX = ".safetensors"
_KEY = "napari_srgan"
_LARGEST_HEADER = 2**20  # bytes: some 10,000 weights, ten times as many as RRDBNet's
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8}  # I64: batch norm counts steps


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


Shapes = dict[str, tuple[int, ...]]
"""Of the weights, by their names."""


def read_card(path: Path) -> Card:
    """Read the card from a file's header.

    A file that has not changed is not read again: a window asks for all cards at every move.

    Raises
    ------
    InputError
        If the file is not a model of this program, or smaller than the weights that it lists.
    """
    try:
        found = path.stat()
    except OSError:
        return _read_header(path)[0]  # which says what is wrong
    return _card(path, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=256)
def _card(path: Path, *_state: int) -> Card:
    return _read_header(path)[0]


def _read_header(path: Path) -> tuple[Card, Shapes]:
    """Read the card, and what the weights are called and shaped; no weight is read."""
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no file")  # opening a pipe would wait for ever
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
            if length > _LARGEST_HEADER:
                raise ValueError(f"its header is longer than {_LARGEST_HEADER} bytes")
            file.seek(8)
            header = schema.mapping(schema.from_json(file.read(length)))
        metadata = header.pop("__metadata__", None)
        if not isinstance(metadata, dict) or not isinstance(metadata.get(_KEY), str):
            raise InputError(
                f"{path.name} holds weights without a card, so it is not a napari-srgan model."
            )
        try:
            card = Card.from_json(metadata[_KEY])
        except ValueError as error:
            raise ValueError(f"in its card, {error}") from None
        return card, _shapes(header, size - 8 - length)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path.name} is not a model file of napari-srgan, or is damaged ({error})."
        ) from error


def _shapes(header: dict[str, Any], size: int) -> Shapes:
    """Read the shapes of all weights; ValueError if they need more than so many bytes."""
    read: dict[str, schema.Reader[Any]] = {
        "dtype": schema.one_of(_BYTES),
        "shape": schema.several(schema.whole(1, 2**40)),
        "data_offsets": schema.several(schema.whole(0, size), 2),
    }
    shapes: Shapes = {}
    for name, about in header.items():
        try:
            found = schema.fields_of(about, read, read)
        except ValueError as error:
            raise ValueError(f"of its weight {schema.shown(name)}, {error}") from None
        shapes[name] = found["shape"]
        size -= _BYTES[found["dtype"]] * math.prod(found["shape"])
        if size < 0:
            raise ValueError("the file is smaller than the weights that it lists")
    return shapes


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
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        reason = str(error).splitlines()[0][: schema.LONGEST]
        raise InputError(f"The card of {card.name} describes no valid network: {reason}") from error
    if (network.channels, network.scale) != (card.channels, card.scale):
        raise InputError(f"The card of {card.name} contradicts its own network parameters.")
    return network


def untrained(path: Path) -> Generator:
    """Build the network of a model file with random weights.

    Its card is held against the names and shapes of the weights in the file first, so that no more
    is built than the file holds.

    Raises
    ------
    InputError
        If the file is no model, or its card does not describe its weights.
    """
    from napari_srgan.models.architectures.outline import outline

    card, shapes = _read_header(path)
    with outline(len(shapes)):
        described = {k: tuple(v.shape) for k, v in build_network(card).state_dict().items()}
    if described != shapes:
        other = next(k for k in sorted(described | shapes) if described.get(k) != shapes.get(k))
        raise InputError(
            f"The model file {path.name} is damaged: its weights are not those that its card "
            f"describes ({schema.shown(other)} differs)."
        )
    return build_network(card)


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
    card, network = read_card(path), untrained(path)
    try:
        weights = load_file(path)
        # Weights may be stored in float16 for size; the network computes in float32.
        weights = {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
        network.load_state_dict(weights)
    except (SafetensorError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0].rsplit("header: ", 1)[-1].rstrip(":")
        reason = reason[: schema.LONGEST]
        raise InputError(f"The model file {path.name} is damaged: {reason}.") from error
    if not all(torch.isfinite(v).all() for v in weights.values() if v.is_floating_point()):
        raise InputError(f"The model file {path.name} is damaged: some weights are not finite.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Model(card, network.eval().requires_grad_(False), digest, path)
