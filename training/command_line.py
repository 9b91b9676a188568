"""What may be typed after `python -m training.train_oct`: options of the run, and the recipe."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from napari_srgan.cli.parser import Parser
from napari_srgan.cli.terminal import say, tell
from training.hardware import PRECISIONS
from training.presets import PRESETS
from training.recipe import COMMON, Recipe, field_kinds
from training.space import names as spaces

_EPILOG = """\
examples:
  python -m training.train_oct --data scans/ --look
  python -m training.train_oct --data scans/
  python -m training.train_oct --data scans/ --preset quick --out trial
  python -m training.train_oct --data scans/ --preset finetune --init srresnet-gray
  python -m training.train_oct --resume runs/my-model-20260101-120000
  python -m training.train_oct --data scans/ --preset quick --tune 20 --space rates losses
  torchrun --nproc-per-node 4 -m training.train_oct --data scans/
"""

# Where the parts of a recipe begin.
_PARTS = {
    "name": "the card",
    "generator": "the generator",
    "discriminator": "the discriminator",
    "pretrain_steps": "first phase, on pixel loss",
    "adversarial_steps": "second phase, against the discriminator",
    "batch": "both phases",
    "intensity": "scans, degradation and augmentation",
    "validate_every": "the run",
}
DEFAULT_PAGE = Path()
"""Stands for a name that is made of the date."""
_WORDS = {int: "N", float: "X", str: "TEXT"}


class _Parser(Parser):
    """The command's parser; programs that follow a training are told of mistakes too."""

    program = "train_oct"

    def complain(self, sentence: str) -> None:
        complain(sentence, "--json-progress" in self.words)


def complain(sentence: str, as_json: bool) -> None:
    """Tell the user of a mistake, and the program that follows the training, if one does."""
    if as_json:
        tell(json.dumps({"event": "error", "text": sentence}))
    say(sentence, "train_oct")


def teller(as_json: bool) -> Callable[[dict[str, Any]], None]:
    """Return what prints an event: one JSON object a line, or its sentence if it has one."""
    if as_json:
        return lambda event: tell(json.dumps(event, allow_nan=False))
    return lambda event: tell(event["text"]) if "text" in event else None


def parser() -> argparse.ArgumentParser:
    """Return the command's parser: data, run, hardware, and every field of the recipe."""
    command = _Parser(
        prog="python -m training.train_oct",
        usage="python -m training.train_oct --data DIR [DIR ...] [options]\n"
        "       python -m training.train_oct --resume RUN",
        description="Train a super-resolution generator on high-resolution scans: on pixel loss "
        "(SRResNet), then against a discriminator (SRGAN). Every option under 'recipe' is also a "
        "key of a recipe file.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_data(command.add_argument_group("scans"))
    _add_run(command.add_argument_group("run"))
    common = command.add_argument_group("recipe: what is set most often")
    for f in fields(Recipe):
        if f.name in COMMON:
            _add_field(common, f)
    _add_hardware(command.add_argument_group("hardware"))
    _add_recipe(command)
    return command


def _add_recipe(command: argparse.ArgumentParser) -> None:
    group: Any = None
    for f in fields(Recipe):
        if f.name in _PARTS:
            group = command.add_argument_group(f"recipe: {_PARTS[f.name]}")
        if f.name not in COMMON:
            _add_field(group, f)


def _add_field(group: Any, f: Field[Any]) -> None:
    kind = field_kinds()[f.name]
    how: dict[str, Any] = {"type": kind, "metavar": _WORDS.get(kind)}
    if isinstance(f.default, bool):
        how = {"action": argparse.BooleanOptionalAction}
    elif isinstance(f.default, tuple):
        how["nargs"] = f.metadata.get("count", "+")
    if "choices" in f.metadata:
        how["metavar"] = "{" + ",".join(map(str, f.metadata["choices"])) + "}"
    default = f" (default: {_shown(f.default)})" if f.default not in ("", ()) else ""
    group.add_argument(
        f"--{f.name.replace('_', '-')}",
        default=argparse.SUPPRESS,  # told from a value that a preset or a file may set
        help=f"{f.metadata['help']}{default}".replace("%", "%%"),
        **how,
    )


def _add_data(group: Any) -> None:
    group.add_argument(
        "--data",
        type=_path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders of HR scans (TIFF stacks, PNG, JPEG, .npy; a folder below is one volume; "
        "train and val below DIR are heeded) or patterns of files; each DIR is drawn equally often",
    )
    group.add_argument(
        "--val",
        type=_path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="folders of validation scans, a set each (default: some volumes of --data)",
    )
    group.add_argument(
        "--paired",
        action="store_true",
        help="DIR holds measured pairs: train/high, train/low, val/high, val/low; or high and low",
    )
    for side, kind in (("hr", "high"), ("lr", "low")):
        group.add_argument(
            f"--{side}",
            type=_path,
            metavar="DIR",
            help=f"instead of --data: the folder of {kind} resolution of measured pairs",
        )
    for flag, what in (("include", "only files"), ("exclude", "no files")):
        group.add_argument(
            f"--{flag}",
            nargs="+",
            default=[],
            metavar="PATTERN",
            help=f"{what} below DIR whose name or path fits, as '*average*' or 'eye*/left.tif'",
        )
    group.add_argument(
        "--skip-bad",
        action="store_true",
        help="go on without files that cannot be used, instead of naming them and ending",
    )
    group.add_argument(
        "--vgg-weights",
        type=Path,
        metavar="FILE",
        help="VGG19 of torchvision, whole or as deep as --content (default: torchvision's own, "
        "downloaded once)",
    )
    group.add_argument(
        "--lpips-weights",
        type=Path,
        metavar="FILE",
        help="AlexNet or VGG16 of torchvision, for LPIPS in the last table (default: "
        "torchvision's own AlexNet if it has been downloaded)",
    )


def _add_run(group: Any) -> None:
    group.add_argument(
        "--out",
        type=_path,
        metavar="RUN",
        help="run folder, a new one (default: runs/ and the name, date and time)",
    )
    group.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        help="where the recipe starts from: the paper's values, a trial of minutes, or a bundled "
        "model on one's own scans (default: default)",
    )
    group.add_argument(
        "--recipe", type=Path, metavar="FILE.toml", help="fields that replace the preset's"
    )
    group.add_argument(
        "--resume",
        type=Path,
        metavar="RUN",
        help="go on with a run as it was begun, or longer: with more --pretrain-steps or "
        "--adversarial-steps",
    )
    group.add_argument(
        "--look",
        type=_path,
        nargs="?",
        const=DEFAULT_PAGE,
        metavar="PAGE.html",
        help="train nothing: write a page on what is in the scans, how they are split, what the "
        "training would take here, and what to heed (default: runs/look and the date)",
    )
    group.add_argument(
        "--tune",
        type=_count,
        metavar="N",
        help="make N short trainings with other values of some fields, and write the best recipe; "
        "with the same --out it goes on, in any number of processes",
    )
    group.add_argument(
        "--space",
        nargs="+",
        default=["rates"],
        metavar="NAME|FILE.toml",
        help="with --tune: which values to search: " + ", ".join(spaces()) + ", or files (default: "
        "rates)",
    )
    group.add_argument("--json-progress", action="store_true", help="print one JSON object a line")


def _add_hardware(group: Any) -> None:
    group.add_argument("--device", default="auto", help="auto, cpu, cuda[:N] or mps")
    group.add_argument(
        "--precision",
        default="auto",
        choices=PRECISIONS,
        help="of convolutions (default: auto: bfloat16 where the hardware has it)",
    )
    group.add_argument(
        "--workers",
        type=_workers,
        default=-1,
        metavar="N",
        help="processes that prepare crops (default: -1: none on a CPU, up to 8 for a GPU)",
    )


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty name is no folder")
    return Path(text)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no number of trials")
    return int(text)


def _workers(text: str) -> int:
    if not text.lstrip("-").isdecimal() or int(text) < -1:
        raise argparse.ArgumentTypeError(f"'{text}' is not -1 or a number of processes")
    return int(text)


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, tuple):
        return " ".join(map(str, default))
    return f"{default:g}" if isinstance(default, float) else str(default)
