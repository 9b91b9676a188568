"""The card of a model: what it is, what it was trained on and how good it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from napari_srgan.image.geometry import Scale, plain_scale, scale_text
from napari_srgan.image.stack import Stack
from napari_srgan.image.units import convert
from napari_srgan.io import schema

Role = Literal["fidelity", "perceptual", "restoration"]
ROLES: tuple[Role, ...] = ("fidelity", "perceptual", "restoration")

ALIKE = 2.0
"""How many times a pixel may be larger or smaller than those that a model was trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What a model is, what it was trained on and how good it is.

    Attributes
    ----------
    name : str
        As it appears in lists, for example "srresnet-gray".
    architecture : str
        A key of `architectures.ARCHITECTURES`, for example "srresnet".
    parameters : dict
        Keyword arguments of the architecture.
    channels : int
        1 for grayscale, 3 for RGB.
    scale : Scale
        How many times Y and X grow.
    role : {"fidelity", "perceptual", "restoration"}
        True to the measured data, as far as pixel losses make it so; sharp, with detail that an
        adversary took for real; or trained on measured pairs, to take noise away as well.
    purpose : str
        One line: what to use it for.
    degradation : str
        Name of the operator that made its LR images; "measured" if they were measured too.
    pixel_size : (float, float) or None
        Along Y and X, micrometres, of the LR images that it was trained on: what an input's
        should be like. None if it is not known.
    pixel_range : ((float, float), (float, float)) or None
        The smallest and the largest pixel along Y, and along X, of those LR images whose size is
        known, micrometres; they may differ too much for a `pixel_size`. None if none is known.
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
    scale: Scale
    role: Role = "fidelity"
    purpose: str = ""
    degradation: str = "bicubic"
    pixel_size: tuple[float, float] | None = None
    pixel_range: tuple[tuple[float, float], tuple[float, float]] | None = None
    trained_on: tuple[str, ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    validation: tuple[Mapping[str, Any], ...] = ()
    limits: str = ""
    date: str = ""
    tool_version: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the card ready for JSON, without what follows from the rest of it.

        So the card of a square model whose role an old file would imply, and whose pixel size is
        not known, is written as earlier versions wrote it, and they can read it.
        """
        values = asdict(self) | {"scale": plain_scale(self.scale)}
        if self.role == _implied_role(values):
            del values["role"]
        for key in ("pixel_size", "pixel_range"):
            if values[key] is None:
                del values[key]
        return values

    def to_json(self) -> str:
        """Return the card as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Card:
        """Read a card; unknown keys of later versions are ignored.

        Raises
        ------
        ValueError
            If the text is no JSON object, lacks a required key, or a value is not what its key
            stands for.
        """
        values = schema.fields_of(schema.from_json(text), _FIELDS, _REQUIRED)
        values.setdefault("role", _implied_role(values))
        return cls(**values)


def card_rows(card: Card) -> list[tuple[str, str]]:
    """Say for people what a card states, under a head each; lists have an item a line."""
    figures = [text for entry in card.validation if (text := _figures_text(entry))]
    size = card.pixel_size
    size_text = f"{size[0]:.3g} x {size[1]:.3g} µm (Y x X)" if size else ""
    rows = [
        ("For", card.purpose),
        ("Kind", f"{_ROLE_WORDS[card.role]}; {card.architecture}, degradation {card.degradation}"),
        ("Images", {1: "gray", 3: "RGB"}.get(card.channels, f"{card.channels} channels")),
        ("Scale", scale_text(card.scale)),
        ("Pixel size", _sizes_text(card) or size_text),
        ("Trained on", "\n".join(card.trained_on) or "not stated, and so are the terms of use"),
        ("Measured", "\n".join(figures) or "no figures are stated"),
        ("Limits", card.limits),
        ("Made", " with napari-srgan ".join(filter(None, (card.date, card.tool_version)))),
    ]
    return [(head, text) for head, text in rows if text]


def _sizes_text(card: Card) -> str:
    """Write the range of the pixels that the model learned from; "" if there is none."""
    if card.pixel_range is None or all(low == high for low, high in card.pixel_range):
        return ""
    y, x = (f"{low:.3g} to {high:.3g}" for low, high in card.pixel_range)
    return f"{y} µm (Y), {x} µm (X), where it is known"


_ROLE_WORDS: Mapping[Role, str] = {
    "fidelity": "true to the measured data",
    "perceptual": "sharp, and invents fine detail",
    "restoration": "takes noise away, trained on measured pairs",
}


def _figures_text(entry: Mapping[str, Any]) -> str:
    """Write a validation entry; its PSNR and SSIM stand before those of bicubic."""
    parts = []
    for name, digits, unit in (("psnr", 2, " dB"), ("ssim", 3, "")):
        value, bicubic = entry.get(name), entry.get(f"{name}_bicubic")
        # A card is somebody's file: figures may be missing, or null.
        if isinstance(value, int | float):
            beside = f" (bicubic {bicubic:.{digits}f})" if isinstance(bicubic, int | float) else ""
            parts.append(f"{name.upper()} {value:.{digits}f}{unit}{beside}")
    return f"{entry.get('set', 'its own images')}: {', '.join(parts)}" if parts else ""


def _implied_role(values: Mapping[str, Any]) -> Role:
    """Say what a card without a role, as earlier versions wrote it, tells of the model's role."""
    if values.get("degradation") == "measured":
        return "restoration"
    training = values.get("training")
    phase = training.get("phase") if isinstance(training, Mapping) else None
    return "perceptual" if phase == "adversarial" else "fidelity"


def _name(value: Any) -> str:
    """Read a model's name, of which names of files are made."""
    name = schema.line(value)
    if not name or set(name) & set("/\\"):
        raise ValueError(f"must be a name without slashes, not {schema.shown(value)}")
    return name


def _pixel_size(value: Any) -> tuple[float, float]:
    y, x = schema.several(schema.number, 2)(value)
    if min(y, x) <= 0:
        raise ValueError(f"must be two lengths above 0, not {schema.shown(value)}")
    return y, x


def _pixel_range(value: Any) -> tuple[tuple[float, float], tuple[float, float]]:
    y, x = schema.several(_pixel_size, 2)(value)
    if y[0] > y[1] or x[0] > x[1]:
        raise ValueError(f"must be two ranges of lengths, not {schema.shown(value)}")
    return y, x


def _parameters(value: Any) -> dict[str, Any]:
    return {schema.line(k): schema.scalar(v) for k, v in schema.mapping(value).items()}


def _range(value: Any) -> list[float]:
    low, high = schema.several(schema.number, 2)(value)
    if not 0 <= low <= high:
        raise ValueError(f"must be a range from 0 up, not {schema.shown(value)}")
    return [low, high]


def _training(value: Any) -> dict[str, Any]:
    return schema.mapping(value) | schema.fields_of(value, _TRAINING)


def _figures(value: Any) -> dict[str, Any]:
    """Read an entry of the validation: its figures and texts; null where one is not defined."""
    known = schema.mapping(value).items()
    return {k: schema.scalar(v) for k, v in known if not isinstance(v, dict | list)}


_REQUIRED = ("name", "architecture", "parameters", "channels", "scale")
_FIELDS: Mapping[str, schema.Reader[Any]] = {
    "name": _name,
    "architecture": schema.line,
    "parameters": _parameters,
    "channels": schema.whole(1, 64),
    "scale": schema.scale,
    "role": schema.one_of(ROLES),
    "purpose": schema.prose,
    "degradation": schema.line,
    "pixel_size": schema.optional(_pixel_size),
    "pixel_range": schema.optional(_pixel_range),
    "trained_on": schema.several(schema.prose),
    "training": _training,
    "validation": schema.several(_figures),
    "limits": schema.prose,
    "date": schema.line,
    "tool_version": schema.line,
}
_TRAINING: Mapping[str, schema.Reader[Any]] = {
    # What others than the reader of a card go by.
    "blur": _range,
    "speckle": _range,
    "noise": _range,
    "flips": schema.line,
    "init": schema.prose,
    "phase": schema.line,
}


def micrometres(stack: Stack) -> tuple[float, float] | None:
    """Return the pixel size of a stack along Y and X in micrometres; None if it is not known."""
    letters = stack.axes.replace("S", "")
    size = []
    for axis in "YX":
        at = letters.index(axis)
        length = convert(abs(stack.scale[at]), stack.units[at], "micrometer")
        if not length:
            return None
        size.append(length)
    return size[0], size[1]


def pixel_size_warning(card: Card, stack: Stack) -> str:
    """Say so if the pixels of an image are of another size than those the model learned from.

    Returns
    -------
    str
        A sentence; empty if they differ by no more than a factor of 2, or one of the sizes is not
        known.
    """
    own, known = micrometres(stack), card.pixel_size
    if own is None or known is None:
        return ""
    if all(1 / ALIKE <= a / b <= ALIKE for a, b in zip(own, known, strict=True)):
        return ""
    return (
        f"The pixels of {stack.name} are {own[0]:.3g} x {own[1]:.3g} µm (Y x X) and those that the "
        f"model {card.name} was trained on {known[0]:.3g} x {known[1]:.3g} µm; structures of "
        "another size may be restored less well."
    )
