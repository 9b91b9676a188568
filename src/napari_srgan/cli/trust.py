"""A file in, trust maps out: what the command `trust` writes and prints.

What belongs here: files, progress and the table. How maps are made is `napari_srgan.trust`'s.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from napari_srgan.cli.batch import OpenRange, region_of
from napari_srgan.cli.batch import Request as BatchRequest
from napari_srgan.cli.terminal import say, table
from napari_srgan.engine import record as provenance
from napari_srgan.engine.plan import Job
from napari_srgan.engine.upscaler import Upscaler
from napari_srgan.image import geometry
from napari_srgan.image.stack import Stack
from napari_srgan.io.atomic import spare_inputs
from napari_srgan.io.open import image_name, open_stack
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import FileSink, check_outputs_in
from napari_srgan.models.catalogue import model_for
from napari_srgan.tasks.map_request import MapNotes, MapPlane, MapRequest
from napari_srgan.tasks.maps import Maps
from napari_srgan.trust.consistency import percent
from napari_srgan.trust.invention import has_invention


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for.

    Attributes
    ----------
    source, out : Path
        The input, and the folder of the maps.
    job : mapping
        Keyword arguments of `upscaler.Job`, without the region.
    kinds : tuple of str or None
        None: all that fit the model.
    fidelity : str or None
    symmetries : str
    axes, slices, roi, overwrite, as_json
        As in `batch.Request`.
    """

    source: Path
    out: Path
    job: Mapping[str, Any]
    kinds: tuple[str, ...] | None = None
    fidelity: str | None = None
    symmetries: str = "auto"
    axes: str | None = None
    slices: OpenRange | None = None
    roi: Mapping[str, OpenRange] = field(default_factory=dict)
    overwrite: bool = False
    as_json: bool = False


def run(request: Request) -> None:
    """Write the maps and print their figures.

    Raises
    ------
    InputError
        If input, model or folder cannot be used, or a map is there and may not be replaced. What
        was begun is removed.
    """
    stack = open_stack(request.source, axes=request.axes)
    region = region_of(stack, BatchRequest(slices=request.slices, roi=request.roi))
    job = Job(**request.job, region=region)
    card = model_for(job.model, stack.is_rgb).card
    kinds = request.kinds
    if kinds is None:
        kinds = ("consistency", "invention", "spread")
        if request.fidelity is None and not has_invention(card):
            kinds = ("consistency", "spread")
    label = provenance.input_label(str(request.source), job.anonymise)
    targets = {k: request.out / f"{image_name(label)}_{card.name}_{k}.tif" for k in kinds}
    check_outputs_in(request.out, targets.values(), request.overwrite, "--out")
    spare_inputs(targets.values(), [request.source])
    maps = Maps(
        MapRequest(
            kinds=kinds,
            stack=stack,
            job=job,
            fidelity_model=request.fidelity,
            symmetries=request.symmetries,
        )
    )
    for warning in maps.warnings:
        say(warning)
    request.out.mkdir(parents=True, exist_ok=True)
    figures = _write(maps, stack, targets, request, label)
    rows = [("map", "RMS", "largest slice", "of", "file")]
    for kind, values in figures.items():
        notes = maps.notes(kind)
        known = [v for v in values if v is not None]
        mean = math.sqrt(sum(v**2 for v in known) / len(known)) if known else None
        if request.as_json:
            row: dict[str, Any] = {"map": kind, "title": notes.title, "models": notes.models}
            row |= {"rms_percent": mean, "per_slice": values, "legend": notes.legend}
            print(json.dumps(row | {"output": str(targets[kind])}), flush=True)
            continue
        worst = "-" if mean is None else percent(max(known))
        shown = "-" if mean is None else percent(mean)
        models = " and ".join(notes.models)
        rows.append((notes.title, shown, worst, models, str(targets[kind])))
    if not request.as_json:
        print(table(rows))
        print(f"In % of the intensity range {_range_text(maps)}.")
        for kind in kinds:
            title, legend = maps.notes(kind).title, maps.notes(kind).legend
            print(legend if legend.casefold().startswith(title) else f"{title}: {legend}")


def _write(
    maps: Maps, stack: Stack, targets: Mapping[str, Path], request: Request, label: str
) -> dict[str, list[float | None]]:
    """Make all maps; the files appear when all are complete."""
    upscalers: dict[str, Upscaler] = {}

    def engine(model: Any, device: str, precision: str) -> Upscaler:
        if model.sha256 not in upscalers:
            upscalers[model.sha256] = Upscaler(model, device, precision)
        return upscalers[model.sha256]

    figures: dict[str, list[float | None]] = {kind: [] for kind in targets}
    with ExitStack() as undo:
        sinks: dict[str, FileSink] = {}
        for kind, path in targets.items():
            sinks[kind] = FileSink(path, request.overwrite)
            undo.callback(sinks[kind].abort)  # harmless after commit
            sinks[kind].open(_spec(stack, maps, maps.notes(kind), path, label))
        bar = undo.enter_context(
            tqdm(desc=stack.name, total=maps.steps, unit="tile", disable=request.as_json or None)
        )
        steps = maps.planes(engine)
        undo.callback(steps.close)
        for step in steps:
            if isinstance(step, MapPlane):
                sinks[step.kind].write(step.index, 0, 0, step.values)
                figures[step.kind].append(step.percent)
                continue
            bar.update(step.done - bar.n)
            if step.note:
                say(step.note)
        for kind, sink in sinks.items():
            sink.commit({"trust_map": {**_noted(maps, kind, label), "rms_percent": figures[kind]}})
    return figures


def _noted(maps: Maps, kind: str, label: str) -> dict[str, Any]:
    record = {"input": label, **maps.record()}
    noted: dict[str, Any] = maps.notes(kind).metadata(record)["trust_map"]
    return noted


def _spec(stack: Stack, maps: Maps, notes: MapNotes, path: Path, label: str) -> OutputSpec:
    axes = stack.axes.replace("S", "")
    scale, translate = geometry.upscaled_placement(
        axes, stack.scale, stack.translate, notes.factor, maps.region
    )
    growth = geometry.factors(axes, notes.factor)
    lengths = (maps.region[a][1] - maps.region[a][0] for a in axes)
    return OutputSpec(
        shape=tuple(n * f for n, f in zip(lengths, growth, strict=True)),
        axes=axes,
        dtype=np.dtype(np.float32),
        scale=scale,
        translate=translate,
        units=stack.units,
        name=path.name,
        metadata={"trust_map": _noted(maps, notes.kind, label)},
    )


def _range_text(maps: Maps) -> str:
    ranges = zip(maps.intensity.lo, maps.intensity.hi, strict=True)
    text = ", ".join(f"{lo:g} to {hi:g}" for lo, hi in ranges)
    transform = maps.intensity.transform
    return text if transform == "none" else f"{text} after the transform {transform}"
