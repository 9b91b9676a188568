"""Reading PNG and JPEG, one plane that is decoded at once: gray, RGB or RGBA."""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, JpegImagePlugin, PngImagePlugin

from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.io.appearance import KEY as APPEARANCE
from napari_srgan.io.appearance import Appearance
from napari_srgan.io.formats.source import Source, check_memory, check_series
from napari_srgan.io.notes import KEY, from_text, valid_layout

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg")

_PNG_GROWTH, _JPEG_GROWTH = 1100 * 8, 1100
"""How many bytes a byte of the file can stand for; a PNG may have 8 pixels a byte."""

_COPIES = 3
"""How many times the pixels are in memory while they are decoded and turned."""

_AS_IT_IS = {"L": "YX", "RGB": "YXS", "RGBA": "YXS"}


def decode(
    path: Path, series: int | None = None
) -> tuple[npt.NDArray[Any], str, dict[str, Any] | None, bytes]:
    """Decode a PNG or JPEG file of any size that fits into the free memory.

    Palettes become RGB; what has transparency, by alpha or a transparent colour, RGBA. A picture is
    turned as its EXIF orientation says; 16-bit gray keeps its values.

    Parameters
    ----------
    path : Path
    series : int, optional
        Which frame of an animated PNG, from 0.

    Returns
    -------
    array : ndarray, shape (Y, X) or (Y, X, S), uint8 or uint16
    axes : str
        "YX" or "YXS".
    notes : dict or None
        What napari-srgan wrote into the file, if it did.
    profile : bytes
        ICC profile of the colours; empty without one.

    Raises
    ------
    InputError
        If it cannot be decoded exactly, or not at all.
    """
    source = Source.of(path)
    with source.open() as file:
        try:
            return _decode(file, source, series)
        except (InputError, MemoryError):
            raise
        except Exception as e:  # Pillow meets damage with errors of every type
            why = (str(e).strip() or "it is damaged").splitlines()[0].rstrip(".")
            raise InputError(f"{path.name} cannot be read: {why}.") from e


def _decode(
    file: BinaryIO, source: Source, series: int | None
) -> tuple[npt.NDArray[Any], str, dict[str, Any] | None, bytes]:
    name = source.name
    head = file.read(25)
    file.seek(0)
    image: Image.Image
    # Not Image.open: it refuses images beyond 179 million pixels, and takes any file for what its
    # content says, PostScript among it, for which it starts another program.
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        image, growth = PngImagePlugin.PngImageFile(file), _PNG_GROWTH
    elif head.startswith(b"\xff\xd8"):
        image, growth = JpegImagePlugin.JpegImageFile(file), _JPEG_GROWTH
    else:
        raise InputError(f"{name} is not an image, or of an unknown kind: neither PNG nor JPEG.")
    deep = growth == _PNG_GROWTH and len(head) == 25 and head[24] == 16
    mode = image.mode
    if deep and not mode.startswith("I"):
        raise InputError(
            f"{name} is a 16-bit colour PNG, of which only 8 bits would be read; save it as TIFF."
        )
    if mode == "1":
        raise InputError(
            f"{name} is a 1-bit image, which cannot be upscaled; save it as 8-bit gray first."
        )
    see_through = mode in ("PA", "LA") or "transparency" in image.info
    if mode not in (*_AS_IT_IS, "P", "PA", "LA") and not mode.startswith("I"):
        raise InputError(f"{name} has {mode} colours; convert it to RGB first.")
    nbytes = image.width * image.height * (2 if deep else len(image.getbands()))
    if nbytes > growth * source.size:
        raise InputError(
            f"{name} claims {image.width} x {image.height} px, which its {source.size} bytes cannot"
            " hold; it is damaged."
        )
    check_memory(name, _COPIES * nbytes)
    image.seek(check_series(name, series, getattr(image, "n_frames", 1)))
    profile = bytes(image.info.get("icc_profile") or b"")
    notes = from_text(getattr(image, "text", {}).get(KEY))
    image = ImageOps.exif_transpose(image)
    if mode.startswith("I"):
        return np.asarray(image).astype(np.uint16), "YX", notes, profile
    if mode not in _AS_IT_IS or see_through:
        image = image.convert("RGBA" if see_through else "RGB")
    return np.array(image), _AS_IT_IS[image.mode], notes, profile


def read_picture(path: Path, axes: str | None = None, series: int | None = None) -> Stack:
    """Read a PNG or JPEG file as a stack, with the axes and spacing of its notes if they fit it."""
    array, stored_axes, notes, profile = decode(path, series)
    layout = valid_layout(notes, stored_axes, array.shape, None) if axes is None else None
    metadata = dict((notes or {}).get("metadata") or {})
    if profile:
        metadata[APPEARANCE] = Appearance(icc=profile)
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
