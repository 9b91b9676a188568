"""Names of files that are not to be said, as they may be a patient's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path


def names_of(paths: Iterable[str | Path], anonymise: bool = True) -> dict[str, str]:
    """List how files may be called in sentences, each with the label that it is recorded under.

    Parameters
    ----------
    paths : iterable of str or Path
        As typed.
    anonymise : bool
        As of `record.input_label`: without it only names that may be a patient's get one.
    """
    from napari_srgan.engine.record import input_label
    from napari_srgan.io.open import input_files, name_of

    found: dict[str, str] = {}
    for path in paths:
        files = input_files(Path(path))
        spelt = [str(path), *map(str, files), *(str(f.absolute()) for f in files)]
        spelt += [file.name for file in files]
        hidden = anonymise or name_of(Path(path)) != Path(path).name
        labels = {name: input_label(name, hidden) for name in spelt}
        found |= {n: label for n, label in labels.items() if not n.endswith(label)}
    return found


def without_names(text: str, names: Mapping[str, str]) -> str:
    """Put labels in the place of names, the longest first: paths before what ends them."""
    if not names:
        return text
    longest = sorted(filter(None, names), key=len, reverse=True)
    return re.sub("|".join(map(re.escape, longest)), lambda found: names[found[0]], text)
