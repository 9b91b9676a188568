"""Reading OME-Zarr of any version up to 0.5, and plain Zarr arrays, as one lazy array with axes.

Which images a store holds, what their levels, axes and places are, and how they are shown; the
chunks are read by `zarr_array`.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, cast

from napari_srgan.errors import InputError
from napari_srgan.image.axes import AXIS_LETTERS, canonical, guess_axes, stated_axes
from napari_srgan.image.stack import Stack
from napari_srgan.image.units import PIXEL, normalise_unit
from napari_srgan.io import schema
from napari_srgan.io.appearance import KEY as APPEARANCE
from napari_srgan.io.appearance import Appearance
from napari_srgan.io.calibration import Calibration
from napari_srgan.io.formats.image_file import ImageFile, placed_image
from napari_srgan.io.formats.source import check_series
from napari_srgan.io.formats.zarr_array import METADATA, ZarrArray, read_json, read_layout
from napari_srgan.io.notes import KEY, from_text, valid_layout

UNFINISHED = "unfinished"
"""Among our notes: that a result is still being made, or was when its run was killed."""

_MOST_PLANES = 10**7
_VERSION_AXES = "tczyx"
"""Of OME-Zarr before 0.3, which names none."""


@dataclass(frozen=True)
class _Image:
    """One image of a store.

    Attributes
    ----------
    folder : Path
        Of its group, or of its one array.
    levels : tuple of Path
        Folders of its arrays, the finest first.
    multiscale : mapping
        What OME-Zarr states of it; empty for a plain array.
    attributes : mapping
        Of the group.
    """

    folder: Path
    levels: tuple[Path, ...]
    multiscale: Mapping[str, Any]
    attributes: Mapping[str, Any]


def is_store(path: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return any((path / name).is_file() for name in METADATA)


def read_zarr(
    path: Path, axes: str | None = None, series: int | None = None, level: int = 0
) -> Stack:
    """Open an image of a Zarr store as a stack, see `open_zarr`.

    Raises
    ------
    InputError
        If it cannot be upscaled.
    """
    found = open_zarr(path, axes, series, level)
    if found.done is not None:
        warnings.warn(f"{path.name} {unfinished_text(found.done)}.", stacklevel=2)
    return found.stack(path.name)


def unfinished_text(done: tuple[int, int]) -> str:
    """Say how far an unfinished result is, after its name."""
    return f"is not finished: {done[0]} of {done[1]} slices are done, the others read as 0"


def open_zarr(
    path: Path, axes: str | None = None, series: int | None = None, level: int = 0
) -> ImageFile:
    """Open an image of a Zarr store without reading its pixels.

    `series` is the number of one of several images, from 0, by default the first, and a warning
    says so. Level 0 is the image, the others are coarser. `axes` names the axes anew, in the order
    in which they are stored.

    Raises
    ------
    InputError
        If the folder is no store, is damaged, or holds no such image or level.
    """
    images = _images(path)
    if not images:
        raise InputError(f"{path.name} holds no image: it has no arrays that an image could be.")
    number = check_series(path.name, series, len(images))
    try:
        return _opened(path, images[number], axes, series, level)
    except InputError:
        raise
    except ValueError as e:
        raise InputError(f"{path.name} is damaged: {e}.") from e


def count_zarr_images(path: Path) -> int:
    """Count the images of a store that `open_zarr` can choose of."""
    return len(_images(path))


def read_result(path: Path, axes: str) -> ZarrArray:
    """Open what napari-srgan has just written, its axes in the order that it had."""
    found = open_zarr(path)
    assert sorted(found.axes) == sorted(axes)
    return cast("ZarrArray", found.data)


def _opened(
    path: Path, image: _Image, axes: str | None, series: int | None, level: int
) -> ImageFile:
    name, count = path.name, len(image.levels)
    if not 0 <= level < count:
        there = f"levels 0 to {count - 1}" if count > 1 else "level 0 only"
        raise InputError(f"{name} has no level {level}; it has {there}.")
    notes = from_text(image.attributes.get(KEY))
    raw = image.attributes.get(KEY)
    unfinished = isinstance(raw, Mapping) and bool(raw.get(UNFINISHED))
    first = read_layout(path, image.levels[0])
    letters = _letters(image, first.names, first.shape, first.chunk.dtype, axes, name)
    stated = [_calibration(image.multiscale, i, letters) for i in range(count)]
    sizes = list(first.shape)
    noted = (notes or {}).get("layout") or {}
    colours = "S" in noted.get("axes", "") and "C" in letters and axes is None
    if colours and sizes[letters.index("C")] in (3, 4):
        letters = letters.replace("C", "S")
    layout = valid_layout(notes, letters, sizes, stated[0]) if axes is None else None
    if layout and sorted(layout["axes"]) != sorted(letters):
        layout = None
    order = letters if axes is not None else str(layout["axes"]) if layout else canonical(letters)
    transposed = tuple(letters.index(a) for a in order)
    arrays = [
        ZarrArray(
            path,
            folder,
            transposed,
            complete=layout is not None and not unfinished,
            reopen=partial(_array, axes=axes, series=series, level=number),
            variant=(str(folder), transposed, _marks(folder) if unfinished else 0),
        )
        for number, folder in enumerate(image.levels)
        if number >= level
    ]
    check_claims(arrays[0], order, name)
    arrays[0].coarser = tuple(arrays[1:])
    metadata = dict((notes or {}).get("metadata") or {})
    if shown := _appearance(image.attributes):
        metadata[APPEARANCE] = shown
    found = placed_image(arrays[0], order, stated[level], layout if not level else None, metadata)
    return replace(
        found,
        own=layout is not None,
        done=_done(arrays[-1], order) if unfinished else None,
    )


def check_claims(array: ZarrArray, axes: str, name: str) -> None:
    """Refuse what no store of a few files can mean to hold."""
    planes = 1
    for axis, n in zip(axes, array.shape, strict=True):
        planes *= n if axis not in "YXS" else 1
    if planes > _MOST_PLANES:
        raise InputError(f"{name} claims to hold {planes} slices, so it is damaged.")
    folder = array.folder
    if not any(entry.name not in METADATA for entry in folder.iterdir()):
        raise InputError(
            f"{name}: none of the pixels of its array {folder.name} is there; copy the whole"
            " folder."
        )


def _array(path: Path, axes: str | None, series: int | None, level: int) -> ZarrArray:
    return cast("ZarrArray", open_zarr(path, axes, series, level).data)


def _images(path: Path) -> list[_Image]:
    """List the images of a store: of one group, of several (as bioformats2raw has), or arrays."""
    if not is_store(path):
        raise InputError(
            f"{path.name} is no Zarr store: it has none of the files {', '.join(METADATA)}."
        )
    if found := _images_of_group(path, path):
        return found
    said = _attributes(path, path)
    listed = _attributes(path / "OME", path).get("series") if (path / "OME").is_dir() else None
    inner: list[Path] = []
    if isinstance(said.get("plate"), Mapping):
        inner = [f for well in _paths(said["plate"].get("wells")) for f in _fields(path, well)]
    elif isinstance(listed, list):
        inner = [_inside(path, str(name)) for name in listed[: schema.MANY]]
    else:
        numbered = itertools.takewhile(Path.is_dir, (path / str(i) for i in range(schema.MANY)))
        inner = list(numbered)
    found = [image for folder in inner for image in _images_of_group(folder, path)]
    if found:
        return found
    arrays = [f for f in sorted(path.iterdir()) if f.is_dir() and _is_array(f, path)]
    return [_Image(f, (f,), {}, _attributes(f, path)) for f in arrays[: schema.MANY]]


def _images_of_group(folder: Path, store: Path) -> list[_Image]:
    said = _attributes(folder, store)
    if _is_array(folder, store):
        return [_Image(folder, (folder,), {}, said)] if folder == store else []
    given = said.get("multiscales")
    images = []
    for multiscale in given if isinstance(given, list) else ():
        datasets = _paths(multiscale.get("datasets") if isinstance(multiscale, Mapping) else None)
        levels = tuple(_inside(folder, path) for path in datasets)
        for level in levels:
            if not _is_array(level, store):
                raise InputError(
                    f"{store.name}: the level {level.name}, which it lists, is not there; copy the"
                    " whole folder."
                )
        if levels:
            images.append(_Image(folder, levels, multiscale, said))
    return images


def _fields(path: Path, well: str) -> list[Path]:
    """List the images of a well of a plate."""
    folder = _inside(path, well)
    said = _attributes(folder, path).get("well")
    listed = _paths(said.get("images")) if isinstance(said, Mapping) else []
    return [_inside(folder, image) for image in listed]


def _paths(items: Any) -> list[str]:
    listed = items[: schema.MANY] if isinstance(items, list) else []
    return [str(item["path"]) for item in listed if isinstance(item, Mapping) and "path" in item]


def _inside(folder: Path, path: str) -> Path:
    """Give a folder within another; ValueError for one that lies elsewhere."""
    inner = PurePosixPath(path)
    if inner.is_absolute() or ".." in inner.parts or "\\" in path or "\0" in path:
        raise InputError(f"{folder.name} names {schema.shown(path)}, which lies outside of it.")
    return folder / inner


def _is_array(folder: Path, store: Path) -> bool:
    if (folder / ".zarray").is_file():
        return True
    return read_json(folder / "zarr.json", store).get("node_type") == "array"


def _attributes(folder: Path, store: Path) -> dict[str, Any]:
    """Read the attributes of a group or array; those of OME-Zarr 0.5 as in 0.4."""
    said = read_json(folder / "zarr.json", store).get("attributes")
    if said is None:
        said = read_json(folder / ".zattrs", store)
    if not isinstance(said, Mapping):
        return {}
    ome = said.get("ome")
    return {**said, **ome} if isinstance(ome, Mapping) else dict(said)


def _letters(
    image: _Image,
    names: tuple[str, ...],
    shape: tuple[int, ...],
    dtype: Any,
    axes: str | None,
    name: str,
) -> str:
    """Letters of the stored axes."""
    if axes is not None:
        return axes.upper()
    given = image.multiscale.get("axes")
    if isinstance(given, list):
        names = tuple(str(a.get("name") if isinstance(a, Mapping) else a) for a in given)
    elif image.multiscale:
        names = tuple(_VERSION_AXES)
    elif not any(names):
        listed = image.attributes.get("_ARRAY_DIMENSIONS")  # as xarray writes
        names = tuple(map(str, listed)) if isinstance(listed, list) else ()
    letters = stated_axes(names)
    if letters is not None and len(letters) == len(shape):
        return letters
    if image.multiscale:
        raise InputError(
            f"{name} has the axes {', '.join(names)}, of which not all are known; name them with"
            f" letters of {AXIS_LETTERS}, in this order, by --axes."
        )
    return guess_axes(shape, dtype, name)


def _calibration(multiscale: Mapping[str, Any], level: int, letters: str) -> Calibration:
    """Read spacing, position and unit of each axis of a level."""
    found = Calibration()
    if not multiscale:
        return found
    n = len(letters)
    scale, shift = [1.0] * n, [0.0] * n
    dataset = multiscale["datasets"][level]
    for given in (dataset, multiscale):  # what holds for all levels is applied last
        listed = given.get("coordinateTransformations")
        for step in listed if isinstance(listed, list) else ():
            kind = step.get("type") if isinstance(step, Mapping) else None
            if kind not in ("scale", "translation"):
                continue
            if "path" in step:
                raise ValueError("a transformation of it lies in an array, which is not read")
            values = schema.several(schema.number, n)(step.get(kind))
            if kind == "scale":
                scale = [a * b for a, b in zip(scale, values, strict=True)]
                shift = [a * b for a, b in zip(shift, values, strict=True)]
            else:
                shift = [a + b for a, b in zip(shift, values, strict=True)]
    axes = multiscale.get("axes")
    for i, letter in enumerate(letters):
        axis = axes[i] if isinstance(axes, list) and i < len(axes) else None
        stated = axis.get("unit") if isinstance(axis, Mapping) else None
        unit = normalise_unit(stated) if letter in "TZYX" else PIXEL
        found.set(letter, scale[i], unit)
        found.set_origin(letter, shift[i], unit)
    return found


def _appearance(attributes: Mapping[str, Any]) -> Appearance | None:
    """Read what ``omero`` says of the channels."""
    said = attributes.get("omero")
    channels = said.get("channels") if isinstance(said, Mapping) else None
    listed = channels[: schema.MANY] if isinstance(channels, list) else []
    listed = [c if isinstance(c, Mapping) else {} for c in listed]
    # That of an only channel is the image's.
    names = tuple(str(c.get("label") or "") for c in listed) if len(listed) > 1 else ()
    colours = tuple(_colour(c.get("color")) for c in listed)
    ranges: list[float] = []
    for channel in listed:
        window = channel.get("window")
        try:
            ends = schema.mapping(window)
            low, high = schema.number(ends.get("start")), schema.number(ends.get("end"))
        except ValueError:
            continue
        ranges += [low, high] if low < high else []
    return Appearance(
        names=names if any(names) else (),
        colours=() if set(colours) <= {None} else colours,
        ranges=tuple(ranges) if len(ranges) == 2 * len(listed) else (),
    )


def _colour(text: Any) -> int | None:
    """Number a colour as OME-XML does; white is none that was chosen."""
    digits = str(text).lstrip("#")
    if len(digits) != 6 or not set(digits.lower()) <= set("0123456789abcdef"):
        return None
    number = int(digits, 16) << 8 | 0xFF
    return None if number == 0xFFFFFFFF else number - (number >> 31 << 32)


def _marks(folder: Path) -> int:
    """Give what changes while an array grows."""
    return max(f.stat().st_mtime_ns for f in (folder, *folder.glob("c")))


def _done(coarsest: ZarrArray, axes: str) -> tuple[int, int]:
    """Count the planes whose coarsest level is there, which is written last, and all planes."""
    first = {"Y": range(1), "X": range(1)}
    outer = [first.get(a, range(n)) for a, n in zip(axes, coarsest.shape, strict=True)]
    outer = [r[-1:] if a == "S" else r for a, r in zip(axes, outer, strict=True)]
    there = [coarsest.is_there(place) for place in itertools.product(*outer)]
    return sum(there), len(there)
