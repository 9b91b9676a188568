"""Training steps per second beside a plain loop, as published SRGAN code writes it.

    python benchmarks/train_steps.py [--blocks 16] [--features 64] [--rounds 3]

Both train the same network from the same images, in turn in one process, so that a busy machine
slows both. The plain loop decodes, crops and shrinks image files at every step, keeps the default
memory layout and float32, and in the adversarial phase restores the batch once for each network
and sends the discriminator's gradient into the generator, to be thrown away. The ceiling is what
matrix products of 2048 x 2048 reach in float32 on the same machine; the operations of a step are
counted as three times those of the generator's forward pass.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from PIL import Image
from skimage import data
from torch import nn
from torch.nn import functional

from napari_srgan.models.architectures import build
from training.crops import Crops, loader
from training.discriminator import Discriminator
from training.hardware import Hardware, start
from training.players import Players, discriminator_for
from training.recipe import Recipe
from training.scans import ScanSet, decode, scans_of
from training.timetable import timetable

CROP, BATCH, SCALE = 96, 16, 4


def write_images(folder: Path) -> list[Path]:
    """Write photographs that scikit-image ships, in the size and format of training images."""
    paths = []
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        picture = Image.fromarray(getattr(data, name)()).convert("L").crop((0, 0, 384, 288))
        paths.append(folder / f"{name}.jpg")
        picture.save(paths[-1], quality=95)
    return paths


def plain_batch(
    paths: list[Path], random: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Open, crop and shrink a batch of image files."""
    pairs = []
    for _ in range(BATCH):
        image = Image.open(paths[random.integers(len(paths))]).convert("L")
        x, y = (int(random.integers(n - CROP + 1)) for n in image.size)
        hr = image.crop((x, y, x + CROP, y + CROP))
        lr = hr.resize((CROP // SCALE, CROP // SCALE), Image.Resampling.BICUBIC)
        pairs.append([torch.from_numpy(np.array(p, np.float32) / 255)[None] for p in (lr, hr)])
    lr, hr = zip(*pairs, strict=True)
    return torch.stack(lr), torch.stack(hr)


def plain_pixel(recipe: Recipe, paths: list[Path]) -> Iterator[None]:
    """Train on pixel loss, one step a `next`."""
    random = np.random.default_rng(0)
    network = build(recipe.generator, recipe.network_parameters).train()
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    while True:
        lr, hr = plain_batch(paths, random)
        loss = functional.mse_loss(network(lr), hr)
        adam.zero_grad()
        loss.backward()
        adam.step()
        yield


def plain_adversarial(recipe: Recipe, paths: list[Path]) -> Iterator[None]:
    """Train on pixel and adversarial loss, one step of both networks a `next`."""
    random = np.random.default_rng(0)
    network = build(recipe.generator, recipe.network_parameters).train()
    discriminator = Discriminator(recipe.channels, recipe.discriminator_features, CROP)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    adam_discriminator = torch.optim.Adam(discriminator.parameters(), lr=1e-4)
    bce = nn.BCEWithLogitsLoss()
    while True:
        lr, hr = plain_batch(paths, random)
        sr = network(lr)
        real, fake = discriminator(hr), discriminator(sr)
        adam_discriminator.zero_grad()
        (bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))).backward()
        adam_discriminator.step()
        sr = network(lr)
        fake = discriminator(sr)
        adam.zero_grad()
        (functional.mse_loss(sr, hr) + 1e-3 * bce(fake, torch.ones_like(fake))).backward()
        adam.step()
        yield


def ours(recipe: Recipe, paths: list[Path], fabric: Fabric, adversarial: bool) -> Iterator[None]:
    """Train as `training` does, one step a `next`."""
    found = [scans_of(decode(p), channels=1, min_side=CROP) for p in paths]
    scans = ScanSet("photographs", tuple(scan for planes in found for scan in planes))
    generator = build(recipe.generator, recipe.network_parameters)
    players = Players(recipe, fabric, generator, None, discriminator_for(recipe))
    crops = Crops([scans], timetable(recipe, scans.pixels))
    for lr, hr in loader(crops, range(1, 10_000), workers=0, pin=False):
        lr, hr = (t.to(memory_format=torch.channels_last) for t in (lr, hr))
        if adversarial:
            players.adversarial_step(lr, hr, 1e-4, discriminator_learns=True)
        else:
            players.pixel_step(lr, hr, 1e-4)
        yield


def operations(recipe: Recipe) -> float:
    """Count the multiplications and additions of the generator's forward pass of a batch."""
    network = build(recipe.generator, recipe.network_parameters)
    total = 0

    def count(layer: nn.Conv2d, _: object, out: torch.Tensor) -> None:
        nonlocal total
        total += 2 * out.numel() * layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1]

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.inference_mode():
        network(torch.zeros(BATCH, recipe.channels, CROP // SCALE, CROP // SCALE))
    return float(total)


def ceiling() -> float:
    """Return the floating-point operations per second of large matrix products, best of five."""
    a = torch.rand(2048, 2048)
    a @ a
    return max(2 * 2048**3 / timed(lambda: a @ a) for _ in range(5))


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--blocks", type=int, default=16)
    arguments.add_argument("--features", type=int, default=64)
    arguments.add_argument("--rounds", type=int, default=3, help="steps of each, taken in turn")
    options = arguments.parse_args()
    recipe = Recipe(
        channels=1,
        blocks=options.blocks,
        features=options.features,
        batch_norm=True,
        batch=BATCH,
        crop=(CROP,),
        pixel_loss="mse",
        content="none",
        discriminator="dense",
        ema=0.0,
    )
    fabric = start(Hardware(device="cpu"))
    top = ceiling()
    print(f"{torch.get_num_threads()} threads, matrix products {top / 1e9:.0f} GFLOP/s, float32")
    print(f"{'phase':<12} {'plain s':>8} {'ours s':>8} {'ratio':>6} {'of ceiling':>11}")
    with tempfile.TemporaryDirectory() as folder:
        paths = write_images(Path(folder))
        whole = np.zeros(2)
        for phase, plain, steps in (
            ("pixel", plain_pixel, recipe.pretrain_steps),
            ("adversarial", plain_adversarial, recipe.adversarial_steps),
        ):
            loops = [plain(recipe, paths), ours(recipe, paths, fabric, phase == "adversarial")]
            for loop in loops:
                next(loop)
            times = [[timed(loop.__next__) for loop in loops] for _ in range(options.rounds)]
            before, after = np.median(times, axis=0)
            whole += steps * np.array([before, after])
            share = f"{3 * operations(recipe) / after / top:.0%}" if phase == "pixel" else ""
            print(f"{phase:<12} {before:8.2f} {after:8.2f} {before / after:6.2f} {share:>11}")
    print(
        f"default preset, {recipe.pretrain_steps} + {recipe.adversarial_steps} steps: ratio "
        f"{whole[0] / whole[1]:.2f}, {whole[1] / 86400:.1f} days here"
    )


if __name__ == "__main__":
    main()
