"""Automatic tuning: many short trainings, each with other values of some fields of the recipe.

Optuna proposes the values and ends trials that do worse than the others (Akiba et al., arXiv
1907.10902). All is kept in the folder of the tuning: killed, it goes on where it was, and several
processes with the same folder, on one machine or GPU each, share the work.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_srgan.cli.terminal import table
from napari_srgan.errors import InputError
from napari_srgan.io.lock import FileLock
from training.checkpoint import replace_file
from training.comparison import compared, table_rows
from training.log import scores_by
from training.presets import from_plain
from training.recipe import Recipe
from training.runs import RunFolder
from training.space import Choices, Space
from training.start import Request, carry_out

if TYPE_CHECKING:
    from optuna import Study, Trial

STUDY = "study.sqlite"
BEST = "best.toml"
PICTURE = "tuning.png"
_TRIALS = "trials"
_PATIENCE = 60.0  # s for another process that writes to the study
_HEARTBEAT = 30  # s between signs of life; a trial without one for four times as long has died
_BEFORE_PRUNING = 4  # trials that are never ended early, for the others to be held against
_INSTALL = "pip install 'napari-srgan[tune]'"


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of a tuning.

    Attributes
    ----------
    folder : Path
    recipe : Recipe
        The best one.
    score : float
        How much better than bicubic its model was, by the recipe's measure `best`.
    trials : int
        That were done, those of former calls included.
    finished : bool
        Whether all that were asked for were; else it was stopped.
    """

    folder: Path
    recipe: Recipe
    score: float
    trials: int
    finished: bool


def tune(
    asked: Request, trials: int, space: Space, asked_to_stop: Callable[[], bool] = lambda: False
) -> Tuned:
    """Search a space for the best recipe.

    Parameters
    ----------
    asked : Request
        A training: its folder is that of the tuning, its recipe what all trials have in common.
    trials : int
        How many more to make.
    space : Space
    asked_to_stop : callable
        Asked after every step of a training; the trial under way is given up.

    Returns
    -------
    Tuned

    Raises
    ------
    InputError
        If Optuna is not installed, the folder holds another search, no trial came to a score, or
        the scans cannot be used.
    """
    try:
        import optuna
    except ImportError:
        raise InputError(
            f"Tuning needs the package optuna, which is not installed here: {_INSTALL}."
        ) from None
    with _quiet(optuna):
        study = _study(optuna, asked, space)
        done = 0
        while done < trials and not asked_to_stop():
            one = _Trial(optuna, asked, space, asked_to_stop)
            study.optimize(one, n_trials=1, catch=(_Failed,))
            if one.refused is not None:  # what is wrong with the first is wrong with all
                raise one.refused
            if not asked_to_stop():
                done += 1
                one.tell()
        return _concluded(optuna, study, asked, done == trials)


@contextmanager
def _quiet(optuna: Any) -> Iterator[None]:
    """Leave the talking to us."""
    former = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(former)


def _study(optuna: Any, asked: Request, space: Space) -> Study:
    """Open the study of the folder, or begin it; another search is refused."""
    folder, recipe = asked.folder, asked.recipe
    folder.mkdir(parents=True, exist_ok=True)
    search = {
        "recipe": recipe.to_dict(),
        "space": {name: repr(searched) for name, searched in space.items()},
        "sources": asked.sources.to_dict(),
    }
    search = json.loads(json.dumps(search))  # as it is read again
    lock = FileLock(folder / STUDY)
    lock.acquire(_PATIENCE)  # two processes that begin at once would both make its tables
    try:
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{folder.resolve() / STUDY}",
            heartbeat_interval=_HEARTBEAT,
            grace_period=4 * _HEARTBEAT,
            engine_kwargs={"connect_args": {"timeout": _PATIENCE}},
        )
        study: Study = optuna.create_study(
            study_name="tuning",
            storage=storage,
            load_if_exists=True,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_BEFORE_PRUNING),
        )
        former = study.user_attrs.get("search", search)
        for part in search:
            if former[part] != search[part]:
                raise InputError(
                    f"{folder} holds a tuning with another {part}; go on with that, or give "
                    "another --out."
                )
        study.set_user_attr("search", search)
    finally:
        lock.release()
    return study


class _Failed(Exception):
    """A trial has no score, and the next one may have."""


class _Trial:
    """One training with values that Optuna proposes; called by it, and tells how it ended."""

    def __init__(
        self, optuna: Any, asked: Request, space: Space, asked_to_stop: Callable[[], bool]
    ) -> None:
        self._optuna, self._asked, self._space = optuna, asked, space
        self._asked_to_stop = asked_to_stop
        self._hopeless = False
        self._values: dict[str, Any] = {}
        self._number, self._ended = 0, ""
        self._score: float | None = None
        self.refused: InputError | None = None

    def __call__(self, trial: Trial) -> float:
        """Train, and return how much better than bicubic the model was at its best."""
        asked, self._number = self._asked, trial.number + 1
        folder = asked.folder / _TRIALS / f"{self._number:04d}"
        values = {name: _proposed(trial, name, s) for name, s in self._space.items()}
        self._values = values

        def told(event: dict[str, Any]) -> None:
            if event["event"] == "validation":
                score = scores_by(RunFolder(folder).look().rows, asked.recipe.best)
                if (step := event["step"]) in score:
                    trial.report(score[step], step)
                    self._hopeless = trial.should_prune()

        try:
            changed = from_plain(values)
            recipe = replace(asked.recipe, **changed)
            one = replace(asked, folder=folder, recipe=recipe, by_hand=asked.by_hand | changed)
            with ExitStack() as undo:
                carry_out(
                    replace(one, told=told),
                    lambda: self._hopeless or self._asked_to_stop(),
                    undo,
                )
        except InputError as error:
            self._ended = f"failed: {error}"
            if self._number == 1:
                self.refused = error
            raise _Failed from error
        if self._asked_to_stop():
            raise _Failed
        if self._hopeless:
            self._ended = "ended early, worse than most at that step"
            raise self._optuna.TrialPruned
        scores = scores_by(RunFolder(folder).look().rows, asked.recipe.best)
        if not scores:
            self._ended = "failed: it came to no validation"
            raise _Failed
        self._score = max(scores.values())
        self._ended = f"{asked.recipe.best} {self._score:+.3f} over bicubic"
        return self._score

    def tell(self) -> None:
        """Tell how it ended."""
        values = ", ".join(f"{k} {_shown(v)}" for k, v in self._values.items())
        self._asked.told(
            {
                "event": "trial",
                "text": f"trial {self._number}: {self._ended}; {values}",
                "number": self._number,
                "score": self._score,
                "values": self._values,
            }
        )


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _proposed(trial: Trial, name: str, searched: Any) -> Any:
    if isinstance(searched, Choices):
        # Optuna keeps plain values only; a field may be a list.
        texts = [json.dumps(value) for value in searched.values]
        return json.loads(trial.suggest_categorical(name, texts))
    if isinstance(searched.low, int):
        return trial.suggest_int(name, searched.low, int(searched.high), log=searched.log)
    return trial.suggest_float(name, searched.low, searched.high, log=searched.log)


def _concluded(optuna: Any, study: Study, asked: Request, finished: bool) -> Tuned:
    """Write the best recipe, the table and the picture."""
    folder, measure = asked.folder, asked.recipe.best
    complete = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    if not complete:
        raise InputError(
            f"No trial of the tuning in {folder} came to a score; the runs of all trials are in "
            f"{folder / _TRIALS}."
        )
    best = study.best_trial
    runs = [RunFolder(p) for p in sorted((folder / _TRIALS).iterdir()) if p.is_dir()]
    recipe = RunFolder(folder / _TRIALS / f"{best.number + 1:04d}").recipe
    lines = [
        f"# The best of {len(study.trials)} trials: {measure} {study.best_value:+.3f} over bicubic."
    ]
    # TOML writes the values of a recipe as JSON does.
    lines += [f"{key} = {json.dumps(value)}" for key, value in _chosen(recipe, asked, best.params)]
    replace_file(folder / BEST, ("\n".join(lines) + "\n").encode(), "the recipe")
    replace_file(folder / PICTURE, _picture(optuna, study, measure), "the picture")
    rows = table_rows(compared(runs, measure)[0], measure)
    asked.told(
        {
            "event": "tuned",
            "text": f"\n{table(rows)}\n\nThe best recipe, of trial {best.number + 1}, is "
            f"{folder / BEST}; a training by it, longer than the short trials: --recipe "
            f"{folder / BEST} --pretrain-steps N",
            "recipe": str(folder / BEST),
            "score": study.best_value,
        }
    )
    return Tuned(folder, recipe, study.best_value, len(study.trials), finished)


def _chosen(
    recipe: Recipe, asked: Request, searched: Mapping[str, Any]
) -> Iterator[tuple[str, Any]]:
    """Yield what was searched or set, and all else that is not as by default or by the scans."""
    default = Recipe()
    for name, value in recipe.to_dict().items():
        if name == "channels" and not asked.recipe.channels:
            continue
        if name in searched or name in asked.by_hand or value != getattr(default, name):
            yield name, value


def _picture(optuna: Any, study: Study, measure: str) -> bytes:
    """Draw the scores over the trials, and over the values of each field."""
    import io

    from matplotlib.figure import Figure

    complete = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
    searched = sorted({name for trial in complete for name in trial.params})
    figure = Figure(figsize=(3.2 * (1 + len(searched)), 3.2), layout="constrained")
    axes = figure.subplots(1, 1 + len(searched), sharey=True, squeeze=False)[0]
    numbers = [trial.number + 1 for trial in complete]
    scores = [trial.values[0] for trial in complete]
    axes[0].plot(numbers, scores, "o", label="trial")
    best = [max(scores[: i + 1]) for i in range(len(scores))]
    axes[0].step(numbers, best, where="post", label="best so far")
    axes[0].set(xlabel="trial", ylabel=f"{measure} over bicubic")
    axes[0].legend(fontsize=8)
    for axis, name in zip(axes[1:], searched, strict=True):
        of = [trial for trial in complete if name in trial.params]
        axis.plot([trial.params[name] for trial in of], [trial.value for trial in of], "o")
        axis.set_xlabel(name)
        distribution = of[0].distributions[name]
        if getattr(distribution, "log", False):
            axis.set_xscale("log")
    for axis in axes:
        axis.grid(alpha=0.25)
    made = io.BytesIO()
    figure.savefig(made, format="png", dpi=120)
    return made.getvalue()
