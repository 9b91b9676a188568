"""Image files in, restored files out: one file, or many with a summary.

Here a path becomes a Stack, a request becomes the engine's Job, and what happened becomes a row
for people (CSV) and machines (JSON). How restoring works is not known here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_srgan.cli.summary import SUMMARY, Summary
from napari_srgan.cli.terminal import follow, peak_memory_mb, say, sentence_for
from napari_srgan.engine.record import input_label
from napari_srgan.errors import InputError
from napari_srgan.io.atomic import THERE_FOR_COMMANDS
from napari_srgan.io.open import image_name, open_stack
from napari_srgan.trust.consistency import sentence as trust_sentence

if TYPE_CHECKING:
    from napari_srgan.image.stack import Stack

OpenRange = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for, the same for every file.

    Attributes
    ----------
    job : mapping
        Keyword arguments of `upscaler.Job`, without the region.
    axes : str or None
        Axes of the input; None: from the file.
    slices : (start, stop) or None
        Range along Z, or along T where there is no Z; an end that is None is the image's.
    roi : mapping of Y and X to (start, stop)
        Empty for the whole plane.
    overwrite, as_json : bool
        Replace existing files; print JSON instead of progress.
    """

    job: Mapping[str, Any] = field(default_factory=dict)
    axes: str | None = None
    slices: OpenRange | None = None
    roi: Mapping[str, OpenRange] = field(default_factory=dict)
    overwrite: bool = False
    as_json: bool = False


def upscale_one(source: str, target: Path, request: Request) -> dict[str, Any]:
    """Restore one file into another and print its summary.

    Parameters
    ----------
    source : str
        The file to read.
    target : Path
        The file to write; it appears when it is complete.
    request : Request
        What is wanted.

    Returns
    -------
    dict
        The summary: input, output, shape, axes, dtype, scale, units, factor, model, device,
        precision, tile, consistency (kind, rmse_percent, and back_projected_percent where that was
        asked for; None if it cannot be measured), sentence (the same in words), seconds and
        peak_memory_mb (of the process, in 10^6 bytes).

    Raises
    ------
    InputError
        If anything about the input, the output or the request cannot be used.
    """
    check_target(Path(source), target, request.overwrite)
    stack = open_stack(Path(source), axes=request.axes)
    summary = _restore(stack, target, request)
    _report(summary, request.as_json)
    return summary


def upscale_many(sources: Sequence[str], folder: Path, request: Request) -> int:
    """Restore many files into a folder; an error in one does not stop the others.

    Parameters
    ----------
    sources : sequence of str
        The files to read.
    folder : Path
        Where to; made if it is not there. ``summary.csv`` in it gains a row per file.
    request : Request
        What is wanted.

    Returns
    -------
    int
        How many files failed.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{folder} is a file: --out-dir needs a folder.") from None
    summary = Summary(folder / SUMMARY, anew=request.overwrite)
    anonymise = bool(request.job.get("anonymise"))
    written: set[Path] = set()
    failed = 0
    for source in sources:
        label = input_label(source, anonymise)
        row: dict[str, Any] = {"input": label}
        try:
            stack = open_stack(Path(source), axes=request.axes)
            target = folder / target_name(source, stack, request)
            if target in written:
                raise InputError(
                    f"{source}: another input of this batch has the same name, and both results "
                    f"would be {target.name}; rename one or use another --out-dir."
                )
            check_target(Path(source), target, request.overwrite)
            row |= _restore(stack, target, request)
        except Exception as error:
            failed += 1
            sentence = sentence_for(error)
            say(sentence)
            # What is kept must not hold a name that is hidden.
            row["error"] = sentence.replace(source, label).replace(Path(source).name, label)
            summary.add(row | {"status": "failed"})
            if request.as_json:
                print(json.dumps(row), flush=True)
        else:
            written.add(target)
            summary.add(row | {"status": "done"})
            _report(row, request.as_json)
    if not request.as_json:
        print(f"{len(sources) - failed} of {len(sources)} files done; see {folder / SUMMARY}")
    return failed


def target_name(source: str, stack: Stack, request: Request) -> str:
    """Name the result of a batch: ``<name>_<model>_<factor>x.tif``, .ome.tif for OME input."""
    from napari_srgan.models.catalogue import model_for

    card = model_for(request.job.get("model", "auto"), stack.is_rgb).card
    label = input_label(source, bool(request.job.get("anonymise")))
    ome = Path(source).name.lower().endswith((".ome.tif", ".ome.tiff"))
    return f"{image_name(label)}_{card.name}_{card.scale}x{'.ome.tif' if ome else '.tif'}"


def region_of(stack: Stack, request: Request) -> dict[str, tuple[int, int]] | None:
    """Turn --slices and --roi into a region of this stack; None is the whole."""
    wanted: dict[str, OpenRange] = dict(request.roi)
    if request.slices is not None:
        axis = next((a for a in "ZT" if a in stack.plane_axes), None)
        if axis is None:
            raise InputError(
                f"{stack.name} has no Z or T axis for --slices to choose from (its axes are "
                f"{stack.axes}); --axes says what the axes are."
            )
        wanted[axis] = request.slices
    sizes = stack.sizes
    return {
        axis: (start or 0, sizes[axis] if stop is None else stop)
        for axis, (start, stop) in wanted.items()
    } or None


def check_target(source: Path, target: Path, overwrite: bool) -> None:
    """Refuse an output before any work: the input itself, or a place that cannot be written."""
    from napari_srgan.io.sinks import check_output

    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"{target}: input and output are the same file; name another output.")
    check_output(target, overwrite, THERE_FOR_COMMANDS)


def _restore(stack: Stack, target: Path, request: Request) -> dict[str, Any]:
    """Plan and run one job, and sum up what came of it."""
    from napari_srgan.engine.upscaler import Job, Upscaler, plan
    from napari_srgan.io.sinks import FileSink

    started = time.perf_counter()
    job = Job(**request.job, region=region_of(stack, request))
    planned = plan(stack, job)
    for warning in planned.warnings:
        say(warning)
    upscaler = Upscaler(planned.model, device=job.device, precision=job.precision)
    steps = upscaler.run(planned, FileSink(target, overwrite=request.overwrite))
    result = follow(steps, stack.name, planned.n_tiles, quiet=request.as_json)
    record = result.metadata["napari_srgan"]
    return {
        "input": record["input"],
        "output": str(target),
        "shape": list(result.data.shape),
        "axes": result.axes,
        "dtype": str(result.data.dtype),
        "scale": [float(value) for value in result.scale],
        "units": list(planned.output.units),
        "factor": record["scale_factor"],
        "model": record["model"],
        "device": record["device"],
        "precision": record["precision"],
        "tile": record["tile"],
        "consistency": _consistency(record),
        "sentence": trust_sentence(record),
        "seconds": round(time.perf_counter() - started, 3),
        "peak_memory_mb": round(peak_memory_mb(), 1),
    } | _device_memory(record["device"])


def _report(summary: Mapping[str, Any], as_json: bool) -> None:
    """Print what came of one file, for machines or for people."""
    if as_json:
        print(json.dumps(summary), flush=True)
        return
    shape = " x ".join(map(str, summary["shape"]))
    print(
        f"{summary['output']}: {summary['axes']} {shape} {summary['dtype']}, {summary['model']}, "
        f"{summary['seconds']:.1f} s, peak memory {summary['peak_memory_mb']:.0f} MB"
    )
    if summary["sentence"]:
        print(summary["sentence"])


def _consistency(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Shorten what the record states of the consistency."""
    found, projected = record["consistency"], record["back_projection"]
    if found is None:
        return None
    short = {key: found[key] for key in ("kind", "rmse_percent")}
    return (
        short
        if projected is None
        else short | {"back_projected_percent": projected["rmse_percent"]}
    )


def _device_memory(device: str) -> dict[str, float]:
    """Give the most memory that torch has held on a CUDA device so far; nothing for others."""
    if not device.startswith("cuda"):
        return {}
    import torch

    return {"peak_device_memory_mb": round(torch.cuda.max_memory_allocated(device) / 1e6, 1)}
