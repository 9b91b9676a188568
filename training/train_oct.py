"""The command `python -m training.train_oct`: arguments -> Recipe -> run."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from napari_srgan.cli.terminal import say, tell
from napari_srgan.engine.devices import is_out_of_memory
from napari_srgan.errors import InputError
from napari_srgan.io import schema
from napari_srgan.io.atomic import remove_unfinished
from napari_srgan.io.lock import FileLock, Taken
from napari_srgan.models.vgg import VGGFeatures
from training import checkpoint
from training.checkpoint import replace_file
from training.command_line import parser
from training.data import Data, Sources, Split, load
from training.hardware import Hardware, describe, leave, processes, settled, start, workers
from training.loop import Run, Stopped, train
from training.monitor import Monitor
from training.outputs import MODEL, Outputs
from training.presets import compose, from_plain, read_recipe, with_init
from training.recipe import Recipe
from training.session import assemble, content_features, last_table, table_features
from training.split import RECIPE, SOURCES, SPLIT

_OF_A_START = ("paired", "include", "exclude", "skip_bad", "out", "preset", "recipe")
_KEPT: Mapping[str, schema.Reader[Any]] = {
    # Beside the sources, of a run that is resumed.
    "vgg_weights": schema.optional(schema.path),
    "device": schema.line,
    "precision": schema.line,
}


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.

    Attributes
    ----------
    folder : Path
        The run folder.
    recipe : Recipe
        Before the scans have been seen.
    by_hand : dict
        The fields of the recipe that were set, by options or a recipe file.
    sources : Sources
    vgg_weights : Path or None
    hardware : Hardware
    resumed, as_json : bool
    """

    folder: Path
    recipe: Recipe
    by_hand: dict[str, Any]
    sources: Sources
    vgg_weights: Path | None
    hardware: Hardware
    resumed: bool
    as_json: bool


class Signals:
    """Notes the first SIGINT, SIGTERM or SIGHUP while it is entered; a second one ends at once.

    Attributes
    ----------
    came : int
        Number of the signal that came, or 0.
    """

    def __init__(self) -> None:
        self.came = 0
        self._count = 0
        self._former: dict[int, signal.Handlers] = {}

    def __enter__(self) -> Signals:
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is None or signal.getsignal(number) == signal.SIG_IGN:  # nohup
                continue
            try:
                self._former[number] = signal.signal(number, self._note)  # type: ignore[assignment]
            except ValueError:  # not the main thread: signals are not ours to handle
                break
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 2:  # while the second is being seen to
            remove_unfinished()
            os._exit(self.exit_code)
        if self.came:
            raise KeyboardInterrupt
        self.came = number

    @property
    def exit_code(self) -> int:
        """What a program that was ended by this signal returns."""
        return 128 + (self.came or signal.SIGINT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns
    -------
    int
        0; 2 after one sentence; 130 or 143 after Ctrl-C or a request to end, when the run can be
        resumed.
    """
    options = parser().parse_args(arguments)
    as_json = options.json_progress
    signals = Signals()
    try:
        with signals, ExitStack() as undo:
            return _run(_request(options), signals, undo)
    except InputError as error:
        _complain(str(error), as_json)
    except OSError as error:
        _complain(f"{error.filename or 'The system'}: {error.strerror or error}.", as_json)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        _complain(
            "The memory is not enough; give a smaller --batch or --crop, or fewer --features. The "
            "last checkpoint, if there is one, is whole.",
            as_json,
        )
    except KeyboardInterrupt:
        _complain("Stopped at once; the last checkpoint is whole.", as_json)
        return signals.exit_code
    return 2


def _complain(sentence: str, as_json: bool) -> None:
    if as_json:
        tell(json.dumps({"event": "error", "text": sentence}))
    say(sentence, "train_oct")


def _request(options: argparse.Namespace) -> Request:
    given = vars(options)
    by_hand = from_plain({f.name: given[f.name] for f in fields(Recipe) if f.name in given})
    if options.resume:
        return _resumed(options, by_hand)
    if bool(options.hr) != bool(options.lr) or (options.hr and options.data):
        raise InputError("Measured pairs are --hr DIR and --lr DIR together, without --data.")
    if not (options.data or options.hr):
        raise InputError("Name the folder of scans with --data DIR, or a run with --resume RUN.")
    by_hand = (read_recipe(options.recipe) if options.recipe else {}) | by_hand
    recipe = compose(options.preset or "default", by_hand)
    name = f"{recipe.name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"
    return Request(
        options.out or Path("runs") / name,
        recipe,
        by_hand,
        _sources(options),
        options.vgg_weights,
        Hardware(options.device, options.precision, options.workers),
        resumed=False,
        as_json=options.json_progress,
    )


def _sources(options: argparse.Namespace) -> Sources:
    return Sources(
        tuple(options.data),
        tuple(options.val),
        options.paired,
        tuple(filter(None, [options.hr])),
        tuple(filter(None, [options.lr])),
        tuple(options.include),
        tuple(options.exclude),
        options.skip_bad,
    )


def _resumed(options: argparse.Namespace, by_hand: dict[str, Any]) -> Request:
    set_again = [
        f"--{key.replace('_', '-')}"
        for key in (*_OF_A_START, *by_hand)
        if key in by_hand or getattr(options, key)
    ]
    if set_again:
        raise InputError(
            f"A run is resumed as it was begun, so {set_again[0]} cannot be set with --resume; "
            "start a new run from its model with --init."
        )
    folder = options.resume
    try:
        values = schema.mapping(schema.from_json(schema.content(folder / RECIPE)))
        if set(values) != {f.name for f in fields(Recipe)}:
            raise ValueError(f"{RECIPE} has not the fields of a recipe")
        recipe = Recipe(**from_plain(values))
        kept = schema.from_json(schema.content(folder / SOURCES))
        sources = Sources.from_dict(kept)
        kept = schema.fields_of(kept, _KEPT, _KEPT)
        weights, device, precision = (kept[key] for key in _KEPT)
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no run that could be resumed.") from error
    except ValueError as error:
        raise InputError(f"The run in {folder} is damaged: {error}.") from error
    if options.data or options.hr:
        # Moved since; their pixels are compared with those that were trained on.
        moved = _sources(options)
        sources = replace(sources, data=moved.data, val=moved.val, high=moved.high, low=moved.low)
    hardware = Hardware(
        device if options.device == "auto" else options.device,
        precision if options.precision == "auto" else options.precision,
        options.workers,
    )
    return Request(
        folder,
        recipe,
        {},
        sources,
        options.vgg_weights or weights,
        hardware,
        resumed=True,
        as_json=options.json_progress,
    )


def _run(request: Request, signals: Signals, undo: ExitStack) -> int:
    """Load what is needed, in the order in which it is likely to be wrong, and train."""
    folder, recipe = request.folder, request.recipe
    if not request.resumed and (folder / RECIPE).exists():
        raise InputError(f"{folder} holds a former run; give another folder, or --resume it.")
    if recipe.batch % processes():
        raise InputError(
            f"A batch of {recipe.batch} cannot be shared by {processes()} processes; give a "
            "--batch that can."
        )
    content = content_features(recipe, request.vgg_weights)
    vgg = table_features(request.vgg_weights)
    goes_on = request.resumed and (folder / checkpoint.NAME).exists()
    start_from: Path | None = None

    def settle(channels: int) -> Recipe:
        nonlocal start_from
        whole = replace(recipe, channels=channels)
        if whole.init and not goes_on:
            whole, start_from = with_init(whole, channels, request.by_hand)
        return whole

    recipe, data = load(request.sources, recipe, settle)
    fabric = start(request.hardware)
    first = fabric.is_global_zero
    if first:
        _hold_folder(folder, undo)
        if not request.resumed:
            _open_folder(request, recipe, data.split, settled(fabric))
    run = assemble(recipe, data, fabric, folder, start_from, content)
    vgg = [features.to(fabric.device) for features in vgg]
    run.workers = workers(request.hardware, fabric)
    if goes_on:
        run.resume()
    monitor = Monitor(folder, run.step, request.as_json) if first else None
    try:
        if monitor:
            run.outputs = Outputs(recipe, data, folder, monitor, fabric.device)
            _begin(run, data, vgg)
        rows = train(run, lambda: bool(signals.came), vgg)
    except Stopped:
        if monitor:
            monitor.event(
                "stopped",
                f"Stopped after step {run.step}; to go on: python -m training.train_oct --resume "
                f"{folder}",
                step=run.step,
            )
        return signals.exit_code
    finally:
        if monitor:
            monitor.close()
        leave(fabric)
    if monitor:
        model = folder / MODEL
        pretrained_at = run.timetable.pretrain if run.timetable.adversarial else 0
        monitor.event(
            "done",
            f"\n{last_table(folder, rows, pretrained_at)}\n\nThe model is {model}; to list it in "
            f"napari: napari-srgan models add {model}",
            model=str(model),
            validation=rows,
        )
    return 0


def _hold_folder(folder: Path, undo: ExitStack) -> None:
    """Make the run folder if it is not there, and hold it against other trainings."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "run")
        undo.callback(lock.release)
        lock.acquire()
    except OSError as error:
        raise InputError(f"The run folder {folder} cannot be made: {error.strerror}.") from error
    except Taken:
        raise InputError(
            f"Another training is writing to {folder}; wait for its end or give another folder."
        ) from None


def _open_folder(request: Request, recipe: Recipe, split: Split, on: dict[str, str]) -> None:
    """Write what a resumption reads; the recipe last, as the mark."""
    folder = request.folder
    weights = request.vgg_weights
    kept = request.sources.to_dict() | on
    kept["vgg_weights"] = weights and str(weights.resolve())
    for name, values in ((SPLIT, split), (SOURCES, kept), (RECIPE, recipe.to_dict())):
        replace_file(folder / name, (json.dumps(values, indent=2) + "\n").encode(), "the recipe")


def _begin(run: Run, data: Data, vgg: Sequence[VGGFeatures]) -> None:
    """Say what is going to happen; validate the model that the training starts from."""
    outputs, table = run.outputs, run.timetable
    assert outputs is not None
    monitor, recipe = outputs.monitor, table.recipe
    monitor.event(
        "data",
        f"{data.summary}.",
        train=len(data.train),
        val=len(data.val),
        held_out=[name for volumes in data.split["val"].values() for name in volumes],
    )
    for doubt in data.warnings:
        monitor.event("warning", f"Warning: {doubt}.")
    size = sum(p.numel() for p in run.players.generator.parameters())
    monitor.event(
        "start",
        f"{recipe.generator} {recipe.blocks} x {recipe.features} "
        f"({size / 1e6:.2f} million weights), "
        f"{recipe.scale}x, {'measured' if data.measured else recipe.degradation}; "
        f"{table.pretrain} steps on pixel loss, "
        f"{table.adversarial} against the discriminator; {describe(run.fabric)}.",
        folder=str(outputs.folder),
        step=run.step,
        steps=table.total,
        pretrain=table.pretrain,
        adversarial=table.adversarial,
    )
    if run.step:
        monitor.event("resumed", f"Resumed after step {run.step}.", step=run.step)
    elif recipe.init:
        outputs.validate(run.players.kept(), 0, "before", (), vgg)


if __name__ == "__main__":
    raise SystemExit(main())
