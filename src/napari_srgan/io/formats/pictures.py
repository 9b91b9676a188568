"""Pictures: PNG and JPEG, decoded to gray, RGB or RGBA arrays, and PNG written.

What belongs here: what Pillow's modes mean for pixel values. Everything larger than one plane
is TIFF's or numpy's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError

from napari_srgan.errors import InputError
from napari_srgan.io.formats.notes import KEY, from_text, notice, to_text
from napari_srgan.io.output import OutputSpec

_AS_IT_IS = {"L": "YX", "RGB": "YXS", "RGBA": "YXS"}


def read_picture(path: Path) -> tuple[npt.NDArray[Any], str, dict[str, Any] | None]:
    """Read a PNG or JPEG file.

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


def check_png(spec: OutputSpec, name: str) -> None:
    """Refuse what a PNG file cannot hold, before any work."""
    sizes = dict(zip(spec.axes, spec.shape, strict=True))
    planes = [f"{a}={n}" for a, n in sizes.items() if a not in "YXS" and n > 1]
    if planes:
        raise InputError(
            f"{name}: a PNG holds one plane, but the output has {', '.join(planes)}; write .tif."
        )
    allowed = ("uint8",) if "S" in sizes else ("uint8", "uint16")
    if spec.dtype.name not in allowed:
        kind = "colour" if "S" in sizes else "gray"
        raise InputError(
            f"{name}: a PNG holds {kind} as {' or '.join(allowed)}, not as {spec.dtype.name};"
            " write .tif."
        )


def write_png(path: Path, array: npt.NDArray[Any], spec: OutputSpec, notes: dict[str, Any]) -> None:
    """Write the one plane of an output as PNG, with its notes as text."""
    letters = [a for a in spec.axes if a in "YXS"]
    plane = array.reshape([n for a, n in zip(spec.axes, spec.shape, strict=True) if a in "YXS"])
    plane = plane.transpose([letters.index(a) for a in "YXS" if a in letters])
    text = PngImagePlugin.PngInfo()
    if notice(notes):
        text.add_text("Comment", notice(notes))
    text.add_text(KEY, to_text(notes), zip=True)
    Image.fromarray(np.ascontiguousarray(plane)).save(path, format="PNG", pnginfo=text)


def _stored_bits(path: Path) -> int:
    """Bits per sample of a PNG, which Pillow does not tell; 8 for anything else."""
    with path.open("rb") as file:
        head = file.read(25)
    return head[24] if head.startswith(b"\x89PNG") and len(head) == 25 else 8
