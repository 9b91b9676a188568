"""napari's writer hook: one image layer into a TIFF file, with all that its reader restores."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from napari_srgan._gui.reader import LAYER_KEY
from napari_srgan.errors import InputError
from napari_srgan.image.axes import axes_from_labels, checked_dtype
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import FileSink


def write_image(path: str, data: Any, meta: Mapping[str, Any]) -> list[str]:
    """Write an image layer as TIFF, plane by plane.

    Axes (from the axis labels), scale, translate, units and the layer's metadata, provenance
    included, are kept; so are rotation, shear and affine, for this plugin's reader. Of a
    multiscale layer the finest level is written.

    Parameters
    ----------
    path : str
        Ending in .tif, .tiff, .ome.tif or .ome.tiff; a file that is there is replaced (napari's
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
        sink.commit()
    except BaseException:
        sink.abort()
        raise
    return [path]


def _numbers(given: Any, n: int, default: float) -> tuple[float, ...]:
    values = tuple(float(v) for v in ([default] * n if given is None else given))
    return values[-n:]


def _metadata(meta: Mapping[str, Any], ndim: int) -> dict[str, Any]:
    """The layer's metadata, with what the format has no place for beside it."""
    kept = {k: v for k, v in dict(meta.get("metadata") or {}).items() if k != "spacing_source"}
    extra = {}
    plain = {"rotate": np.eye(ndim), "shear": np.zeros(0), "affine": np.eye(ndim + 1)}
    for key, usual in plain.items():
        value = np.asarray(meta[key], float) if meta.get(key) is not None else usual
        trivial = not value.any() if key == "shear" else np.array_equal(value, usual)
        if not trivial:
            extra[key] = value.tolist()
    return {**kept, LAYER_KEY: extra} if extra else kept
