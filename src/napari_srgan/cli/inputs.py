"""What is asked of inputs before any work: the options suit them."""

from __future__ import annotations

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.measure.planes import Settings


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
