"""napari's reader hook: TIFF files with their axes, spacing, units and origin.

What belongs here: from a path to the layer data that napari takes. How TIFF is read is tiff.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from napari_srgan.errors import InputError
from napari_srgan.io.formats.tiff import ImageFile, open_tiff
from napari_srgan.io.open import check_file, image_name

LayerData = tuple[Any, dict[str, Any], str]

SHARE_OF_MEMORY = 0.25
"""Images beyond this share of the free memory stay in their file and are read as they are shown."""

LAYER_KEY = "napari_layer"
"""Where the writer keeps what TIFF has no place for (rotation, shear, affine)."""


def get_reader(path: str | Sequence[str]) -> Callable[[Any], list[LayerData]] | None:
    """Return a reader if every path is a TIFF file, else None (as npe2 asks)."""
    paths = _paths(path)
    if paths and all(p.suffix.lower() in (".tif", ".tiff") and not p.is_dir() for p in paths):
        return read
    return None


def read(path: str | Sequence[str]) -> list[LayerData]:
    """Read each TIFF file into the data of one image layer.

    Raises
    ------
    InputError
        If a file cannot be read; napari shows the sentence.
    """
    return [_read_one(p) for p in _paths(path)]


def _read_one(path: Path) -> LayerData:
    check_file(path)
    image = open_tiff(path)
    plain = image.axes.replace("S", "")
    if "S" in image.axes and not image.axes.endswith("S"):
        raise InputError(f"{path.name}: the colour samples must come last, not as {image.axes}.")
    metadata = dict(image.metadata)
    extra = metadata.pop(LAYER_KEY, {})
    metadata["spacing_source"] = image.spacing_source
    meta: dict[str, Any] = {
        "name": image_name(path),
        "scale": image.scale,
        "translate": image.translate,
        "units": image.units,
        "axis_labels": tuple(plain.lower()),
        "rgb": "S" in image.axes,
        "metadata": metadata,
    }
    n = len(plain)  # another program may have dropped an axis: what no longer fits is left out
    fitting = {"rotate": [n * n], "shear": [n * (n - 1) // 2, n * n], "affine": [(n + 1) ** 2]}
    for key, sizes in fitting.items():
        if key in extra and np.size(extra[key]) in sizes:
            meta[key] = np.asarray(extra[key])
    return _in_memory_or_lazy(image), meta, "image"


def _in_memory_or_lazy(image: ImageFile) -> Any:
    data: Any = image.data
    if data.nbytes <= SHARE_OF_MEMORY * psutil.virtual_memory().available:
        return np.asarray(data)
    import dask.array  # napari brings it; the core does without

    chunks = tuple(n if a in "YXS" else 1 for a, n in zip(image.axes, data.shape, strict=True))
    return dask.array.from_array(data, chunks=chunks, name=False, meta=np.empty(0, data.dtype))


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(p) for p in ([path] if isinstance(path, str) else path)]
