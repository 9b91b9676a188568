"""High-resolution scans: find them, split them by file, and cut crops from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.files import READABLE_SUFFIXES, open_stack
from napari_srgan.intensity import Intensity, measure
from napari_srgan.stack import Stack

if TYPE_CHECKING:
    from napari_srgan.degradation import Degradation

# HR pixels around a crop that the degradation sees and that are then cut off, in LR pixels: the
# cubic kernel reaches 2 LR pixels, so a crop's LR image is that of the whole scan's.
_MARGIN = 4


@dataclass(frozen=True, eq=False, slots=True)
class Scan:
    """One plane of a file, decoded once and kept in the dtype it was stored in.

    Attributes
    ----------
    pixels : ndarray
        Shape (Y, X) or (Y, X, 3).
    intensity : Intensity
        Of the file; one range for all its planes.
    channel : int
        Position along C.
    name : str
        The file, for messages.
    """

    pixels: NDArray[Any]
    intensity: Intensity
    channel: int
    name: str

    def crop(self, rows: slice = slice(None), cols: slice = slice(None)) -> torch.Tensor:
        """Return a part of the scan in [0, 1], float32, shape (C, Y, X)."""
        unit = self.intensity.to_unit(self.pixels[rows, cols], self.channel)
        unit = unit[None] if unit.ndim == 2 else np.moveaxis(unit, -1, 0)
        return torch.from_numpy(np.ascontiguousarray(unit, dtype=np.float32)).clamp(0, 1)


@dataclass(frozen=True, eq=False, slots=True)
class ScanSet:
    """The scans of one folder, under its name."""

    name: str
    scans: tuple[Scan, ...]


def find_files(folder: Path) -> list[Path]:
    """Return the image files below a folder, sorted by path.

    Raises
    ------
    InputError
        If the folder does not exist or holds none.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder} with scans.")
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READABLE_SUFFIXES)
    if not files:
        known = ", ".join(sorted(READABLE_SUFFIXES))
        raise InputError(f"The folder {folder} holds no scans ({known}).")
    return files


def split(files: Sequence[Path], fraction: float) -> tuple[list[Path], list[Path]]:
    """Split into training and validation files; crops of one file never lie on both sides.

    Spread evenly over the sorted names, so that validation sees every part of a collection.

    Raises
    ------
    InputError
        If there is a single file: it cannot both teach and test.
    """
    if len(files) < 2:
        raise InputError(
            f"{files[0].name} is the only scan, so nothing is left to validate on; "
            "add a second file, or name others with --val."
        )
    count = min(max(round(fraction * len(files)), 1), len(files) - 1)
    chosen = {round((i + 0.5) * len(files) / count - 0.5) for i in range(count)}
    train = [f for i, f in enumerate(files) if i not in chosen]
    return train, [f for i, f in enumerate(files) if i in chosen]


def load_scans(name: str, files: Sequence[Path], channels: int, min_side: int) -> ScanSet:
    """Decode every plane of the files.

    Parameters
    ----------
    name : str
        Of the set.
    files : sequence of Path
        Images and stacks. An RGB image is turned to gray (ITU-R BT.601 luma) for a grayscale
        model; a grayscale one cannot teach an RGB model.
    channels : int
        1 or 3.
    min_side : int
        Planes smaller than this, HR pixels, are refused.

    Raises
    ------
    InputError
        If a file cannot be used: which, and why.
    """
    scans: list[Scan] = []
    for path in files:
        stack = open_stack(path)
        if min(stack.height, stack.width) < min_side:
            raise InputError(
                f"{path.name} is {stack.height} x {stack.width} px, smaller than the {min_side} px "
                "that a crop needs; leave it out or make the crop smaller."
            )
        if channels == 3 and not stack.is_rgb:
            raise InputError(f"{path.name} is grayscale, but an RGB model is to be trained.")
        planes = {index: _pixels(stack, index, channels) for index in stack.plane_indices()}
        if all(plane.min() == plane.max() for plane in planes.values()):
            raise InputError(f"{path.name} is constant, so nothing can be learned from it.")
        if not all(np.isfinite(plane).all() for plane in planes.values()):
            raise InputError(
                f"{path.name} holds NaN or infinite values, from which nothing can be learned; "
                "fill them first or leave the file out."
            )
        intensity = measure(stack)
        scans.extend(
            Scan(plane, intensity, stack.channel_of(index), path.name)
            for index, plane in planes.items()
        )
    return ScanSet(name, tuple(scans))


def _pixels(stack: Stack, index: tuple[int, ...], channels: int) -> NDArray[Any]:
    plane = stack.read(index)
    if not stack.is_rgb:
        return plane
    colours = plane[..., :3]
    if channels == 3:
        return colours
    luma = colours.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    return np.rint(luma).astype(stack.dtype) if stack.dtype.kind in "iu" else luma


class Sampler:
    """Draws batches of LR and HR crops; each set is drawn equally often, then each scan.

    Parameters
    ----------
    sets : sequence of ScanSet
        What to draw from.
    degrade : Degradation
        HR -> LR.
    scale, crop, batch : int
        The scale, the side of an HR crop (px) and the crops in a batch.
    flips : str
        "none", "lateral" or "all".
    seed : int
        Equal seeds draw equal batches.
    """

    def __init__(
        self,
        sets: Sequence[ScanSet],
        degrade: Degradation,
        *,
        scale: int,
        crop: int,
        batch: int,
        flips: str,
        seed: int,
    ) -> None:
        self.sets, self.degrade, self.flips = sets, degrade, flips
        self.scale, self.size, self.batch = scale, crop, batch
        self.random = np.random.default_rng(seed)

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return LR (N, C, crop / scale, crop / scale) and HR (N, C, crop, crop) in [0, 1]."""
        pairs = [self._pair() for _ in range(self.batch)]
        lr, hr = zip(*pairs, strict=True)
        return torch.stack(lr), torch.stack(hr)

    def _pair(self) -> tuple[torch.Tensor, torch.Tensor]:
        scans = self.sets[int(self.random.integers(len(self.sets)))].scans
        scan = scans[int(self.random.integers(len(scans)))]
        (y, rows), (x, cols) = (self._window(n) for n in scan.pixels.shape[:2])
        window = self._turned(scan.crop(rows, cols), y, x)
        hr, y, x = window
        lr = self.degrade(hr[None], self.scale)[0]
        low = self.size // self.scale
        top, left = y // self.scale, x // self.scale
        return (
            lr[:, top : top + low, left : left + low],
            hr[:, y : y + self.size, x : x + self.size],
        )

    def _window(self, length: int) -> tuple[int, slice]:
        """Draw a crop along one axis: its start within the window, and the window with margin."""
        start = int(self.random.integers(length - self.size + 1))
        margin = _MARGIN * self.scale
        # Whole LR pixels on both sides; at the border of a scan there is less or no margin.
        before = min(margin, start // self.scale * self.scale)
        after = min(margin, (length - start - self.size) // self.scale * self.scale)
        return before, slice(start - before, start + self.size + after)

    def _turned(self, hr: torch.Tensor, y: int, x: int) -> tuple[torch.Tensor, int, int]:
        if self.flips != "none" and self.random.integers(2):
            hr, x = hr.flip(2), hr.shape[2] - x - self.size
        if self.flips == "all":
            if self.random.integers(2):
                hr, y = hr.flip(1), hr.shape[1] - y - self.size
            if self.random.integers(2):
                hr, y, x = hr.transpose(1, 2), x, y
        return hr, y, x
