"""The training loop: steps on pixel loss, then against the adversary, and when to stop for what."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_srgan.errors import InputError
from napari_srgan.io import schema
from napari_srgan.models.vgg import VGGFeatures
from training import checkpoint
from training.crops import Crops, loader
from training.data import Data
from training.outputs import MODEL, PRETRAINED, Outputs
from training.players import Players
from training.recipe import Recipe
from training.timetable import Timetable
from training.validation import Row

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_OUTWEIGHED = 100.0  # times the adversarial loss: too much for the content loss
_FAIR = 5.0


class Stopped(Exception):
    """The training was asked to stop; its state is in the checkpoint."""


@dataclass
class Run:
    """A training under way.

    Attributes
    ----------
    timetable, data, players : Timetable, Data, Players
        What is trained, for how long, on what.
    fabric : Fabric
        Where.
    checkpoint : Path
        The file that a later start resumes from.
    outputs : Outputs or None
        None in all processes but the first, which alone writes files.
    workers : int
        Processes that prepare crops.
    step : int
        Steps that are done.
    seconds : float
        That they took.
    weighed : bool
        Whether the user knows how the terms of the adversarial phase compare.
    """

    timetable: Timetable
    data: Data
    players: Players
    fabric: Fabric
    checkpoint: Path
    outputs: Outputs | None
    workers: int = 0
    step: int = 0
    seconds: float = 0.0
    weighed: bool = False

    def save(self) -> None:
        """Write the checkpoint."""
        if self.outputs:
            state = {
                "step": self.step,
                "seconds": self.seconds,
                "digest": self.data.digest,
                "recipe": _as_text(self.timetable.recipe),
            }
            checkpoint.write(self.checkpoint, state | self.players.state_dict())

    def resume(self) -> None:
        """Take over the checkpoint.

        Raises
        ------
        InputError
            If there is none, it is damaged, or the scans are not those that it was trained on.
        """
        state = checkpoint.read(self.checkpoint)
        if state.get("recipe") != _as_text(self.timetable.recipe):
            raise InputError(
                f"The recipe in {self.checkpoint.parent} is not the one that the run was begun "
                "with; put it back, or start a new run from its model with --init."
            )
        if state.get("digest") != self.data.digest:
            raise InputError(
                f"The scans are not those that {self.checkpoint.parent} was trained on (added, "
                "removed or changed since), so the run cannot go on as it began; put them back, "
                "or start a new run from its model with --init."
            )
        try:
            self.players.load_state_dict(state)
            self.step = schema.whole(0, 2**63 - 1)(state["step"])
            self.seconds = schema.number(state["seconds"])
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.checkpoint} is damaged or does not belong to its recipe."
            ) from error


def _as_text(recipe: Recipe) -> str:
    return json.dumps(recipe.to_dict(), sort_keys=True)


def train(
    run: Run, asked_to_stop: Callable[[], bool], vgg: Sequence[VGGFeatures] = ()
) -> list[Row]:
    """Train from the step where the run stands to the end.

    Parameters
    ----------
    run : Run
    asked_to_stop : callable
        Whether a signal has come.
    vgg : sequence of VGGFeatures
        For distances of features in the last table.

    Returns
    -------
    list of Row
        The scores of the last validation; empty in all processes but the first.

    Raises
    ------
    Stopped
        If asked to, after the checkpoint was written.
    InputError
        If the losses stay infinite or NaN, or a file cannot be written.
    """
    table, players, outputs = run.timetable, run.players, run.outputs
    recipe = table.recipe
    if run.step == 0:
        run.save()  # from now on a run that is killed can be resumed
    bad = 0
    pace = Pace()
    for lr, hr in _batches(run, pace):
        step = run.step + 1
        skipped = sum(players.skipped.values())
        losses = _take(run, step, lr, hr)
        run.step = step
        pace.add(losses)

        bad = bad + 1 if sum(players.skipped.values()) > skipped else 0
        if bad == recipe.bad_steps:
            raise InputError(
                f"The losses were not finite in {bad} steps in a row, the last one step {step}; "
                "train anew with a lower --learning-rate, or with --clip 1."
            )
        stop = _any_asked(run.fabric, asked_to_stop())
        last = step == table.total
        phase_ends = step == table.pretrain and not last
        if step % recipe.log_every == 0 or stop or last:
            _log(run, pace)
        if stop and not (last or phase_ends):
            # At once: a cluster that asks does not wait long, and a validation can be long.
            run.save()
            raise Stopped
        if phase_ends or (step % recipe.validate_every == 0 and not last):
            if outputs:
                names = (MODEL, PRETRAINED) if phase_ends else (MODEL,)
                outputs.validate(
                    players.kept(), step, table.phase(step), names, vgg if phase_ends else ()
                )
            run.fabric.barrier()
            pace.pause()
        if step % recipe.checkpoint_every == 0 or phase_ends or stop or last:
            run.save()
        if stop and not last:
            raise Stopped
    if not outputs:
        return []
    names = (MODEL,) if table.adversarial else (MODEL, PRETRAINED)
    return outputs.validate(players.kept(), run.step, table.phase(run.step), names, vgg)


def _batches(run: Run, pace: Pace) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the batches that are left, on the device, and time the waits for them."""
    fabric = run.fabric
    steps = range(run.step + 1, run.timetable.total + 1)
    batches = iter(
        loader(
            Crops(run.data.train, run.timetable),
            steps,
            workers=run.workers,
            pin=fabric.device.type == "cuda",
            rank=fabric.global_rank,
            processes=fabric.world_size,
        )
    )
    for _ in steps:
        with pace.waiting():
            lr, hr = (
                t.to(fabric.device, non_blocking=True, memory_format=torch.channels_last)
                for t in next(batches)
            )
        yield lr, hr


def _take(run: Run, step: int, lr: torch.Tensor, hr: torch.Tensor) -> dict[str, torch.Tensor]:
    """Take one step of the phase that it belongs to."""
    table, players = run.timetable, run.players
    rate = table.learning_rate(step)
    if table.phase(step) == "pixel":
        return players.pixel_step(lr, hr, rate)
    done = step - 1 - table.pretrain
    if done == 0:
        players.begin_adversarial()
    turn = done % table.recipe.generator_steps == 0
    return players.adversarial_step(lr, hr, rate, discriminator_learns=turn)


def _any_asked(fabric: Fabric, asked: bool) -> bool:
    """Let all processes stop at the same step if one is asked to."""
    if fabric.world_size == 1:
        return asked
    flag = torch.tensor(float(asked), device=fabric.device)
    return bool(fabric.all_reduce(flag, reduce_op="sum") > 0)


def _log(run: Run, pace: Pace) -> None:
    table = run.timetable
    means = pace.take()
    run.seconds += means.pop("seconds")
    values: dict[str, Any] = {**_over_processes(run.fabric, means)}
    if run.outputs:
        values |= {
            "step": run.step,
            "phase": table.phase(run.step),
            "seconds": round(run.seconds, 1),
            "learning_rate": table.learning_rate(run.step),
            "skipped": sum(run.players.skipped.values()),
        }
        left = (table.total - run.step) / values["steps_per_second"]
        run.outputs.monitor.step(values, table.total, left)
        if "adversarial" in values and not run.weighed:
            run.weighed = True
            if sentence := _imbalance(run.players.weights, values):
                run.outputs.monitor.event("warning", sentence)


def _over_processes(fabric: Fabric, values: dict[str, float]) -> dict[str, float]:
    """Return the means over all processes: each has seen its own share of the crops."""
    if fabric.world_size == 1:
        return values
    mine = torch.tensor(list(values.values()), dtype=torch.float64, device=fabric.device)
    means = fabric.all_reduce(mine, reduce_op="mean").tolist()
    return dict(zip(values, means, strict=True))


def _imbalance(weights: Mapping[str, float], values: Mapping[str, float]) -> str:
    """Say so if the content loss leaves the adversary no say; else return an empty string.

    Features differ in size by orders of magnitude between layers, and with how the weights were
    normalised, so that no one weight suits all.
    """
    if "content" not in values:
        return ""
    content = weights["content"] * values["content"]
    adversarial = weights["adversarial"] * values["adversarial"]
    if not 0 < adversarial * _OUTWEIGHED < content:
        return ""
    better = weights["content"] * _FAIR * adversarial / content
    return (
        f"Warning: weighted, the content loss is {content / adversarial:.0f} times the adversarial "
        f"loss, so the discriminator has next to no say; with these VGG19 weights and this layer "
        f"--content-weight {better:.1g} would balance them."
    )


class Pace:
    """Means of losses, steps per second and the device's share of the time, between two logs."""

    def __init__(self) -> None:
        self._reset()
        self._since = time.monotonic()

    def _reset(self) -> None:
        self._losses: dict[str, list[torch.Tensor]] = defaultdict(list)
        self._steps, self._waited, self._paused = 0, 0.0, 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Time a wait for crops."""
        start = time.monotonic()
        yield
        self._waited += time.monotonic() - start

    def add(self, losses: dict[str, torch.Tensor]) -> None:
        """Count a step. The losses stay on the device: reading them would make it wait."""
        self._steps += 1
        for key, value in losses.items():
            self._losses[key].append(value)
        self._worked = time.monotonic()

    def pause(self) -> None:
        """Leave out of the pace what was done since the last step: a validation."""
        self._paused += time.monotonic() - self._worked

    def take(self) -> dict[str, Any]:
        """Return what has been gathered, and begin anew."""
        now = time.monotonic()
        seconds = max(now - self._since - self._paused, 1e-9)
        values = {k: float(torch.stack(v).mean()) for k, v in self._losses.items()}
        values |= {
            "seconds": seconds,
            "steps_per_second": self._steps / seconds,
            "device_share": max(0.0, 1 - self._waited / seconds),
        }
        self._reset()
        self._since = now
        return values
