"""Measured pairs: the same places scanned in low and in high resolution.

The layout is that of the published pair sets: `train/high`, `train/low`, `val/high` and `val/low`
below a folder, files of a pair under the same name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.intensity import Intensity, measure
from training.scans import Decoded, Scan, ScanSet, short_name
from training.split import find_volumes

Pair = tuple[Decoded, Decoded]

_CLIPPED = 0.05  # of the HR pixels: sharper peaks go beyond the LR range, but not many


def find_pairs(folder: Path, part: str) -> list[tuple[Path, Path]]:
    """Return the (LR, HR) files below `folder/part`.

    Parameters
    ----------
    folder : Path
    part : str
        "train" or "val".

    Raises
    ------
    InputError
        If a folder is missing, or a file has no partner.
    """
    high, low = (_by_name(folder / part / side) for side in ("high", "low"))
    for name in sorted(set(high) ^ set(low)):
        here, there = ("high", "low") if name in high else ("low", "high")
        raise InputError(f"{part}/{here}/{name} has no partner of that name in {part}/{there}.")
    return [(low[name], high[name]) for name in sorted(high)]


def _by_name(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for volume in find_volumes(folder):
        for path in volume.files:
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in found:
                raise InputError(
                    f"{found[name]} and {path} have one name, so their partner is unclear."
                )
            found[name] = path
    return found


def pair_set(
    name: str,
    pairs: Sequence[Pair],
    *,
    channels: int,
    scale: tuple[int, int],
    min_side: int,
    intensity: str = "auto",
    transform: str = "none",
) -> ScanSet:
    """Make scans of decoded pairs.

    Parameters
    ----------
    name : str
        Of the set.
    pairs : sequence of (LR, HR)
        Decoded files.
    channels : int
        1 or 3.
    scale : tuple of int
        How many times larger HR is along Y and X.
    min_side : int
        HR planes smaller than this are refused, px.
    intensity, transform : str
        Range of the LR file, which serves the HR file too: when the model is used, LR is all
        that its range can be taken from.

    Raises
    ------
    InputError
        If a file cannot be used or two files do not fit each other: which, and why.
    """
    scans: list[Scan] = []
    for low, high in pairs:
        for file in (low, high):
            if channels == 3 and not file.stack.is_rgb:
                raise InputError(
                    f"{file.path} is grayscale and cannot be part of an RGB training; leave the "
                    "pair out, or train on gray with --channels 1."
                )
        wanted = (low.stack.height * scale[0], low.stack.width * scale[1])
        if (high.stack.height, high.stack.width) != wanted or set(low.planes) != set(high.planes):
            raise InputError(
                f"{high.path} has {len(high.planes)} planes of {high.stack.height} x "
                f"{high.stack.width} px; to its low-resolution partner ({len(low.planes)} of "
                f"{low.stack.height} x {low.stack.width}) belong {len(low.planes)} of "
                f"{wanted[0]} x {wanted[1]} px."
            )
        if low.stack.dtype != high.stack.dtype:
            raise InputError(
                f"{high.path} is {high.stack.dtype} but its low-resolution partner is "
                f"{low.stack.dtype}; both must have one intensity scale."
            )
        if min(wanted) < min_side:
            raise InputError(
                f"{high.path} is {wanted[0]} x {wanted[1]} px, smaller than the {min_side} px that "
                "a crop needs; leave the pair out or make the crop smaller."
            )
        unit = measure(low.stack, intensity, transform)
        _refuse_other_gain(low, high, unit)
        scans.extend(
            Scan(
                as_channels(plane, channels),
                unit,
                low.stack.channel_of(index),
                short_name(high.path),
                low=as_channels(low.planes[index], channels),
            )
            for index, plane in high.planes.items()
        )
    return ScanSet(name, tuple(scans))


def _refuse_other_gain(low: Decoded, high: Decoded, unit: Intensity) -> None:
    """Refuse a pair whose HR image does not fit into the range of its LR image."""
    beyond, pixels = 0, 0
    for index, plane in high.planes.items():
        values = unit.to_unit(plane, high.stack.channel_of(index))
        beyond += int(np.count_nonzero((values < 0) | (values > 1)))
        pixels += values.size
    if beyond > _CLIPPED * pixels:
        raise InputError(
            f"{beyond / pixels:.0%} of {high.path} lie beyond the intensity range of its "
            f"low-resolution partner {low.path.name}: their gain or offset differs; fit one to the "
            "other first, or give a range for both with --intensity LO:HI."
        )
