"""From what is asked for (Job) to what will be done (Plan), with every mistake found before work.

Nothing is computed here but the intensity range. The widget and the command line say from a
Plan what will come out; `upscaler` carries it out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from napari_srgan.engine import record as provenance
from napari_srgan.engine.devices import check_precision, native_low_precision, resolve_device
from napari_srgan.engine.tiles import Tile, plan_tiles
from napari_srgan.engine.tilesize import auto_tile, checked_tile, needs
from napari_srgan.errors import InputError
from napari_srgan.image import geometry
from napari_srgan.image.intensity import Intensity, looks_linear, measure
from napari_srgan.image.invalid import SCANNED, refuse_invalid
from napari_srgan.image.stack import Region, Stack, check_region
from napari_srgan.io.output import OutputSpec
from napari_srgan.models.catalogue import Model, load_model, model_for
from napari_srgan.trust.back_projection import check_back_projection
from napari_srgan.trust.operators import operator_of


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is asked for.

    Attributes
    ----------
    model : str or Path
        "auto", a name of the catalogue, or a model file.
    device, precision : str
        See `devices`.
    tile : "auto" or int
        Side of a tile's interior in LR pixels; the halo is added.
    intensity : str or Intensity
        A mode of `intensity.measure`, or a range that was measured before.
    transform : str
        none, log or power:P.
    nan : {"refuse", "fill"}
        What to do about NaN and infinities.
    region : mapping of axis letter to (start, stop), optional
        The part to restore, in pixels of the input; axes left out are whole.
    anonymise : bool
        Keep the input's name and metadata out of the result.
    back_project : bool
        Make the result reproduce the measured data; see `trust.back_projection`.
    """

    model: str | Path = "auto"
    device: str = "auto"
    precision: str = "auto"
    tile: int | str = "auto"
    intensity: str | Intensity = "auto"
    transform: str = "none"
    nan: Literal["refuse", "fill"] = "refuse"
    region: Region | None = None
    anonymise: bool = False
    back_project: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What will be done.

    Attributes
    ----------
    stack : Stack
    job : Job
    model : Model
    region : dict
        Of every axis without S, (start, stop) in input pixels.
    planes : tuple of tuple of int
        The planes to restore, as indices of the stack.
    tiles : tuple of Tile
        Those of each plane.
    tile, halo : int
        Largest side of an interior, and what is read around it, LR px.
    intensity : Intensity
    output : OutputSpec
        Shape, axes, dtype and place of the result; ``output.nbytes`` is its size.
    scale : Scale
        How many times Y and X grow.
    memory : int
        Estimated bytes that the work takes, without the result.
    warnings : tuple of str
        Sentences for the user.
    """

    stack: Stack
    job: Job
    model: Model
    region: Mapping[str, tuple[int, int]]
    planes: tuple[tuple[int, ...], ...]
    tiles: tuple[Tile, ...]
    tile: int
    halo: int
    intensity: Intensity
    output: OutputSpec
    scale: geometry.Scale
    memory: int
    warnings: tuple[str, ...]

    @property
    def n_tiles(self) -> int:
        """Tiles of all planes: the steps of the work."""
        return len(self.planes) * len(self.tiles)

    @property
    def pixels(self) -> int:
        """LR pixels that go through the network, halos included: what time goes with."""
        return len(self.planes) * sum(tile.read_pixels for tile in self.tiles)


def plan(stack: Stack, job: Job) -> Plan:
    """Check a job against its stack, and settle all that it leaves open.

    Parameters
    ----------
    stack : Stack
    job : Job

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If anything asked for cannot be done.
    """
    region = check_region(stack, job.region)
    if job.nan not in ("refuse", "fill"):
        raise InputError(f"The choice {job.nan!r} for NaN is not known; give refuse or fill.")
    wanted_tile = checked_tile(job.tile)
    precision = check_precision(job.precision)
    info = model_for(job.model, stack.is_rgb)
    if job.back_project:
        check_back_projection(info.card, _transform(job))
    model = load_model(info.path)
    device = resolve_device(job.device)
    intensity = _intensity(stack, job)
    halo, per_pixel = needs(model)
    tile = wanted_tile or auto_tile(device, per_pixel, halo, stack.height, stack.width, region)
    tiles = plan_tiles(stack.height, stack.width, tile, halo, region["Y"], region["X"])
    _refuse_invalid(stack, job, region, tiles)
    largest = max(t.read_pixels for t in tiles)
    plane = min(stack.height * stack.width, sum(t.read_pixels for t in tiles))
    warnings = _warnings(stack, intensity)
    try:
        operator_of(model.card)
    except InputError as error:
        warnings.append(str(error))
    if precision not in ("auto", "float32", native_low_precision(device)):
        warnings.append(f"{precision} is not native to {device}, so it may be slower than float32.")
    return Plan(
        stack=stack,
        job=job,
        model=model,
        region=region,
        planes=tuple(stack.plane_indices(region)),
        tiles=tiles,
        tile=tile,
        halo=halo,
        intensity=intensity,
        output=_output(stack, job, region, model),
        scale=model.card.scale,
        memory=largest * per_pixel
        + 2 * plane * stack.samples * stack.dtype.itemsize
        + _projection_memory(stack, job, region, model.card.scale),
        warnings=tuple(warnings),
    )


def _transform(job: Job) -> str:
    """Name the transform that a job will use."""
    return job.intensity.transform if isinstance(job.intensity, Intensity) else job.transform


def _projection_memory(
    stack: Stack, job: Job, region: Mapping[str, tuple[int, int]], scale: geometry.Scale
) -> int:
    """Estimate what back-projection holds: a plane of the result twice, and some of the input."""
    if not job.back_project:
        return 0
    pixels = math.prod(region[a][1] - region[a][0] for a in "YX") * stack.samples
    return pixels * (2 * math.prod(scale) * stack.dtype.itemsize + 6 * 8)


def _intensity(stack: Stack, job: Job) -> Intensity:
    if not isinstance(job.intensity, Intensity):
        return measure(stack, job.intensity, job.transform)
    if len(job.intensity.lo) != stack.n_channels:
        raise InputError(
            f"{stack.name} has {stack.n_channels} channels, but the intensity range given is"
            f" for {len(job.intensity.lo)}."
        )
    return job.intensity


def _refuse_invalid(
    stack: Stack, job: Job, region: Mapping[str, tuple[int, int]], tiles: tuple[Tile, ...]
) -> None:
    """Look for NaN in all that will be read, if that takes seconds at most."""
    read = {
        **region,
        "Y": (min(t.ry0 for t in tiles), max(t.ry1 for t in tiles)),
        "X": (min(t.rx0 for t in tiles), max(t.rx1 for t in tiles)),
    }
    values = math.prod(b - a for a, b in read.values()) * stack.samples
    if job.nan == "refuse" and values <= SCANNED:
        refuse_invalid(stack, read)


def _output(
    stack: Stack, job: Job, region: Mapping[str, tuple[int, int]], model: Model
) -> OutputSpec:
    growth = model.card.scale
    scale, translate = geometry.upscaled_placement(
        stack.axes, stack.scale, stack.translate, growth, region
    )
    lengths = {axis: stop - start for axis, (start, stop) in region.items()}
    lengths |= {a: lengths[a] * f for a, f in zip("YX", growth, strict=True)} | {"S": stack.samples}
    label = provenance.input_label(stack.name, job.anonymise)
    # Where the name had to be hidden, the rest of the metadata may hold it as well.
    hidden = job.anonymise or label != re.split(r"[\\/]", stack.name)[-1]
    metadata = {} if hidden else {k: v for k, v in stack.metadata.items() if k != "napari_srgan"}
    return OutputSpec(
        shape=tuple(lengths[axis] for axis in stack.axes),
        axes=stack.axes,
        dtype=stack.dtype,
        scale=scale,
        translate=translate,
        units=stack.units,
        name=f"{label} [{model.card.name} {geometry.scale_text(growth)}]",
        metadata=metadata,
    )


def _warnings(stack: Stack, intensity: Intensity) -> list[str]:
    found = []
    former = stack.metadata.get("napari_srgan")
    if former:
        by = f" of {former['model']}" if isinstance(former, Mapping) and "model" in former else ""
        found.append(
            f"{stack.name} is already a super-resolved result{by}; upscaling it again takes"
            " estimated detail for measured."
        )
    if intensity.transform == "none" and looks_linear(stack):
        found.append(
            f"{stack.name} looks linear in intensity, nearly all of it dark; the transform log"
            " (or power:0.25) may restore its dark layers better."
        )
    return found
