"""Measure of the bundled models what their cards do not hold: time, and LPIPS.

    python benchmarks/measured.py SETS --lpips-weights FILE [--models NAME ...] [--write]

SETS is what `scripts/lay_out_scans.py` made, FILE torchvision's AlexNet. Time is that of a tile in
float32 on one thread, the best of several, for a megapixel of the input; LPIPS that of the first
images of every validation set, of the model and of bicubic enlargement. With --write both go into
the package (`weights/measured.json`), where `tasks.facts` reads them.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from models_report import SCALE, SETS, images

from napari_srgan import upscale
from napari_srgan.engine.speed import SIDE
from napari_srgan.engine.window import WindowNetwork
from napari_srgan.image.resampling import bicubic_enlarge, bicubic_shrink
from napari_srgan.measure.features import feature_distances
from napari_srgan.models.catalogue import ModelInfo, list_models, load_model
from napari_srgan.models.lpips import LPIPS, load_lpips
from napari_srgan.tasks.facts import Measured, count_text, keep_measured, multiply_adds

MOST = 6  # images a set
TRIES = 5


def seconds(info: ModelInfo) -> float:
    """Time the model for a megapixel, on one thread.

    Its processor time, which other work on the machine changes less than the time of a clock.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        network = WindowNetwork(load_model(info.path).network, torch.device("cpu"))
        samples = (3,) if info.card.channels == 3 else ()
        tile = np.random.default_rng(0).random((SIDE, SIDE, *samples), np.float32)
        network(tile)  # the first call chooses algorithms and takes memory
        taken = []
        for _ in range(TRIES):
            start = time.process_time()
            network(tile)
            taken.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    return float(f"{min(taken) * 1e6 / SIDE**2:.3g}")


def lpips(info: ModelInfo, sets: Path, network: LPIPS) -> Mapping[str, tuple[float, float]]:
    """Measure LPIPS of the model and of bicubic on the sets that it is for."""
    found = {}
    if info.card.degradation == "measured" or info.card.scale != (SCALE, SCALE):
        return found
    for folder, title in SETS[info.card.channels].items():
        each = []
        for stored in images(sets / "val" / folder, info.card.channels)[:MOST]:
            hr = stored.astype(np.float32) / 255
            lr = bicubic_shrink(hr, SCALE).clip(0, 1)
            made = upscale(lr, info.path, axes="YXS"[: lr.ndim], intensity="0:1").data
            each.append(feature_distances(network, hr, made, bicubic_enlarge(lr, SCALE)))
        own, bicubic = np.mean(each, axis=0)
        found[title] = round(float(own), 4), round(float(bicubic), 4)
    return found


def machine() -> str:
    """Name the processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"one thread of {names[0] if names else platform.processor() or platform.machine()}"


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--lpips-weights", type=Path, required=True, help="torchvision's AlexNet")
    parser.add_argument("--models", nargs="+", help="names; all bundled ones without")
    parser.add_argument("--write", action="store_true", help="put them into the package")
    given = parser.parse_args()
    network = load_lpips("alex", given.lpips_weights)
    print("| model | multiply-adds | s a megapixel | LPIPS: model / bicubic |\n|---|---|---|---|")
    for info in list_models():
        if not info.bundled or (given.models and info.card.name not in given.models):
            continue
        model = load_model(info.path)
        one = Measured(seconds(info), machine(), lpips(info, given.sets, network))
        each = ", ".join(f"{k} {a:.3f} / {b:.3f}" for k, (a, b) in one.lpips.items())
        count = count_text(multiply_adds(model))
        print(f"| `{info.card.name}` | {count} | {one.seconds:.3g} | {each} |", flush=True)
        if given.write:
            keep_measured({info.card.name: (model.sha256, one)})


if __name__ == "__main__":
    main()
