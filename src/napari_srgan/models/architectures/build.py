"""From the name of an architecture and its parameters, as a model's card has them, to a network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_srgan.models.architectures.rrdb import RRDBNet
from napari_srgan.models.architectures.srresnet import SRResNet

Generator = SRResNet | RRDBNet
"""A network that super-resolves: (N, C, Y, X) in [0, 1] to (N, C, sy * Y, sx * X).

It has the attributes `channels` and `scale`, and the parts `head`, `body`, `upsample`, `tail`.
"""

ARCHITECTURES: Mapping[str, type[Generator]] = {"srresnet": SRResNet, "rrdb": RRDBNet}


def build(architecture: str, parameters: Mapping[str, Any]) -> Generator:
    """Build a generator with random weights.

    Parameters
    ----------
    architecture : str
        A key of `ARCHITECTURES`: "srresnet" or "rrdb".
    parameters : mapping
        Keyword arguments of that class.

    Returns
    -------
    Generator
        In training mode, on the CPU, float32.

    Raises
    ------
    ValueError
        If the architecture is unknown, or a parameter has a value that it cannot have.
    TypeError
        If a parameter is unknown, or of the wrong type.
    """
    if architecture not in ARCHITECTURES:
        known = ", ".join(ARCHITECTURES)
        raise ValueError(f"The architecture must be one of {known}, not {architecture}.")
    return ARCHITECTURES[architecture](**parameters)
