"""Files compared with a reference: figures, error maps and Fourier ring correlation.

How stacks are compared is `measure.stacks`; here files become stacks, and what is wanted beside the
figures is made of the same planes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_srgan.engine.record import input_label
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import upscaled_placement
from napari_srgan.image.kind import gray_if_gray
from napari_srgan.image.stack import Region, Stack, check_region
from napari_srgan.io.atomic import check_place
from napari_srgan.io.open import image_name, open_stack, spare_inputs
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import FileSink, check_outputs_in, check_room, made_folder
from napari_srgan.measure.error_map import error_map
from napari_srgan.measure.frc import FRC, Direction, plane_spacing, ring_correlation
from napari_srgan.measure.grid import middle_plane, read_alike
from napari_srgan.measure.planes import Settings
from napari_srgan.measure.stacks import BICUBIC, Comparison, compare
from napari_srgan.options import CompareOptions, PartOptions
from napari_srgan.tasks.restore import part_text, region_of
from napari_srgan.tasks.steps import Progress, Work, counted

_DIRECTIONS: tuple[Direction, ...] = ("all", "axial", "lateral")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRequest:
    """What is compared, and what is written.

    Attributes
    ----------
    reference : Path
    candidates : sequence of Path
    low : Path or None
        The low-resolution file, for the candidate bicubic.
    options : CompareOptions
    part : PartOptions
        Axes of all files, and the slices.
    error_maps : Path or None
        Folder of the error maps.
    csv : Path or None
        A table that will be written; its place is checked before any work.
    overwrite : bool
    """

    reference: Path
    candidates: Sequence[Path]
    low: Path | None = None
    options: CompareOptions
    part: PartOptions
    error_maps: Path | None = None
    csv: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class RingRow:
    """The ring correlation of one candidate with the reference, in one direction of one plane."""

    candidate: str
    where: str
    unit: str
    curve: FRC


@dataclass(frozen=True, slots=True)
class FittedPlane:
    """What an error map says in figures (see `ErrorMap`), without its pixels."""

    candidate: str
    index: tuple[int, ...]
    rse: float | None
    rsp: float | None
    gain: float
    offset: float
    sigma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesCompared:
    """What came of it.

    Attributes
    ----------
    comparison : Comparison
    fits : tuple of FittedPlane
        Of all planes, if error maps were wanted.
    rings : tuple of RingRow
        If they were wanted.
    written : tuple of Path
        The error maps.
    """

    comparison: Comparison
    fits: tuple[FittedPlane, ...]
    rings: tuple[RingRow, ...]
    written: tuple[Path, ...]


def compare_files(request: CompareRequest) -> Work[FilesCompared]:
    """Measure files against a reference, and write what was asked for.

    Yields
    ------
    Progress
        After every slice of every candidate. Closing the generator leaves nothing half-made.

    Returns
    -------
    FilesCompared

    Raises
    ------
    InputError
        If files cannot be read or do not belong together, or an output cannot be written; those
        are checked before any work.
    """
    if request.csv is not None:
        check_place(request.csv, request.overwrite)
    names, axes = _names(request.candidates), request.part.axes
    reference = open_stack(request.reference, axes)
    settings = settings_of(request.options)
    check_mode(settings, reference)
    candidates = {
        name: open_stack(path, axes) for path, name in zip(request.candidates, names, strict=True)
    }
    low = None if request.low is None else open_stack(request.low, axes)
    if len({stack.is_rgb for stack in (reference, *candidates.values())}) > 1:
        # The result of RGB that holds gray is gray.
        reference = gray_if_gray(reference)
        candidates = {name: gray_if_gray(stack) for name, stack in candidates.items()}
        low = None if low is None else gray_if_gray(low)
    region = region_of(reference, request.part)
    stacks = candidates if low is None else {**candidates, BICUBIC: low}
    part = part_text(reference, check_region(reference, region))
    targets = _map_paths(request.error_maps, list(stacks), part, request.overwrite)
    inputs = (request.reference, *request.candidates, request.low)
    spare_inputs([request.csv, *targets.values()], inputs)
    with ExitStack() as undo:
        sinks = _reserved(reference, stacks, region, targets, request.overwrite, undo)
        rings: tuple[RingRow, ...] = ()
        if request.options.rings is not None:  # first, because small images are refused
            rings = _ring_rows(reference, stacks, region, request.options.rings)
        planes = len(list(reference.plane_indices(region)))
        steps = compare(
            reference,
            candidates,
            low=low,
            data_range=request.options.data_range,
            settings=settings,
            region=region,
        )
        comparison = yield from counted(steps, planes * len(stacks), "measured")
        fits: tuple[FittedPlane, ...] = ()
        if sinks:
            fits = yield from _error_maps(reference, stacks, region, sinks)
    comparison = replace(comparison, notes=(*comparison.notes, *_map_notes(fits)))
    return FilesCompared(
        comparison=comparison, fits=fits, rings=rings, written=tuple(targets.values())
    )


def settings_of(options: CompareOptions) -> Settings:
    """Say how planes are compared; the network of LPIPS is loaded.

    Raises
    ------
    InputError
        If its weights cannot be had.
    """
    from napari_srgan.models.lpips import wanted_lpips

    lpips = wanted_lpips(options.lpips, options.lpips_weights)
    return Settings(mode=options.mode, border=options.border, features=lpips)


def check_mode(settings: Settings, stack: Stack) -> None:
    """Refuse the mode y for gray images, which have no colours to take it of.

    Raises
    ------
    InputError
        Because the figures would be those of the other mode under the name of this one.
    """
    if settings.mode == "y" and not stack.is_rgb:
        raise InputError(
            f"{stack.name} is gray, and --mode y takes the Y channel of RGB images; leave it out."
        )


def _names(candidates: Sequence[Path]) -> list[str]:
    """Name the candidates by their files, by their paths where that does not tell them apart."""
    last = [path.name for path in candidates]
    names = [path.as_posix() if last.count(path.name) > 1 else path.name for path in candidates]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{twice} is given twice; name every candidate once.")
    return names


def _map_paths(
    folder: Path | None, names: Sequence[str], part: str, overwrite: bool
) -> dict[str, Path]:
    """Say where the error maps of candidates go, and refuse places before any work."""
    if folder is None:
        return {}
    paths = {name: folder / f"{image_name(name)}_error{part}.tif" for name in names}
    for name, path in paths.items():
        if list(paths.values()).count(path) > 1:
            raise InputError(
                f"{name}: another candidate has the same name, and both error maps would be "
                f"{path.name}; rename one."
            )
    check_outputs_in(folder, paths.values(), overwrite, "--error-map")
    return paths


def _reserved(
    reference: Stack,
    stacks: Mapping[str, Stack],
    region: Region | None,
    paths: Mapping[str, Path],
    overwrite: bool,
    undo: ExitStack,
) -> dict[str, tuple[FileSink, OutputSpec]]:
    """Hold the places of error maps before any work, or refuse them."""
    whole = check_region(reference, region)
    found = {
        name: (FileSink(path, overwrite), _spec(reference, stacks[name], whole, path))
        for name, path in paths.items()
    }
    for folder in {path.parent for path in paths.values()}:
        made_folder(folder, undo)
        check_room(folder, sum(spec.nbytes for _, spec in found.values()))
    for sink, spec in found.values():
        undo.callback(sink.abort)  # harmless after commit
        sink.reserve(spec)
    return found


def _error_maps(
    reference: Stack,
    stacks: Mapping[str, Stack],
    region: Region | None,
    outputs: Mapping[str, tuple[FileSink, OutputSpec]],
) -> Work[tuple[FittedPlane, ...]]:
    """Write float32 stacks in the unit of the reference's pixels, placed as the reference is.

    NaN where a plane of it is constant. They appear when all are complete.
    """
    whole = check_region(reference, region)
    indices = list(reference.plane_indices(region))
    fits: list[FittedPlane] = []
    for sink, spec in outputs.values():
        sink.open(spec)
    for index in indices:
        pixels = read_alike(reference, reference, index)
        starts = (whole[axis][0] for axis in reference.plane_axes)
        place = tuple(i - start for i, start in zip(index, starts, strict=True))
        for name, stack in stacks.items():
            fit = error_map(pixels, read_alike(reference, stack, index))
            sink = outputs[name][0]
            sink.write(place, 0, 0, fit.map)
            sink.plane_done(place)
            figures = fit.rse, fit.rsp, fit.gain, fit.offset, fit.sigma
            fits.append(FittedPlane(name, index, *figures))
            yield Progress(len(fits), len(indices) * len(stacks), stage="error maps")
    for sink, _ in outputs.values():
        sink.commit()
    return tuple(fits)


def _map_notes(fits: Sequence[FittedPlane]) -> tuple[str, ...]:
    """Say where error maps are not defined, in the words of the comparison's own notes."""
    planes = {f.index for f in fits}
    without = {f.index for f in fits if f.rse is None}
    if not without:
        return ()
    where = "everywhere" if without == planes else f"in {len(without)} of {len(planes)} slices"
    return (f"RSE and RSP against a constant reference are not defined; left out {where}.",)


def _ring_rows(
    reference: Stack, stacks: Mapping[str, Stack], region: Region | None, threshold: float
) -> tuple[RingRow, ...]:
    """Correlate the middle plane of every candidate with the reference's, in all directions."""
    spacing, unit = plane_spacing(reference)
    index = middle_plane(reference, region)
    pixels = read_alike(reference, reference, index)
    at = ", ".join(f"{a}={i}" for a, i in zip(reference.plane_axes, index, strict=True))
    where = f"the middle slice, {at}" if at else "the whole plane"
    rows = []
    for name, stack in stacks.items():
        other = read_alike(reference, stack, index)
        for direction in _DIRECTIONS:
            curve = ring_correlation(
                pixels, other, spacing=spacing, direction=direction, threshold=threshold
            )
            rows.append(RingRow(name, where, unit, curve))
    return tuple(rows)


def _spec(
    reference: Stack, candidate: Stack, whole: Mapping[str, tuple[int, int]], path: Path
) -> OutputSpec:
    axes = reference.axes.replace("S", "")
    region = {axis: whole[axis] for axis in reference.plane_axes}
    scale, translate = upscaled_placement(
        axes, reference.scale, reference.translate, (1, 1), region
    )
    sizes = reference.sizes | {axis: stop - start for axis, (start, stop) in region.items()}
    labels = [input_label(stack.name) for stack in (reference, candidate)]
    return OutputSpec(
        shape=tuple(sizes[axis] for axis in axes),
        axes=axes,
        dtype=np.dtype(np.float32),
        scale=scale,
        translate=translate,
        units=reference.units,
        name=path.name,
        metadata={"error_map": {"reference": labels[0], "candidate": labels[1]}},
    )
