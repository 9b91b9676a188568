"""Reading .npy through a memory map."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack


def read_npy(path: Path, axes: str | None = None) -> Stack:
    """Open an .npy file as a stack; InputError if it is none, or cannot be upscaled."""
    try:
        mapped = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as e:
        if "Object arrays" in str(e) or "Python objects" in str(e):
            raise InputError(
                f"{path.name}: object arrays cannot be upscaled; save a plain numeric array."
            ) from None
        raise InputError(f"{path.name} is not an .npy file, or it is cut short.") from e
    return Stack(mapped, axes, path.name)
