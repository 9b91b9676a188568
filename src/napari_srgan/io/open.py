"""Files: from a path to a Stack, whatever the format.

What belongs here: which file is which format. How each is read lies in tiff.py and pictures.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from napari_srgan.errors import InputError
from napari_srgan.image.stack import LazyArray, Stack
from napari_srgan.io.formats.notes import valid_layout
from napari_srgan.io.sinks import TIFF_SUFFIXES, WRITABLE_SUFFIXES

READABLE_SUFFIXES = (*TIFF_SUFFIXES, ".npy", ".png", ".jpg", ".jpeg")

__all__ = ["READABLE_SUFFIXES", "WRITABLE_SUFFIXES", "image_name", "open_stack"]


def open_stack(path: str | os.PathLike[str], axes: str | None = None) -> Stack:
    """Open an image file without reading more than it needs.

    TIFF of all flavours is read page by page, and .npy through a memory map; PNG and JPEG are one
    plane and are read at once. Spacing comes from OME-XML, ImageJ's description or the resolution
    tags; 72, 96 and 300 dpi count as unknown.

    Parameters
    ----------
    path : path
        One file with one of `READABLE_SUFFIXES`.
    axes : str, optional
        Letters of TCZYXS in the order in which the file stores its axes, if it names them
        wrongly or not at all.

    Returns
    -------
    Stack
        Named after the file; the provenance of a former result is in
        ``metadata["napari_srgan"]``.

    Raises
    ------
    InputError
        If the file is missing, is no image, is cut short or cannot be upscaled.
    """
    path = Path(path)
    check_file(path)
    suffix = path.suffix.lower()
    name = path.name
    if suffix in (".tif", ".tiff"):
        from napari_srgan.io.formats.tiff import open_tiff

        found = open_tiff(path, axes)
        return Stack(
            found.data,
            found.axes,
            name,
            scale=found.scale,
            translate=found.translate,
            units=found.units,
            spacing_source=found.spacing_source,
            metadata=found.metadata,
        )
    if suffix == ".npy":
        return Stack(_open_npy(path), axes, name)
    return _open_picture(path, axes)


def check_file(path: Path) -> None:
    """Refuse what is not there, is no file, or is of a format that is not read."""
    if path.is_dir():
        raise InputError(f"{path} is a folder; give an image file in it.")
    if not path.exists():
        raise InputError(f"{path} does not exist; check the name and the folder.")
    if not path.name.lower().endswith(READABLE_SUFFIXES):
        raise InputError(
            f"{path.name} is not of a format that is read; these are"
            f" {', '.join(READABLE_SUFFIXES)}."
        )
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except OSError as e:
        raise InputError(f"{path} cannot be opened: {e.strerror}.") from e
    if not first:
        raise InputError(f"{path.name} is empty (0 bytes).")


def image_name(path: str | os.PathLike[str]) -> str:
    """Name of an image after its file, without the ending: ``scan.ome.tif`` -> ``scan``."""
    name = Path(path).name
    ending = next((s for s in READABLE_SUFFIXES if name.lower().endswith(s)), "")
    return name[: len(name) - len(ending)] or name


def _open_npy(path: Path) -> LazyArray:
    try:
        mapped: LazyArray = np.load(path, mmap_mode="r", allow_pickle=False)
        return mapped
    except (OSError, ValueError, EOFError) as e:
        if "Object arrays" in str(e) or "Python objects" in str(e):
            raise InputError(
                f"{path.name}: object arrays cannot be upscaled; save a plain numeric array."
            ) from None
        raise InputError(f"{path.name} is not an .npy file, or it is cut short.") from e


def _open_picture(path: Path, axes: str | None) -> Stack:
    from napari_srgan.io.formats.pictures import read_picture

    array, stored_axes, notes = read_picture(path)
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
