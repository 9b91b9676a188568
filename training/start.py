"""From what was typed to a training under way: a new run, or one that goes on."""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import scale_text
from napari_srgan.io import schema
from napari_srgan.io.lock import FileLock, Taken
from napari_srgan.measure.features import FeatureMaps
from training import checkpoint
from training.checkpoint import replace_file
from training.data import Data, Sources, Split, load
from training.hardware import Hardware, describe, leave, processes, settled, start, workers
from training.loop import Run, Stopped, train
from training.monitor import Monitor
from training.outputs import MODEL, Outputs
from training.presets import compose, from_plain, read_recipe, with_init
from training.recipe import EXTENDS, MAY_CHANGE, Recipe
from training.session import (
    assemble,
    content_features,
    gains_at,
    last_table,
    table_features,
    verdict,
)
from training.split import RECIPE, SOURCES, SPLIT

_OF_A_START = ("paired", "include", "exclude", "skip_bad", "out", "preset", "recipe")
_KEPT: Mapping[str, schema.Reader[Any]] = {
    # Beside the sources, of a run that is resumed.
    "vgg_weights": schema.optional(schema.path),
    "lpips_weights": schema.optional(schema.path),
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
    vgg_weights, lpips_weights : Path or None
    hardware : Hardware
    resumed, as_json : bool
    """

    folder: Path
    recipe: Recipe
    by_hand: dict[str, Any]
    sources: Sources
    vgg_weights: Path | None
    lpips_weights: Path | None
    hardware: Hardware
    resumed: bool
    as_json: bool


def request(options: argparse.Namespace) -> Request:
    """Return what the arguments ask for; InputError if they make no sense together."""
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
        options.lpips_weights,
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
        for key in (
            *(key for key in _OF_A_START if getattr(options, key)),
            *(key for key in by_hand if key not in MAY_CHANGE | EXTENDS),
        )
    ]
    if set_again:
        raise InputError(
            f"A run goes on as it was begun, so {set_again[0]} cannot be set with --resume; "
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
        kept = schema.fields_of(kept, _KEPT, _KEPT.keys() - {"lpips_weights"})  # later than others
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no run that could be resumed.") from error
    except ValueError as error:
        raise InputError(f"The run in {folder} is damaged: {error}.") from error
    if options.data or options.hr:
        # Moved since; their pixels are compared with those that were trained on.
        moved = _sources(options)
        sources = replace(sources, data=moved.data, val=moved.val, high=moved.high, low=moved.low)
    recipe = replace(recipe, **by_hand)
    hardware = Hardware(
        kept["device"] if options.device == "auto" else options.device,
        kept["precision"] if options.precision == "auto" else options.precision,
        options.workers,
    )
    return Request(
        folder,
        recipe,
        by_hand,
        sources,
        options.vgg_weights or kept["vgg_weights"],
        options.lpips_weights or kept.get("lpips_weights"),
        hardware,
        resumed=True,
        as_json=options.json_progress,
    )


def carry_out(request: Request, asked_to_stop: Callable[[], bool], undo: ExitStack) -> bool:
    """Load what is needed, in the order in which it is likely to be wrong, and train.

    Parameters
    ----------
    request : Request
    asked_to_stop : callable
        Whether a signal has come.
    undo : ExitStack
        Takes what is to be undone at the end.

    Returns
    -------
    bool
        Whether the training came to its end; else it was stopped, and can go on.
    """
    folder, recipe = request.folder, request.recipe
    if not request.resumed:
        _refuse_former(folder)
    if recipe.batch % processes():
        raise InputError(
            f"A batch of {recipe.batch} cannot be shared by {processes()} processes; give a "
            "--batch that can."
        )
    features = table_features(request.vgg_weights, request.lpips_weights)
    # A file that is wrong is found at once; what is fetched waits until all else is right.
    named = request.vgg_weights is not None
    content = content_features(recipe, request.vgg_weights) if named else None
    goes_on = request.resumed and (folder / checkpoint.NAME).exists()
    start_from: Path | None = None

    def settle(channels: int) -> Recipe:
        nonlocal start_from
        whole = replace(recipe, channels=channels)
        if whole.init and not goes_on:
            whole, start_from = with_init(whole, channels, request.by_hand)
        return whole

    recipe, data = load(request.sources, recipe, settle)
    hardware = request.hardware
    if recipe.init and hardware.precision == "auto":
        # At a model that has learned, bfloat16's gradient points elsewhere.
        hardware = replace(hardware, precision="float32")
    fabric = start(hardware)
    first = fabric.is_global_zero
    content = content if named else content_features(recipe, None)
    if first:
        _hold_folder(folder, undo)
        if not request.resumed:
            _refuse_former(folder)
            _open_folder(request, recipe, data.split, settled(fabric))
    run = assemble(recipe, data, fabric, folder, start_from, content)
    features = [network.to(fabric.device) for network in features]
    run.workers = workers(request.hardware, fabric)
    if goes_on:
        run.resume()
    if first and request.resumed and request.by_hand:
        _write_json(folder / RECIPE, recipe.to_dict())
    monitor = Monitor(folder, run.step, request.as_json) if first else None
    try:
        if monitor:
            run.outputs = Outputs(
                recipe, data, folder, monitor, fabric.device, run.timetable.pretrain
            )
            _begin(run, data, features)
        rows = train(run, asked_to_stop, features)
    except Stopped:
        if monitor:
            monitor.event(
                "stopped",
                f"Stopped after step {run.step}; to go on: python -m training.train_oct --resume "
                f"{folder}",
                step=run.step,
            )
        return False
    finally:
        if monitor:
            monitor.close()
        leave(fabric)
    if monitor:
        model = folder / MODEL
        pretrained_at = run.timetable.pretrain if run.timetable.adversarial else 0
        skipped = sum(run.players.skipped.values())
        doubt = verdict(rows, gains_at(folder, pretrained_at), run.timetable, skipped)
        advice = f"; to list it in napari: napari-srgan models add {model}"
        monitor.event(
            "done",
            f"\n{last_table(folder, rows, pretrained_at)}\n\nThe model is {model}"
            + (f". {doubt}" if doubt else advice),
            model=str(model),
            validation=rows,
            **({"warning": doubt} if doubt else {}),
        )
    return True


def _refuse_former(folder: Path) -> None:
    if (folder / RECIPE).exists():
        raise InputError(f"{folder} holds a former run; give another folder, or --resume it.")


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
    kept = request.sources.to_dict() | on
    for name in ("vgg_weights", "lpips_weights"):
        weights = getattr(request, name)
        kept[name] = weights and str(weights.resolve())
    for name, values in ((SPLIT, split), (SOURCES, kept), (RECIPE, recipe.to_dict())):
        _write_json(folder / name, values)


def _write_json(path: Path, values: Any) -> None:
    replace_file(path, (json.dumps(values, indent=2) + "\n").encode(), "the recipe")


def _begin(run: Run, data: Data, features: Sequence[FeatureMaps]) -> None:
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
        f"{scale_text(recipe.factors)}, {'measured' if data.measured else recipe.degradation}; "
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
        outputs.validate(run.players.kept(), 0, "before", (), features)
