"""The command `python -m training.train_oct`: arguments -> Recipe -> run."""

from __future__ import annotations

import argparse
import datetime
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError
from napari_srgan.models import read_card
from training.loop import train
from training.recipe import Recipe, read_recipe
from training.scans import ScanSet, find_files, load_scans, split
from training.validation import table


def parser() -> argparse.ArgumentParser:
    """Return the command's parser: the data, the run folder, and every field of the recipe."""
    command = argparse.ArgumentParser(
        prog="python -m training.train_oct",
        description="Train a super-resolution generator on high-resolution scans.",
    )
    command.add_argument(
        "--data",
        type=Path,
        nargs="+",
        required=True,
        metavar="DIR",
        help="folders of HR scans (TIFF stacks, PNG, JPEG, .npy); each is drawn equally often",
    )
    command.add_argument(
        "--val",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders of validation scans, a set each (default: every tenth file of --data)",
    )
    command.add_argument(
        "--out",
        type=Path,
        metavar="RUN",
        help="run folder, a new one (default: runs/ and the name, date and time)",
    )
    command.add_argument("--recipe", type=Path, metavar="FILE.toml", help="recipe to start from")
    group = command.add_argument_group("recipe", "each also a key of a recipe file")
    for f in fields(Recipe):
        kind: dict[str, Any] = {"type": type(f.default)}
        if isinstance(f.default, bool):
            kind = {"action": argparse.BooleanOptionalAction}
        elif isinstance(f.default, tuple):
            kind = {"nargs": "+"}
        default = f.default if f.default not in ("", ()) else "empty"
        group.add_argument(
            f"--{f.name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            **kind,
            help=f"{f.metadata['help']} (default: {default})",
        )
    return command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code (0, or 2 and 130 (Ctrl-C) with one sentence)."""
    options = vars(parser().parse_args(arguments))
    data, val, out, recipe_file = (options.pop(k) for k in ("data", "val", "out", "recipe"))
    try:
        values = read_recipe(recipe_file) if recipe_file else {}
        if "trained_on" in options:
            options["trained_on"] = tuple(options["trained_on"])
        recipe = Recipe(**(values | options))
        out = out or Path("runs") / f"{recipe.name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
        if (out / "recipe.json").exists():
            raise InputError(f"{out} holds a former run; give another folder with --out.")
        train_sets, val_sets = _sets(data, val, recipe)
        path = train(recipe, train_sets, val_sets, out)
    except InputError as error:
        print(f"train_oct: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            f"train_oct: Stopped; the model of the last validation, if there was one, is in {out}.",
            file=sys.stderr,
        )
        return 130
    print(table(list(map(dict, read_card(path).validation))))
    print(f"The model is {path}")
    return 0


def _sets(
    data: Sequence[Path], val: Sequence[Path], recipe: Recipe
) -> tuple[list[ScanSet], list[ScanSet]]:
    files = {folder: find_files(folder) for folder in data}
    val_files = {folder: find_files(folder) for folder in val}
    if not val:
        for folder, found in files.items():
            files[folder], val_files[folder] = split(found, recipe.val_fraction)
    train_paths = {p.resolve() for found in files.values() for p in found}
    leaked = [p for found in val_files.values() for p in found if p.resolve() in train_paths]
    if leaked:
        raise InputError(f"{leaked[0]} is in both --data and --val, so its score would mislead.")
    return (
        [load_scans(d.name, f, recipe.channels, recipe.crop) for d, f in files.items()],
        [load_scans(d.name, f, recipe.channels, 4 * recipe.scale) for d, f in val_files.items()],
    )


if __name__ == "__main__":
    raise SystemExit(main())
