"""What holds at a step: its phase, its crop size and its learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

from training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Timetable:
    """The steps of a training; they are counted from 1 through both phases.

    Attributes
    ----------
    recipe : Recipe
    pretrain, adversarial : int
        Steps of the two phases.
    """

    recipe: Recipe
    pretrain: int
    adversarial: int

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return self.pretrain + self.adversarial

    def phase(self, step: int) -> str:
        """Return "pixel" or "adversarial"."""
        return "pixel" if step <= self.pretrain else "adversarial"

    def crop(self, step: int) -> int:
        """Return the side of the HR crops, px: each size for an equal share of the phase."""
        sizes = self.recipe.crop
        done, length = self._within(step)
        return sizes[min(done * len(sizes) // length, len(sizes) - 1)]

    def crop_area_left(self, phase: str, step: int) -> int:
        """Return the HR pixels that the crops of a phase have a crop side's place in the batch.

        Parameters
        ----------
        phase : str
            "pixel" or "adversarial".
        step : int
            The last one that is done.
        """
        length = self.pretrain if phase == "pixel" else self.adversarial
        done = min(max(step if phase == "pixel" else step - self.pretrain, 0), length)
        sizes = self.recipe.crop
        # Each size from the first step whose share of the phase is its own.
        starts = [math.ceil(i * length / len(sizes)) for i in range(len(sizes) + 1)]
        return sum(
            max(stop - max(done, start), 0) * side * side
            for side, start, stop in zip(sizes, starts, starts[1:], strict=False)
        )

    def learning_rate(self, step: int) -> float:
        """Return Adam's rate: a rise, then constant, a drop, or half a cosine towards 0."""
        r = self.recipe
        done, length = self._within(step)
        pixel = self.phase(step) == "pixel"
        rate = r.learning_rate if pixel else r.adversarial_learning_rate
        schedule = r.schedule if pixel else r.adversarial_schedule
        # Adam's first steps, whose variance estimates are poor, are kept small.
        rise = min(r.warmup, length // 2)
        if done < rise:
            rate *= (done + 1) / rise
        if schedule == "step" and done >= r.drop_at * length:
            rate *= r.drop_factor
        if schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * done / length))
        return rate

    def _within(self, step: int) -> tuple[int, int]:
        """Return the steps of the phase that are done before this one, and those it has."""
        if step <= self.pretrain:
            return step - 1, self.pretrain
        return step - 1 - self.pretrain, max(self.adversarial, 1)


def timetable(recipe: Recipe, pixels: int) -> Timetable:
    """Count the steps of both phases.

    Parameters
    ----------
    recipe : Recipe
    pixels : int
        HR pixels of all training scans; an epoch is as many steps as it takes for the crops to
        have as many pixels, since random crops have no other first and last.
    """

    def steps(steps: int, epochs: float) -> int:
        if not epochs:
            return steps
        side = sum(recipe.crop) / len(recipe.crop)
        return max(1, round(epochs * pixels / (side * side * recipe.batch)))

    return Timetable(
        recipe,
        steps(recipe.pretrain_steps, recipe.pretrain_epochs),
        steps(recipe.adversarial_steps, recipe.adversarial_epochs),
    )
