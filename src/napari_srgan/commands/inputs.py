"""Inputs are never written over, not even with --overwrite."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_srgan.errors import InputError


def spare_inputs(targets: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse to write where an input lies, before any work.

    Raises
    ------
    InputError
        If a target is the file of an input, by whatever name.
    """
    there = [path for path in inputs if path is not None and path.exists()]
    for target in targets:
        if target is not None and target.exists() and any(target.samefile(p) for p in there):
            raise InputError(f"{target} is an input; name another output.")
