"""The training loop: pixel loss on crops, validation now and then, a model file at the end."""

from __future__ import annotations

import datetime
import json
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from napari_srgan import __version__
from napari_srgan.degradation import degradation
from napari_srgan.errors import InputError
from napari_srgan.models import SUFFIX, Card, save_model
from napari_srgan.networks.srresnet import SRResNet
from training.initialise import interpolate_at_start
from training.recipe import Recipe
from training.scans import Sampler, ScanSet
from training.validation import validate

LOSSES = {"mse": functional.mse_loss, "l1": functional.l1_loss}


def train(
    recipe: Recipe,
    train_sets: list[ScanSet],
    val_sets: list[ScanSet],
    out: Path,
    report: Callable[[str], None] = print,
) -> Path:
    """Train a generator on pixel loss and write the run folder.

    Parameters
    ----------
    recipe : Recipe
        How.
    train_sets, val_sets : list of ScanSet
        What to learn from, and what to judge it by.
    out : Path
        The run folder; gets `generator.safetensors`, `metrics.csv` and `recipe.json`. The model
        file is written anew at every validation, so that a run that is stopped leaves one.
    report : callable
        Takes lines for the user.

    Returns
    -------
    Path
        The model file.

    Raises
    ------
    InputError
        If the run folder cannot be made, or the loss stops being finite.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The run folder {out} cannot be made: {error.strerror}.") from error
    (out / "recipe.json").write_text(json.dumps(recipe.to_dict(), indent=2) + "\n")
    torch.manual_seed(recipe.seed)
    network = SRResNet(**recipe.network_parameters)
    interpolate_at_start(network)
    network = network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(network.parameters(), lr=recipe.learning_rate)
    flips = recipe.flips
    if flips == "auto":
        flips = "lateral" if recipe.channels == 1 else "all"
    sampler = Sampler(
        train_sets,
        degradation(recipe.degradation),
        scale=recipe.scale,
        crop=recipe.crop,
        batch=recipe.batch,
        flips=flips,
        seed=recipe.seed,
    )

    path = out / f"generator{SUFFIX}"
    with (out / "metrics.csv").open("w", encoding="utf-8", buffering=1) as log:
        log.write("step,loss,learning_rate,seconds,set,psnr,psnr_bicubic,ssim,ssim_bicubic\n")
        for step, loss, rate, seconds in _steps(recipe, network, optimiser, sampler):
            if step % 50 == 0:
                left = seconds / step * (recipe.steps - step)
                report(f"step {step}/{recipe.steps}  loss {loss:.5f}  {left / 60:.0f} min left")
                log.write(f"{step},{loss:.6f},{rate:.2e},{seconds:.1f},,,,,\n")
            if step % recipe.validate_every == 0 or step == recipe.steps:
                rows = validate(network, val_sets, recipe.degradation)
                for r in rows:
                    report(
                        f"step {step}  {r['set']}: PSNR {r['psnr']:.2f} dB "
                        f"({r['psnr'] - r['psnr_bicubic']:+.2f} over bicubic)"
                    )
                    log.write(
                        f"{step},{loss:.6f},{rate:.2e},{seconds:.1f},{r['set']},{r['psnr']},"
                        f"{r['psnr_bicubic']},{r['ssim']},{r['ssim_bicubic']}\n"
                    )
                save_model(path, network, _card(recipe, step, rows))
    return path


def _steps(
    recipe: Recipe, network: SRResNet, optimiser: torch.optim.Optimizer, sampler: Sampler
) -> Iterator[tuple[int, float, float, float]]:
    """Yield (step, loss, learning rate, seconds) after every step."""
    loss_of = LOSSES[recipe.loss]
    network.train()
    start = time.monotonic()
    for step in range(1, recipe.steps + 1):
        rate = _learning_rate(recipe, step)
        for group in optimiser.param_groups:
            group["lr"] = rate
        lr, hr = sampler.draw()
        loss = loss_of(network(lr.contiguous(memory_format=torch.channels_last)), hr)
        if not math.isfinite(loss.item()):
            raise InputError(
                f"The loss became {loss.item()} at step {step}; lower the learning rate."
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        yield step, loss.item(), rate, time.monotonic() - start


def _learning_rate(recipe: Recipe, step: int) -> float:
    if recipe.schedule == "constant":
        return recipe.learning_rate
    # A short linear rise keeps Adam's first steps, whose variance estimates are poor, small.
    rise = min(1.0, step / min(200, recipe.steps))
    return recipe.learning_rate * rise * 0.5 * (1 + math.cos(math.pi * (step - 1) / recipe.steps))


def _card(recipe: Recipe, step: int, rows: list[dict[str, Any]]) -> Card:
    about = ("name", "purpose", "trained_on", "limits", "degradation", "channels", "scale")
    values = recipe.to_dict()
    return Card(
        name=recipe.name,
        architecture="srresnet",
        parameters=recipe.network_parameters,
        channels=recipe.channels,
        scale=recipe.scale,
        purpose=recipe.purpose,
        degradation=recipe.degradation,
        trained_on=recipe.trained_on,
        training={**{k: v for k, v in values.items() if k not in about}, "steps_done": step},
        validation=tuple(rows),
        limits=recipe.limits,
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        tool_version=__version__,
    )
