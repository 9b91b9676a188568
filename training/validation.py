"""How good a generator is on scans it has not seen, beside bicubic enlargement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_srgan.engine.restore import plan_plane, restore_plane
from napari_srgan.engine.tiles import auto_tile
from napari_srgan.engine.window import WindowNetwork
from napari_srgan.errors import InputError
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.measure.features import FeatureMaps
from napari_srgan.measure.protocols import degraded_plane, score, summary
from napari_srgan.models.architectures.generator import Generator
from training.pictures import Picture
from training.recipe import Recipe
from training.scans import Scan, ScanSet

Row = dict[str, Any]
"""The scores of one set: "set", "images", and for each measure the mean of the model under its
key and that of bicubic under the key with "_bicubic"."""

_PREVIEWS = 2  # pictures a set
_DIGITS = 6  # significant ones, of what a card keeps


def validate(
    network: Generator,
    sets: Sequence[ScanSet],
    recipe: Recipe,
    device: torch.device,
    features: Sequence[FeatureMaps] = (),
) -> tuple[list[Row], list[Picture]]:
    """Degrade, restore and measure every scan of every set.

    Parameters
    ----------
    network : Generator
        With the weights to be validated.
    sets : sequence of ScanSet
    recipe : Recipe
        Says how LR is made; what is drawn for it is the same at every validation.
    device : torch.device
        Where to compute, in float32.
    features : sequence of FeatureMaps
        Networks whose distances are wanted too.

    Returns
    -------
    rows : list of Row
        One for each set: means over its scans, range 1, both candidates clipped to [0, 1]. RGB is
        measured over all three samples, without a border crop. Constant scans are left out.
    pictures : list of Picture
        Of the first scans of each set.

    Raises
    ------
    InputError
        If all scans of a set are constant.
    """
    restore = _restorer(network, device)
    rows: list[Row] = []
    pictures: list[Picture] = []
    for scans in sets:
        scores = []
        for number, scan in enumerate(scans.scans):
            lr, hr = _pair(scan, recipe, number)
            sr, bicubic = restore(lr), bicubic_enlarge(lr, recipe.factors).clip(0, 1)
            scores.append(score(hr, sr, bicubic, scan.name, features))
            if number < _PREVIEWS:
                name = f"{scans.name} {number + 1}, {scan.name}"
                psnr = (side["psnr"] for side in (scores[-1].model, scores[-1].bicubic))
                pictures.append(Picture(name, lr, bicubic, sr.clip(0, 1), hr, *psnr))
        found = summary(scores)
        if found.mean is None:
            raise InputError(f"All scans of {scans.name} are constant: nothing to measure.")
        means = {k: v and float(f"{v:.{_DIGITS}g}") for k, v in found.mean.row().items()}
        rows.append({"set": scans.name, "images": found.images, **means})
    return rows, pictures


def _pair(
    scan: Scan, recipe: Recipe, number: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return LR and what a model should make of it."""
    if scan.low is not None:
        return _plane(scan.crop_low()), _plane(scan.crop())
    height, width = (n - n % s for n, s in zip(scan.pixels.shape[:2], recipe.factors, strict=True))
    random = np.random.default_rng((recipe.seed, number))
    return degraded_plane(
        _plane(scan.crop(slice(height), slice(width))), recipe.operator, recipe.factors, random
    )


def _restorer(
    network: Generator, device: torch.device
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Return what restores planes in [0, 1] as the engine does, in full float32."""
    window = WindowNetwork(network, device)

    def restore(lr: NDArray[np.float32]) -> NDArray[np.float32]:
        height, width = lr.shape[:2]
        tile = auto_tile(device, window.bytes_per_pixel, window.halo, height, width)
        plan = plan_plane(height, width, network.scale, window.halo, tile)
        return restore_plane(lr, plan, window)

    return restore


def _plane(image: torch.Tensor) -> NDArray[np.float32]:
    """(C, Y, X) -> (Y, X) or (Y, X, 3)."""
    array: NDArray[np.float32] = image.permute(1, 2, 0).numpy()
    return array[..., 0] if array.shape[2] == 1 else array
