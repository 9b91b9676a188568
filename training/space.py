"""Spaces that a tuning searches: fields of the recipe, each with a range or choices, in TOML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError, did_you_mean
from napari_srgan.io import schema
from training.presets import from_plain
from training.recipe import MAY_CHANGE, Recipe, field_kinds

SPACES = Path(__file__).parent / "spaces"
"""The folder of the spaces that come with the program."""


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers from `low` to `high`, both included; whole ones where the field is.

    Attributes
    ----------
    low, high : int or float
    log : bool
        Whether factors count, not differences.
    """

    low: float
    high: float
    log: bool = False

    @property
    def ends(self) -> tuple[Any, ...]:
        """What is tried to find out whether a recipe takes it."""
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class Choices:
    """One of several values."""

    values: tuple[Any, ...]

    @property
    def ends(self) -> tuple[Any, ...]:
        """What is tried to find out whether a recipe takes it."""
        return self.values


Space = Mapping[str, Range | Choices]
"""By fields of the recipe."""


def names() -> list[str]:
    """List the spaces that come with the program."""
    return sorted(path.stem for path in SPACES.glob("*.toml"))


def read_space(sources: Sequence[str], base: Recipe) -> Space:
    """Read spaces, and hold each value against the recipe that it will be put into.

    Parameters
    ----------
    sources : sequence of str
        Names of `names`, or TOML files: a table for each field, with `low` and `high` (and `log =
        true`), or with `choices`. Of a field that several name the last one counts.
    base : Recipe
        What all trials have in common.

    Raises
    ------
    InputError
        If there is none of that name, it cannot be read, or a value in it is none for its field.
    """
    space: dict[str, Range | Choices] = {}
    for source in sources:
        space |= _read(source)
    if not space:
        raise InputError("The space to search has no fields, so there is nothing to tune.")
    for name, searched in space.items():
        for value in searched.ends:
            try:
                replace(base, **from_plain({name: value}))
            except InputError as error:
                raise InputError(f"The space to search does not fit the recipe: {error}") from error
    return space


def _read(source: str) -> Space:
    path = SPACES / f"{source}.toml" if source in names() else Path(source)
    try:
        tables = schema.from_toml(schema.content(path).decode("utf-8"))
    except FileNotFoundError as error:
        raise InputError(
            f"There is no space '{source}' to search{did_you_mean(source, names())}; known are "
            f"{', '.join(names())}, or give a TOML file."
        ) from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"The space {path} cannot be read: {str(error)[: schema.LONGEST]}."
        ) from error
    known = {f.name for f in fields(Recipe)} - MAY_CHANGE - {"name", "seed"}
    found: dict[str, Range | Choices] = {}
    for name, table in tables.items():
        if name not in known:
            raise InputError(
                f"The space {path} names {schema.shown(name)}, which is no field that can be "
                f"searched{did_you_mean(name[: schema.LONGEST], known)}."
            )
        try:
            found[name] = _searched(name, schema.mapping(table))
        except ValueError as error:
            raise InputError(f"The space {path} cannot be read: {name} {error}.") from error
    return found


def _searched(name: str, table: Mapping[str, Any]) -> Range | Choices:
    if set(table) == {"choices"}:
        values = table["choices"]
        if not isinstance(values, list) or not values:
            raise ValueError("must have a list of choices")
        return Choices(tuple(values))
    if not {"low", "high"} <= set(table) <= {"low", "high", "log"}:
        raise ValueError("must have low and high (and log), or choices")
    low, high, log = table["low"], table["high"], table.get("log", False)
    kind = field_kinds()[name]
    if kind not in (int, float) or isinstance(getattr(Recipe(), name), tuple):
        raise ValueError("is no number, so it has choices, and no range")
    if any(isinstance(v, bool) or not isinstance(v, (int, kind)) for v in (low, high)):
        raise ValueError(f"must have low and high of the type {kind.__name__}")
    if not low < high or not isinstance(log, bool) or (log and low <= 0):
        raise ValueError("must have low below high, and low above 0 where log is true")
    return Range(kind(low), kind(high), log)
