"""The recipe: every choice of a training in one frozen dataclass, with its unit and source."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train a generator.

    The paper is Ledig et al., arXiv 1609.04802v5, section 3.2. Where a default differs from it,
    the reason stands in docs/training.md.
    """

    name: str = field(default="my-model", metadata={"help": "name of the model, as in lists"})
    purpose: str = field(default="", metadata={"help": "one line for the card: what it is for"})
    trained_on: tuple[str, ...] = field(
        default=(), metadata={"help": "for the card: the data, each with its terms"}
    )
    limits: str = field(
        default="Not validated for diagnosis. Fine detail is estimated, not measured.",
        metadata={"help": "for the card: known failures, what it must not be used for"},
    )

    channels: int = field(default=1, metadata={"help": "1 for grayscale, 3 for RGB"})
    scale: int = field(default=4, metadata={"help": "how many times Y and X grow: 2, 4 or 8"})
    blocks: int = field(default=16, metadata={"help": "residual blocks (paper: 16)"})
    features: int = field(default=64, metadata={"help": "feature channels (paper: 64)"})
    batch_norm: bool = field(default=True, metadata={"help": "batch norm in the blocks (paper)"})

    degradation: str = field(default="bicubic", metadata={"help": "how LR is made from HR"})
    loss: str = field(default="mse", metadata={"help": "pixel loss: mse (paper) or l1"})
    steps: int = field(default=20_000, metadata={"help": "optimiser steps (paper: 1e6)"})
    batch: int = field(default=16, metadata={"help": "crops a step (paper: 16)"})
    crop: int = field(default=96, metadata={"help": "side of an HR crop, px (paper: 96)"})
    learning_rate: float = field(default=1e-4, metadata={"help": "of Adam (paper: 1e-4)"})
    schedule: str = field(
        default="constant", metadata={"help": "learning rate: constant (paper) or cosine to 0"}
    )
    flips: str = field(
        default="auto",
        metadata={
            "help": "none, lateral (OCT: depth has a direction), all eight symmetries, or "
            "auto: lateral for grayscale, all for RGB"
        },
    )
    val_fraction: float = field(
        default=0.1, metadata={"help": "share of the files kept for validation without --val"}
    )
    validate_every: int = field(default=1000, metadata={"help": "steps between validations"})
    seed: int = field(default=0, metadata={"help": "of weights, crops and flips"})

    def __post_init__(self) -> None:
        for f in fields(self):
            value, wanted = getattr(self, f.name), type(f.default)
            if type(value) not in ((int, float) if wanted is float else (wanted,)):
                kind = "list" if wanted is tuple else wanted.__name__
                raise InputError(f"{f.name} must be of the type {kind}, not {value!r}.")
        choices = {
            "channels": (1, 3),
            "scale": (2, 4, 8),
            "loss": ("mse", "l1"),
            "schedule": ("constant", "cosine"),
            "flips": ("auto", "none", "lateral", "all"),
        }
        for key, allowed in choices.items():
            if getattr(self, key) not in allowed:
                raise InputError(
                    f"{key} must be one of {', '.join(map(str, allowed))}, "
                    f"not {getattr(self, key)!r}."
                )
        for key in ("blocks", "features", "steps", "batch", "crop", "validate_every"):
            if getattr(self, key) < 1:
                raise InputError(f"{key} must be at least 1, not {getattr(self, key)}.")
        if self.learning_rate <= 0:
            raise InputError(f"learning_rate must be positive, not {self.learning_rate}.")
        if not 0 < self.val_fraction < 1:
            raise InputError(f"val_fraction must be between 0 and 1, not {self.val_fraction}.")
        if self.crop % self.scale or self.crop < 8 * self.scale:
            raise InputError(
                f"crop must be a multiple of the scale and at least {8 * self.scale} px at "
                f"{self.scale}x, not {self.crop}."
            )

    @property
    def network_parameters(self) -> dict[str, Any]:
        """Keyword arguments of the generator."""
        keys = ("channels", "blocks", "features", "scale", "batch_norm")
        return {key: getattr(self, key) for key in keys}

    def to_dict(self) -> dict[str, Any]:
        """Return every field by name, ready for JSON."""
        return asdict(self)


def read_recipe(path: Path) -> dict[str, Any]:
    """Read the fields that a TOML file sets.

    Raises
    ------
    InputError
        If the file cannot be read or sets something that is no field of a recipe.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The recipe {path} cannot be read: {error}.") from error
    known = {f.name for f in fields(Recipe)}
    for key in values:
        if key not in known:
            raise InputError(f"The recipe {path} sets '{key}', which is no field of a recipe.")
    if isinstance(values.get("trained_on"), list):
        values["trained_on"] = tuple(values["trained_on"])
    return values
