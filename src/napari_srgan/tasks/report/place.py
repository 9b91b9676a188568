"""Where a page goes: refusing places before any work, and writing it whole or not at all."""

from __future__ import annotations

from pathlib import Path

from napari_srgan.io.atomic import check_place, whole_file

SUFFIXES = (".html", ".htm")


def check_page_place(path: Path, overwrite: bool) -> None:
    """Refuse a place where no page can be written, see `check_place`."""
    advice = "a report is an HTML page; let its name end in .html."
    check_place(path, overwrite, SUFFIXES, advice)


def write_page(path: Path, text: str) -> None:
    """Write a page; it appears at its place when it is complete."""
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8", newline="\n")
