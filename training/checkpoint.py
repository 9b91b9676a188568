"""Checkpoints: the whole state of a training in one file, replaced at once or not at all."""

from __future__ import annotations

import errno
import io
import zipfile
from pathlib import Path
from typing import Any

import torch

from napari_srgan.errors import InputError
from napari_srgan.io.atomic import whole_file

NAME = "checkpoint.pt"
_FORMAT = 1


def write(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; whatever happens, a whole one is at `path` before and after.

    Parameters
    ----------
    path : Path
        An existing file is replaced.
    state : dict
        Tensors, numbers, strings, and lists and dicts of them.

    Raises
    ------
    InputError
        If the disk is full or refuses; the former checkpoint is still there.
    """
    held = io.BytesIO()
    torch.save({"format": _FORMAT, **state}, held)
    replace_file(path, held.getbuffer(), f"the checkpoint of step {state['step']}")


def replace_file(path: Path, content: bytes | memoryview, what: str) -> None:
    """Put a file in place whole, see `atomic.whole_file`.

    Raises
    ------
    InputError
        Naming `what` could not be written, and why; nothing has changed then.
    """
    try:
        with whole_file(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise not_written(path, what, error) from error


def not_written(path: Path, what: str, error: OSError) -> InputError:
    """Return the error that says why something could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    cause = "the disk is full" if full else error.strerror
    return InputError(
        f"{what[0].upper()}{what[1:]} could not be written to {path}: {cause}; what was there "
        "before is whole."
    )


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint; nothing in it can run code.

    Raises
    ------
    InputError
        If there is none, or it is damaged or of another version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            # As torch writes them: packed ones may claim any size.
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("it is packed")
            # torch does not look at the checksums that it writes.
            if archive.testzip() is not None:
                raise ValueError("a checksum differs")
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path.parent} holds no {path.name}, so it cannot be resumed.") from error
    except MemoryError:
        raise
    except Exception as error:
        # Of damaged bytes, zipfile and torch raise whatever they stumble over.
        raise InputError(f"{path} is damaged or no checkpoint of this program.") from error
    if not isinstance(state, dict) or state.get("format") != _FORMAT:
        raise InputError(f"{path} is no checkpoint of this version of the program.")
    return dict(state)
