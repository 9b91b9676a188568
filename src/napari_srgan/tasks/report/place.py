"""Where a page goes: refusing places before any work, and writing it whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from napari_srgan.errors import InputError, OutputExists

SUFFIXES = (".html", ".htm")


def check_page_place(path: Path, overwrite: bool) -> None:
    """Refuse a place where no page can be written, before any work.

    Raises
    ------
    OutputExists
        If a file is there and may not be replaced.
    InputError
        If the name has no ending of `SUFFIXES`, or lies in no folder.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name a file in it.")
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path.name}: a report is an HTML page; let its name end in .html.")
    if not path.parent.is_dir():
        raise InputError(f"The folder {path.parent} does not exist; make it first.")
    if path.exists() and not overwrite:
        raise OutputExists(f"{path} exists already; --overwrite replaces it.")


def write_page(path: Path, text: str) -> None:
    """Write a page; it appears at its place when it is complete."""
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except BaseException:  # a full disk, or Ctrl-C
        partial.unlink(missing_ok=True)
        raise
