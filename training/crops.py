"""Pairs of LR and HR crops: crop i of step t is a function of the seed, t and i alone.

So a run that is resumed, one with other workers, and one over several processes see the same crops,
and there is no state of a random generator to keep.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from napari_srgan.image.degradation import aligned_pair
from training.augment import Augmentation, flipped, reach, warped
from training.scans import Scan, ScanSet
from training.timetable import Timetable

Pair = tuple[torch.Tensor, torch.Tensor]


class Crops(Dataset[Pair]):
    """All crops of a training by number: crop `i` of step `t` is number `t * batch + i`.

    Each set is drawn equally often, then each of its scans.

    Parameters
    ----------
    sets : sequence of ScanSet
        What to draw from.
    timetable : Timetable
        Says how large the crops of a step are, and carries the recipe.
    """

    def __init__(self, sets: Sequence[ScanSet], timetable: Timetable) -> None:
        recipe = timetable.recipe
        self.sets, self.timetable = sets, timetable
        self.scale, self.batch, self.seed = recipe.factors, recipe.batch, recipe.seed
        self.operator = recipe.operator
        self.augmentation = Augmentation.of(recipe)

    def __getitem__(self, number: int) -> Pair:
        """Return LR (C, crop / scale, crop / scale) and HR (C, crop, crop) in [0, 1]."""
        step, i = divmod(number, self.batch)
        random = np.random.default_rng((self.seed, step, i))
        size = self.timetable.crop(step)
        scans = self.sets[int(random.integers(len(self.sets)))].scans
        scan = scans[int(random.integers(len(scans)))]
        flip = self.augmentation.flip(random)
        gain, offset = self.augmentation.jitter(random)

        def seen(image: torch.Tensor) -> torch.Tensor:
            return (flipped(image, flip) * gain + offset).clamp(0, 1)

        if scan.low is not None:
            lr, hr = self._measured(scan, size, random)
            return seen(lr).contiguous(), seen(hr).contiguous()
        # A window larger than the crop is degraded, so that the crop's LR image is the one that
        # the whole scan has there.
        image, (y, x) = (
            self._warped(scan, size, random)
            if self.augmentation.warps
            else self._plain(scan, size, random)
        )
        lateral, axial, swap = flip
        x = image.shape[2] - x - size if lateral else x
        y = image.shape[1] - y - size if axial else y
        y, x = (x, y) if swap else (y, x)
        low, high = aligned_pair(self.operator, seen(image)[None], self.scale, random)
        (top, left), (rows, cols) = zip(
            *((n // s, size // s) for n, s in zip((y, x), self.scale, strict=True)), strict=True
        )
        return (
            low[0, :, top : top + rows, left : left + cols].contiguous(),
            high[0, :, y : y + size, x : x + size].contiguous(),
        )

    def _margin(self, factor: int) -> int:
        """Return what the operator looks at beside a crop, whole LR pixels, in HR pixels."""
        return math.ceil(self.operator.reach(factor) / factor) * factor

    def _plain(
        self, scan: Scan, size: int, random: np.random.Generator
    ) -> tuple[torch.Tensor, tuple[int, int]]:
        """Cut a window out of a scan; return it and where the crop begins in it."""
        starts, slices = [], []
        for length, factor in zip(scan.pixels.shape[:2], self.scale, strict=True):
            start = int(random.integers(length - size + 1))
            # At the border of a scan there is less of a margin, or none, as when it is whole.
            before = min(self._margin(factor), start // factor * factor)
            rest = (length - start - size) // factor * factor
            starts.append(before)
            slices.append(slice(start - before, start + size + min(self._margin(factor), rest)))
        return scan.crop(*slices), (starts[0], starts[1])

    def _warped(
        self, scan: Scan, size: int, random: np.random.Generator
    ) -> tuple[torch.Tensor, tuple[int, int]]:
        """Sample a window through a drawn warp; see `_plain`."""
        margin = max(self._margin(factor) for factor in self.scale)
        side = size + 2 * margin
        matrix = self.augmentation.warp(random, side)
        far = reach(matrix, side)
        slices, centre = [], []
        for length in scan.pixels.shape[:2]:
            room = (far, length - 1 - far)
            middle = (length - 1) / 2 if room[0] > room[1] else random.uniform(*room)
            # Three pixels more, for the cubic kernel.
            start, stop = max(math.floor(middle - far) - 3, 0), math.ceil(middle + far) + 4
            slices.append(slice(start, min(stop, length)))
            centre.append(middle - start)
        return warped(scan.crop(*slices), (centre[0], centre[1]), matrix, side), (margin, margin)

    def _measured(self, scan: Scan, size: int, random: np.random.Generator) -> Pair:
        """Cut the same place out of both images of a pair."""
        assert scan.low is not None
        low, high = [], []
        for length, factor in zip(scan.low.shape[:2], self.scale, strict=True):
            side = size // factor
            start = int(random.integers(length - side + 1))
            low.append(slice(start, start + side))
            high.append(slice(start * factor, start * factor + size))
        return scan.crop_low(*low), scan.crop(*high)


class _Numbers:
    """Numbers of the crops that a process draws, step by step, as the batches of a loader."""

    def __init__(self, steps: range, batch: int, rank: int, processes: int) -> None:
        self.steps, self.batch = steps, batch
        share = batch // processes
        self.own = range(rank * share, (rank + 1) * share)

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.steps:
            yield [step * self.batch + i for i in self.own]

    def __len__(self) -> int:
        return len(self.steps)


def loader(
    crops: Crops, steps: range, *, workers: int, pin: bool, rank: int = 0, processes: int = 1
) -> DataLoader[Pair]:
    """Return the batches of some steps, in order.

    Parameters
    ----------
    crops : Crops
    steps : range
        Which steps.
    workers : int
        Processes that make crops ahead; 0: made when asked for, in this process.
    pin : bool
        Put batches in pinned memory, from where they go to a GPU without a stop.
    rank, processes : int
        Which share of every batch; the batch must be divisible by `processes`.
    """
    # A forked worker shares the decoded scans; elsewhere than on Linux they are copied to it.
    # Forking is unsafe only once CUDA is in use, and that the workers never touch.
    context = "fork" if workers and sys.platform == "linux" else None
    return DataLoader(
        crops,
        batch_sampler=_Numbers(steps, crops.batch, rank, processes),
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=4 if workers else None,
        multiprocessing_context=context,
    )
