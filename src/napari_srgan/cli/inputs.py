"""What is asked of inputs before any work: they are not written over, and the options suit them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.measure.planes import Settings


def spare_inputs(targets: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Refuse to write where an input lies, not even with --overwrite.

    Raises
    ------
    InputError
        If a target is the file of an input, by whatever name.
    """
    there = [path for path in inputs if path is not None and path.exists()]
    for target in targets:
        if target is not None and target.exists() and any(target.samefile(p) for p in there):
            raise InputError(f"{target} is an input; name another output.")


def check_mode(settings: Settings, stack: Stack) -> None:
    """Refuse --mode y for gray images, which have no colours to take it of.

    Raises
    ------
    InputError
        Because the figures would be those of the other mode under the name of this one.
    """
    if settings.mode == "y" and not stack.is_rgb:
        raise InputError(
            f"{stack.name} is gray, and --mode y takes the Y channel of RGB images; leave it out."
        )
