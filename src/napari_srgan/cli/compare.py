"""Files in, figures against a reference out: opening, following and writing for `compare`.

What belongs here: the order of the work. How figures are laid out is `compare_report`'s, error
maps and Fourier ring correlation of files are `compare_maps`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from tqdm import tqdm

from napari_srgan.cli import compare_report as report
from napari_srgan.cli.batch import OpenRange, region_of
from napari_srgan.cli.batch import Request as BatchRequest
from napari_srgan.cli.compare_maps import (
    FittedPlane,
    RingRow,
    map_paths,
    ring_rows,
    write_error_maps,
)
from napari_srgan.cli.evaluate_report import write_csv
from napari_srgan.cli.inputs import check_mode
from napari_srgan.cli.terminal import say
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Region, Stack
from napari_srgan.io.atomic import check_place, spare_inputs
from napari_srgan.io.open import open_stack
from napari_srgan.measure.planes import Settings
from napari_srgan.measure.stacks import BICUBIC, Comparison, compare

__all__ = ["Request", "Settings", "run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the command line asks for.

    Attributes
    ----------
    reference : Path
    candidates : sequence of Path
    low : Path or None
        The low-resolution file, for the row bicubic.
    settings : Settings
    axes : str or None
        Axes of all files; None: from each file.
    data_range : float or None
        None: by the reference.
    slices : (start, stop) or None
    frc : Fraction or None
        Threshold of the Fourier ring correlation; None: it is not wanted.
    error_maps, csv : Path or None
        Where they are written.
    overwrite, as_json : bool
    """

    reference: Path
    candidates: Sequence[Path]
    low: Path | None = None
    settings: Settings
    axes: str | None = None
    data_range: float | None = None
    slices: OpenRange | None = None
    frc: Fraction | None = None
    error_maps: Path | None = None
    csv: Path | None = None
    overwrite: bool = False
    as_json: bool = False


def run(request: Request) -> None:
    """Measure, write what was asked for, and print the figures.

    Raises
    ------
    InputError
        If files cannot be read or do not belong together, or an output cannot be written; those
        are checked before any work.
    """
    if request.csv is not None:
        check_place(request.csv, request.overwrite)
    names = _names(request)
    reference = open_stack(request.reference, request.axes)
    check_mode(request.settings, reference)
    candidates = {
        name: open_stack(path, request.axes)
        for path, name in zip(request.candidates, names, strict=True)
    }
    low = None if request.low is None else open_stack(request.low, request.axes)
    region = region_of(reference, BatchRequest(slices=request.slices))
    stacks = candidates if low is None else {**candidates, BICUBIC: low}
    targets = map_paths(request.error_maps, list(stacks), request.overwrite)
    inputs = (request.reference, *request.candidates, request.low)
    spare_inputs([request.csv, *targets.values()], inputs)
    rings: list[RingRow] = []
    if request.frc is not None:  # first, because small images are refused
        rings = ring_rows(reference, stacks, region, float(request.frc))
    found = _measured(request, reference, candidates, low, region)
    fits: list[FittedPlane] = []
    if targets:
        planes = len(list(reference.plane_indices(region))) * len(stacks)
        with tqdm(desc="error maps", total=planes, unit="slice", disable=_silent(request)) as bar:
            for fit in write_error_maps(reference, stacks, region, targets, request.overwrite):
                fits.append(fit)
                bar.update()
    found = replace(found, notes=(*found.notes, *report.map_notes(fits)))
    rows = report.all_rows(found, fits, rings)
    if request.csv is not None:
        write_csv(request.csv, rows)
    if request.as_json:
        for line in report.json_rows(found, rows, rings):
            print(json.dumps(line))
    else:
        print(report.text(found, rows, rings))
    for path in targets.values():
        say(f"Wrote {path}")


def _measured(
    request: Request,
    reference: Stack,
    candidates: Mapping[str, Stack],
    low: Stack | None,
    region: Region | None,
) -> Comparison:
    steps = compare(
        reference,
        candidates,
        low=low,
        data_range=request.data_range,
        settings=request.settings,
        region=region,
    )
    planes = len(list(reference.plane_indices(region)))
    total = planes * (len(candidates) + (low is not None))
    with tqdm(desc="measured", total=total, unit="slice", disable=_silent(request)) as bar:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: Comparison = end.value
                return result
            bar.set_postfix_str(step.candidate)
            bar.update()


def _silent(request: Request) -> bool | None:
    # As everywhere: no bar where standard error is no terminal.
    return True if request.as_json else None


def _names(request: Request) -> list[str]:
    """Name the candidates by their files, by their paths where that does not tell them apart."""
    last = [path.name for path in request.candidates]
    names = [
        path.as_posix() if last.count(path.name) > 1 else path.name for path in request.candidates
    ]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{twice} is given twice; name every candidate once.")
    return names
