"""What napari calls to read and to write image files, and the bundled samples.

Files with axes, spacing, units and origin; what one of the two hooks writes, the other
restores. The samples are named as in the catalogue of `sample_data`, one function each; the
manifest points at them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_srgan._gui.tags import PLACING, saved_metadata, spacing_tag
from napari_srgan.engine.record import input_label
from napari_srgan.errors import InputError
from napari_srgan.image.acquisition import Acquisition
from napari_srgan.image.axes import axes_from_labels, checked_dtype
from napari_srgan.image.stack import Stack
from napari_srgan.io.appearance import KEY as APPEARANCE
from napari_srgan.io.appearance import Channel, appearance_of, channel_colours
from napari_srgan.io.formats.dicom import dicom_files
from napari_srgan.io.formats.image_file import ImageFile
from napari_srgan.io.formats.pictures import PICTURE_SUFFIXES
from napari_srgan.io.open import (
    READABLE_SUFFIXES,
    format_of,
    image_name,
    is_zarr,
    name_of,
    open_images,
)
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import FileSink
from napari_srgan.synthetic.samples import sample_path

MOST_CHANNELS = 16
"""Images of more are spectra, and stay one layer."""

LAYER_SUFFIXES = tuple(s for s in READABLE_SUFFIXES if s not in (*PICTURE_SUFFIXES, ".npy", ".xml"))
"""Files of which napari.yaml says that they become layers here; napari itself reads pictures."""

LayerData = tuple[Any, dict[str, Any], str]

_GAMMA = 0.25
"""By which OCT that is linear in intensity is shown: otherwise nearly all of it is black."""
SHARE_OF_MEMORY = 0.25
"""Images beyond this share of the free memory stay in their file and are read as they are shown."""

_SIDE = 1024
"""Pixels a side of what is read at once of a level of TIFF."""

# --- reading ----------------------------------------------------------------------------------


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return a reader if every path is one that the manifest names, else None (as npe2 asks)."""
    paths = _paths(path)
    return read if paths and all(map(_is_ours, paths)) else None


def _is_ours(path: Path) -> bool:
    """Leave other folders than of Zarr and DICOM, and other lists than HEYEX's, to others."""
    if path.is_dir():
        return is_zarr(path) or bool(dicom_files(path))
    if path.suffix.lower() == ".xml":
        try:
            format_of(path)
        except InputError:
            return False
        return True
    return path.name.lower().endswith(LAYER_SUFFIXES)


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Read each file into the data of an image layer for each of its images and channels.

    Raises
    ------
    InputError
        If a file cannot be read; napari shows the sentence.
    """
    return [layer for p in _paths(path) for layer in _read_all(p)]


def _read_all(path: Path) -> list[LayerData]:
    name = image_name(input_label(name_of(path)))
    made: list[LayerData] = []
    for part, image in open_images(path):
        layers = layers_of(image, f"{name} {part}".strip())
        taken = Acquisition.of(image.metadata)
        if made and taken is not None and taken.modality == "enface":
            for _, meta, _ in layers:  # it lies elsewhere than the B-scans, and would cover them
                meta["visible"] = False
        made += layers
    return made


def layers_of(image: ImageFile | Stack, name: str) -> list[LayerData]:
    """Give an opened image as the data of a layer, or of one a channel where it names channels.

    Raises
    ------
    InputError
        If its colour samples are not its last axis.
    """
    plain = image.axes.replace("S", "")
    if "S" in image.axes and not image.axes.endswith("S"):
        raise InputError(f"{name}: the colour samples must come last, not as {image.axes}.")
    metadata = dict(image.metadata)
    extra = metadata.pop(PLACING, {})
    meta: dict[str, Any] = {
        "name": name,
        "scale": image.scale,
        "translate": image.translate,
        "units": image.units,
        "axis_labels": tuple(plain.lower()),
        "rgb": "S" in image.axes,
        "metadata": metadata | spacing_tag(image.spacing_source),
    }
    n = len(plain)  # another program may have dropped an axis: what no longer fits is left out
    fitting = {"rotate": [n * n], "shear": [n * (n - 1) // 2, n * n], "affine": [(n + 1) ** 2]}
    for key, sizes in fitting.items():
        if key in extra and np.size(extra[key]) in sizes:
            meta[key] = np.asarray(extra[key])
    if (taken := Acquisition.of(metadata)) is not None and taken.linear:
        meta["gamma"] = _GAMMA
    if isinstance(image, ImageFile) and image.done is not None:
        meta["name"] += " (unfinished: {} of {} slices)".format(*image.done)
    data = shown_data(image.data, image.axes)
    count = image.data.shape[image.axes.index("C")] if "C" in plain else 1
    one = not isinstance(image, ImageFile) or image.own or meta["rgb"]
    channels = appearance_of(metadata).channels(count)
    if 1 < count <= MOST_CHANNELS and not one:
        return _split(data, meta, plain.index("C"), channels)
    if not meta["rgb"]:
        limits = [channel.limits for channel in channels]
        if None not in limits:
            meta["contrast_limits"] = min(lo for lo, _ in limits), max(hi for _, hi in limits)
        if count == 1:
            meta |= _coloured(channels[0])
    return [(data, meta | {"multiscale": isinstance(data, list)}, "image")]


def _split(
    data: Any, meta: Mapping[str, Any], axis: int, channels: Sequence[Channel]
) -> list[LayerData]:
    """Make a layer of each channel, shown as the file says, that blends with the others."""
    chosen = channel_colours(channels)
    along = ("scale", "translate", "units", "axis_labels")
    made: list[LayerData] = []
    for number, channel in enumerate(channels):
        own = {**meta, "metadata": dict(meta["metadata"])}
        own |= {key: (*meta[key][:axis], *meta[key][axis + 1 :]) for key in along}
        if alone := appearance_of(own["metadata"]).channel(number):
            own["metadata"][APPEARANCE] = alone
        own["name"] = f"{meta['name']} {channel.name or f'channel {number}'}"
        own |= {"colormap": chosen[number], **_coloured(channel, by_table=True)}
        own["blending"] = "additive" if number else "translucent_no_depth"
        if channel.limits:
            own["contrast_limits"] = channel.limits
        key = (slice(None),) * axis + (number,)
        own["multiscale"] = isinstance(data, list)
        one = [level[key] for level in data] if own["multiscale"] else data[key]
        made.append((one, own, "image"))
    return made


def _coloured(channel: Channel, by_table: bool = False) -> dict[str, Any]:
    """Say in which colours a layer is shown, if a file does; perhaps only where by a table."""
    if channel.table is not None:
        from napari.utils import Colormap

        return {"colormap": Colormap(channel.table / 255, name="lookup table of the file")}
    return {} if by_table or channel.colour is None else {"colormap": channel.colour}


def shown_data(data: Any, axes: str) -> Any:
    """Give an array as napari is to have it: in memory, or where that would be much as dask.

    Of a file with coarser levels a list of all levels, of which it reads what the canvas needs.
    """
    levels = getattr(data, "coarser", ())
    if levels:
        return [_lazy(level, axes, _piece(level)) for level in (data, *levels)]
    nbytes = math.prod(data.shape) * np.dtype(data.dtype).itemsize
    if nbytes <= SHARE_OF_MEMORY * psutil.virtual_memory().available:
        return np.asarray(data)
    return _lazy(data, axes, data.shape)


def _piece(level: Any) -> Sequence[int]:
    """Lengths of what is read at once of a level: a chunk, or of TIFF as much as one."""
    own = getattr(level, "chunk_shape", None)
    return own or [min(n, _SIDE) for n in level.shape]


def _lazy(data: Any, axes: str, sides: Sequence[int]) -> Any:
    import dask.array  # napari brings it; the core does without

    sizes = zip(axes, data.shape, sides, strict=True)
    chunks = tuple({"S": n}.get(a, side) if a in "YXS" else 1 for a, n, side in sizes)
    return dask.array.from_array(data, chunks=chunks, name=False, meta=np.empty(0, data.dtype))


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(p) for p in ([path] if isinstance(path, str) else path)]


# --- writing ----------------------------------------------------------------------------------


def write_image(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write an image layer as TIFF or OME-Zarr, plane by plane.

    Axes (from the axis labels), scale, translate, units and the layer's metadata, provenance
    included, are kept; so are rotation, shear and affine, for this plugin's reader. Of a
    multiscale layer the finest level is written.

    Parameters
    ----------
    path : str
        Ending in .tif, .tiff, .ome.tif, .ome.tiff or .zarr; what is there is replaced (napari's
        dialog has asked).
    data, meta
        The layer's data and attributes, as npe2 gives them.

    Returns
    -------
    list of str
        The path.

    Raises
    ------
    InputError
        If it cannot be written.
    """
    if meta.get("multiscale"):
        data = data[0]
    name = str(meta.get("name") or "image")
    rgb = bool(meta.get("rgb"))
    ndim = len(data.shape) - rgb
    axes = axes_from_labels(tuple(meta.get("axis_labels") or ()), ndim, rgb)
    if axes is None:
        raise InputError(
            f"{name} has {ndim} axes without known labels; set the layer's axis_labels to letters"
            " of TCZYX before saving it as TIFF."
        )
    if 0 in data.shape:
        raise InputError(f"{name} is empty: its shape is {tuple(data.shape)}.")
    spec = OutputSpec(
        shape=tuple(int(n) for n in data.shape),
        axes=axes,
        dtype=checked_dtype(data.dtype, name),
        scale=_numbers(meta.get("scale"), ndim, 1.0),
        translate=_numbers(meta.get("translate"), ndim, 0.0),
        units=tuple(str(u) for u in meta.get("units") or ("pixel",) * ndim),
        name=name,
        metadata=_metadata(meta, ndim),
        window=_window(meta, dict(zip(axes, data.shape, strict=True)).get("C", 1)),
    )
    sink = FileSink(path, overwrite=True)
    sink.open(spec)
    try:
        inner = [a for a in axes if a in "YXS"]
        order = [inner.index(a) for a in "YXS" if a in inner]
        lengths = [range(n) for a, n in zip(axes, spec.shape, strict=True) if a not in "YXS"]
        for index in itertools.product(*lengths):
            at = iter(index)
            key = tuple(slice(None) if a in "YXS" else next(at) for a in axes)
            sink.write(index, 0, 0, np.asarray(data[key]).transpose(order))
            sink.plane_done(index)
        sink.commit()
    except BaseException:
        sink.abort()
        raise
    return [path]


def _numbers(given: Any, n: int, default: float) -> tuple[float, ...]:
    values = tuple(float(v) for v in ([default] * n if given is None else given))
    return values[-n:]


def _window(meta: Mapping[str, Any], channels: int) -> tuple[tuple[float, float], ...]:
    low, high = meta.get("contrast_limits") or (0, 0)
    return ((float(low), float(high)),) * channels if low < high else ()


def _metadata(meta: Mapping[str, Any], ndim: int) -> dict[str, Any]:
    """The layer's metadata, with what the format has no place for beside it."""
    kept = saved_metadata(meta.get("metadata") or {})
    if not meta.get("rgb"):
        kept[APPEARANCE] = replace(appearance_of(kept), **_shown(meta))
    extra = {}
    plain = {"rotate": np.eye(ndim), "shear": np.zeros(0), "affine": np.eye(ndim + 1)}
    for key, usual in plain.items():
        value = np.asarray(meta[key], float) if meta.get(key) is not None else usual
        trivial = not value.any() if key == "shear" else np.array_equal(value, usual)
        if not trivial:
            extra[key] = value.tolist()
    return {**kept, PLACING: extra} if extra else kept


def _shown(meta: Mapping[str, Any]) -> dict[str, Any]:
    """How a layer is shown, as other programs say it: a range, and a table where not in gray."""
    said: dict[str, Any] = {}
    if meta.get("contrast_limits") is not None:
        said["ranges"] = tuple(float(v) for v in meta["contrast_limits"])
    colours = meta.get("colormap")
    if isinstance(colours, Mapping) and {"colors", "controls"} <= set(colours):
        at, given = np.linspace(0, 1, 256), np.asarray(colours["colors"], float)
        table = [np.interp(at, colours["controls"], given[:, k]) * 255 for k in range(3)]
        said["tables"] = (np.rint(table).astype(np.uint8),)
    return said


# --- samples ----------------------------------------------------------------------------------


def oct_volume_lr() -> list[LayerData]:
    """OCT volume LR: the HR volume shrunk 4x."""
    return [_layer("oct_volume_lr")]


def oct_volume_hr() -> list[LayerData]:
    """OCT volume HR: the mean of many frames."""
    return [_layer("oct_volume_hr")]


def oct_volume_truth() -> list[LayerData]:
    """OCT volume, the speckle-free truth."""
    return [_layer("oct_volume_truth")]


def oct_volume_coarse_lr() -> list[LayerData]:
    """OCT volume LR: an instrument of 4x coarser resolution."""
    return [_layer("oct_volume_coarse_lr")]


def oct_frame_hr() -> list[LayerData]:
    """OCT single frames HR with full speckle, 12 bits in uint16."""
    return [_layer("oct_frame_hr")]


def oct_frame_coarse_lr() -> list[LayerData]:
    """OCT single frames LR of the same scatterers, 12 bits in uint16."""
    return [_layer("oct_frame_coarse_lr")]


def tissue_rgb_lr() -> list[LayerData]:
    """Stained tissue LR, RGB: the HR image shrunk 4x."""
    return [_layer("tissue_rgb_lr")]


def tissue_rgb_hr() -> list[LayerData]:
    """Stained tissue HR, RGB."""
    return [_layer("tissue_rgb_hr")]


def _layer(name: str) -> LayerData:
    """Read a sample as a dragged file is read, and show a stack over its dtype's whole range."""
    ((data, attributes, kind),) = read(str(sample_path(name)))
    attributes["name"] = name
    if not attributes["rgb"]:
        # 12 bits in the frames; the same limits for LR and HR make their grey levels comparable.
        attributes["contrast_limits"] = (0, 255 if data.dtype == np.uint8 else 4095)
    return data, attributes, kind
