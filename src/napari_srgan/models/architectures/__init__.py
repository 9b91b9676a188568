"""The generators: one file each, named here. To read the list imports no torch.

A new one is a file beside these with a subclass of `generator.Generator`, and a line in
`ARCHITECTURES`; the recipe of a training and the loading of models follow from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from napari_srgan.models.architectures.generator import Generator


@dataclass(frozen=True, slots=True)
class Architecture:
    """A generator, as it can be listed without loading it.

    Attributes
    ----------
    class_name : str
        In the file that is named as the architecture.
    title : str
        What it is, in a few words.
    parameters : tuple of str
        Its keyword arguments beside channels, blocks, features and scale.
    scales : tuple of int
        How many times it can make Y and X finer.
    """

    class_name: str
    title: str
    parameters: tuple[str, ...] = ()
    scales: tuple[int, ...] = (2, 3, 4, 8)


ARCHITECTURES: Mapping[str, Architecture] = {
    "srresnet": Architecture("SRResNet", "SRGAN's", ("batch_norm",)),
    "plain": Architecture(
        "Plain", "3x3 convolutions only, the fastest", ("activation", "branches", "lateral")
    ),
    "rrdb": Architecture("RRDBNet", "ESRGAN's: dense blocks without batch norm", ("growth",)),
    "edsr": Architecture("EDSR", "residual blocks without batch norm", ("residual_scale",)),
    "rcan": Architecture("RCAN", "attention to channels; sees planes whole", ("groups",)),
}


def build(architecture: str, parameters: Mapping[str, Any]) -> Generator:
    """Build a generator with random weights.

    Parameters
    ----------
    architecture : str
        A key of `ARCHITECTURES`.
    parameters : mapping
        Keyword arguments of its class.

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
    module = import_module(f"{__name__}.{architecture}")
    made = getattr(module, ARCHITECTURES[architecture].class_name)(**parameters)
    return cast("Generator", made)
