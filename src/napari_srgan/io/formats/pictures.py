"""Reading PNG and JPEG, one plane that is decoded at once: gray, RGB or RGBA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.io.notes import KEY, from_text, valid_layout

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")

_AS_IT_IS = {"L": "YX", "RGB": "YXS", "RGBA": "YXS"}


def decode(path: Path) -> tuple[npt.NDArray[Any], str, dict[str, Any] | None]:
    """Decode a PNG or JPEG file.

    Palettes become RGB, or RGBA if they have transparency; gray with alpha becomes RGBA; a JPEG is
    turned as its EXIF orientation says; 16-bit gray keeps its values.

    Returns
    -------
    array : ndarray, shape (Y, X) or (Y, X, S), uint8 or uint16
    axes : str
        "YX" or "YXS".
    notes : dict or None
        What napari-srgan wrote into the file, if it did.

    Raises
    ------
    InputError
        If it cannot be decoded exactly.
    """
    try:
        with Image.open(path) as file:
            deep = _stored_bits(path) == 16
            mode = file.mode
            if deep and not mode.startswith("I"):
                raise InputError(
                    f"{path.name} is a 16-bit colour PNG, of which only 8 bits would be read;"
                    " save it as TIFF."
                )
            if mode == "1":
                raise InputError(
                    f"{path.name} is a 1-bit image, which cannot be upscaled; save it as 8-bit"
                    " gray first."
                )
            notes = from_text(getattr(file, "text", {}).get(KEY))
            if mode.startswith("I"):
                return np.asarray(file).astype(np.uint16), "YX", notes
            image = ImageOps.exif_transpose(file)
            if mode not in _AS_IT_IS:
                if mode not in ("P", "PA", "LA"):
                    raise InputError(f"{path.name} has {mode} colours; convert it to RGB first.")
                see_through = mode != "P" or "transparency" in file.info
                image = image.convert("RGBA" if see_through else "RGB")
            return np.array(image), _AS_IT_IS[image.mode], notes
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{path.name} is not an image, or of an unknown kind.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        why = str(e).rstrip(".") or "it is damaged"
        raise InputError(f"{path.name} cannot be read: {why}.") from e


def read_picture(path: Path, axes: str | None = None) -> Stack:
    """Read a PNG or JPEG file as a stack, with the axes and spacing of its notes if they fit it."""
    array, stored_axes, notes = decode(path)
    layout = valid_layout(notes, stored_axes, array.shape, None) if axes is None else None
    metadata = dict((notes or {}).get("metadata") or {})
    if layout is None:
        return Stack(array, axes or stored_axes, path.name, metadata=metadata)
    letters = str(layout["axes"])
    plain = [a for a in letters if a in "YXS"]
    array = array.transpose(["YXS".index(a) for a in plain]).reshape(layout["shape"])
    return Stack(
        array,
        letters,
        path.name,
        scale=tuple(layout["scale"]),
        translate=tuple(layout["translate"]),
        units=tuple(layout["units"]),
        spacing_source="file" if set(layout["units"]) != {"pixel"} else "unknown",
        metadata=metadata,
    )


def _stored_bits(path: Path) -> int:
    """Bits per sample of a PNG, which Pillow does not tell; 8 for anything else."""
    with path.open("rb") as file:
        head = file.read(25)
    return head[24] if head.startswith(b"\x89PNG") and len(head) == 25 else 8
