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
from training.hardware import (
    Hardware,
    check_installed,
    describe,
    is_first,
    leave,
    processes,
    settled,
    start,
    workers,
)
from training.loop import Run, Stopped, train
from training.monitor import Monitor, Told
from training.outputs import MODEL, Outputs
from training.presets import compose, from_plain, read_recipe, with_init
from training.recipe import EXTENDS, MAY_CHANGE, Recipe
from training.runs import LOCK, STOP
from training.session import (
    assemble,
    content_features,
    gains_at,
    last_table,
    table_features,
    verdict,
)
from training.split import RECIPE, SOURCES, SPLIT
from training.validation import Row

_OF_A_START = ("paired", "include", "exclude", "skip_bad", "out", "preset", "recipe")
_SINCE_EVER = {"name", "generator", "crop", "seed"}
"""Fields by which a recipe is known as one."""
_ANY = Hardware()
_PATIENCE = 1.0  # seconds: who looks whether it is held holds it for a moment
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
    told : callable
        Takes what happens, see `monitor.Monitor`.
    resumed : bool
    """

    folder: Path
    recipe: Recipe
    by_hand: dict[str, Any]
    sources: Sources
    vgg_weights: Path | None
    lpips_weights: Path | None
    hardware: Hardware
    told: Told
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of a training.

    Attributes
    ----------
    folder : Path
        The run folder.
    model : Path
        The model file.
    scores : list of dict
        The last validation, a row for each set; empty if the training was stopped, and in all
        processes but the first.
    finished : bool
        Whether it came to its end; else it was stopped, and can go on.
    doubt : str
        Why the model may be of no use, "" if nothing is amiss.
    """

    folder: Path
    model: Path
    scores: list[Row]
    finished: bool
    doubt: str = ""


def request(options: argparse.Namespace, told: Told) -> Request:
    """Return what the arguments ask for; InputError if they make no sense together."""
    given = vars(options)
    by_hand = from_plain({f.name: given[f.name] for f in fields(Recipe) if f.name in given})
    hardware = Hardware(options.device, options.precision, options.workers)
    if options.resume:
        _refuse_to_change([key for key in _OF_A_START if getattr(options, key)])
        return resumed(
            options.resume,
            by_hand,
            told,
            moved=_sources(options) if options.data or options.hr else None,
            vgg_weights=options.vgg_weights,
            lpips_weights=options.lpips_weights,
            hardware=hardware,
        )
    if bool(options.hr) != bool(options.lr) or (options.hr and options.data):
        raise InputError("Measured pairs are --hr DIR and --lr DIR together, without --data.")
    if not (options.data or options.hr):
        raise InputError("Name the folder of scans with --data DIR, or a run with --resume RUN.")
    by_hand = (read_recipe(options.recipe) if options.recipe else {}) | by_hand
    recipe = compose(options.preset or "default", by_hand)
    return Request(
        options.out or new_folder(recipe.name),
        recipe,
        by_hand,
        _sources(options),
        options.vgg_weights,
        options.lpips_weights,
        hardware,
        told,
    )


def new_folder(name: str) -> Path:
    """Name the folder of a run that begins now."""
    return Path("runs") / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"


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


def resumed(
    folder: Path,
    by_hand: dict[str, Any],
    told: Told,
    *,
    moved: Sources | None = None,
    vgg_weights: Path | None = None,
    lpips_weights: Path | None = None,
    hardware: Hardware = _ANY,
) -> Request:
    """Ask for a run to go on.

    Parameters
    ----------
    folder : Path
        The run folder.
    by_hand : dict
        Fields of the recipe that are to change.
    told : callable
    moved : Sources, optional
        Where the scans are now; their pixels are compared with those that were trained on.
    vgg_weights, lpips_weights, hardware
        Instead of those that the run was begun with.

    Raises
    ------
    InputError
        If there is no such run, or something cannot change any more.
    """
    _refuse_to_change([key for key in by_hand if key not in MAY_CHANGE | EXTENDS])
    try:
        values = schema.mapping(schema.from_json(schema.content(folder / RECIPE)))
        # A field that a former version did not have is as it always was.
        if not _SINCE_EVER <= set(values) <= {f.name for f in fields(Recipe)}:
            raise ValueError(f"{RECIPE} has not the fields of a recipe")
        recipe = Recipe(**from_plain(values))
        kept = schema.from_json(schema.content(folder / SOURCES))
        sources = Sources.from_dict(kept)
        kept = schema.fields_of(kept, _KEPT, _KEPT.keys() - {"lpips_weights"})  # later than others
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no run that could be resumed.") from error
    except ValueError as error:
        raise InputError(f"The run in {folder} is damaged: {error}.") from error
    if moved is not None:
        sources = replace(sources, data=moved.data, val=moved.val, high=moved.high, low=moved.low)
    return Request(
        folder,
        replace(recipe, **by_hand),
        by_hand,
        sources,
        vgg_weights or kept["vgg_weights"],
        lpips_weights or kept.get("lpips_weights"),
        Hardware(
            kept["device"] if hardware.device == "auto" else hardware.device,
            kept["precision"] if hardware.precision == "auto" else hardware.precision,
            hardware.workers,
        ),
        told,
        resumed=True,
    )


def _refuse_to_change(keys: Sequence[str]) -> None:
    if keys:
        raise InputError(
            f"A run goes on as it was begun, so --{keys[0].replace('_', '-')} cannot be set with "
            "--resume; start a new run from its model with --init."
        )


def carry_out(request: Request, asked_to_stop: Callable[[], bool], undo: ExitStack) -> Trained:
    """Load what is needed, in the order in which it is likely to be wrong, and train.

    Parameters
    ----------
    request : Request
    asked_to_stop : callable
        Whether a signal has come; a file `STOP` in the run folder asks for the same.
    undo : ExitStack
        Takes what is to be undone at the end.
    """
    check_installed()
    folder, recipe = request.folder, request.recipe
    held = is_first() and folder.is_dir()
    if held:  # who looks into it sees from now on that it is trained in
        _hold_folder(folder, undo)
    if not request.resumed:
        _refuse_former(folder)
    if recipe.batch % (processes() * recipe.accumulate):
        parts = f", each in {recipe.accumulate} parts" if recipe.accumulate > 1 else ""
        raise InputError(
            f"A batch of {recipe.batch} cannot be shared by {processes()} processes{parts}; give a "
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
        if not held:
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
    monitor = Monitor(folder, run.step, request.told) if first else None
    try:
        if monitor:
            run.outputs = Outputs(
                recipe, data, folder, monitor, fabric.device, run.timetable.pretrain
            )
            _begin(run, data, features)
        rows = train(run, lambda: asked_to_stop() or (folder / STOP).exists(), features)
    except Stopped:
        if monitor:
            monitor.event(
                "stopped",
                f"Stopped after step {run.step}; to go on: python -m training.train_oct --resume "
                f"{folder}",
                step=run.step,
            )
        return Trained(folder, folder / MODEL, [], finished=False)
    finally:
        if monitor:
            monitor.close()
        leave(fabric)
    model, doubt = folder / MODEL, ""
    if monitor:
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
    return Trained(folder, model, rows, finished=True, doubt=doubt)


def _refuse_former(folder: Path) -> None:
    if (folder / RECIPE).exists():
        raise InputError(f"{folder} holds a former run; give another folder, or --resume it.")


def _hold_folder(folder: Path, undo: ExitStack) -> None:
    """Make the run folder if it is not there, and hold it against other trainings."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        undo.callback(lock.release)
        lock.acquire(_PATIENCE)
        (folder / STOP).unlink(missing_ok=True)  # that a former training was killed before
        undo.callback((folder / STOP).unlink, missing_ok=True)
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
