"""From what is asked for to what will be done, with every mistake found before work.

`preflight` reads no pixel and loads no weights, so a window may ask it at every change; `plan` goes
on from it, and looks at the pixels for nothing but the kind of the image and its intensity range. A
plan names its model by path and SHA-256, so that it can be sent to another process.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from napari_srgan.engine import record
from napari_srgan.engine.devices import free_memory, native_16_bits, resolve_device
from napari_srgan.engine.resize import AT_ONCE
from napari_srgan.engine.restore import PlanePlan
from napari_srgan.engine.tiles import Tile, auto_tile, plan_tiles
from napari_srgan.errors import InputError
from napari_srgan.image import geometry
from napari_srgan.image.acquisition import without_names
from napari_srgan.image.geometry import Factor, Scale
from napari_srgan.image.intensity import Intensity, check_modes, looks_linear, measure
from napari_srgan.image.invalid import SCANNED, refuse_invalid
from napari_srgan.image.kind import recognise
from napari_srgan.image.stack import Stack, check_region
from napari_srgan.io.output import OutputSpec
from napari_srgan.models.card import Card, pixel_size_warning
from napari_srgan.models.catalogue import ModelInfo
from napari_srgan.models.file import Model, load
from napari_srgan.models.kinds import Choice, choose
from napari_srgan.options import RestoreOptions, checked_outscale, checked_tile
from napari_srgan.trust.back_projection import check_back_projection
from napari_srgan.trust.operators import operator_of

if TYPE_CHECKING:
    import torch


_FINISHING = 56
"""Bytes per value of a result while a tile of it is brought to its dtype, measured and written:
two float32 tiles that wait, and the float64 that are worked on; see benchmarks/volumes.py."""


@dataclass(frozen=True, kw_only=True)
class Preflight:
    """What can be said before a pixel is read.

    Attributes
    ----------
    stack : Stack
        As it was given.
    options : RestoreOptions
    choice : Choice
        What the image is restored as; its stack is as the model takes it.
    region : dict
        Of every axis without S, (start, stop) in input pixels.
    factor : Factor
        How many times finer the result is along Y and X: `scale`, or what it is resized to.
    output : OutputSpec
        Shape, axes, dtype and place of the result; ``output.nbytes`` is its size.
    """

    stack: Stack
    options: RestoreOptions
    choice: Choice
    region: Mapping[str, tuple[int, int]]
    factor: Factor
    output: OutputSpec

    @property
    def model(self) -> ModelInfo:
        """The catalogue's entry of the model."""
        return self.choice.model

    @property
    def scale(self) -> Scale:
        """How many times Y and X grow in the model."""
        return self.model.card.scale

    @property
    def n_planes(self) -> int:
        """How many planes will be restored."""
        return math.prod(b - a for axis, (a, b) in self.region.items() if axis not in "YX")

    def tiles(self, device: torch.device) -> tuple[int, tuple[Tile, ...]]:
        """Choose the side of tiles on a device and cut a plane into them; this loads torch.

        Raises
        ------
        InputError
            If tiles are asked for and the model sees each plane whole.
        """
        stack, region = self.stack, self.region
        needs = footprint(self.model)
        tile = checked_tile(self.options.tile)
        if tile is None:
            tile = auto_tile(
                device,
                needs.bytes_per_pixel,
                needs.halo,
                stack.height,
                stack.width,
                region,
                self.options.memory_bytes,
                self.finishing,
            )
        elif needs.halo is None and tile < max(region[a][1] - region[a][0] for a in "YX"):
            raise InputError(
                f"The model {self.model.card.name} sees each plane whole, so it cannot work in "
                f"tiles of {tile} px; leave the tile at auto."
            )
        return tile, plan_tiles(
            stack.height, stack.width, tile, needs.halo, region["Y"], region["X"]
        )

    @property
    def finishing(self) -> int:
        """Bytes per LR pixel that it takes to finish and measure a tile."""
        return _FINISHING * math.prod(self.scale) * self.stack.samples

    def pixels(self, device: torch.device) -> int:
        """Count the LR pixels that go through the network, halos included: what time goes with."""
        return self.n_planes * sum(tile.read_pixels for tile in self.tiles(device)[1])


@dataclass(frozen=True, kw_only=True)
class Plan(PlanePlan):
    """What will be done: how each plane is restored, and which planes.

    Attributes
    ----------
    stack : Stack
        As the model takes it; see `Choice`.
    options : RestoreOptions
    choice : Choice
        What the image is restored as.
    card : Card
        Of the model.
    model_path, model_sha256 : Path, str
        Its file; another file at that path is refused when the plan is carried out.
    region : dict
        Of every axis without S, (start, stop) in input pixels.
    planes : tuple of tuple of int
        The planes to restore, as indices of the stack.
    factor : Factor
        How many times finer the result is along Y and X: `scale`, or what it is resized to.
    output : OutputSpec
        Shape, axes, dtype and place of the result; ``output.nbytes`` is its size.
    memory : int
        Estimated bytes that the work takes, without the result.
    warnings : tuple of str
        Sentences for the user.
    """

    stack: Stack
    options: RestoreOptions
    choice: Choice
    card: Card
    model_path: Path
    model_sha256: str
    region: Mapping[str, tuple[int, int]]
    planes: tuple[tuple[int, ...], ...]
    factor: Factor
    output: OutputSpec
    memory: int
    warnings: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person is told before the work: what `auto` became and why, and the warnings."""
        return tuple(filter(None, (self.choice.why, *self.warnings)))

    def place(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """Say where a plane of the stack lies in the output."""
        starts = (self.region[axis][0] for axis in self.stack.plane_axes)
        return tuple(i - start for i, start in zip(index, starts, strict=True))

    @property
    def n_tiles(self) -> int:
        """Tiles of all planes: the steps of the work."""
        return len(self.planes) * len(self.tiles)

    @property
    def pixels(self) -> int:
        """LR pixels that go through the network, halos included: what time goes with."""
        return len(self.planes) * sum(tile.read_pixels for tile in self.tiles)


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a network needs of its surroundings.

    Attributes
    ----------
    halo : int or None
        How far it looks, LR pixels; None: over the whole image.
    bytes_per_pixel : int
        Memory that it takes per LR pixel of a window.
    """

    halo: int | None
    bytes_per_pixel: int


def footprint(model: ModelInfo | Model) -> Footprint:
    """Read off a model's architecture what its network needs; no weights are loaded.

    Raises
    ------
    InputError
        If the file has changed into none, or its card does not describe its weights.
    """
    return _footprint(model.path, model.path.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _footprint(path: Path, modified: int) -> Footprint:
    from napari_srgan.engine.window import bytes_per_pixel
    from napari_srgan.models.architectures.rewrite import for_inference
    from napari_srgan.models.file import untrained

    # Not on the meta device: folding a batch norm there imports torch._dynamo, whose LLVM clashes
    # with that of Mesa and ends napari.
    network = untrained(path)
    return Footprint(network.halo, bytes_per_pixel(for_inference(network)))


def preflight(stack: Stack, options: RestoreOptions) -> Preflight:
    """Check all of a request that can be checked without reading a pixel.

    Parameters
    ----------
    stack : Stack
        What `image.kind.recognise` found of it counts; if that was not asked, it is taken for an
        ordinary image of its channels.
    options : RestoreOptions

    Returns
    -------
    Preflight

    Raises
    ------
    InputError
        If the region does not fit, no such model is there, it is for other images, or there is no
        such intensity range or transform.
    """
    region = check_region(stack, options.region)
    choice = choice_for(stack, options)
    if not isinstance(options.intensity, Intensity):
        check_modes(options.intensity, choice.transform)
    if options.back_project:
        bends: str = getattr(options.intensity, "transform", choice.transform)
        check_back_projection(choice.model.card, bends)
    factor = _factor(options, choice.model.card)
    return Preflight(
        stack=stack,
        options=options,
        choice=choice,
        region=region,
        factor=factor,
        output=_output(choice.stack, options, region, choice.model.card, factor),
    )


def choice_for(stack: Stack, options: RestoreOptions) -> Choice:
    """Settle what a stack is restored as; see `choose`."""
    lateral = options.factor_axes == "lateral"
    return choose(stack, str(options.model), options.kind, options.transform, lateral)


def _factor(options: RestoreOptions, card: Card) -> Factor:
    """Settle how many times finer the result is.

    Raises
    ------
    InputError
        If that is more than the model makes, or Y is to become finer and not to.
    """
    wanted = checked_outscale(options.outscale)
    if options.factor_axes == "lateral":
        y, x = wanted or (1.0, float(card.scale[1]))
        if y not in (1, x):
            raise InputError(
                f"The outscale {geometry.scale_text((y, x))} makes Y finer, which the lateral axis "
                "alone does not; give one number."
            )
        wanted = 1.0, x
    if wanted is None:
        return card.scale
    if any(f > s for f, s in zip(wanted, card.scale, strict=True)):
        raise InputError(
            f"The outscale {geometry.scale_text(wanted)} is beyond the "
            f"{geometry.scale_text(card.scale)} of the model {card.name}: more pixels would hold "
            "no more detail; give less, or take another model."
        )
    return wanted


def plan(stack: Stack, options: RestoreOptions) -> Plan:
    """Check a request against its stack, and settle all that it leaves open.

    Parameters
    ----------
    stack : Stack
    options : RestoreOptions

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        If anything asked for cannot be done.
    """
    check_region(stack, options.region)  # before a pixel is read
    recognise(stack)
    ahead = preflight(stack, options)
    stack, choice = ahead.choice.stack, ahead.choice
    card, region, scale = ahead.model.card, ahead.region, ahead.scale
    device = resolve_device(options.device)
    intensity = _intensity(stack, options.intensity, choice.transform)
    tile, tiles = ahead.tiles(device)
    needs = footprint(ahead.model)
    _refuse_invalid(stack, options, region, tiles)
    largest = max(t.read_pixels for t in tiles)
    _refuse_large(ahead, needs.halo, largest * needs.bytes_per_pixel, device)
    held = _held_whole(stack, options, region, scale)
    interior = max((t.y1 - t.y0) * (t.x1 - t.x0) for t in tiles)
    plane = min(stack.height * stack.width, sum(t.read_pixels for t in tiles))
    read = min(2 * plane * stack.samples * stack.dtype.itemsize, options.memory_bytes // 8)
    warnings = _warnings(stack, intensity, choice, options.anonymise)
    if options.precision not in ("auto", "float32", *native_16_bits(device)):
        warnings.append(
            f"{options.precision} is not native to {device}, so it may be slower than float32."
        )
    return Plan(
        height=stack.height,
        width=stack.width,
        dtype=stack.dtype,
        scale=scale,
        tiles=tiles,
        tile=tile,
        halo=needs.halo,
        intensity=intensity,
        fill_invalid=options.nan == "fill",
        stack=stack,
        options=options,
        choice=choice,
        card=card,
        model_path=ahead.model.path,
        model_sha256=load(ahead.model.path).sha256,
        region=region,
        planes=tuple(stack.plane_indices(region)),
        factor=ahead.factor,
        output=replace(ahead.output, window=tuple(zip(intensity.lo, intensity.hi, strict=True))),
        memory=largest * needs.bytes_per_pixel
        + interior * ahead.finishing
        + read
        + held
        + _resize_memory(ahead, max(t.y1 - t.y0 for t in tiles)),
        warnings=tuple(warnings),
    )


def _refuse_large(ahead: Preflight, halo: int | None, needed: int, device: torch.device) -> None:
    """Refuse tiles that take more memory than is free, if they were not chosen by what is free."""
    tile = ahead.options.tile
    if checked_tile(tile) is None and halo is not None:
        return
    free = free_memory(device)
    if needed <= free:
        return
    amount = f"take {needed / 1e9:.3g} GB on {device}, where {free / 1e9:.3g} GB are free"
    if halo is None:
        raise InputError(
            f"The model {ahead.model.card.name} sees each plane whole, which would {amount}; save "
            "a part of the image as a file of its own, or take another model."
        )
    raise InputError(f"Tiles of {tile} px would {amount}; give a smaller --tile, or auto.")


def _held_whole(
    stack: Stack, options: RestoreOptions, region: Mapping[str, tuple[int, int]], scale: Scale
) -> int:
    """Estimate what must hold planes whole, and refuse what takes more than it may.

    Back-projection holds a plane of the result twice and some of the input; filling holds two
    planes of the input, each with its mask, and where the nearest valid pixels lie.
    """
    values, size = stack.samples, stack.dtype.itemsize
    projected = filled = 0
    if options.back_project:
        projected = math.prod(region[a][1] - region[a][0] for a in "YX") * values
        projected *= 2 * math.prod(scale) * size + 6 * 8
    if options.nan == "fill" and stack.dtype.kind == "f":
        filled = stack.height * stack.width * values * (2 * (2 * size + 2) + 16)
    needed = projected + filled
    if needed > options.memory_bytes:
        what = "Back-projection" if projected > filled else "Filling NaN"
        amount = f"{-(-needed // 10**8) / 10:g}GB"
        smaller = ", or restore a smaller region" if projected > filled else ""
        raise InputError(
            f"{what} holds planes whole, which takes {amount} here, and {options.memory} of memory "
            f"may be used; allow --memory {amount}{smaller}."
        )
    return needed


def _resize_memory(ahead: Preflight, rows: int) -> int:
    """Estimate what resizing holds: a row of tiles as the model makes them, and the reach below."""
    if ahead.factor == ahead.scale:
        return 0
    stack, (start, stop) = ahead.choice.stack, ahead.region["X"]
    (sy, sx), reach = ahead.scale, 4 * ahead.scale[0]
    held = (sy * rows + reach) * sx * (stop - start) * stack.samples * stack.dtype.itemsize
    return held + 3 * 8 * AT_ONCE


def _intensity(stack: Stack, given: str | Intensity, transform: str) -> Intensity:
    if not isinstance(given, Intensity):
        return measure(stack, given, transform)
    if len(given.lo) != stack.n_channels:
        raise InputError(
            f"{stack.name} has {stack.n_channels} channels, but the intensity range given is"
            f" for {len(given.lo)}."
        )
    return given


def _refuse_invalid(
    stack: Stack,
    options: RestoreOptions,
    region: Mapping[str, tuple[int, int]],
    tiles: tuple[Tile, ...],
) -> None:
    """Look for NaN in all that will be read, if that takes seconds at most."""
    read = {
        **region,
        "Y": (min(t.ry0 for t in tiles), max(t.ry1 for t in tiles)),
        "X": (min(t.rx0 for t in tiles), max(t.rx1 for t in tiles)),
    }
    values = math.prod(b - a for a, b in read.values()) * stack.samples
    if options.nan == "refuse" and values <= SCANNED:
        refuse_invalid(stack, read)


def _output(
    stack: Stack,
    options: RestoreOptions,
    region: Mapping[str, tuple[int, int]],
    card: Card,
    factor: Factor,
) -> OutputSpec:
    scale, translate = geometry.upscaled_placement(
        stack.axes, stack.scale, stack.translate, factor, region
    )
    lengths = {axis: stop - start for axis, (start, stop) in region.items()}
    lengths |= {
        a: geometry.enlarged_length(lengths[a], f) for a, f in zip("YX", factor, strict=True)
    }
    lengths["S"] = stack.samples
    label = record.input_label(stack.name, options.anonymise)
    # Where the name had to be hidden, the rest of the metadata may hold it as well.
    hidden = options.anonymise or label != re.split(r"[\\/]", stack.name)[-1]
    metadata = {k: v for k, v in stack.metadata.items() if k != record.KEY and not hidden}
    metadata |= without_names(stack.metadata, region.get("Z"))
    return OutputSpec(
        shape=tuple(lengths[axis] for axis in stack.axes),
        axes=stack.axes,
        dtype=stack.dtype,
        scale=scale,
        translate=translate,
        units=stack.units,
        name=f"{label} [{card.name} {geometry.scale_text(factor)}]",
        metadata=metadata,
    )


def _warnings(stack: Stack, intensity: Intensity, choice: Choice, anonymise: bool) -> list[str]:
    card, found = choice.model.card, list(choice.warnings)
    if stack.metadata.get(record.KEY):
        # What a file says of its model is text that may hold any name.
        former = None if anonymise else record.Record.of(stack.metadata)
        by = f" of {former.model}" if former is not None and former.model else ""
        found.append(
            f"{stack.name} is already a super-resolved result{by}; upscaling it again takes"
            " estimated detail for measured."
        )
    meant = choice.kind == "fluorescence"  # linear and dark as it should be
    if intensity.transform == "none" and not meant and looks_linear(stack):
        found.append(
            f"{stack.name} looks linear in intensity, nearly all of it dark; the transform log"
            " (or power:0.25) may restore its dark layers better."
        )
    if sentence := pixel_size_warning(card, stack):
        found.append(sentence)
    try:
        operator_of(card)
    except InputError as error:
        found.append(str(error))
    return found
