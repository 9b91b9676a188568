"""The training loop: steps on pixel loss, then against the adversary, and when to stop for what."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from napari_srgan.errors import InputError
from napari_srgan.io import schema
from napari_srgan.measure.features import FeatureMaps
from training import checkpoint
from training.crops import Crops, loader
from training.data import Data
from training.hardware import memory_used
from training.outputs import BEST, MODEL, PRETRAINED, Outputs
from training.pace import Forecast, Pace
from training.players import Players
from training.presets import from_plain
from training.recipe import EXTENDS, MAY_CHANGE, Recipe
from training.timetable import Timetable, timetable
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
        recipe = self.timetable.recipe
        former = _former(state, self.checkpoint)
        free = {name: getattr(recipe, name) for name in MAY_CHANGE | EXTENDS}
        if replace(former, **free) != recipe:
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
            self._refuse_shorter(timetable(former, sum(s.pixels for s in self.data.train)))
        except InputError:
            raise
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{self.checkpoint} is damaged or does not belong to its recipe."
            ) from error

    def _refuse_shorter(self, former: Timetable) -> None:
        """Refuse other numbers of steps than those that can still be had."""
        now, done = self.timetable, self.step
        if done > former.pretrain and now.pretrain != former.pretrain:
            raise InputError(
                f"The run is in its second phase since step {former.pretrain}, so the first one "
                "cannot change any more; make the run longer with --adversarial-steps."
            )
        if done > (now.total if done > former.pretrain else now.pretrain):
            raise InputError(f"The run has {done} steps done already, more than what is asked for.")


def _former(state: dict[str, Any], path: Path) -> Recipe:
    """Return the recipe that a checkpoint was made by."""
    try:
        return Recipe(**from_plain(schema.mapping(schema.from_json(state["recipe"]))))
    except (LookupError, TypeError, ValueError) as error:
        raise InputError(f"{path} is damaged or does not belong to its recipe.") from error


def _as_text(recipe: Recipe) -> str:
    return json.dumps(recipe.to_dict(), sort_keys=True)


def train(
    run: Run, asked_to_stop: Callable[[], bool], features: Sequence[FeatureMaps] = ()
) -> list[Row]:
    """Train from the step where the run stands to the end.

    Parameters
    ----------
    run : Run
    asked_to_stop : callable
        Whether a signal has come.
    features : sequence of FeatureMaps
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
    pace = Pace()
    if run.step == 0:
        run.save()  # from now on a run that is killed can be resumed
    bad, first = 0, run.step + 1
    forecast, logged = Forecast(table), run.step

    def validated(step: int, names: Sequence[str], features: Sequence[FeatureMaps]) -> list[Row]:
        if not outputs:
            return []
        began = time.monotonic()
        rows = outputs.validate(players.kept(), step, table.phase(step), names, features)
        forecast.validation_took(time.monotonic() - began)
        return rows

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
        if step == first and step < table.pretrain and table.adversarial:
            # Also finds out now, not after hours, whether the memory suffices.
            forecast.step_would_take(table.total, hr.shape[-1], players.rehearse(lr, hr))
            pace.pause()
        if step % recipe.log_every == 0 or stop or last or phase_ends or step == first:
            _log(run, pace, forecast, logged + 1, rough=step == first)
            logged = step
        if stop and not (last or phase_ends):
            # At once: a cluster that asks does not wait long, and a validation can be long.
            run.save()
            if outputs:
                outputs.keep(players.kept(), step, table.phase(step))
            raise Stopped
        if phase_ends or (step % recipe.validate_every == 0 and not last):
            validated(
                step,
                (MODEL, PRETRAINED) if phase_ends else (MODEL,),
                features if phase_ends else (),
            )
            run.fabric.barrier()
            pace.pause()
            if _any_asked(run.fabric, _has_lost_patience(run)):
                run.save()
                break
        if step % recipe.checkpoint_every == 0 or phase_ends or stop or last:
            run.save()
        if stop and not last:
            raise Stopped
    return validated(run.step, (MODEL,) if table.adversarial else (MODEL, PRETRAINED), features)


def _has_lost_patience(run: Run) -> bool:
    """Say whether the scores have not risen for long enough to end the training; tell of it."""
    patience, outputs = run.timetable.recipe.patience, run.outputs
    if not patience or outputs is None or outputs.without_gain < patience:
        return False
    outputs.monitor.event(
        "early",
        f"Ended early, after step {run.step}: {patience} validations without a better "
        f"{run.timetable.recipe.best}; the best model is {outputs.folder / BEST}",
        step=run.step,
    )
    return True


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


def _log(run: Run, pace: Pace, forecast: Forecast, since: int, *, rough: bool) -> None:
    table = run.timetable
    means = pace.take()
    seconds = means.pop("seconds")
    run.seconds += seconds
    forecast.steps_took(since, run.step, seconds, rough=rough)
    values: dict[str, Any] = {**_over_processes(run.fabric, means)}
    if run.outputs:
        values |= {
            "step": run.step,
            "phase": table.phase(run.step),
            "seconds": round(run.seconds, 1),
            "learning_rate": table.learning_rate(run.step),
            "skipped": sum(run.players.skipped.values()),
        }
        left = forecast.seconds_left(run.step)
        memory = memory_used(run.fabric)
        run.outputs.monitor.step(values, table.total, left, memory, table.pretrain)
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
