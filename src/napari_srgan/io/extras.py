"""Libraries of optional formats, which a sentence tells how to install where they are missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from napari_srgan.errors import InputError


def imported(library: str, extra: str, name: str) -> Any:
    """Import a library that one of the extras brings.

    Parameters
    ----------
    library : str
        Name of the module.
    extra : str
        The extra of this package that brings it.
    name : str
        The file that it is needed for.

    Raises
    ------
    InputError
        If it is not installed.
    """
    try:
        return import_module(library)
    except ImportError:
        package = library.partition(".")[0]
        raise InputError(
            f"{name} is read by {package}, which is not installed: pip install"
            f' "napari-srgan[{extra}]".'
        ) from None
