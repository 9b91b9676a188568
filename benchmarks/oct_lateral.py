"""How good `oct-lateral` is beside cubic and Lanczos interpolation and a tuned filter.

    python benchmarks/oct_lateral.py SETS [--model oct-lateral]

SETS is what `scripts/lay_out_scans.py` made. Every fourth A-scan of a B-scan is kept, beginning
with each of the first four, and what is made of them is compared with the whole scan, where the
rule of `geometry` wants it. The strengths of the Gaussian are tuned on training scans of the same
kind, for the best mean PSNR. No gain or offset is fitted: input and reference are one scan.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter

from napari_srgan import upscale
from napari_srgan.image.degradation import Decimate, aligned_pair
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.io.open import open_stack
from napari_srgan.measure.metrics import psnr, ssim

Image = NDArray[np.float32]
Pair = tuple[Image, Image]
SCALE = (1, 4)
SETS = {
    "oct-averages": ("OCT averages", "gray/oct-resized"),
    "spectralis-averages": ("Spectralis averages", "gray/oct-spectralis"),
    "oct-frames": ("raw OCT frames", "gray/oct-frames"),
}
"""Folder of the validation set: what it is called, and where such scans to tune on are."""

_GRID = ((0, 0.3, 0.5, 0.7, 1, 1.5, 2), (0, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2))
_TUNED_ON = 10  # scans at most, evenly spread


class _Phase:
    """Stands for a random generator where `Decimate` draws the first A-scan."""

    def __init__(self, phase: int) -> None:
        self._phase = phase

    def integers(self, stop: int) -> int:
        """Return the phase along the axis that shrinks, and 0 along the other."""
        return self._phase if stop > 1 else 0


def pairs(paths: Sequence[Path], phases: Sequence[int]) -> list[Pair]:
    """Read scans and keep every fourth A-scan: (LR, HR) in [0, 1]."""
    found = []
    for path, phase in itertools.product(paths, phases):
        stored = np.asarray(open_stack(path).read(())).astype(np.float32) / 255
        hr = torch.from_numpy(stored[:, : stored.shape[1] // SCALE[1] * SCALE[1]])[None, None]
        random: Any = _Phase(phase)
        low, high = aligned_pair(Decimate(), hr, SCALE, random)
        found.append((low[0, 0].numpy(), high[0, 0].numpy()))
    return found


def cubic(image: Image) -> Image:
    """Enlarge by the cubic kernel."""
    return bicubic_enlarge(image, SCALE)


def lanczos(image: Image) -> Image:
    """Enlarge by Lanczos' kernel of three lobes, as Pillow does."""
    height, width = image.shape
    made = Pillow.fromarray(image).resize((SCALE[1] * width, height), Pillow.Resampling.LANCZOS)
    return np.asarray(made, np.float32)


def tuned(training: Sequence[Pair]) -> tuple[str, Callable[[Image], Image]]:
    """Return the Gaussian before the cubic kernel that is best on the training scans."""

    def blurred(image: Image, strengths: tuple[float, ...]) -> Image:
        return cubic(gaussian_filter(image, strengths, mode="nearest"))

    def mean(strengths: tuple[float, ...]) -> float:
        return float(np.mean([psnr(hi, blurred(lo, strengths), 1.0) for lo, hi in training]))

    best = max(itertools.product(*_GRID), key=mean)
    return f"Gaussian {best[0]:g} {best[1]:g}, cubic", lambda image: blurred(image, best)


def measure(sets: Path, model: str | Path) -> list[dict[str, Any]]:
    """Return a row for each set and restoration, the model's last."""

    def network(image: Image) -> Image:
        return np.asarray(upscale(image, model, intensity="0:1", backend="torch").data)

    rows = []
    for folder, (title, alike) in SETS.items():
        kept = sorted((sets / "val" / folder).iterdir())
        others = sorted((sets / alike).iterdir())
        step = max(1, len(others) // _TUNED_ON)
        filtered = tuned(pairs(others[::step], [1]))
        ways = [("cubic", cubic), ("Lanczos", lanczos), filtered, (Path(model).stem, network)]
        scans = pairs(kept, range(SCALE[1]))
        for name, restore in ways:
            made = [(restore(lo).clip(0, 1), hi) for lo, hi in scans]
            rows.append(
                {
                    "set": title,
                    "restoration": name,
                    "images": len(kept),
                    "psnr": float(np.mean([psnr(hi, sr, 1.0) for sr, hi in made])),
                    "ssim": float(np.mean([ssim(hi, sr, 1.0) for sr, hi in made])),
                }
            )
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--model", default="oct-lateral", help="a name or a model file")
    options = parser.parse_args()
    rows = measure(options.sets, options.model)
    print(f"{'set':<20} {'restoration':<24} {'scans':>5} {'PSNR, dB':>9} {'gain':>6} {'SSIM':>7}")
    for title, _ in SETS.values():
        found = [row for row in rows if row["set"] == title]
        best = max(row["psnr"] for row in found[:-1])
        for row in found:
            print(
                f"{title:<20} {row['restoration']:<24} {row['images']:>5} {row['psnr']:>9.2f} "
                f"{row['psnr'] - best:>+6.2f} {row['ssim']:>7.4f}"
            )
    print("\ngain: over the best of the others; each scan four times, from each first A-scan")


if __name__ == "__main__":
    main()
