"""Error maps and Fourier ring correlation of files: what `compare` adds to its figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_srgan.engine.record import input_label
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import upscaled_placement
from napari_srgan.image.stack import Region, Stack, check_region
from napari_srgan.io.open import image_name
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import FileSink, check_outputs_in
from napari_srgan.measure.error_map import error_map
from napari_srgan.measure.frc import FRC, Direction, plane_spacing, ring_correlation
from napari_srgan.measure.grid import middle_plane, read_alike

_DIRECTIONS: tuple[Direction, ...] = ("all", "axial", "lateral")


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


def map_paths(folder: Path | None, names: Sequence[str], overwrite: bool) -> dict[str, Path]:
    """Say where the error maps of candidates go, and refuse places before any work.

    Raises
    ------
    OutputExists
        If a file is there and may not be replaced.
    InputError
        If the folder is a file, or two maps would be one file.
    """
    if folder is None:
        return {}
    paths = {name: folder / f"{image_name(name)}_error.tif" for name in names}
    for name, path in paths.items():
        if list(paths.values()).count(path) > 1:
            raise InputError(
                f"{name}: another candidate has the same name, and both error maps would be "
                f"{path.name}; rename one."
            )
    check_outputs_in(folder, paths.values(), overwrite, "--error-map")
    return paths


def write_error_maps(
    reference: Stack,
    stacks: Mapping[str, Stack],
    region: Region | None,
    paths: Mapping[str, Path],
    overwrite: bool,
) -> Iterator[FittedPlane]:
    """Write the error maps of all candidates, plane by plane.

    Parameters
    ----------
    reference : Stack
    stacks : mapping of candidate to Stack
        Matched with the reference (`grid.matched`).
    region : Region or None
        The planes.
    paths : mapping of candidate to Path
        Float32 TIFF stacks in the unit of the reference's pixels, placed as the reference is, NaN
        where a plane of it is constant; their folder is made. They appear when they are complete;
        closing the generator leaves none behind.
    overwrite : bool

    Yields
    ------
    FittedPlane
    """
    whole = check_region(reference, region)
    for path in paths.values():
        path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        sinks = {}
        for name, path in paths.items():
            sinks[name] = FileSink(path, overwrite)
            undo.callback(sinks[name].abort)  # harmless after commit
            sinks[name].open(_spec(reference, stacks[name], whole, path))
        for index in reference.plane_indices(region):
            pixels = read_alike(reference, reference, index)
            starts = (whole[axis][0] for axis in reference.plane_axes)
            place = tuple(i - start for i, start in zip(index, starts, strict=True))
            for name, stack in stacks.items():
                fit = error_map(pixels, read_alike(reference, stack, index))
                sinks[name].write(place, 0, 0, fit.map)
                yield FittedPlane(name, index, fit.rse, fit.rsp, fit.gain, fit.offset, fit.sigma)
        for sink in sinks.values():
            sink.commit()


def ring_rows(
    reference: Stack, stacks: Mapping[str, Stack], region: Region | None, threshold: float
) -> list[RingRow]:
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
    return rows


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
