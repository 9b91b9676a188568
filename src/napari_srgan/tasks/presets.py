"""What is kept of a person's choices: presets by name, and the window's last choices.

One file of the user, the same for window and command line. It holds options as they are typed, and
only those that were chosen, so that both read them alike.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from napari_srgan.errors import InputError, OutputExists, did_you_mean
from napari_srgan.io import schema
from napari_srgan.io.atomic import whole_file
from napari_srgan.models.catalogue import find_model
from napari_srgan.options import RestoreOptions, as_typed, from_typed

Typed = dict[str, str | bool]
"""Options as they are typed: text, and True or False for a switch."""

_PATIENCE = 1.0
"""Seconds to wait for another process that writes the file; a window waits with it."""


def presets_file() -> Path:
    """Return the file (`NAPARI_SRGAN_PRESETS` moves it)."""
    if file := os.environ.get("NAPARI_SRGAN_PRESETS"):
        return Path(file)
    return Path(platformdirs.user_config_dir("napari-srgan", appauthor=False)) / "presets.json"


# --- presets ------------------------------------------------------------------------------------


def list_presets() -> dict[str, Typed]:
    """Return all presets by name; what one of them asks for is checked by `preset`.

    Raises
    ------
    InputError
        If the file is damaged.
    """
    return dict(sorted(_kept()["presets"].items()))


def preset(name: str) -> dict[str, Any]:
    """Return the options that a preset chooses, as fields of `RestoreOptions`.

    Raises
    ------
    InputError
        If there is no such preset, or one of its options, values or models does not exist.
    """
    return _checked(find_preset(name), f"The preset {name!r} cannot be used")


def find_preset(name: str) -> Typed:
    """Return the options of a preset as they are typed; InputError if there is no such preset."""
    known = list_presets()
    if name not in known:
        meant = did_you_mean(name, known) or f"; known are {', '.join(known) or 'none'}"
        raise InputError(f"There is no preset {name!r}{meant}.")
    return known[name]


def save_preset(name: str, values: Mapping[str, Any], overwrite: bool = False) -> None:
    """Keep options under a name.

    Parameters
    ----------
    name : str
        Letters, digits, blanks and . _ + -.
    values : mapping
        The options that were chosen, as fields of `RestoreOptions`.
    overwrite : bool
        Replace a preset of that name.

    Raises
    ------
    InputError
        If the name is none, nothing is chosen, or a value or model does not exist.
    OutputExists
        If there is one of that name already.
    """
    if not re.fullmatch(r"\w[\w .+-]{0,59}", name) or name != name.strip():
        raise InputError(
            f"{name!r} cannot be a preset's name; use letters, digits, blanks and . _ + -, 60 at "
            "most."
        )
    if not values:
        raise InputError(f"The preset {name!r} would hold the defaults; choose an option first.")
    typed = as_typed(values)
    _checked(typed, f"The preset {name!r} cannot be saved")
    if (model := Path(str(typed.get("model", "auto")))).is_file():
        typed["model"] = str(model.resolve())  # it is used in other folders too

    def add(kept: dict[str, Any]) -> None:
        if name in kept["presets"] and not overwrite:
            raise OutputExists(
                f"There is a preset {name!r} already; use --overwrite to replace it."
            )
        kept["presets"][name] = typed

    _change(add)


def delete_preset(name: str) -> None:
    """Forget a preset; InputError if there is none of that name."""
    find_preset(name)
    _change(lambda kept: kept["presets"].pop(name, None))


# --- last choices ---------------------------------------------------------------------------------


def last_choices() -> dict[str, Any]:
    """Return the options that were chosen last, as fields of `RestoreOptions`.

    Raises
    ------
    InputError
        If the file is damaged, or an option, value or model does not exist any more.
    """
    return _checked(kept_fields("last"), "The last choices cannot be used")


def keep_choices(values: Mapping[str, Any]) -> None:
    """Keep the options that are chosen now, as fields of `RestoreOptions`, for the next session.

    Raises
    ------
    InputError
        If the file is damaged, which is for a person to mend.
    OSError
        If it cannot be written.
    """
    keep_fields("last", as_typed(values))


def kept_fields(name: str) -> Typed:
    """Return what a panel keeps under this name, as it was typed; InputError as `last_choices`."""
    return dict(_kept()[name])


def keep_fields(name: str, typed: Typed) -> None:
    """Keep what is typed in a panel for the next session; errors are those of `keep_choices`."""
    if _kept()[name] != typed:
        _change(lambda kept: kept.update({name: typed}))


def _checked(typed: Mapping[str, Any], refusal: str) -> dict[str, Any]:
    """Read options and hold them to what there is; an InputError begins with the refusal."""
    try:
        values = from_typed(RestoreOptions, typed)
        options = RestoreOptions(**values)
        if options.model != "auto":
            find_model(options.model)
    except ValueError as error:
        raise InputError(f"{refusal}: {str(error).rstrip('.')}.") from None
    return values


# --- the file -------------------------------------------------------------------------------------


def _kept() -> dict[str, Any]:
    """Read the file; what is not there yet is empty."""
    path, found = presets_file(), {}
    try:
        if path.exists():
            found = schema.mapping(schema.from_json(schema.content(path)))
        empty: dict[str, Any] = {"presets": {}, "last": {}, "batch": {}}
        read = {"presets": _presets, "last": _typed, "batch": _typed}
        return empty | found | schema.fields_of(found, read)
    except ValueError as error:
        raise InputError(
            f"{path} is damaged ({error}); mend or remove it: it holds presets and last choices."
        ) from None


def _change(edit: Callable[[dict[str, Any]], object]) -> None:
    """Read the file, edit what it holds and write it, with no other process in between."""
    path = presets_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, patience=_PATIENCE) as unfinished:
        kept = _kept()
        edit(kept)
        unfinished.write_text(json.dumps(kept, indent=2, ensure_ascii=False), encoding="utf-8")


def _presets(value: Any) -> dict[str, Typed]:
    return {schema.line(name): _typed(typed) for name, typed in schema.mapping(value).items()}


def _typed(value: Any) -> Typed:
    options = schema.mapping(value).items()
    return {name: v if isinstance(v, bool) else schema.prose(v) for name, v in options}
