"""`napari-srgan models`: what is installed and how good it is; a model's card; adding one."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from textwrap import fill
from typing import Any

from napari_srgan.cli.arguments import EXIT_OK
from napari_srgan.cli.terminal import printable, say, table, tell
from napari_srgan.errors import InputError
from napari_srgan.models.card import Card, card_rows

_WIDTH = 80


def add(commands: Any) -> None:
    """Describe the command."""
    models = commands.add_parser("models", help="list the models that are installed, or add one")
    models.add_argument("--json", action="store_true", help="print one JSON line per model")
    actions = models.add_subparsers(dest="action", metavar="[show MODEL | add FILE]")
    show = actions.add_parser("show", help="print the card of a model, be it in the list or a file")
    show.add_argument("model", metavar="MODEL", help="name or file of a model")
    more = actions.add_parser("add", help="add a model file to the list, in napari too")
    more.add_argument("file", type=Path, metavar="FILE", help="a .safetensors file of a training")
    more.add_argument("--overwrite", action="store_true", help="replace an own model of that name")


def run(arguments: argparse.Namespace) -> int:
    """List the models, show one, or add one."""
    from napari_srgan.image.geometry import scale_text
    from napari_srgan.models.catalogue import (
        add_model,
        find_model,
        list_models,
        load_model,
        look_at_model,
        skipped_models,
    )
    from napari_srgan.models.kinds import models_by_use
    from napari_srgan.tasks.facts import count_text, facts_of, multiply_adds

    if arguments.action == "add":
        new = look_at_model(arguments.file)
        _tell_card(new.card, new.sha256, facts_of(new.path).rows())
        info = add_model(arguments.file, arguments.overwrite)
        now = "was listed already" if new.same else "is now listed"
        tell(f"{info.card.name} {now}; its file is {info.path}")
        return EXIT_OK
    if arguments.action == "show":
        model = load_model(find_model(arguments.model).path)
        _tell_card(model.card, model.sha256, facts_of(model.path).rows())
        return EXIT_OK
    found = list_models()
    for reason in skipped_models():
        say(f"{reason} It is left out; remove it from the folder of your models.")
    uses = models_by_use()
    if arguments.json:
        for info in found:
            auto_for = uses.get(info.card.name, []) if info.bundled else []
            about = {"path": str(info.path), "bundled": info.bundled, "auto_for": auto_for}
            tell(json.dumps(about | facts_of(info.path).to_dict() | info.card.to_dict()))
        return EXIT_OK
    if not found:
        raise InputError("No model is installed; train one with 'python -m training.train_oct'.")
    rows = [("name", "channels", "scale", "gain over baseline", "multiply-adds", "auto for")]
    rows += [
        (
            info.card.name,
            {1: "gray", 3: "RGB"}.get(info.card.channels, str(info.card.channels)),
            scale_text(info.card.scale),
            _gain(info.card.validation),
            count_text(multiply_adds(load_model(info.path))),
            ", ".join(uses.get(info.card.name, ())) if info.bundled else "",
        )
        for info in found
    ]
    tell(table(rows))
    for text in (
        "auto for: the kinds of image that auto takes the model for; gray, RGB: all other kinds",
        "baseline: bicubic enlargement; for models that remove noise, a tuned filter before it",
        "multiply-adds: for a pixel of the input, what time goes with; 'models show NAME' has more",
        *(f"{info.card.name}: {info.card.purpose}" for info in found if info.card.purpose),
    ):
        tell(fill(printable(text), _WIDTH, subsequent_indent="  ", break_on_hyphens=False))
    return EXIT_OK


def _tell_card(card: Card, sha256: str, more: Sequence[tuple[str, str]] = ()) -> None:
    """Print what a model's card states, and what is known beside it."""
    rows = [("Model", card.name), *card_rows(card), *more, ("SHA-256", sha256)]
    width = max(len(head) for head, _ in rows) + 2
    for head, text in rows:
        for begin, line in zip_longest([head], text.split("\n"), fillvalue=""):
            told = f"{begin:<{width}}{printable(line)}"
            tell(fill(told, _WIDTH, subsequent_indent=" " * (width + 2)))


def _gain(validation: Sequence[Mapping[str, Any]]) -> str:
    """Say by the card how far its PSNR was above the baseline's, from the least set to the best."""
    gains = sorted(
        entry["psnr"] - entry["psnr_bicubic"]
        for entry in validation
        # A card is somebody's file: figures may be missing, or null.
        if all(isinstance(entry.get(key), int | float) for key in ("psnr", "psnr_bicubic"))
    )
    if not gains:
        return "not stated"
    least, best = f"{gains[0]:+.2f}", f"{gains[-1]:+.2f}"
    return f"{best} dB" if least == best else f"{least} to {best} dB"
