"""What a run folder tells: whether it is trained in, how far it is, and what has come of it.

For whoever watches a training from outside, in another process or after it. Nothing heavy is
imported, and nothing is changed but by `RunFolder.ask_to_stop`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from napari_srgan.errors import InputError
from napari_srgan.io import schema
from napari_srgan.io.lock import FileLock, Taken
from training.log import CSV_NAME, read_rows
from training.presets import from_plain
from training.recipe import Recipe
from training.split import RECIPE

LOCK = "run"
"""What a training holds of its folder, see `io.lock`."""
STOP = "stop"
"""A file of that name in the run folder asks the training to stop with a checkpoint.

A signal would do on the same machine, and not on Windows, where it ends a process at once.
"""
OUTPUT = "output.jsonl"
"""Where `napari` lets the command write its events; a run that was started elsewhere has none."""

_MODEL, _CHECKPOINT = "generator.safetensors", "checkpoint.pt"
_TAIL = 2**17  # bytes of the events that are looked at; the last ones are what counts

_COUNT = schema.whole(0, 2**53)
Value = TypeVar("Value")
State = Literal["starting", "training", "done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Seen:
    """A run at a moment.

    Attributes
    ----------
    state : str
        "starting": no step is done yet; "stopped": it can go on; "failed": it ended by a mistake.
    step, steps : int
        That are done, and that there are; 0 where nothing says so.
    pretrain : int
        Steps of the first phase.
    seconds_left : float or None
    memory_gb : tuple of float or None
        Used of a GPU, and what it has.
    sentence : str
        The last thing that was said and is of some weight.
    rows : list of dict
        The log, see `log.read_rows`.
    """

    state: State
    step: int
    steps: int
    pretrain: int
    seconds_left: float | None
    memory_gb: tuple[float, float] | None
    sentence: str
    rows: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A run folder, looked at from outside."""

    path: Path

    @property
    def recipe(self) -> Recipe:
        """The recipe, as it was last.

        Raises
        ------
        InputError
            If there is none, or it is damaged.
        """
        try:
            values = schema.mapping(schema.from_json(schema.content(self.path / RECIPE)))
            return Recipe(**from_plain(values))
        except FileNotFoundError as error:
            raise InputError(f"{self.path} is no run folder.") from error
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"The run in {self.path} is damaged: {error}") from error

    @property
    def is_trained_in(self) -> bool:
        """Whether a process, on whichever machine, is training in it."""
        lock = FileLock(self.path / LOCK)
        if not lock.path.exists():
            return False
        try:
            lock.acquire()
        except (Taken, OSError):
            return True
        finally:
            lock.release()
        return False

    @property
    def model(self) -> Path | None:
        """The model file as it was written last, if it has been."""
        path = self.path / _MODEL
        return path if path.is_file() else None

    @property
    def can_go_on(self) -> bool:
        """Whether it can be resumed."""
        return (self.path / RECIPE).is_file() and (self.path / _CHECKPOINT).is_file()

    @property
    def preview(self) -> Path | None:
        """The newest picture of what the model makes of the first validation scan."""
        found = sorted(self.path.glob("preview-*.png"), key=lambda p: (p.stem[-7:], p.stem))
        return next((path for path in found if path.stem[-7:] == found[-1].stem[-7:]), None)

    def ask_to_stop(self) -> None:
        """Ask the training to stop after its step, with a checkpoint and a model."""
        (self.path / STOP).touch()

    def output(self) -> list[bytes]:
        """Return the lines that the command printed when it was started from napari, the last."""
        path = self.path / OUTPUT
        if not path.is_file():
            return []
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - _TAIL, 0))
            return file.read().splitlines()

    def look(self, is_starting: bool = False) -> Seen:
        """Say how far the run is.

        Parameters
        ----------
        is_starting : bool
            Whether its process is known to be there, as before it has got to the folder.
        """
        output = self.output()
        events = list(events_of(output))
        steps = [e for e in events if e.get("event") == "step"]
        last: Mapping[str, Any] = steps[-1] if steps else {}
        rows = read_rows(self.path / CSV_NAME)
        done = max((int(row["step"]) for row in rows), default=0)
        total, pretrain = self._lengths(events)
        ended = events[-1] if events else {}
        state: State
        if is_starting or self.is_trained_in:
            state = "training" if done else "starting"
        elif ended.get("event") == "error":
            state = "failed"
        elif ended.get("event") == "done" or (total and done >= total):
            state = "done"
        else:
            state = "stopped" if self.can_go_on else "failed"
        left = _read(schema.number, last.get("seconds_left"))
        memory = _read(schema.several(schema.number, 2), last.get("memory_gb"))
        return Seen(
            state,
            done,
            total,
            pretrain,
            left if state == "training" else None,
            None if memory is None else (memory[0], memory[1]),
            _sentence(events) if events else b"".join(output[-1:]).decode(errors="replace"),
            rows,
        )

    def _lengths(self, events: list[dict[str, Any]]) -> tuple[int, int]:
        """Return the steps of both phases together, and of the first; 0 where it is not known."""
        for event in reversed(events):
            steps, first = (_read(_COUNT, event.get(key)) for key in ("steps", "pretrain"))
            if steps is not None and first is not None:
                return steps, first
        with suppress(InputError):
            recipe = self.recipe
            if not (recipe.pretrain_epochs or recipe.adversarial_epochs):
                return recipe.pretrain_steps + recipe.adversarial_steps, recipe.pretrain_steps
        return 0, 0


def _read(reader: schema.Reader[Value], value: Any) -> Value | None:
    """Read what a file states; None if it states nothing of the kind."""
    with suppress(ValueError):
        return reader(value)
    return None


def events_of(lines: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    """Yield what is an event: a library may write a line of its own, and the first may be cut."""
    for line in lines:
        with suppress(ValueError):
            event = schema.from_json(line)
            if isinstance(event, dict) and "event" in event:
                yield event


def _sentence(events: list[dict[str, Any]]) -> str:
    """Return the last thing that was said, but for steps and scores, which are shown otherwise.

    Of a training that came to its end that is why its model may be of no use, or nothing.
    """
    if events and events[-1].get("event") == "done":
        return str(events[-1].get("warning", ""))
    said = [e for e in events if e.get("event") not in ("step", "validation") and e.get("text")]
    return " ".join(str(said[-1]["text"]).split()) if said else ""


def find_runs(folder: Path) -> list[RunFolder]:
    """Return the run folders in a folder and below it, the one that was begun last at the end.

    Raises
    ------
    InputError
        If the folder does not exist or holds no run.
    """
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}.")
    found = [path.parent for path in folder.rglob(RECIPE) if path.is_file()]
    if not found:
        raise InputError(f"{folder} holds no run of a training.")
    return [RunFolder(path) for path in sorted(found, key=lambda p: (p / RECIPE).stat().st_mtime)]
