"""Measured pairs: the same places scanned in low and in high resolution.

The layout of the published pair sets is `train/high`, `train/low`, `val/high` and `val/low` below
a folder, files of a pair under the same name. Others differ in the names of the folders, or of the
files (0001x4.png), or have no folder for validation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from napari_srgan.errors import InputError
from napari_srgan.image.colour import as_channels
from napari_srgan.image.intensity import Intensity, measure
from training.likeness import ONE_PLACE, correlation, shift, thumbnail
from training.scans import Decoded, Scan, Sieve, short_name
from training.split import ALL, TRAIN, VAL, Volume, Wanted, child, find_volumes, named_sides

HIGH = ("high", "hr", "highres", "high_res", "high-res", "high_resolution", "gt", "target")
LOW = ("low", "lr", "lowres", "low_res", "low-res", "low_resolution", "lq", "input")

_CLIPPED = 0.05  # of the HR pixels: sharper peaks go beyond the LR range, but not many
_BRIGHTNESS = (0.8, 1.25)  # of the LR image beside the HR one
_LIKE = 0.3  # correlation of two images of one place, however noisy one of them is
_SHIFTED = 0.6  # correlation from which two images that are moved show one place,
_BETTER = 0.05  # if it is better than where they are by so much,
_FARTHEST = 0.25  # and they are moved by at most this share of a side
_ANOTHER = 0.2  # by which LR must be more like another HR image: neighbours are alike too
_COARSE = 8  # LR px that are made one, to compare brightness without noise and blur


@dataclass(frozen=True, slots=True)
class Pairing:
    """A folder of HR files and the one of their LR partners."""

    high: Path
    low: Path


def look_like_pairs(folder: Path) -> bool:
    """Say whether a folder holds measured pairs, by the names of its folders."""
    sides = (folder, *(side for names in (TRAIN, VAL) if (side := child(folder, names))))
    return any(child(side, HIGH) and child(side, LOW) for side in sides)


def pairings(folder: Path) -> tuple[Pairing, Pairing | None]:
    """Find the folders of pairs for training, and those for validation if there are any.

    Raises
    ------
    InputError
        If one is missing.
    """
    if sides := named_sides(folder):
        return _pairing(sides[0]), _pairing(sides[1])
    pairing = _pairing(folder)
    return both_sides(pairing.high, pairing.low)


def both_sides(high: Path, low: Path) -> tuple[Pairing, Pairing | None]:
    """Divide an HR and an LR folder by their own folders for training and validation, if any."""
    highs, lows = named_sides(high), named_sides(low)
    if highs and lows:
        return Pairing(highs[0], lows[0]), Pairing(highs[1], lows[1])
    return Pairing(high, low), None


def _pairing(folder: Path) -> Pairing:
    found = [child(folder, names) for names in (HIGH, LOW)]
    if found[0] is None or found[1] is None:
        missing = HIGH[0] if found[0] is None else LOW[0]
        raise InputError(
            f"{folder} has no folder {missing} of a pair; lay out the pairs as train/high, "
            "train/low, val/high and val/low, or name two folders with --hr DIR --lr DIR."
        )
    return Pairing(*found)  # type: ignore[arg-type]


def find_pairs(
    pairing: Pairing, sieve: Sieve, wanted: Wanted = ALL
) -> tuple[list[Volume], dict[Path, Path]]:
    """Find the pairs of two folders.

    Parameters
    ----------
    pairing : Pairing
    sieve : Sieve
        Takes files without a partner.
    wanted : Wanted
        Which files are meant.

    Returns
    -------
    volumes : list of Volume
        Of HR files that have a partner.
    partners : dict of Path to Path
        The LR file of each of them.
    """
    volumes = find_volumes(pairing.high, wanted)
    high = _by_name(pairing.high, [path for volume in volumes for path in volume.files])
    low = _by_name(pairing.low, [p for v in find_volumes(pairing.low, wanted) for p in v.files])

    def partner(name: str) -> tuple[Path, Path]:
        if name not in low:
            raise InputError(f"{high[name]} has no partner of that name in {pairing.low}.")
        if name not in high:
            raise InputError(f"{low[name]} has no partner of that name in {pairing.high}.")
        return high[name], low[name]

    partners = dict(sieve.each(partner, sorted(high.keys() | low.keys())))
    kept = [Volume(v.name, tuple(path for path in v.files if path in partners)) for v in volumes]
    return [volume for volume in kept if volume.files], partners


def _by_name(folder: Path, files: Sequence[Path]) -> dict[str, Path]:
    """Name files by their path, without what says that they are of one side: 0001x4, scan_LR."""
    found: dict[str, Path] = {}
    suffix = re.compile(rf"([_.-]?x[0-9]|[_.-]({'|'.join((*HIGH, *LOW))}))$", re.IGNORECASE)
    for path in files:
        below = path.relative_to(folder).with_suffix("")
        name = below.with_name(suffix.sub("", below.name) or below.name).as_posix()
        if name in found:
            raise InputError(
                f"{found[name]} and {path} have one name, so their partner is unclear."
            )
        found[name] = path
    return found


def pair_scans(
    high: Decoded,
    low: Decoded,
    *,
    channels: int,
    scale: tuple[int, int],
    min_side: int,
    intensity: str = "auto",
    transform: str = "none",
) -> list[Scan]:
    """Make scans of a decoded pair.

    Parameters
    ----------
    high, low : Decoded
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
    for file in (low, high):
        if channels == 3 and not file.stack.is_rgb:
            raise InputError(
                f"{file.path} is grayscale and cannot be part of an RGB training; leave the "
                "pair out, or train on gray with --channels 1."
            )
    _check_shapes(high, low, scale)
    if low.stack.dtype != high.stack.dtype:
        raise InputError(
            f"{high.path} is {high.stack.dtype} but its low-resolution partner is "
            f"{low.stack.dtype}; both must have one intensity scale."
        )
    if min(high.stack.height, high.stack.width) < min_side:
        raise InputError(
            f"{high.path} is {high.stack.height} x {high.stack.width} px, smaller than the "
            f"{min_side} px that a crop needs; leave the pair out or make the crop smaller."
        )
    unit = measure(low.stack, intensity, transform)
    _refuse_other_range(low, high, unit)
    scans = [
        Scan(
            as_channels(plane, channels),
            unit,
            low.stack.channel_of(index),
            short_name(high.path),
            low=as_channels(low.planes[index], channels),
        )
        for index, plane in high.planes.items()
    ]
    _compare(max(scans, key=lambda scan: float(scan.crop_low().std())), high.path, low.path)
    return scans


def _check_shapes(high: Decoded, low: Decoded, scale: tuple[int, int]) -> None:
    """Refuse a pair whose sizes do not fit, and say which scale they would fit."""
    fine, coarse = (np.array((f.stack.height, f.stack.width)) for f in (high, low))
    if set(low.planes) == set(high.planes) and (fine == coarse * scale).all():
        return
    message = (
        f"{high.path} has {len(high.planes)} planes of {fine[0]} x {fine[1]} px; to its "
        f"low-resolution partner ({len(low.planes)} of {coarse[0]} x {coarse[1]}) belong "
        f"{len(low.planes)} of {coarse[0] * scale[0]} x {coarse[1] * scale[1]} px."
    )
    ratio = fine // coarse
    if (fine == coarse * ratio).all() and ratio[0] == ratio[1] > 1:
        message = message[:-1] + f"; the ratio is {ratio[0]}: --scale {ratio[0]}."
    raise InputError(message)


def _refuse_other_range(low: Decoded, high: Decoded, unit: Intensity) -> None:
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


def _compare(scan: Scan, high: Path, low: Path) -> None:
    """Refuse a pair that does not show one place, or not in one place, or not as bright."""
    coarse = scan.crop_low().mean(0)
    fine = functional.adaptive_avg_pool2d(
        scan.crop().mean(0)[None], (coarse.shape[0], coarse.shape[1])
    )[0]
    alike = correlation(fine, coarse)
    y, x = shift(fine, coarse)
    far = max(abs(y) / coarse.shape[0], abs(x) / coarse.shape[1])
    if 0 < far < _FARTHEST and correlation(*_overlap(fine, coarse, y, x)) > max(
        alike + _BETTER, _SHIFTED
    ):
        raise InputError(
            f"{low} is shifted against {high} by {y} px along Y and {x} px along X; align the "
            "pair first."
        )
    if alike < _LIKE:
        raise InputError(
            f"{low} and {high} do not show the same place (their correlation is {alike:.2f}); "
            "put the right file in its place."
        )
    brightness = _brightness(fine, coarse)
    if not _BRIGHTNESS[0] <= brightness <= _BRIGHTNESS[1]:
        raise InputError(
            f"{low} is {brightness:.2f} times as bright as {high}; fit one to the other first."
        )


def _overlap(
    one: torch.Tensor, other: torch.Tensor, y: int, x: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the parts of two images that show one place if the other is shifted by (y, x)."""
    height, width = one.shape
    rows, cols = height - abs(y), width - abs(x)
    top, left = max(-y, 0), max(-x, 0)
    return (
        one[top : top + rows, left : left + cols],
        other[top + y : top + y + rows, left + x : left + x + cols],
    )


def _brightness(fine: torch.Tensor, coarse: torch.Tensor) -> float:
    """Return what factor makes LR of HR; of large cells, where noise and blur are of no weight."""
    cells = (max(fine.shape[0] // _COARSE, 2), max(fine.shape[1] // _COARSE, 2))
    high, low = (functional.adaptive_avg_pool2d(image[None], cells) for image in (fine, coarse))
    size = float((high * high).sum())
    return float((high * low).sum()) / size if size else 1.0


def partner_of_another(pairs: Sequence[Sequence[Scan]]) -> list[int | None]:
    """Find pairs whose LR image shows the HR image of another: by mistake, files were swapped.

    Parameters
    ----------
    pairs : sequence of sequences of Scan
        The planes of each pair.

    Returns
    -------
    list of int or None
        For each pair the position of the one that its LR image belongs to, or None.
    """
    if not pairs:
        return []
    chosen = [max(planes, key=lambda scan: float(scan.crop_low().std())) for planes in pairs]
    low = torch.stack([thumbnail(scan.crop_low()) for scan in chosen])
    alike = low @ torch.stack([thumbnail(scan.crop()) for scan in chosen]).T
    own, (best, at) = alike.diag(), alike.max(1)
    swapped = (best > ONE_PLACE) & (best > own + _ANOTHER)
    return [int(i) if yes else None for i, yes in zip(at, swapped, strict=True)]
