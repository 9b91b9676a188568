"""`napari-srgan view`: images side by side in napari, in the same coordinates."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_srgan.cli.arguments import EXIT_OK, expanded
from napari_srgan.errors import InputError
from napari_srgan.tasks.doctor import has_screen


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "view",
        help="open images side by side in napari",
        description="Open images, such as an input and its result, side by side in napari: in the "
        "same coordinates, on the same slice, and gray ones of one type with the same contrast.",
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="an image file")
    parser.add_argument("--axes", help="letters of TCZYXS, where the files do not say")


def run(arguments: argparse.Namespace) -> int:
    """Open the window and wait until it is closed."""
    check_window("view")
    view([Path(p) for p in expanded(arguments.files)], arguments.axes)
    return EXIT_OK


def check_window(what: str) -> None:
    """Refuse, with InputError, what needs napari and a screen where there is none."""
    if importlib.util.find_spec("napari") is None:
        raise InputError(
            f"{what} needs napari, which is not installed here: pip install 'napari-srgan[gui]'."
        )
    if not has_screen():
        raise InputError(f"{what} needs a screen, and there is none here (DISPLAY is not set).")


def view(files: Sequence[Path], axes: str | None = None) -> None:
    """Open image files in a window and wait until it is closed.

    Raises
    ------
    InputError
        If a file cannot be read, before any window opens; or if there is no screen.
    """
    from napari_srgan.io.open import image_name, open_stack

    stacks = [(image_name(file), open_stack(file, axes)) for file in files]
    from napari_srgan._gui.files import layers_of
    from napari_srgan._gui.view_window import show

    images = [layer for name, stack in stacks for layer in layers_of(stack, name)]
    show(images, "napari-srgan")
