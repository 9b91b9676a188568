"""The bundled samples as napari meets them, under *File > Open Sample*.

One function a sample, named as in the catalogue of `sample_data`; the manifest points at them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_srgan._gui.reader import read
from napari_srgan.synthetic.samples import sample_path

LayerData = tuple[Any, dict[str, Any], str]


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
