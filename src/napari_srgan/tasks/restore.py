"""Restoring: a stack into memory or a file, and files into files, one or many.

The panel, the commands and the Python call build the same `RestoreOptions` and run `restore`.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from napari_srgan.engine.origin import as_begun
from napari_srgan.engine.plan import Plan, plan, preflight
from napari_srgan.engine.record import Record, input_label
from napari_srgan.engine.run import Result, Upscaler
from napari_srgan.engine.speed import measure_speed
from napari_srgan.errors import InputError, OutputExists
from napari_srgan.image.geometry import plain_scale, scale_text
from napari_srgan.image.kind import recognise
from napari_srgan.image.stack import Stack, check_region
from napari_srgan.io.atomic import THERE_FOR_COMMANDS
from napari_srgan.io.journal import Place
from napari_srgan.io.open import Spared, file_number, image_name, name_of, open_stack, spare_inputs
from napari_srgan.io.sinks import FileSink, MemorySink, Sink, check_output
from napari_srgan.io.sinks.growth import GrowingSink, Growth
from napari_srgan.io.sinks.memory import size_text
from napari_srgan.io.sinks.ready import ReadyPlane, ReadySink
from napari_srgan.options import FileOptions, OpenRange, PartOptions, RestoreOptions
from napari_srgan.tasks.steps import Progress, Work, stage

NOTHING: Mapping[Place, ReadyPlane] = {}
AS_USUAL = FileOptions()
Planes = tuple[tuple[int, ...], ...]
"""Planes of a stack, by their indices."""

LARGE = 10**9
"""Bytes of a result of which it is said before what it takes."""

STARTING = "Loading the model, measuring the image"
LOOKING = "Looking at the files"


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of a restoration.

    Attributes
    ----------
    plan : Plan
    result : Result
    record : Record
        Of the result.
    seconds : float
        Time of the work, without planning.
    """

    plan: Plan
    result: Result
    record: Record
    seconds: float


def restore(
    stack: Stack,
    options: RestoreOptions,
    path: Path | None = None,
    *,
    overwrite: bool = False,
    files: FileOptions = AS_USUAL,
    ready: Mapping[Place, ReadyPlane] = NOTHING,
    growth: Growth | None = None,
) -> Work[Restored]:
    """Restore a stack.

    Parameters
    ----------
    stack : Stack
    options : RestoreOptions
    path : Path, optional
        File to write; memory without.
    overwrite : bool
        Whether a file that is there may be replaced.
    files : FileOptions
    ready : mapping of index to ReadyPlane
        Planes that were made before; those that would come out the same are taken over.
    growth : Growth, optional
        Lets the file be looked at while it is made.

    Yields
    ------
    Progress
        First what `auto` became and the plan's warnings as notes, then a step after every tile.
        Closing the generator leaves nothing half-made, unless `files.resume` asks for it.

    Returns
    -------
    Restored

    Raises
    ------
    InputError
        If the image, an option or the place cannot be used.
    """
    yield Progress(0, 0, stage=STARTING)
    if path is None:
        return (yield from carried_out(stack, options, ReadySink(MemorySink(), ready, stack)))
    sink = FileSink(path, overwrite, ome_zarr=files.ome_zarr, resume=files.resume)
    with closing(sink):
        reserve(sink, stack, options)
        if sink.shared:
            raise InputError(
                f"{path} was prepared for several jobs; --slices or --slice-of says which planes "
                "this one makes, and --finish puts it in place when all are made."
            )
        if sink.former is not None:
            options = as_begun(options, sink.former)
        seen: Sink = sink if growth is None else GrowingSink(sink, growth)
        return (yield from carried_out(stack, options, ReadySink(seen, ready, stack), path=path))


def reserve(sink: FileSink, stack: Stack, options: RestoreOptions) -> None:
    """Hold the place of a result, or refuse it, before any more of the stack is read than need be.

    Raises
    ------
    InputError
        As of `restore`.
    """
    check_region(stack, options.region)
    recognise(stack)
    sink.reserve(preflight(stack, options).output)


def carried_out(
    stack: Stack,
    options: RestoreOptions,
    sink: Sink,
    planes: Callable[[Plan], Planes] | None = None,
    path: Path | None = None,
) -> Work[Restored]:
    """Plan and restore into a sink, all planes of the region or those that `planes` chooses.

    Of a large result that goes to a `path` it is said before what it takes.
    """
    planned = plan(stack, options)
    if planes is not None:
        planned = replace(planned, planes=planes(planned))
    for note in planned.notes:
        yield Progress(0, planned.n_tiles, note=note)
    if path is not None and planned.output.nbytes >= LARGE:
        yield Progress(0, planned.n_tiles, note=(yield from outlook(planned, path)))
    upscaler = Upscaler.of(planned)
    started = time.perf_counter()
    result = yield from upscaler.run(planned, sink)
    record = Record.of(result.metadata)
    assert record is not None
    return Restored(planned, result, record, time.perf_counter() - started)


def outlook(planned: Plan, path: Path) -> Work[str]:
    """Say how large a result will be, how much disk is free, and how long it will take."""
    speed = yield from _unseen(measure_speed(planned.model_path, planned.options))
    whole, free = planned.output.nbytes, shutil.disk_usage(path.parent).free
    packed = ", less as far as it can be compressed" if path.suffix.lower() == ".zarr" else ""
    return (
        f"{path.name} will take {size_text(whole)}{packed}; {size_text(free)} are free on its "
        f"disk. That will take {duration_text(planned.pixels / speed)}, as far as one tile tells."
    )


def _unseen(steps: Generator[None, None, float]) -> Work[float]:
    """Do short work that tells nothing of how far it is."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            speed: float = end.value
            return speed
        yield Progress(0, 0, stage=STARTING)


def duration_text(seconds: float) -> str:
    """Write a time that is known roughly: about 40 s, about 3 h."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"about {seconds / length:.0f} {unit}"
    return f"about {seconds:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSummary:
    """What came of one file, for people and machines.

    Attributes
    ----------
    input, output : str
        The input under the name that may be recorded, and the file that was written.
    shape, axes, dtype : list of int, str, str
        Of the result.
    scale, units : list of float, list of str
        Of the result, per axis without S.
    factor : float or list of float
        How many times Y and X grew.
    kind : str
        What the image was taken for.
    model, device, precision, backend, tile : str, str, str, str, int
        As used.
    consistency : dict or None
        kind, rmse_percent, and back_projected_percent where that was asked for; None if it cannot
        be measured.
    sentence : str
        The same in words.
    seconds : float
    peak_memory_mb : float
        Of the process, 10^6 bytes.
    peak_device_memory_mb : float or None
        Of a CUDA device.
    """

    input: str
    output: str
    shape: list[int]
    axes: str
    dtype: str
    scale: list[float]
    units: list[str]
    factor: float | list[float]
    kind: str
    model: str
    device: str
    precision: str
    backend: str
    tile: int
    consistency: dict[str, Any] | None
    sentence: str
    seconds: float
    peak_memory_mb: float
    peak_device_memory_mb: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the figures by name, ready for JSON."""
        values = asdict(self)
        if self.peak_device_memory_mb is None:
            del values["peak_device_memory_mb"]
        return values


def restore_file(
    source: Path,
    target: Path,
    options: RestoreOptions,
    part: PartOptions | None = None,
    *,
    overwrite: bool = False,
    files: FileOptions = AS_USUAL,
) -> Work[FileSummary]:
    """Restore one file into another, which appears when it is complete.

    Parameters
    ----------
    source, target : Path
    options : RestoreOptions
        Its region comes from `part`.
    part : PartOptions, optional
    overwrite : bool
    files : FileOptions

    Yields
    ------
    Progress
        As `restore`.

    Returns
    -------
    FileSummary

    Raises
    ------
    InputError
        If anything about the input, the output or the options cannot be used.
    """
    part = part or PartOptions()
    spare_inputs([target], [source])
    check_output(target, overwrite, THERE_FOR_COMMANDS)
    stack = open_stack(source, axes=part.axes, series=part.series, level=part.level)
    return (yield from _into(stack, target, options, part, overwrite, files))


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """How one file of a batch ended.

    Attributes
    ----------
    source, label : str
        The input, and the name under which it may be recorded.
    summary : FileSummary or None
        Of a file that was restored.
    error : Exception or None
        Which did not stop the batch.
    said : str
        The error in a sentence, where it has been made one.
    left : str
        Why the file was left as it was.
    """

    source: str
    label: str
    summary: FileSummary | None = None
    error: Exception | None = None
    said: str = ""
    left: str = ""


@dataclass(frozen=True, slots=True)
class _Left:
    """A file that nothing is to be done with, and why."""

    why: str


def restore_files(
    sources: Sequence[str],
    folder: Path,
    options: RestoreOptions,
    part: PartOptions | None = None,
    *,
    overwrite: bool = False,
    skip: bool = False,
    files: FileOptions = AS_USUAL,
) -> Generator[Progress | FileOutcome, None, None]:
    """Restore many files into a folder; an error in one does not stop the others.

    Parameters
    ----------
    sources : sequence of str
    folder : Path
        Where results are written as `target_name` says.
    options : RestoreOptions
    part : PartOptions, optional
    overwrite : bool
    skip : bool
        Leave what has a result that may not be replaced, and what is a result itself.
    files : FileOptions

    Yields
    ------
    Progress
        Of looking at the files (`LOOKING`), then of the file that is being restored, with its name
        as the stage.
    FileOutcome
        After every file.
    """
    part = part or PartOptions()
    planned = yield from _targets(sources, folder, options, part, overwrite, skip)
    made = set[tuple[int, int] | None]()
    for source, target in zip(sources, planned, strict=True):
        label = input_label(name_of(Path(source)), options.anonymise)
        if isinstance(target, _Left):
            yield FileOutcome(source, label, left=target.why)
            continue
        try:
            if isinstance(target, Exception):
                raise target
            # By a link, or where case makes no difference.
            if (there := file_number(target)) is not None and there in made:
                raise InputError(
                    f"{source}: its result would be {target.name}, which is the file of another "
                    "result of this batch; rename one, or restore it into another folder."
                )
            stack = open_stack(Path(source), axes=part.axes, series=part.series, level=part.level)
            work = _into(stack, target, options, part, overwrite, files)
            summary = yield from stage(label, work)
            made.add(file_number(target))
        except Exception as error:
            yield FileOutcome(source, label, error=error)
        else:
            yield FileOutcome(source, label, summary)


def _targets(
    sources: Sequence[str],
    folder: Path,
    options: RestoreOptions,
    part: PartOptions,
    overwrite: bool,
    skip: bool,
) -> Work[list[Path | _Left | Exception]]:
    """Say where each result of a batch goes, or why it is not made, before the first is made."""
    spared = Spared(Path(source) for source in sources)
    found: list[Path | _Left | Exception] = []
    targets: set[Path] = set()
    for number, source in enumerate(sources):
        yield Progress(number, len(sources), stage=LOOKING)
        try:
            # Opened again in its turn: a long batch would need too many open files.
            stack = open_stack(Path(source), axes=part.axes, series=part.series, level=part.level)
            if skip and Record.of(stack.metadata) is not None:
                found.append(_Left("it is a result itself"))
                continue
            target = folder / target_name(source, stack, options, part)
            if target in targets:
                raise InputError(
                    f"{source}: another input of this batch has the same name, and both results "
                    f"would be {target.name}; rename one, or restore it into another folder."
                )
            targets.add(target)
            spared.check(target)
            check_output(target, overwrite, THERE_FOR_COMMANDS)
        except OutputExists as error:
            found.append(_Left(f"{target.name} is there") if skip else error)
        except Exception as error:
            found.append(error)
        else:
            found.append(target)
    return found


def target_name(source: str, stack: Stack, options: RestoreOptions, part: PartOptions) -> str:
    """Name the result of a batch: ``<name>_<model>_<scale><part>.tif``, .ome.tif for OME input.

    The part is that of `part_text`, so that jobs that share the slices of a file, or its images,
    do not share a name.
    """
    recognise(stack)
    region = check_region(stack, region_of(stack, part))
    ahead = preflight(stack, options)
    label = input_label(name_of(Path(source)), options.anonymise)
    ome = Path(source).name.lower().endswith((".ome.tif", ".ome.tiff"))
    held = part_text(stack, region, part.series)
    ending = ".ome.tif" if ome else ".tif"
    made_by = f"{ahead.model.card.name}_{scale_text(ahead.factor)}"
    return f"{image_name(label)}_{made_by}{held}{ending}"


def part_text(
    stack: Stack, region: Mapping[str, tuple[int, int]], series: int | None = None
) -> str:
    """Write the part of a stack that a file holds, for its name: ``_z0-60``; nothing for all.

    Of a file of several images the one that was asked for stands first: ``_series1``.
    """
    image = "" if series is None else f"_series{series}"
    return image + "".join(
        f"_{axis.lower()}{start}-{stop}"
        for axis, (start, stop) in region.items()
        if (start, stop) != (0, stack.sizes[axis])
    )


def slices_axis(stack: Stack) -> str:
    """Name the axis that slices are of; InputError if there is none."""
    axis = next((a for a in "ZT" if a in stack.plane_axes), None)
    if axis is None:
        raise InputError(
            f"{stack.name} has no Z or T axis for --slices to choose from (its axes are "
            f"{stack.axes}); --axes says what the axes are."
        )
    return axis


def region_of(stack: Stack, part: PartOptions) -> dict[str, tuple[int, int]] | None:
    """Turn slices and roi into a region of this stack; None is the whole.

    Raises
    ------
    InputError
        If there is no axis that slices could be of.
    """
    wanted: dict[str, OpenRange] = dict(part.roi or {})
    if part.slices is not None:
        wanted[slices_axis(stack)] = part.slices
    sizes = stack.sizes
    return {
        axis: (start or 0, sizes[axis] if stop is None else stop)
        for axis, (start, stop) in wanted.items()
    } or None


def peak_memory_mb() -> float:
    """Give the most memory that this process has held so far, in MB (10^6 bytes)."""
    if sys.platform == "win32":
        import psutil

        return float(psutil.Process().memory_info().peak_wset) / 1e6
    import resource

    # macOS counts in bytes, the others in KiB.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _into(
    stack: Stack,
    target: Path,
    options: RestoreOptions,
    part: PartOptions,
    overwrite: bool,
    files: FileOptions = AS_USUAL,
) -> Work[FileSummary]:
    """Restore a stack into a file, and sum up what came of it."""
    started = time.perf_counter()
    options = replace(options, region=region_of(stack, part))
    made = yield from restore(stack, options, target, overwrite=overwrite, files=files)
    return summed_up(made, target, time.perf_counter() - started)


def summed_up(made: Restored, target: Path, seconds: float) -> FileSummary:
    """Sum up what came of a file."""
    result, record = made.result, made.record
    return FileSummary(
        input=record.input,
        output=str(target),
        shape=list(result.data.shape),
        axes=result.axes,
        dtype=str(result.data.dtype),
        scale=[float(value) for value in result.scale],
        units=list(made.plan.output.units),
        factor=plain_scale(record.factor),
        kind=record.kind,
        model=record.model,
        device=record.device,
        precision=record.precision,
        backend=record.backend,
        tile=record.tile,
        consistency=_consistency(record),
        sentence=record.sentence,
        seconds=round(seconds, 3),
        peak_memory_mb=round(peak_memory_mb(), 1),
        peak_device_memory_mb=_device_memory(record.device),
    )


def _consistency(record: Record) -> dict[str, Any] | None:
    """Shorten what the record states of the consistency."""
    if record.consistency is None:
        return None
    short: Mapping[str, Any] = {
        "kind": record.consistency.kind,
        "rmse_percent": record.consistency.rmse_percent,
    }
    if record.back_projection is None:
        return dict(short)
    return {**short, "back_projected_percent": record.back_projection.rmse_percent}


def _device_memory(device: str) -> float | None:
    """Give the most memory that torch has held on a CUDA device so far; None for others."""
    if not device.startswith("cuda"):
        return None
    import torch

    return round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
