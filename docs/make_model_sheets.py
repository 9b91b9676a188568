"""Draw what the bundled models make of images: LR, bicubic, each model and HR, side by side.

    python docs/make_model_sheets.py                       the sheets of docs/models.md
    python docs/make_model_sheets.py --look FOLDER OUT     of one's own images, for one's own eyes

The pictures in the documents are of the project's synthetic OCT and of images in the public domain
that scikit-image ships.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray
from skimage import data

from napari_srgan import upscale
from napari_srgan.image.resampling import bicubic_enlarge, bicubic_shrink
from napari_srgan.io.open import open_stack
from napari_srgan.measure.metrics import psnr
from napari_srgan.models.catalogue import list_models

Image = NDArray[Any]
HERE = Path(__file__).parent
SCALE = 4
SHOWN = 112  # px, side of a crop


@dataclass(frozen=True)
class Subject:
    """An HR image in uint8, and the corner of the crop that is shown."""

    title: str
    image: Image
    at: tuple[int, int]


def documents() -> dict[str, list[Subject]]:
    """Return the subjects of the sheets in the documents."""
    volume = open_stack(HERE.parent / "sample_data" / "oct_volume_hr.tif")
    middle = np.asarray(volume.read((volume.sizes["Z"] // 2,)))
    return {
        "models-gray": [
            Subject("synthetic OCT", middle, _brightest(middle)),
            Subject("camera", data.camera(), (60, 190)),
            Subject("page", data.page(), (60, 60)),
        ],
        "models-rgb": [
            Subject("immunohistochemistry", data.immunohistochemistry(), (180, 200)),
            Subject("astronaut", data.astronaut(), (60, 170)),
        ],
    }


def looked_at(folder: Path, most: int) -> dict[str, list[Subject]]:
    """Return the images of a folder, each with its most contrasting crop."""
    files = [p for p in sorted(folder.iterdir()) if p.is_file()]
    chosen = files[:: max(len(files) // most, 1)][:most]
    images = [(p.stem, np.asarray(open_stack(p).read(()))) for p in chosen]
    return {folder.name: [Subject(name[:14], image, _brightest(image)) for name, image in images]}


def _brightest(image: Image) -> tuple[int, int]:
    """Return the corner of the crop with the greatest contrast."""
    gray = image if image.ndim == 2 else image.mean(axis=2)
    corners = [
        (y, x)
        for y in range(0, gray.shape[0] - SHOWN, SHOWN // 4)
        for x in range(0, gray.shape[1] - SHOWN, SHOWN // 4)
    ]
    return max(corners, key=lambda c: float(gray[c[0] : c[0] + SHOWN, c[1] : c[1] + SHOWN].std()))


def restorations(hr: Image) -> Mapping[str, Image]:
    """Return LR (pixels repeated), bicubic, and every bundled model for shrunk images; uint8."""
    lr = bicubic_shrink(hr, SCALE).round().clip(0, 255).astype(np.uint8)
    made = {
        "LR": lr.repeat(SCALE, axis=0).repeat(SCALE, axis=1),
        "bicubic": bicubic_enlarge(lr, SCALE).round().clip(0, 255).astype(np.uint8),
    }
    for info in sorted(list_models(), key=lambda i: i.card.name, reverse=True):
        fits = info.card.channels == (3 if hr.ndim == 3 else 1)
        if info.bundled and fits and info.card.degradation == "bicubic":
            restored = upscale(lr, info.path, axes="YXS"[: hr.ndim])
            made[info.card.name] = np.asarray(restored.data)
    return made | {"HR": hr}


def draw_restored(path: Path) -> None:
    """Draw a synthetic raw frame, bicubic and `oct-restore` of it, and the mean of 64 frames."""
    frames = open_stack(HERE.parent / "sample_data" / "oct_frame_hr.ome.tif")
    means = open_stack(HERE.parent / "sample_data" / "oct_volume_hr.tif")
    middle = (means.sizes["Z"] // 2,)
    frame, mean = np.asarray(frames.read(middle)) / 4095, np.asarray(means.read(middle)) / 255
    y, x = _brightest((255 * mean).astype(np.uint8))
    figure, axes = plt.subplots(2, 4, figsize=(7, 3.7), squeeze=False, layout="constrained")
    for line, step, title in (
        (axes[0], SCALE, "every fourth row\nand A-scan"),
        (axes[1], 1, "the frame's own pixels"),
    ):
        low = frame[::step, ::step].astype(np.float32)
        grown = SCALE // step  # px of the result per px of the frame
        restored = upscale(low, "oct-restore", intensity="0:1").data
        made = {
            "raw frame": low.repeat(SCALE, axis=0).repeat(SCALE, axis=1),
            "bicubic": bicubic_enlarge(low, SCALE),
            "oct-restore": np.asarray(restored),
            "mean of 64 frames": mean.repeat(grown, axis=0).repeat(grown, axis=1),
        }
        size, at = SHOWN * grown, (y * grown, x * grown)
        for axis, (name, image) in zip(line, made.items(), strict=True):
            crop = image[at[0] : at[0] + size, at[1] : at[1] + size]
            axis.imshow(crop, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            if step > 1:
                axis.set_title(name, fontsize=8)
        line[0].set_ylabel(title, fontsize=8)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    print(path)


def draw(subjects: Sequence[Subject], path: Path) -> None:
    """Draw a row for each subject."""
    rows = []
    for subject in subjects:
        height, width = (n - n % SCALE for n in subject.image.shape[:2])
        hr = np.ascontiguousarray(subject.image[:height, :width, ...])
        rows.append((subject, hr, restorations(hr)))
    columns = len(rows[0][2])
    figure, axes = plt.subplots(
        len(rows),
        columns,
        figsize=(1.75 * columns, 1.95 * len(rows)),
        squeeze=False,
        layout="constrained",
    )
    for number, (line, (subject, hr, made)) in enumerate(zip(axes, rows, strict=True)):
        y, x = subject.at
        for axis, (name, image) in zip(line, made.items(), strict=True):
            crop = image[y : y + SHOWN, x : x + SHOWN]
            axis.imshow(crop, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axis.set_xticks([])
            axis.set_yticks([])
            if not number:
                axis.set_title(name, fontsize=8)
            if name not in ("LR", "HR"):
                axis.set_xlabel(f"{psnr(hr, image, 255):.2f} dB", fontsize=7)
        line[0].set_ylabel(subject.title, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    print(path)


def main() -> None:
    """Draw the sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--look", type=Path, nargs=2, metavar=("FOLDER", "OUT"))
    parser.add_argument("--most", type=int, default=4, help="images of a folder")
    options = parser.parse_args()
    if options.look:
        folder, out = options.look
        sheets = looked_at(folder, options.most)
    else:
        out, sheets = HERE / "images", documents()
    for name, subjects in sheets.items():
        draw(subjects, out / f"{name}.png")
    if not options.look:
        draw_restored(out / "models-restore.png")


if __name__ == "__main__":
    main()
