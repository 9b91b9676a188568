"""How good a generator is on scans it has not seen, beside bicubic enlargement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_srgan.degradation import aligned_pair
from napari_srgan.errors import InputError
from napari_srgan.metrics import psnr, ssim
from napari_srgan.networks.build import Generator
from napari_srgan.networks.rewrite import for_inference
from napari_srgan.resampling import bicubic_enlarge
from training.pictures import Picture
from training.recipe import Recipe
from training.scans import Scan, ScanSet

Row = dict[str, Any]
"""The scores of one set: "set", "images", and for each measure the mean of the model under its
key and that of bicubic under the key with "_bicubic"."""

MEASURES = {
    "psnr": "PSNR, dB",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "mse": "MSE",
    "mae": "MAE",
    "vgg22": "VGG22",
    "vgg54": "VGG54",
}
"""What the last table shows, by key."""

_PREVIEWS = 2  # pictures a set


def _planes(scan: Scan, recipe: Recipe, number: int) -> tuple[NDArray[Any], NDArray[Any]]:
    height, width = (n - n % s for n, s in zip(scan.pixels.shape[:2], recipe.factors, strict=True))
    hr = scan.crop(slice(height), slice(width))[None]
    if scan.low is not None:
        lr, target = scan.crop_low()[None], hr
    else:
        lr, target = aligned_pair(
            recipe.operator, hr, recipe.factors, np.random.default_rng((recipe.seed, number))
        )
    a, b = (t[0].permute(1, 2, 0).numpy() for t in (lr, target))
    return (a.squeeze(2), b.squeeze(2)) if a.shape[2] == 1 else (a, b)


def validate(
    network: Generator,
    sets: Sequence[ScanSet],
    recipe: Recipe,
    device: torch.device,
    vgg: Sequence[nn.Module] = (),
) -> tuple[list[Row], list[Picture]]:
    model = for_inference(network).to(device)
    rows, pictures = [], []
    for scan_set in sets:
        scores = []
        for number, scan in enumerate(scan_set.scans):
            lr, hr = _planes(scan, recipe, number)
            if hr.min() == hr.max():
                continue
            x = torch.from_numpy(lr.reshape(*lr.shape[:2], -1)).permute(2, 0, 1)[None]
            with torch.inference_mode():
                y = model(x.to(device))[0].clamp(0, 1).permute(1, 2, 0).cpu().numpy()
            sr = y.reshape(hr.shape)
            bicubic = bicubic_enlarge(lr, recipe.scale).clip(0, 1)
            row = {}
            for suffix, image in (("", sr), ("_bicubic", bicubic)):
                row |= {
                    f"psnr{suffix}": psnr(hr, image, 1.0),
                    f"ssim{suffix}": ssim(hr, image, 1.0),
                    f"mse{suffix}": float(np.square(hr - image).mean()),
                    f"mae{suffix}": float(np.abs(hr - image).mean()),
                }
            scores.append(row)
            if number < _PREVIEWS:
                pictures.append(Picture(f"{scan_set.name} {scan.name}", lr, bicubic, sr, hr))
        if not scores:
            raise InputError(f"All scans of {scan_set.name} are constant: nothing to measure.")
        means = {k: round(float(np.mean([s[k] for s in scores])), 6) for k in scores[0]}
        rows.append({"set": scan_set.name, "images": len(scores), **means})
    return rows, pictures
