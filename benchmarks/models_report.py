"""All figures of the bundled models, measured again from the files.

    python benchmarks/models_report.py SETS --vgg FILE [--lpips-weights FILE]
                                       [--models NAME ...] [--write]

SETS is what `scripts/lay_out_scans.py` made, FILE the VGG19 weights beside the data, and those of
torchvision's AlexNet for LPIPS. With --write the figures also go into the cards, so that a card
says what this table says. A second table has what is known beside the cards (`tasks.facts`).

Images are degraded 4x by the antialiased cubic kernel, restored by the engine in float32 and
compared with HR over all pixels and samples, range 1. Beside PSNR, SSIM, MS-SSIM, VGG22 distance
and LPIPS: the power of the detail that the input cannot hold, against that of HR; the mean
intensity against that of HR; and what the result, shrunk again, leaves of the input (RMSE).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from oct_lateral import measure as measure_lateral
from oct_restore import WAYS, measure

from napari_srgan import upscale
from napari_srgan.image.colour import as_channels
from napari_srgan.image.resampling import bicubic_enlarge, bicubic_shrink
from napari_srgan.io.open import open_stack
from napari_srgan.measure.features import FeatureMaps
from napari_srgan.measure.protocols import Score, evaluate_plane_paper, score, summary
from napari_srgan.models.catalogue import ModelInfo, list_models, load_model, save_model
from napari_srgan.models.lpips import load_lpips
from napari_srgan.models.vgg import load_vgg
from napari_srgan.tasks.facts import count_text, facts_of

Image = NDArray[np.float32]
Row = dict[str, Any]

SETS: Mapping[int, Mapping[str, str]] = {
    1: {
        "oct-averages": "OCT averages",
        "oct-frames": "OCT single frames",
        "spectralis": "OCT Spectralis",
        "fluorescence": "fluorescence microscopy",
        "photographs": "photographs, grayscale",
    },
    3: {"tissue": "stained tissue", "photographs": "photographs"},
}
SCALE = 4


def rows(info: ModelInfo, sets: Path, features: Sequence[FeatureMaps]) -> list[Row]:
    """Measure one model on every set that it is for."""
    if info.card.degradation == "measured":
        return _restored(info, sets)
    if info.card.scale[0] == 1:
        return _between(info, sets)
    found = [
        {"set": title} | _degraded(info, sets / "val" / folder, features)
        for folder, title in SETS[info.card.channels].items()
    ]
    if info.card.channels == 3:
        found.append(_paper(info, sets / "val" / "photographs"))
    return found


def images(folder: Path, channels: int) -> list[NDArray[np.uint8]]:
    """Read the images of a set, cut to whole LR pixels."""
    found = []
    for path in sorted(folder.iterdir()):
        plane = as_channels(np.asarray(open_stack(path).read(())), channels)
        height, width = (n - n % SCALE for n in plane.shape[:2])
        found.append(plane[:height, :width])
    return found


def _restore(model: Path, lr: Image) -> Image:
    return np.asarray(upscale(lr, model, axes="YXS"[: lr.ndim], intensity="0:1").data)


def _degraded(info: ModelInfo, folder: Path, features: Sequence[FeatureMaps]) -> Row:
    scores: list[Score] = []
    extra: dict[str, list[float]] = {}
    for number, stored in enumerate(images(folder, info.card.channels)):
        hr = stored.astype(np.float32) / 255
        lr = bicubic_shrink(hr, SCALE).clip(0, 1)
        sr, bicubic = _restore(info.path, lr).clip(0, 1), bicubic_enlarge(lr, SCALE).clip(0, 1)
        scores.append(score(hr, sr, bicubic, f"{folder.name} {number}", features))
        for suffix, image in (("", sr), ("_bicubic", bicubic)):
            left = bicubic_shrink(image, SCALE) - lr
            for key, value in (
                ("detail_db", 10 * np.log10(detail(image) / detail(hr))),
                ("mean_percent", 100 * abs(float(image.mean(dtype=float) - hr.mean(dtype=float)))),
                ("consistency_percent", 100 * float(np.sqrt(np.mean(np.square(left))))),
            ):
                extra.setdefault(key + suffix, []).append(float(value))
    found = summary(scores)
    assert found.mean is not None
    means = found.mean.row() | {key: float(np.mean(values)) for key, values in extra.items()}
    return {"images": found.images} | {k: v and float(f"{v:.6g}") for k, v in means.items()}


def detail(image: Image) -> float:
    """Return the power above the Nyquist frequency of the input, radially: beyond 1/8 per px.

    A Hann window keeps the jump between opposite borders out of it.
    """
    height, width = image.shape[:2]
    window = np.hanning(height)[:, None] * np.hanning(width)
    flat = image.reshape(height, width, -1).astype(float)
    flat = (flat - flat.mean(axis=(0, 1))) * window[..., None]
    power = np.abs(np.fft.fft2(flat, axes=(0, 1))) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    return float(power[radius > 0.5 / SCALE].sum())


def _paper(info: ModelInfo, folder: Path) -> Row:
    scores = [
        evaluate_plane_paper(image, (SCALE, SCALE), partial(_restore, info.path), str(number))
        for number, image in enumerate(images(folder, 3))
    ]
    found = summary(scores)
    assert found.mean is not None
    means = {k: v and float(f"{v:.6g}") for k, v in found.mean.row().items()}
    return {"set": "photographs, paper protocol (Y)", "images": found.images} | means


def _restored(info: ModelInfo, sets: Path) -> list[Row]:
    """Measure the model for raw frames, with the best filter in the place of bicubic."""
    measured = measure(sets / "restore", info.path)
    found = []
    for way in WAYS:
        *others, own = (row for row in measured if row["way"] == way)
        best = max(others, key=lambda row: row["psnr"])
        found.append(
            {
                "set": f"raw OCT frames, {way}; beside {best['restoration']} and bicubic",
                "images": own["pairs"],
                **{key: float(f"{own[key]:.6g}") for key in ("psnr", "ssim")},
                **{f"{key}_bicubic": float(f"{best[key]:.6g}") for key in ("psnr", "ssim")},
            }
        )
    return found


def _between(info: ModelInfo, sets: Path) -> list[Row]:
    """Measure the model that draws A-scans, with the best of the others in the place of bicubic."""
    measured = measure_lateral(sets, info.path)
    found = []
    for title in dict.fromkeys(row["set"] for row in measured):
        *others, own = (row for row in measured if row["set"] == title)
        best = max(others, key=lambda row: row["psnr"])
        found.append(
            {
                "set": f"{title}, every 4th A-scan; beside {best['restoration']}",
                "images": own["images"],
                **{key: float(f"{own[key]:.6g}") for key in ("psnr", "ssim")},
                **{f"{key}_bicubic": float(f"{best[key]:.6g}") for key in ("psnr", "ssim")},
            }
        )
    return found


_COLUMNS = {
    "psnr": ("PSNR dB", "{:.2f}"),
    "ssim": ("SSIM", "{:.3f}"),
    "ms_ssim": ("MS-SSIM", "{:.3f}"),
    "vgg22": ("VGG22", "{:.0f}"),
    "lpips_alex": ("LPIPS", "{:.3f}"),
    "detail_db": ("detail dB", "{:+.1f}"),
    "mean_percent": ("mean %", "{:.2f}"),
    "consistency_percent": ("left %", "{:.2f}"),
}


def table(found: Mapping[str, Sequence[Row]]) -> str:
    """Return all rows as a Markdown table; each cell holds the model's figure and bicubic's."""
    head = ["model", "set", "images", *(title for title, _ in _COLUMNS.values())]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for model, measured in found.items():
        for row in measured:
            cells = [f"`{model}`", row["set"], str(row["images"])]
            for key, (_, form) in _COLUMNS.items():
                pair = (row.get(key), row.get(f"{key}_bicubic"))
                cells.append(" / ".join("-" if v is None else form.format(v) for v in pair))
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def facts_table(infos: Sequence[ModelInfo]) -> str:
    """Return what is known of the models beside their cards as a Markdown table."""
    head = ["model", "multiply-adds", "s a megapixel", "pixels, µm (Y, X)", "trusted, %: off, %"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for info in infos:
        facts, known = facts_of(info.path), info.card.pixel_range
        cells = [f"`{info.card.name}`", count_text(facts.multiply_adds)]
        cells.append("-" if facts.measured is None else f"{facts.measured.seconds:.3g}")
        sizes = (f"{low:.3g} to {high:.3g}" for low, high in known or ())
        cells.append(", ".join(sizes) or "not known")
        promises = (
            f"{kind} {100 * c.share:.0f}: {100 * c.alpha:.3g}"
            for kind, c in facts.calibrations.items()
        )
        lines.append("| " + " | ".join([*cells, ", ".join(promises) or "-"]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--vgg", type=Path, required=True, help="VGG19 weights")
    parser.add_argument("--lpips-weights", type=Path, help="torchvision's AlexNet")
    parser.add_argument("--models", nargs="+", help="names; all bundled ones without")
    parser.add_argument("--write", action="store_true", help="put the figures into the cards")
    options = parser.parse_args()
    bundled = [info for info in list_models() if info.bundled]
    if unknown := set(options.models or ()) - {info.card.name for info in bundled}:
        parser.error(f"not bundled: {', '.join(sorted(unknown))}")
    features: list[FeatureMaps] = [load_vgg("vgg22", options.vgg)]
    if options.lpips_weights is not None:
        features.append(load_lpips("alex", options.lpips_weights))
    found = {}
    for info in bundled:
        if options.models is None or info.card.name in options.models:
            found[info.card.name] = rows(info, options.sets, features)
            if options.write:
                model = load_model(info.path)
                card = replace(model.card, validation=tuple(found[info.card.name]))
                save_model(info.path, model.network, card)
    print(table(found))
    print(
        "\nEach cell: the model / bicubic (of raw OCT frames and of A-scans: the best of the"
        " filters and interpolations).\n"
    )
    print(facts_table([info for info in bundled if info.card.name in found]))


if __name__ == "__main__":
    main()
