"""How good `oct-restore` is beside the best of Gaussian, TV and non-local means with bicubic.

    python benchmarks/oct_restore.py SETS [--model oct-restore]

SETS is what `scripts/lay_out_scans.py` made. The strengths of the filters are tuned on the
training eyes, for the best mean PSNR, and everything is measured on the eyes kept for validation,
after a fit of gain and offset to the registered average: a frame and its average differ in both.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle

from napari_srgan import upscale
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.measure.metrics import psnr, ssim

Image = NDArray[np.float32]
WAYS = ("decimated", "shrunk", "native")
SCALE = 4
_TUNED_ON = 9  # pairs at most, evenly spread: of the decimated ones every eye has 16


def _gaussian(image: Image, down: float, across: float) -> Image:
    return gaussian_filter(image, (down, across), mode="nearest")


def _tv(image: Image, weight: float) -> Image:
    return np.asarray(denoise_tv_chambolle(image, weight=weight), np.float32)


def _nl_means(image: Image, h: float, patch: int) -> Image:
    return np.asarray(
        denoise_nl_means(image, patch_size=patch, patch_distance=9, h=h, fast_mode=True), np.float32
    )


FILTERS: dict[str, tuple[Callable[..., Image], tuple[Sequence[float], ...]]] = {
    "none": (lambda image: image, ()),
    # Layers are wide and thin, so a blur that is wider along B-scans is the stronger opponent.
    "Gaussian": (_gaussian, ((0.3, 0.5, 0.7, 1, 1.5, 2, 2.5), (0.5, 1, 1.5, 2, 3, 5, 8))),
    "TV": (_tv, ((0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.6),)),
    "non-local means": (_nl_means, ((0.05, 0.08, 0.12, 0.16, 0.2, 0.25), (3, 5, 7))),
}


def pairs(folder: Path, most: int | None = None) -> list[tuple[Image, Image]]:
    """Read pairs (LR, HR) in [0, 1]."""
    names = sorted(path.name for path in (folder / "low").glob("*.tif"))
    if most is not None and len(names) > most:
        names = [names[(2 * i + 1) * len(names) // (2 * most)] for i in range(most)]
    return [(_read(folder / "low" / name), _read(folder / "high" / name)) for name in names]


def _read(path: Path) -> Image:
    return tifffile.imread(path).astype(np.float32) / 255


def fitted(image: Image, reference: Image) -> Image:
    """Give an image the gain and offset that fit it best to the reference."""
    about, wanted = float(image.mean(dtype=float)), float(reference.mean(dtype=float))
    variance = float(np.mean(np.square(image - about), dtype=float))
    shared = float(np.mean((image - about) * (reference - wanted), dtype=float))
    gain = shared / variance if variance else 0.0
    return np.asarray(gain * (image - about) + wanted, np.float32).clip(0, 1)


def score(restored: Image, reference: Image) -> float:
    """PSNR in dB after the fit, range 1."""
    return psnr(reference, fitted(restored, reference), 1.0)


def tuned(name: str, training: Sequence[tuple[Image, Image]]) -> tuple[float, ...]:
    """Return the strengths of a filter that are best on the training pairs."""
    apply, grids = FILTERS[name]

    def mean(strengths: tuple[float, ...]) -> float:
        return float(
            np.mean(
                [score(bicubic_enlarge(apply(lo, *strengths), SCALE), hi) for lo, hi in training]
            )
        )

    return max(itertools.product(*grids), key=mean)


def opponents(folder: Path, way: str) -> Iterator[tuple[str, Callable[[Image], Image]]]:
    """Yield each filter, tuned, followed by bicubic."""
    most = 3 if way == "native" else _TUNED_ON  # native pairs have 16 times the pixels
    training = pairs(folder / way / "train", most)
    for name, (apply, _) in FILTERS.items():
        best = tuned(name, training)
        shown = f"{name} {' '.join(f'{s:g}' for s in best)}".strip()
        yield shown, lambda image, f=apply, s=best: bicubic_enlarge(f(image, *s), SCALE)


def measure(folder: Path, model: str | Path) -> list[dict[str, Any]]:
    """Return a row for each way and restoration."""

    def network(image: Image) -> Image:
        return np.asarray(upscale(image, model, intensity="0:1").data)

    rows = []
    for way in WAYS:
        kept = pairs(folder / way / "val")
        for name, restore in [*opponents(folder, way), (Path(model).stem, network)]:
            restored = [(fitted(restore(lo), hi), hi) for lo, hi in kept]
            rows.append(
                {
                    "way": way,
                    "restoration": name,
                    "pairs": len(kept),
                    "psnr": float(np.mean([psnr(hi, sr, 1.0) for sr, hi in restored])),
                    "ssim": float(np.mean([ssim(hi, sr, 1.0) for sr, hi in restored])),
                }
            )
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--model", default="oct-restore", help="a name or a model file")
    options = parser.parse_args()
    rows = measure(options.sets / "restore", options.model)
    print(f"{'input':<10} {'restoration':<26} {'pairs':>5} {'PSNR, dB':>9} {'gain':>6} {'SSIM':>7}")
    for way in WAYS:
        found = [row for row in rows if row["way"] == way]
        best = max(row["psnr"] for row in found[:-1])
        for row in found:
            print(
                f"{way:<10} {row['restoration']:<26} {row['pairs']:>5} {row['psnr']:>9.2f} "
                f"{row['psnr'] - best:>+6.2f} {row['ssim']:>7.4f}"
            )
    print("\ngain: over the best of the filters on the same input")


if __name__ == "__main__":
    main()
