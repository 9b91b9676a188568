"""From declared options to argparse and back, and the parser's one sentence about a mistake."""

from __future__ import annotations

import argparse
import difflib
import glob
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from napari_srgan.cli.terminal import say
from napari_srgan.errors import InputError
from napari_srgan.options import declared

EXIT_OK, EXIT_INPUT = 0, 2
_MAY_BEGIN_NEGATIVE = ("--intensity", "--slices", "--roi")

_DIGITS = re.compile(r"(\d+)")

Options = TypeVar("Options")


class Parser(argparse.ArgumentParser):
    """An argument parser that answers a mistake with one sentence instead of the whole usage."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        self._flags: list[str] = []
        super().__init__(*args, **settings)

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """Describe an argument, and remember its flags for who mistypes them."""
        action = super().add_argument(*names, **settings)
        self._flags += action.option_strings
        return action

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, but for text that no system takes as a name, and for flags that are not known."""
        if any("\0" in word for word in args or ()):
            self.error("an argument holds a null byte, which no name can")
        known, rest = super().parse_known_args(args, namespace)
        for flag in (word.partition("=")[0] for word in rest if word.startswith("--")):
            self.error(f"there is no option {flag}{suggestion(flag, self._flags)}")
        return known, rest

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with the exit code of a mistake."""
        sentence = message[:1].upper() + message[1:]
        say(f"{sentence}; see '{self.prog} --help'.")
        raise SystemExit(EXIT_INPUT)


def suggestion(word: str, known: Collection[str]) -> str:
    """Ask whether the known word that is most like a mistyped one was meant; "" if none is."""
    like = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {like[0]}?)" if like else ""


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
        how: dict[str, Any] = {"dest": f.name, "help": text}
        if f.default is False:
            how["action"] = "store_true"
        elif about["choices"]:
            how |= {"default": f.default, "choices": about["choices"]}
        else:
            several = {"nargs": len(about["metavar"])} if type(about["metavar"]) is tuple else {}
            metavar = about["metavar"] or None
            how |= {"default": f.default, "type": reader(about["read"]), "metavar": metavar}
            how |= several
        parser.add_argument(flag, **how)


def reader(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """Turn a function that raises ValueError with the reason into one that argparse tells of."""

    def typed(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return typed


def chosen(arguments: argparse.Namespace, cls: type[Options]) -> Options:
    """Make the options that were typed; fields without an option of the command stay at default."""
    names = [f.name for f in declared(cls) if hasattr(arguments, f.name)]
    return cls(**{name: getattr(arguments, name) for name in names})


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
        elif matches := sorted(glob.glob(path), key=_natural):  # noqa: PTH207 - as it is typed
            found += matches
        else:
            raise InputError(f"No file matches {path}; check the folder and the pattern.")
    return found


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part or 0), "") if part.isdigit() else (0, part) for part in _DIGITS.split(name)]


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
