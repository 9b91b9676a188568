"""Lay out the images that the bundled models are trained and validated on.

    python scripts/lay_out_scans.py DATA OUT

DATA is the folder of third-party images that `docs/models.md` names. OUT gets a folder a set, as
`training/recipes/README.md` gives them to `python -m training.train_oct`: `gray/` and `rgb/` to
train on, `restore/` with measured pairs, `val/` for validation. Nothing here is random but by a
seed, so the sets are the same wherever they are made.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tifffile
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.sparse.csgraph import connected_components
from skimage.draw import disk, polygon
from skimage.io import imread, imsave
from skimage.transform import resize

from napari_srgan.image.degradation import Decimate, aligned_pair
from napari_srgan.image.resampling import bicubic_enlarge, bicubic_shrink

SCALE = 4
LARGEST_CROP = 192  # px, of the recipes; T91 has smaller images
LOSSLESS = ("cid22", "clic2025_half", "gb82")
PHOTOGRAPHS_KEPT = 30  # the last of the BSDS test files by name
MICROSCOPY_KEPT = 20  # at most, in whole groups, the last by name
SIZES = (0.8, 0.9, 1.0, 1.12)  # of the averages that are trained on
CHARTS_KEPT = 6  # the first, for oct-restore
RESTORE_KEPT = ("eye08", "eye11")
PERSON_KEPT = "person03"  # of the averages of the other instrument
UNALIGNED = ("eye12",)  # its raw frame is tilted against its average
# Correlation of touching borders. Neighbouring tiles have 0.97 and more, others up to about 0.8:
# to take some strangers for neighbours costs nothing, the reverse would leak.
_ABUTTING = 0.755


def main() -> None:
    """Make all sets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    data, out = given.data.resolve(), given.out
    if out.exists():
        parser.error(f"{out} exists already; name a new folder")
    lay_out(data, out)


def lay_out(data: Path, out: Path) -> None:
    """Make all sets below `out`."""
    eyes = {path.name: path for path in sorted((data / "oct" / "duke_sdoct").glob("*/eye*"))}
    trained = [eye for eye, path in eyes.items() if path.parent.name == "train"]
    kept = [eye for eye in eyes if eye not in trained]
    link(out / "val" / "oct-averages", {e: eyes[e] / "average.tif" for e in kept})
    for eye in trained:
        write_resized(eyes[eye] / "average.tif", out / "gray" / "oct-resized", eye)
    frames = {f"{e}-{i}": eyes[e] / f"single_frame_{i}.tif" for e in eyes for i in (1, 2)}
    link(out / "val" / "oct-frames", {k: v for k, v in frames.items() if k[:5] in kept})

    cells = data / "microscopy" / "dsb2018"
    for kind, place, name in (
        ("fluorescence_gray", "gray/microscopy", "fluorescence"),
        ("tissue_rgb", "rgb/tissue", "tissue"),
    ):
        train, val = split_groups(abutting(sorted((cells / kind).glob("*.png"))), MICROSCOPY_KEPT)
        link(out / place, named(train))
        link(out / "val" / name, named(val))
        print(f"{name}: {len(train)} to train on, {len(val)} to validate on")
    link(out / "gray/microscopy", named((cells / "brightfield_gray").glob("*.png")))

    natural = data / "natural"
    test = sorted((natural / "bsds500" / "test").glob("*.jpg"))
    photographs = [
        *(natural / "bsds500" / "train").glob("*.jpg"),
        *test[:-PHOTOGRAPHS_KEPT],
        *(p for p in (natural / "t91").glob("*.png") if min(imread(p).shape[:2]) >= LARGEST_CROP),
    ]
    for place in ("gray", "rgb"):
        link(out / place / "photographs", named(photographs))
        drawn = out / place / "charts"  # srgan-gray sees them as a set of their own as well
        drawn.mkdir(parents=True)
        for name, image in charts(3 if place == "rgb" else 1):
            pixels = (255 * image).round().astype(np.uint8).squeeze()
            imsave(drawn / f"{name}.png", pixels, check_contrast=False)
        link(out / place / "photographs", named(drawn.resolve().glob("*.png")))
    raw = {k: v for k, v in frames.items() if k[:5] in trained}
    for place in ("photographs", "oct-frames"):  # few among others, and for oct-lateral many
        link(out / "gray" / place, raw)
    link(out / "val" / "photographs", named(test[-PHOTOGRAPHS_KEPT:]))
    lossless = [p for name in LOSSLESS for p in (natural / name).rglob("*.png")]
    for place in ("gray", "rgb"):
        named_by_set = {f"{p.parent.name}-{p.stem}": p for p in sorted(lossless)}
        fitting = {k: p for k, p in named_by_set.items() if place == "gray" or _rgb(p)}
        link(out / place / "lossless", fitting)

    for path in sorted((data / "oct" / "spectralis").glob("*.npy")):
        write_shown(np.load(path), out / "val" / "spectralis", path.stem)
    for path in sorted((data / "oct" / "spectralis_averages").rglob("*.tif")):
        place = "val/spectralis-averages" if PERSON_KEPT in path.name else "gray/oct-spectralis"
        write_shown(tifffile.imread(path), out / place, path.stem)
    for eye, path in eyes.items():
        if eye not in UNALIGNED:
            restore_pairs(path, out / "restore", "val" if eye in RESTORE_KEPT else "train")
    for i, (name, image) in enumerate(charts(1, soft=(0.0, 0.8))):
        part = "val" if i < CHARTS_KEPT else "train"
        # Dark grounds too, which scans have.
        for kind, high in (("", image[..., 0]), ("-dark", 1 - image[..., 0])):
            low = bicubic_shrink(high.astype(np.float32), SCALE)
            write(out / "restore" / "charts" / part, name + kind, low, high.astype(np.float32))


def named(paths: Iterable[Path]) -> dict[str, Path]:
    """Key files by their stem."""
    return {path.stem: path for path in sorted(paths)}


def link(folder: Path, files: dict[str, Path]) -> None:
    """Link files into a folder under new names."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in files.items():
        (folder / f"{name}{path.suffix}").symlink_to(path)


def abutting(paths: Sequence[Path]) -> list[list[Path]]:
    """Group files that are neighbouring tiles of one field: their borders go on in each other."""
    images = [imread(p)[..., :3].astype(float) if _rgb(p) else imread(p) * 1.0 for p in paths]
    touch = np.zeros((len(paths), len(paths)), dtype=bool)
    for i, first in enumerate(images):
        for j, second in enumerate(images):
            borders = ((first[:, -1], second[:, 0]), (first[-1], second[0]))
            touch[i, j] = i != j and any(_goes_on(a, b) for a, b in borders)
    count, label = connected_components(touch, directed=False)
    return [[p for p, of in zip(paths, label, strict=True) if of == g] for g in range(count)]


def _rgb(path: Path) -> bool:
    return imread(path).ndim == 3


def _goes_on(a: NDArray[np.float64], b: NDArray[np.float64]) -> bool:
    if a.shape != b.shape:
        return False
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    power = float(np.sqrt(np.sum(a * a) * np.sum(b * b)))
    return power > 0 and float(np.sum(a * b)) > _ABUTTING * power


def split_groups(groups: Sequence[list[Path]], most: int) -> tuple[list[Path], list[Path]]:
    """Keep the last whole groups, by the name of their first file, up to so many files."""
    train, val = sorted(groups, key=lambda group: group[0].name), []
    while len(val) + len(train[-1]) <= most:
        val += train.pop()
    return [path for group in train for path in group], val


def charts(
    samples: int, count: int = 60, soft: tuple[float, float] = (0.4, 1.2)
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Draw shapes on plain, mostly white, and on shaded grounds, (256, 256, samples) in [0, 1].

    Photographs hardly show a network what is flat up to the border of an image, as white
    backgrounds are; without these it draws a frame there. `soft` are the sigmas of edges, px.
    """
    random = np.random.default_rng(1)
    for number in range(count):
        image = np.ones((256, 256, samples))
        if number % 3 == 1:
            image *= random.random(samples)
        elif number % 3 == 2:
            down, across = np.linspace(0, 1, 256)[:, None, None], np.linspace(0, 1, 256)[:, None]
            image *= (random.random(samples) * down + random.random(samples) * across) / 2 + 0.25
        for _ in range(int(random.integers(2, 9))):
            at, size = random.integers(0, 256, 2), float(random.uniform(3, 50))
            corners = at + random.normal(0, size, (int(random.integers(3, 6)), 2))
            shape = (
                disk(tuple(at), size, shape=(256, 256))
                if random.random() < 0.5
                else polygon(corners[:, 0], corners[:, 1], (256, 256))
            )
            image[shape] = random.random(samples)
        image = gaussian_filter(image, (*[random.uniform(*soft)] * 2, 0)).clip(0, 1)
        yield f"chart-{number:02}", image


def restore_pairs(eye: Path, out: Path, part: str) -> None:
    """Write pairs of a raw frame as LR and the registered average as HR, in three ways.

    decimated: every fourth row and A-scan of the frame, at all 16 phases, with the average
    shifted to match: speckle at its full strength. shrunk: the frame through the antialiased
    kernel, from 16 first pixels, because the speckle that is left differs between them. native:
    the frame as it is, with the average enlarged by bicubic, for frames that are not to gain
    resolution but to lose their speckle.
    """
    raw = _unit(eye / "single_frame_registered.tif")
    average = _unit(eye / "average.tif")
    height, width = (n - n % SCALE for n in raw.shape)
    raw, average = raw[:height, :width], fitted(average, raw)[:height, :width]
    for phase in range(SCALE * SCALE):
        low, _ = aligned_pair(Decimate(), _batch(raw), (SCALE, SCALE), _Phase(phase))
        _, high = aligned_pair(Decimate(), _batch(average), (SCALE, SCALE), _Phase(phase))
        write(
            out / "decimated" / part,
            f"{eye.name}-{phase:02}",
            low[0, 0].numpy(),
            high[0, 0].numpy(),
        )
        down, across = divmod(phase, SCALE)
        cut = slice(down, height - SCALE + down), slice(across, width - SCALE + across)
        write(
            out / "shrunk" / part,
            f"{eye.name}-{phase:02}",
            bicubic_shrink(raw[cut], SCALE),
            average[cut],
        )
    write(out / "native" / part, eye.name, raw, bicubic_enlarge(average, SCALE))


def write_resized(path: Path, folder: Path, name: str) -> None:
    """Write an average in several sizes: ten eyes of one instrument have one size of layers."""
    image = _unit(path)
    folder.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        shape = [round(n * size) for n in image.shape]
        changed = resize(image, shape, order=3, anti_aliasing=size < 1)
        pixels = (255 * changed.clip(0, 1)).round().astype(np.uint8)
        tifffile.imwrite(folder / f"{name}-{size}.tif", pixels, compression="zlib")


def write_shown(linear: NDArray[np.float32], folder: Path, name: str) -> None:
    """Write a scan that is linear in intensity as its instrument displays it."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = (255 * linear.clip(0, 1) ** 0.25).round().astype(np.uint8)
    imsave(folder / f"{name}.png", shown, check_contrast=False)


class _Phase:
    """Stands in for a random generator, so that every phase is made once."""

    def __init__(self, phase: int) -> None:
        self.rest = list(divmod(phase, SCALE))

    def integers(self, stop: int) -> int:
        return self.rest.pop(0)


def fitted(average: NDArray[np.float32], raw: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give an average the gain and offset of its raw frame: least squares after smoothing.

    Without smoothing the speckle of the frame would lower the gain less than the misalignment
    of fine detail does; over 8 px neither matters.
    """
    smooth = [gaussian_filter(image, 8).ravel() for image in (average, raw)]
    gain, offset = np.polyfit(*smooth, 1)
    return np.float32(gain) * average + np.float32(offset)


def write(folder: Path, name: str, low: NDArray[np.float32], high: NDArray[np.float32]) -> None:
    """Write a pair in 8 bits."""
    for side, image in (("low", low), ("high", high)):
        (folder / side).mkdir(parents=True, exist_ok=True)
        pixels = (255 * image.clip(0, 1)).round().astype(np.uint8)
        tifffile.imwrite(folder / side / f"{name}.tif", pixels, compression="zlib")


def _unit(path: Path) -> NDArray[np.float32]:
    return tifffile.imread(path).astype(np.float32) / 255


def _batch(image: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(image)[None, None]


if __name__ == "__main__":
    main()
