"""What files state in JSON and TOML: parsed within bounds, and each value read as what it must be.

A card, a note, a recipe and the files of a run may come from anybody. `from_json` and `from_toml`
give plain values of bounded size and depth. A reader takes one of these and returns it as what
it must be, or raises ValueError with words that go on after "its name ...". An object is made
of what readers returned, and of nothing else.
"""

from __future__ import annotations

import json
import math
import reprlib
import tomllib
import unicodedata
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from napari_srgan.image.geometry import Scale, as_scale

DEEPEST = 32
"""How many lists and objects may lie within each other."""

LONGEST = 200
"""Characters of a name, a date or whatever else is shown in a line."""

PROSE = 20_000
"""Characters of a text for people."""

MANY = 10_000
"""Items of a list."""

_LARGEST_JSON = 8 * 2**20  # bytes; empty lists take 20 times as much in memory
_LARGEST_TOML = 2**18
_MOST_DOTS = 100  # in a line of TOML: the time for a.b.c... = 1 goes with their square

_LONGEST_PATH = 4096
_LARGEST_SCALE = 64

Value = TypeVar("Value")
Reader = Callable[[Any], Value]


def content(path: Path) -> bytes:
    """Read a file that is to be parsed.

    Raises
    ------
    ValueError
        If it is a pipe or device, which may never end, or is beyond the bounds.
    OSError
        If it cannot be read.
    """
    if path.exists() and not path.is_file():
        raise ValueError("it is no file")
    with path.open("rb") as file:
        read = file.read(_LARGEST_JSON + 1)
    if len(read) > _LARGEST_JSON:
        raise ValueError(f"it is longer than {_LARGEST_JSON} bytes")
    return read


def from_json(text: str | bytes) -> Any:
    """Parse JSON; ValueError if it is none, or beyond the bounds.

    NaN and infinities, which JSON has no word for and Python writes nevertheless, are None.
    """

    def parse() -> Any:
        return json.loads(text, parse_constant=lambda _: None)

    return _parsed(parse, len(text), _LARGEST_JSON)


def from_toml(text: str) -> dict[str, Any]:
    """Parse TOML, as `tomllib.loads`; ValueError if it is none, or beyond the bounds."""
    if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
        raise ValueError(f"a line has more than {_MOST_DOTS} dots")
    values: dict[str, Any] = _parsed(lambda: tomllib.loads(text), len(text), _LARGEST_TOML)
    return values


def _parsed(parse: Callable[[], Any], length: int, most: int) -> Any:
    if length > most:
        raise ValueError(f"it is longer than {most} bytes")
    try:
        return bounded(parse())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def bounded(value: Any) -> Any:
    """Return a parsed value; ValueError if it is nested too deeply or has a number like 1e999."""
    level = [value]
    for _ in range(DEEPEST + 1):
        if any(isinstance(v, float) and not math.isfinite(v) for v in level):
            raise ValueError("it holds a number that is not finite")
        inner = [v.values() if isinstance(v, dict) else v for v in level if type(v) in (dict, list)]
        level = [v for values in inner for v in values]
        if not level:
            return value
    raise ValueError("it is nested too deeply")


def shown(value: object) -> str:
    """Write any value of a file for a sentence: short, and without control characters."""
    return reprlib.repr(value)


def line(value: Any, most: int = LONGEST) -> str:
    """Read text that is shown in a line; line breaks and other white space become blanks."""
    if not isinstance(value, str):
        raise ValueError(f"must be text, not {shown(value)}")
    if len(value) > most:
        raise ValueError(f"must have at most {most} characters, not {len(value)}")
    joined = " ".join(value.split())
    if any(unicodedata.category(c) in ("Cc", "Cs") for c in joined):
        raise ValueError(f"must not hold control characters, as {shown(value)} does")
    return joined


def prose(value: Any) -> str:
    """Read text for people."""
    return line(value, PROSE)


def path(value: Any) -> Path:
    """Read the path of a file or folder; it may hold whatever the system lets it."""
    if not isinstance(value, str) or "\0" in value or len(value) > _LONGEST_PATH:
        raise ValueError(f"must be a path, not {shown(value)}")
    return Path(value)


def number(value: Any) -> float:
    """Read a finite number."""
    if isinstance(value, int | float | np.number) and not isinstance(
        value, bool | np.complexfloating
    ):
        with suppress(OverflowError):
            if math.isfinite(found := float(value)):
                return found
    raise ValueError(f"must be a finite number, not {shown(value)}")


def whole(least: int, most: int) -> Reader[int]:
    """Make a reader of whole numbers within bounds, both included."""

    def read(value: Any) -> int:
        if isinstance(value, int | np.integer) and not isinstance(value, bool):
            found = int(value)
            if least <= found <= most:
                return found
        raise ValueError(f"must be a whole number from {least} to {most}, not {shown(value)}")

    return read


def scale(value: Any) -> Scale:
    """Read how many times Y and X grow: one number for both, or a pair."""
    read = whole(1, _LARGEST_SCALE)
    return as_scale(several(read, 2)(value) if isinstance(value, list | tuple) else read(value))


def one_of(choices: Collection[str]) -> Reader[str]:
    """Make a reader of one of several texts."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in choices:
            raise ValueError(f"must be {' or '.join(map(str, choices))}, not {shown(value)}")
        return value

    return read


def optional(read: Reader[Value]) -> Reader[Value | None]:
    """Make a reader that lets None be."""
    return lambda value: None if value is None else read(value)


def several(read: Reader[Value], count: int | None = None) -> Reader[tuple[Value, ...]]:
    """Make a reader of lists, of so many items if that is given."""

    def read_all(value: Any) -> tuple[Value, ...]:
        if type(value) not in (list, tuple) or len(value) > MANY:
            raise ValueError(f"must be a list, not {shown(value)}")
        if count is not None and len(value) != count:
            raise ValueError(f"must have {count} items, not {len(value)}")
        return tuple(map(read, value))

    return read_all


def mapping(value: Any) -> dict[str, Any]:
    """Read an object, its values as they are."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"must be an object of names and values, not {shown(value)}")
    return dict(value)


def scalar(value: Any) -> bool | int | float | str | None:
    """Read a single value: text in a line, a number, true, false or null."""
    if isinstance(value, str):
        return line(value)
    if value is None or isinstance(value, bool):
        return value
    number(value)
    kept: int | float = value
    return kept


def fields_of(
    value: Any, readers: Mapping[str, Reader[Any]], required: Collection[str] = ()
) -> dict[str, Any]:
    """Read an object's fields, each by its reader; those that have none are left out."""
    given, found = mapping(value), {}
    if missing := [key for key in required if key not in given]:
        raise ValueError(f"it has no {missing[0]}")
    for key in readers.keys() & given.keys():
        try:
            found[key] = readers[key](given[key])
        except ValueError as error:
            inner = str(error).removeprefix("its ")
            whose = key if inner == str(error) else f"{key}'s"
            raise ValueError(f"its {whose} {inner}") from None
    return found
