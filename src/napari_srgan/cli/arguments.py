"""From declared options to argparse and back."""

from __future__ import annotations

import argparse
import glob
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from napari_srgan.errors import InputError
from napari_srgan.io.natural import natural
from napari_srgan.options import declared

EXIT_OK, EXIT_INPUT = 0, 2
_MAY_BEGIN_NEGATIVE = ("--intensity", "--slices", "--roi")

Options = TypeVar("Options")


def add_options(
    parser: argparse.ArgumentParser,
    cls: type,
    *,
    only: Collection[str] = (),
    leave_out: Collection[str] = (),
) -> None:
    """Add a command-line option for every declared field of a dataclass.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    cls : type
        A dataclass with fields of `options.option`.
    only, leave_out : collection of str
        The fields that the command has options for, all by default, and those that it has none
        for; these stay at their default.
    """
    for f in declared(cls):
        if f.name in leave_out or (only and f.name not in only):
            continue
        about = f.metadata
        flag = about["flag"] or f"--{f.name.replace('_', '-')}"
        default = "" if f.default is None or f.default is False else f" (default: {f.default})"
        text = f"{about['help']}{default}".replace("%", "%%")
        # What is not typed is not there afterwards: then a preset may say it, else the dataclass.
        how: dict[str, Any] = {"dest": f.name, "help": text, "default": argparse.SUPPRESS}
        if f.default is False:
            how["action"] = argparse.BooleanOptionalAction
        elif about["choices"]:
            how["choices"] = about["choices"]
        else:
            several = {"nargs": len(about["metavar"])} if type(about["metavar"]) is tuple else {}
            how |= {"type": reader(about["read"]), "metavar": about["metavar"] or None, **several}
        parser.add_argument(flag, **how)


def add_images(parser: argparse.ArgumentParser, output: str, text: str) -> None:
    """Add what a picture of a result is made of, and where it is written to."""
    parser.add_argument("result", type=Path, metavar="RESULT", help="the super-resolved image")
    parser.add_argument("--low", type=Path, metavar="LR", help="the LR input, for lr and bicubic")
    parser.add_argument(
        "--reference", type=Path, metavar="HR", help="the true image, as large as the result"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar=output, help=text)
    parser.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def reader(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Turn a function that raises ValueError with the reason into one that argparse tells of."""

    def typed(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


def add_preset(parser: argparse.ArgumentParser) -> None:
    """Add the option that names a preset, for commands with the options of a restoration."""
    parser.add_argument(
        "--preset",
        metavar="NAME",
        help="options that were saved under this name, in napari or by 'napari-srgan presets'; "
        "those that are typed beside it count",
    )


def preset_values(arguments: argparse.Namespace, leave_out: Collection[str] = ()) -> dict[str, Any]:
    """Read the options of the preset that was named, but for those that the command has not."""
    from napari_srgan.tasks.presets import preset

    values = preset(arguments.preset) if arguments.preset is not None else {}
    return {name: value for name, value in values.items() if name not in leave_out}


def typed(arguments: argparse.Namespace, cls: type) -> dict[str, Any]:
    """Return the options of a dataclass that were typed, by name."""
    names = [f.name for f in declared(cls) if hasattr(arguments, f.name)]
    return {name: getattr(arguments, name) for name in names}


def chosen(
    arguments: argparse.Namespace, cls: type[Options], preset: Mapping[str, Any] | None = None
) -> Options:
    """Make the options that were typed, beside a preset; fields in neither stay at default."""
    return cls(**{**(preset or {}), **typed(arguments, cls)})


def expanded(paths: Iterable[str | Path]) -> list[str]:
    """Put the files that a pattern stands for in its place, as Windows' shell does not.

    Parameters
    ----------
    paths : iterable of str or Path
        A name that is there stands for itself, whatever is in it.

    Returns
    -------
    list of str
        The files of a pattern in natural order: 2 before 10.

    Raises
    ------
    InputError
        If no file matches a pattern.
    """
    found: list[str] = []
    for path in map(str, paths):
        if not glob.has_magic(path) or Path(path).exists():
            found.append(path)
        elif matches := sorted(glob.glob(path), key=natural):  # noqa: PTH207 - as it is typed
            found += matches
        else:
            raise InputError(f"No file matches {path}; check the folder and the pattern.")
    return found


def each_of(paths: Iterable[str]) -> list[str]:
    """Put the images of a folder in its place, in natural order; other paths stay.

    Raises
    ------
    InputError
        If a folder holds no images.
    """
    from napari_srgan.tasks.batch import files_in

    found: list[str] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(str(path))
        elif files := files_in(path):
            found += map(str, files)
        else:
            raise InputError(f"The folder {path} holds no images.")
    return found


def with_negative_ranges(argv: Sequence[str]) -> list[str]:
    """Join ``--intensity -5:300`` to one argument; argparse takes -5:300 for an option.

    So does it ``--slices -3:``, of which it would say no more than that something is missing.
    """
    joined: list[str] = []
    for word in argv:
        if joined and joined[-1] in _MAY_BEGIN_NEGATIVE and re.match(r"-\.?\d", word):
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined
