"""How good a generator is on scans it has not seen, beside bicubic enlargement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from napari_srgan.degradation import degradation
from napari_srgan.errors import InputError
from napari_srgan.metrics import psnr, ssim
from napari_srgan.networks.rewrite import for_inference
from napari_srgan.networks.srresnet import SRResNet
from napari_srgan.resampling import bicubic_enlarge
from training.scans import Scan, ScanSet


def validate(network: SRResNet, sets: list[ScanSet], degrade: str) -> list[dict[str, Any]]:
    """Degrade, restore and measure every scan of every set.

    Parameters
    ----------
    network : SRResNet
        The generator.
    sets : list of ScanSet
        Validation scans.
    degrade : str
        Name of the degradation.

    Returns
    -------
    list of dict
        For each set "set", "images", and the means over its scans of "psnr", "psnr_bicubic"
        (dB, range 1, both clipped to [0, 1]), "ssim" and "ssim_bicubic". RGB is measured over
        all three samples, without a border crop. Constant scans are left out: bicubic
        restores them without an error, and one infinite PSNR would be the mean.
    """
    training = network.training
    model = for_inference(network)
    rows = []
    for scan_set in sets:
        scores = np.array(list(_scores(model, network.scale, scan_set.scans, degrade)))
        if not len(scores):
            raise InputError(f"All scans of {scan_set.name} are constant: nothing to measure.")
        means = dict(zip(_KEYS, scores.mean(axis=0).round(4).tolist(), strict=True))
        rows.append({"set": scan_set.name, "images": len(scores), **means})
    network.train(training)
    return rows


_KEYS = ("psnr", "psnr_bicubic", "ssim", "ssim_bicubic")


def _scores(
    model: torch.nn.Module, scale: int, scans: tuple[Scan, ...], degrade: str
) -> Iterator[tuple[float, ...]]:
    operator = degradation(degrade)
    for scan in scans:
        height, width = (n - n % scale for n in scan.pixels.shape[:2])
        hr = scan.crop(slice(height), slice(width))
        if hr.min() == hr.max():
            continue
        with torch.inference_mode():
            lr = operator(hr[None], scale)
            sr = model(lr)[0].clamp(0, 1)
        reference, restored, low = (t.permute(1, 2, 0).numpy().squeeze() for t in (hr, sr, lr[0]))
        bicubic = bicubic_enlarge(low, scale).clip(0, 1)
        yield (
            psnr(reference, restored, 1.0),
            psnr(reference, bicubic, 1.0),
            ssim(reference, restored, 1.0),
            ssim(reference, bicubic, 1.0),
        )


def table(rows: list[dict[str, Any]]) -> str:
    """Return the scores as an aligned text table."""
    lines = [
        f"{'validation set':<24} {'images':>6} {'PSNR dB':>8} {'bicubic':>8} {'gain':>6} "
        f"{'SSIM':>7} {'bicubic':>8}"
    ]
    for r in rows:
        lines.append(
            f"{r['set']:<24} {r['images']:>6} {r['psnr']:>8.2f} {r['psnr_bicubic']:>8.2f} "
            f"{r['psnr'] - r['psnr_bicubic']:>+6.2f} {r['ssim']:>7.4f} {r['ssim_bicubic']:>8.4f}"
        )
    return "\n".join(lines)
