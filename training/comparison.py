"""Several runs beside each other: how good each is, and in what their recipes differ."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from PIL import Image

from napari_srgan.errors import InputError
from napari_srgan.io.inline import png_uri
from training.log import duration, scores_by
from training.page import page
from training.recipe import Recipe
from training.runs import RunFolder, State

_SAID = ("name", "purpose", "trained_on", "limits")  # nothing is learned of these
_UNITS = {"psnr": "dB"}


@dataclass(frozen=True, slots=True)
class Compared:
    """A run among others.

    Attributes
    ----------
    name : str
        Of its folder.
    recipe : Recipe
    state : str
    step, steps : int
    seconds : float
        That its steps took.
    scores : dict of int to float
        How much better than bicubic it was, by step, see `log.scores_by`.
    losses : dict of int to float
        Pixel loss by step.
    pretrain : int
        Steps of the first phase.
    """

    name: str
    recipe: Recipe
    state: State
    step: int
    steps: int
    seconds: float
    scores: dict[int, float]
    losses: dict[int, float]
    pretrain: int

    @property
    def best_at(self) -> int | None:
        """The step of its best score."""
        return max(self.scores, key=lambda step: self.scores[step], default=None)

    @property
    def last(self) -> float | None:
        """Its last score."""
        return self.scores[max(self.scores)] if self.scores else None


def compared(runs: Sequence[RunFolder], measure: str) -> tuple[list[Compared], list[str]]:
    """Read what is compared of runs; and a sentence for each that cannot be read."""
    found, wrong = [], []
    for run in runs:
        try:
            recipe = run.recipe
        except InputError as error:
            wrong.append(str(error))
            continue
        seen = run.look()
        steps = [row for row in seen.rows if not row["set"]]
        losses = {int(row["step"]): float(row["pixel"]) for row in steps if row["pixel"]}
        seconds = max((float(row["seconds"] or 0) for row in steps), default=0.0)
        found.append(
            Compared(
                run.path.name,
                recipe,
                seen.state,
                seen.step,
                seen.steps,
                seconds,
                scores_by(seen.rows, measure),
                losses,
                seen.pretrain,
            )
        )
    return found, wrong


def differences(runs: Sequence[Compared]) -> list[str]:
    """Name the fields in which the recipes of runs differ."""
    first, *others = [run.recipe.to_dict() for run in runs]
    return [k for k in first if k not in _SAID and any(o[k] != first[k] for o in others)]


def table_rows(runs: Sequence[Compared], measure: str) -> list[tuple[str, ...]]:
    """Lay runs out as a table, its head first: state, scores, and where the recipes differ."""
    fields = differences(runs)
    unit = f", {_UNITS[measure]}" if measure in _UNITS else ""
    head = ("run", "state", "steps", "time", f"{measure} over bicubic{unit}", "best", "at step")
    rows: list[tuple[str, ...]] = [(*head, *fields)]
    for run in runs:
        at = run.best_at
        values = run.recipe.to_dict()
        rows.append(
            (
                run.name,
                run.state,
                f"{run.step} of {run.steps}" if run.steps else str(run.step),
                duration(run.seconds),
                _signed(run.last),
                _signed(None if at is None else run.scores[at]),
                "" if at is None else str(at),
                *(_shown(values[key]) for key in fields),
            )
        )
    return rows


def folds(runs: Sequence[Compared]) -> list[str]:
    """Say the mean and the standard deviation of runs that differ in their fold only."""
    groups: dict[str, list[Compared]] = defaultdict(list)
    for run in runs:
        values = run.recipe.to_dict()
        if values["folds"] and run.scores:
            alike = {k: v for k, v in values.items() if k not in (*_SAID, "fold")}
            groups[str(alike)].append(run)
    said = []
    for group in groups.values():
        scores = [run.last for run in group if run.last is not None]
        if len({run.recipe.fold for run in group}) > 1:
            of = group[0].recipe.folds
            said.append(
                f"{len(group)} of {of} folds ({group[0].name} and on): {fmean(scores):+.3g} "
                f"\N{PLUS-MINUS SIGN} {stdev(scores):.2g} over bicubic."
            )
    return said


def comparison_page(runs: Sequence[Compared], measure: str) -> str:
    """Lay runs out as a page: curves, and the table."""
    head, *rows = table_rows(runs, measure)
    return page(
        "comparison.html",
        head=head,
        rows=rows,
        folds=folds(runs),
        curves=_curves(runs, measure),
        measure=measure,
    )


def _curves(runs: Sequence[Compared], measure: str) -> str:
    """Draw scores and losses of all runs; a picture that stands in the page."""
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    figure = Figure(figsize=(11, 8), layout="constrained")
    scores, losses = figure.subplots(2, 1, sharex=True)
    for run in runs:
        for axes, values in ((scores, run.scores), (losses, run.losses)):
            marker = "." if axes is scores else ""
            axes.plot([*values], [*values.values()], marker=marker, label=run.name, linewidth=1.2)
    scores.axhline(0, color="gray", linewidth=0.8)
    scores.set_ylabel(f"{measure} over bicubic")
    losses.set(ylabel="pixel loss", xlabel="step", yscale="log")
    for axes in (scores, losses):
        axes.grid(alpha=0.25)
    scores.legend(fontsize=8)
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a name with dollars is no formula
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=100)
    return png_uri(Image.open(held))


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.4g}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return " ".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
