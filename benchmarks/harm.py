"""Measure what 16 bits do to the bundled models, beside float32, on the images of their cards.

    python benchmarks/harm.py SETS [--models NAME ...] [--write]

SETS is what `scripts/lay_out_scans.py` makes. Prints a line a model, backend and format: the worst
of its validation sets. `--write` puts them into the package (`weights/harm.json`), where
`engine.number_format` reads whether `auto` may use 16 bits. The formats are computed on the CPU,
emulated where it has none, so that the figures do not depend on the machine that they are made on;
OpenVINO's bfloat16 needs a CPU that has it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from models_report import SCALE, images
from numpy.typing import NDArray
from oct_lateral import SETS as LATERAL_SETS
from oct_lateral import pairs as lateral_pairs

from napari_srgan.engine.backends.openvino import formats
from napari_srgan.engine.number_format import LEVELS, Harm
from napari_srgan.engine.window import WindowNetwork
from napari_srgan.image.resampling import bicubic_shrink
from napari_srgan.models.catalogue import WEIGHTS, list_models, load_model

SETS = {
    1: ("oct-averages", "oct-frames", "spectralis", "fluorescence"),
    3: ("photographs", "tissue"),
}
Pair = tuple[NDArray[np.float32], NDArray[np.float32]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--models", nargs="+", help="names; all bundled ones without")
    parser.add_argument("--write", action="store_true", help="into the package")
    given = parser.parse_args()
    found: dict[str, dict[str, object]] = {}
    for info in list_models():
        if not info.bundled or (given.models and info.card.name not in given.models):
            continue
        model, harm = load_model(info.path), {}
        for name, backend, precision in ways():
            harm[name] = worst(model.network, backend, precision, given.sets / "val")
            print(f"{info.card.name:15} {name:18} {line(harm[name])}", flush=True)
        found[info.card.name] = {
            "sha256": model.sha256,
            "harm": {name: asdict(value) for name, value in harm.items()},
        }
    if given.write:
        file = WEIGHTS / "harm.json"
        known = json.loads(file.read_text(encoding="utf-8")) if given.models else {}
        text = json.dumps(dict(sorted((known | found).items())), indent=1) + "\n"
        file.write_text(text, encoding="utf-8")


def ways() -> Iterator[tuple[str, str, str]]:
    yield "torch bfloat16", "torch", "bfloat16"
    yield "torch float16", "torch", "float16"
    if "bfloat16" in formats():
        yield "openvino bfloat16", "openvino", "bfloat16"


def worst(network: torch.nn.Module, backend: str, precision: str, sets: Path) -> Harm:
    """Measure every set, and take the worst of each figure."""
    cpu = torch.device("cpu")
    low = WindowNetwork(network, cpu, precision, backend)
    exact = WindowNetwork(network, cpu, "float32", backend)
    harms = []
    lateral = network.scale[0] == 1
    for name in LATERAL_SETS if lateral else SETS[network.channels]:
        each, lost = [], []
        for lr, hr in between(sets / name) if lateral else pairs(sets / name, network.channels):
            results = [w(lr)[0] for w in (low, exact)]
            each.append(Harm.between(*results))
            lost.append(np.subtract(*(psnr(r, hr) for r in reversed(results))))
        harms.append(
            Harm(
                float(np.mean([h.moved for h in each])),
                max(h.largest for h in each),
                float(np.mean(lost)),
            )
        )
    return Harm(
        float(f"{max(h.moved for h in harms):.3g}"),
        max(h.largest for h in harms),
        round(max(h.psnr_lost for h in harms), 4),
    )


def between(folder: Path) -> Iterator[Pair]:
    """Yield every fourth A-scan of a scan, in 8 bits, and all of them."""
    for lr, hr in lateral_pairs(sorted(folder.iterdir()), [1]):
        yield (np.rint(LEVELS * lr) / LEVELS).astype(np.float32), hr


def pairs(folder: Path, channels: int) -> Iterator[Pair]:
    """Yield LR in 8 bits, as people have it, and HR; both in [0, 1]."""
    for stored in images(folder, channels):
        hr = stored.astype(np.float32) / LEVELS
        lr = np.rint(LEVELS * bicubic_shrink(hr, SCALE).clip(0, 1)) / LEVELS
        yield lr.astype(np.float32), hr


def psnr(result: NDArray[np.float32], hr: NDArray[np.float32]) -> float:
    stored = np.rint(LEVELS * result.clip(0, 1)) / LEVELS
    return float(-10 * np.log10(np.mean(np.square(stored - hr))))


def line(harm: Harm) -> str:
    verdict = "kept" if harm.allowed else "broken"
    return (
        f"PSNR -{harm.psnr_lost:.4f} dB, {100 * harm.moved:.4f} % moved by more than 1,"
        f" at most {harm.largest}: the rule is {verdict}"
    )


if __name__ == "__main__":
    main()
