"""Where a recipe comes from: a preset, and a file or options over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError, did_you_mean
from napari_srgan.io import schema
from napari_srgan.models.catalogue import Card, fidelity_for, find_model
from training.recipe import Recipe

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # The defaults of `Recipe`: a fidelity model and an SRGAN from it.
    "default": {},
    # Ledig et al., arXiv 1609.04802v5, section 3.2. Flips and averaged weights are not in it.
    "paper": {
        "batch_norm": True,
        "initialisation": "he",
        "discriminator": "dense",
        "pretrain_steps": 1_000_000,
        "learning_rate": 1e-4,
        "schedule": "constant",
        "pixel_loss": "mse",
        "adversarial_steps": 200_000,
        "adversarial_schedule": "step",
        "warmup": 0,
        "ema": 0.0,
        "flips": "none",
        "validate_every": 10_000,
        "checkpoint_every": 2000,
    },
    # Shows within minutes, on any computer, whether everything is in place.
    "quick": {
        "blocks": 4,
        "features": 24,
        "discriminator_features": 16,
        "pretrain_steps": 400,
        "learning_rate": 1e-3,
        "adversarial_steps": 100,
        "content": "none",
        "batch": 8,
        "crop": (64,),
        "warmup": 50,
        "ema": 0.99,
        "val_planes": 4,
        "validate_every": 200,
        "checkpoint_every": 100,
        "log_every": 20,
    },
    # Carries a trained model over to one's own scans.
    "finetune": {
        "init": "auto",
        "pretrain_steps": 3000,
        "learning_rate": 5e-5,
        "adversarial_steps": 0,
        "adversarial_learning_rate": 2e-5,
        "validate_every": 500,
    },
}


def read_recipe(path: Path) -> dict[str, Any]:
    """Read the fields that a TOML file sets.

    Raises
    ------
    InputError
        If the file cannot be read or sets something that is no field of a recipe.
    """
    try:
        values = schema.from_toml(schema.content(path).decode("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"The recipe {path} cannot be read: {str(error)[: schema.LONGEST]}."
        ) from error
    known = {f.name for f in fields(Recipe)}
    for key in values:
        if key not in known:
            raise InputError(
                f"The recipe {path} sets {schema.shown(key)}, which is no field of a recipe"
                f"{did_you_mean(key[: schema.LONGEST], known)}."
            )
    return from_plain(values)


def from_plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn the lists of TOML and JSON into the tuples of a recipe."""
    lists = {f.name for f in fields(Recipe) if isinstance(f.default, tuple)}
    turned = dict(values)
    for key in lists & set(turned):
        value = turned[key]
        # One crop size may stand without brackets.
        turned[key] = tuple(value) if isinstance(value, list | tuple) else (value,)
        if key == "trained_on" and isinstance(value, str):
            turned[key] = value  # left for the check: a sentence is no list of letters
    return turned


def compose(preset: str, by_hand: Mapping[str, Any]) -> Recipe:
    """Return the recipe of a preset, and what a recipe file or options set over it.

    Raises
    ------
    InputError
        If there is no such preset, or the whole makes no sense.
    """
    if preset not in PRESETS:
        raise InputError(f"There is no preset '{preset}'; known are {', '.join(PRESETS)}.")
    return Recipe(**{**PRESETS[preset], **by_hand})


def with_init(values: Recipe, channels: int, by_hand: Mapping[str, Any]) -> tuple[Recipe, Path]:
    """Let a recipe that starts from a model describe that model's network.

    Parameters
    ----------
    values : Recipe
        With `init` set; "auto" is the bundled fidelity model of as many channels.
    channels : int
        Of the scans, 1 or 3.
    by_hand : mapping
        What the user set; a contradiction to the model is refused.

    Returns
    -------
    recipe : Recipe
    path : Path
        The model's file.

    Raises
    ------
    InputError
        If there is no such model, or it does not fit the scans or the options.
    """
    info = fidelity_for(channels) if values.init == "auto" else find_model(values.init)
    own = _network(info.card)
    if own["channels"] != channels and by_hand.get("channels") != own["channels"]:
        kinds = {1: "grayscale", 3: "RGB"}
        raise InputError(
            f"The model {info.card.name} is for {kinds[own['channels']]} images but the scans are "
            f"{kinds[channels]}; start from another with --init."
        )
    for key, value in own.items():
        if by_hand.get(key, value) != value:
            raise InputError(
                f"--init {info.card.name} has {key} {value}, not {by_hand[key]}; leave that out of "
                "options and recipe file, or start without --init."
            )
    # As a run that is resumed before its first checkpoint finds it from any folder.
    init = str(info.path.resolve()) if Path(values.init).is_file() else info.card.name
    return Recipe(**{**values.to_dict(), **own, "init": init}), info.path


def _network(card: Card) -> dict[str, Any]:
    names = {f.name for f in fields(Recipe)}
    own = {k: v for k, v in card.parameters.items() if k in names}
    return {"generator": card.architecture, **own}
