"""Trust maps of stacks, plane by plane: of a result that is there, or of one made on the way.

What a map is of one plane is said by `trust.consistency`, `trust.invention` and `trust.spread`;
which pixels are trusted by `trust.conformal`, by a score and a threshold of `trust.calibration`.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan import __version__
from napari_srgan.engine.plan import Plan, choice_for, plan, preflight
from napari_srgan.engine.record import RESEARCH_USE, input_label
from napari_srgan.engine.run import Upscaler
from napari_srgan.image.geometry import Scale, factors, plain_scale, upscaled_placement
from napari_srgan.image.intensity import Intensity
from napari_srgan.image.kind import recognise
from napari_srgan.image.stack import Region, Stack, check_region
from napari_srgan.io.atomic import THERE_FOR_COMMANDS
from napari_srgan.io.open import image_name, name_of, open_stack, spare_inputs
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import FileSink, check_output, check_outputs_in, check_room, made_folder
from napari_srgan.models.card import Card
from napari_srgan.models.catalogue import load_model, model_for
from napari_srgan.options import MAP_KINDS, MapOptions, PartOptions, RestoreOptions
from napari_srgan.tasks.restore import part_text, region_of
from napari_srgan.tasks.steps import Progress, Work, whole_steps
from napari_srgan.trust import spread as mirrored
from napari_srgan.trust.calibration import calibration_for, calibrations_of
from napari_srgan.trust.conformal import Tally, mask_of, tally
from napari_srgan.trust.consistency import LEGEND, REMOVED_LEGEND, comparable, consistency
from napari_srgan.trust.invention import (
    SIGMA,
    check_fidelity,
    fidelity_model,
    has_invention,
    invention,
    require_definite,
)
from napari_srgan.trust.operators import CONSISTENCY, operator_of
from napari_srgan.trust.scores import consistency_score, detail_score


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRequest:
    """Which maps of which planes.

    Attributes
    ----------
    stack : Stack
        The measured input.
    restore : RestoreOptions
        How the result was made: model, region (the planes and the part of them that maps are
        wanted of), intensity, transform, nan, and how to make what is not there.
    options : MapOptions
        The kinds have to be named.
    result : Stack, optional
        The result, of `result_region`; made plane by plane without.
    fidelity : Stack, optional
        That of the fidelity model, of `fidelity_region`; made without.
    result_region, fidelity_region : mapping, optional
        In pixels of the input; the whole without. Along Y and X that of `restore`.
    scores : tuple of str
        Of `trust.scores.SCORES`, which `TrustMaps.score` will be asked for.
    """

    stack: Stack
    restore: RestoreOptions
    options: MapOptions
    result: Stack | None = None
    fidelity: Stack | None = None
    result_region: Region | None = None
    fidelity_region: Region | None = None
    scores: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of maps."""
        return self.options.maps or ()


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MapPlane:
    """One plane of one map.

    Attributes
    ----------
    kind : str
    index : tuple of int
        The plane, from the start of the region.
    values : ndarray of float32
        Shape (y, x) for consistency, (sy * y, sx * x) for the others; 1 where pixels are trusted.
    percent : float or None
        RMS in % of the range; of "trusted" the share of the pixels in %.
    """

    kind: str
    index: tuple[int, ...]
    values: NDArray[np.float32]
    percent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MapNotes:
    """What goes with a map wherever it is shown or kept.

    Attributes
    ----------
    kind, title, unit, legend : str
        The title is "consistency", or "removed signal" for models that take noise away.
    scale : Scale
        (1, 1) for maps of the size of the input, else that of the model.
    models : tuple of str
    """

    kind: str
    title: str
    unit: str
    legend: str
    scale: Scale
    models: tuple[str, ...]

    def metadata(self, record: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Give what a layer or file of the map carries; `record` is that of the result."""
        return {
            "trust_map": {
                "kind": self.kind,
                "title": self.title,
                "unit": self.unit,
                "legend": self.legend,
                "models": list(self.models),
                "result": None if record is None else dict(record),
            }
        }


class TrustMaps:
    """A request that was checked.

    Raises
    ------
    InputError
        If the maps cannot be made: a degradation that does not fit, no such model, NaN, no
        calibration for the kind of image.
    """

    def __init__(self, request: MapRequest) -> None:
        restore = request.restore.unresized()
        unprojected = replace(restore, back_project=False)
        self._plan = plan(request.stack, restore if request.result is None else unprojected)
        # RGB that holds gray has become gray.
        self.request = request = replace(request, stack=self._plan.stack)
        self._unprojected = unprojected
        self.card: Card = self._plan.card
        self.intensity: Intensity = self._plan.intensity
        self.region = dict(self._plan.region)
        self._bases = {*request.kinds, *request.scores}
        if "trusted" in request.kinds:
            kind = self._plan.choice.kind
            self.calibration = calibration_for(self.card.name, self.sha256, kind)
            self._bases.add(self.calibration.score)
            self._seen: Tally | None = None
        if {"consistency", "invention"} & self._bases:
            self._operator = operator_of(self.card)
        self._fidelity: Card | None = None
        if "invention" in self._bases:
            require_definite(self._operator)
            if request.options.fidelity is None:
                info = fidelity_model(self.card)
            else:
                info = model_for(request.options.fidelity, request.stack.is_rgb)
                check_fidelity(self.card, info.card)
            self._fidelity, self._fidelity_path = info.card, info.path
        self._members = mirrored.symmetries(self.card, request.options.symmetries)

    @property
    def sha256(self) -> str:
        """Of the model's file."""
        return self._plan.model_sha256

    @property
    def steps(self) -> int:
        """Tiles that will be restored for all maps, and one a plane."""
        request = self.request
        passes = len(self._members) * ("spread" in self._bases)
        passes += request.result is None and bool(self._bases - {"spread", "trusted"})
        passes += request.fidelity is None and "invention" in self._bases
        return len(self._plan.planes) * (passes * len(self._plan.tiles) + 1)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person is told before the work; see `Plan.notes`."""
        return self._plan.notes

    def record(self) -> dict[str, Any]:
        """Name what the maps were made with, for files: JSON can hold it."""
        whole = self.request.stack.sizes
        part = any(ends != (0, whole[a]) for a, ends in self.region.items())
        return {
            "tool": "napari-srgan",
            "tool_version": __version__,
            "model": self.card.name,
            "weights_sha256": self.sha256,
            "intensity_lo": list(self.intensity.lo),
            "intensity_hi": list(self.intensity.hi),
            "transform": self.intensity.transform,
            "scale_factor": plain_scale(self.card.scale),
            "region": {a: list(ends) for a, ends in self.region.items()} if part else None,
            "notice": RESEARCH_USE,
        }

    def notes(self, kind: str) -> MapNotes:
        """Give the words for a map."""
        name = self.card.name
        bent = self.intensity.transform != "none"
        if kind == "consistency":
            sure = self._operator.kind == CONSISTENCY
            return MapNotes(
                kind=kind,
                title=self._operator.kind,
                unit="% of the transformed range" if bent else "stored values",
                legend=LEGEND if sure else REMOVED_LEGEND,
                scale=(1, 1),
                models=(name,),
            )
        if kind == "trusted":
            return MapNotes(
                kind=kind,
                title=kind,
                unit="1: trusted",
                legend=self._doubt() or self.calibration.sentence,
                scale=self.card.scale,
                models=(name,),
            )
        if kind == "spread":
            text, models = mirrored.legend(self._members), [name]
        else:
            assert self._fidelity is not None
            models = [name, self._fidelity.name]
            text = (
                f"What {' adds to '.join(models)} in the part that the measurement cannot see: "
                f"local RMS (Gaussian window, sigma {SIGMA:g} px) in % of the range. It may be "
                "right; the data cannot tell."
            )
        return MapNotes(
            kind=kind,
            title=kind,
            unit="% of the range",
            legend=text,
            scale=self.card.scale,
            models=tuple(models),
        )

    def planes(self) -> Generator[Progress | MapPlane, None, None]:
        """Make the maps.

        Yields
        ------
        Progress
            After every tile of a result that has to be made, and every plane.
        MapPlane
            As they are ready. Closing the generator stops the work.
        """
        done, total = 0, self.steps
        starts = [self.region[a][0] for a in self.request.stack.plane_axes]
        for index in self._plan.planes:
            place = tuple(i - s for i, s in zip(index, starts, strict=True))
            for step in self._plane(index):
                if isinstance(step, Progress):
                    done = min(done + 1, total)
                    yield Progress(done, total, note=step.note)
                else:
                    kind, values, figure = step
                    yield MapPlane(kind=kind, index=place, values=values, percent=figure)
            done = min(done + 1, total)
            yield Progress(done, total)

    def _plane(
        self, index: tuple[int, ...]
    ) -> Iterator[Progress | tuple[str, NDArray[np.float32], float | None]]:
        high: NDArray[Any] | None = None
        if self._bases - {"spread", "trusted"}:
            high = yield from self._high(index)
        found: dict[str, tuple[NDArray[np.float32], float | None]] = {}
        for kind in MAP_KINDS:
            if kind == "trusted" or kind not in self._bases:
                continue
            found[kind] = yield from self._map(kind, index, high)
            if kind in self.request.kinds:
                yield (kind, *found[kind])
        if "trusted" in self.request.kinds:
            basis = self.calibration.score
            made = found[basis][0] if basis in found else None
            score = self._score(basis, index, high, made)
            seen = tally(score)
            self._seen = seen if self._seen is None else self._seen + seen
            mask = mask_of(score, self.calibration.threshold)
            yield "trusted", mask.astype(np.float32), 100 * float(mask.mean())

    def score(
        self, name: str, index: tuple[int, ...]
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Make a score of a plane; see `trust.scores`.

        Parameters
        ----------
        name : str
            One of the request's.
        index : tuple of int
            The plane in the stack.

        Yields
        ------
        Progress
            After every tile that has to be restored for it.

        Returns
        -------
        ndarray of float32, shape (sy * y, sx * x)
            In % of the range.
        """
        high = None if name == "spread" else (yield from self._high(index))
        made = None
        if name in MAP_KINDS:
            made, _ = yield from self._map(name, index, high)
        return self._score(name, index, high, made)

    def _score(
        self,
        name: str,
        index: tuple[int, ...],
        high: NDArray[Any] | None,
        made: NDArray[np.float32] | None,
    ) -> NDArray[np.float32]:
        """Turn a result, or the map that was made of it, into a score."""
        channel = self.request.stack.channel_of(index)
        if name == "detail":
            assert high is not None
            return detail_score(*comparable(high, self.intensity, channel))
        assert made is not None
        if name == "consistency":
            span = self._span(channel)
            return consistency_score(made, span, self.card.scale)
        return made

    def _span(self, channel: int) -> float:
        return comparable(np.empty((0, 0)), self.intensity, channel)[1]

    def _doubt(self) -> str:
        """Say why the guarantee does not hold for these images; "" if nothing speaks against it."""
        made = self._made_otherwise()
        if made:
            return f"The guarantee of the trust mask does not hold here: it was calibrated {made}."
        return "" if self._seen is None else self.calibration.unlike(self._seen)

    def _made_otherwise(self) -> str:
        """Say what `calibrate` does otherwise than was done here; "" if nothing that matters."""
        options = self.request.options
        if self.intensity.transform != "none":
            return (
                f"without a transform, and this image is restored after {self.intensity.transform}"
            )
        if self.request.restore.back_project:
            return "on results that were not back-projected, as this one is"
        if self.calibration.score == "spread" and self._members != mirrored.symmetries(self.card):
            return f"by the usual mirror images, and this spread is by '{options.symmetries}'"
        if self.calibration.score == "invention" and options.fidelity is not None:
            assert self._fidelity is not None
            here = load_model(self._fidelity_path).sha256
            usual = has_invention(self.card) and fidelity_model(self.card)
            if not usual or load_model(usual.path).sha256 != here:
                return (
                    f"by the usual fidelity model, and this invention is by {self._fidelity.name}"
                )
        return ""

    def _high(self, index: tuple[int, ...]) -> Generator[Progress, None, NDArray[Any]]:
        """Read a plane of the result, or make it."""
        given, there = self.request.result, self.request.result_region
        return (yield from self._result(index, given, there, None))

    def _map(
        self, kind: str, index: tuple[int, ...], high: NDArray[Any] | None
    ) -> Generator[Progress, None, tuple[NDArray[np.float32], float | None]]:
        """Make a map of a plane, and its RMS in % of the range."""
        request = self.request
        channel = request.stack.channel_of(index)
        if kind == "spread":
            values = yield from self._spread(index, channel)
            some = values[np.isfinite(values)].astype(np.float64)
            return values, math.sqrt(np.mean(some**2)) if some.size else None
        assert high is not None
        if kind == "consistency":
            rows, cols = (slice(*self.region[a]) for a in "YX")
            low, span = comparable(request.stack.read(index, rows, cols), self.intensity, channel)
            again, _ = comparable(high, self.intensity, channel)
            sizes = request.stack.height, request.stack.width
            cuts = (rows.start > 0, rows.stop < sizes[0], cols.start > 0, cols.stop < sizes[1])
            found = consistency(low, again, self._operator, span, cuts)
            return found.map, found.rmse_percent
        given, there = request.fidelity, request.fidelity_region
        other = yield from self._result(index, given, there, self._fidelity_path)
        first, span = comparable(high, self.intensity, channel)
        second, _ = comparable(other, self.intensity, channel)
        added = invention(first, second, self._operator, span)
        return added.map, added.rms_percent

    def _result(
        self,
        index: tuple[int, ...],
        given: Stack | None,
        region: Region | None,
        model: Path | None,
    ) -> Generator[Progress, None, NDArray[Any]]:
        """Read a plane of a result, or make it."""
        stack = self.request.stack
        if given is not None:
            there = check_region(stack, region)
            axes = stack.plane_axes
            at = {a: i - there[a][0] for a, i in zip(axes, index, strict=True)}
            y, x = (
                slice(f * (self.region[a][0] - there[a][0]), f * (self.region[a][1] - there[a][0]))
                for a, f in zip("YX", self.card.scale, strict=True)
            )
            return given.read(tuple(at[a] for a in given.plane_axes), y, x)
        one = {a: (i, i + 1) for a, i in zip(stack.plane_axes, index, strict=True)}
        options = replace(
            self._plan.options, region={**self.region, **one}, intensity=self.intensity
        )
        if model is not None:
            options = replace(options, model=model, back_project=False)
        data = yield from _restored(plan(stack, options))
        # All axes but these have one entry.
        inner = [a for a in stack.axes if a in "YXS"]
        plane = data.reshape([n for a, n in zip(stack.axes, data.shape, strict=True) if a in inner])
        return plane.transpose([inner.index(a) for a in "YXS" if a in inner])

    def _spread(
        self, index: tuple[int, ...], channel: int
    ) -> Generator[Progress, None, NDArray[np.float32]]:
        """Restore a plane in every orientation, in floats, so that no rounding is in the spread."""
        stack = self.request.stack
        whole = stack.read(index)
        whole = whole[..., :3] if whole.ndim == 3 else whole
        wide = stack.dtype.itemsize > 2 and stack.dtype != np.float32
        whole = whole.astype(np.float64 if wide else np.float32)
        lo, hi = self.intensity.lo[channel], self.intensity.hi[channel]
        intensity = replace(self.intensity, lo=(lo,), hi=(hi,))
        gathered, span = mirrored.Spread(), 1.0
        for member in self._members:
            region = member.region(self.region["Y"], self.region["X"], *whole.shape[:2])
            turned = Stack(
                np.ascontiguousarray(member.of(whole)),
                axes="YXS" if whole.ndim == 3 else "YX",
                name=stack.name,
            )
            options = replace(self._unprojected, region=region, intensity=intensity)
            data = yield from _restored(plan(turned, options))
            values, span = comparable(member.undo(data), intensity)
            gathered.add(values)
        return gathered.map(span)


def _restored(planned: Plan) -> Generator[Progress, None, NDArray[Any]]:
    result = yield from whole_steps(Upscaler.of(planned).run(planned))  # they are counted
    return result.data


@dataclass(frozen=True, slots=True)
class WrittenMap:
    """A map that was written.

    Attributes
    ----------
    path : Path
    notes : MapNotes
    slices : list of float or None
        RMS of every slice in % of the range, or the share that is trusted in %; None where nothing
        is known.
    """

    path: Path
    notes: MapNotes
    slices: list[float | None] = field(default_factory=list)

    @property
    def percent(self) -> float | None:
        """RMS over all slices in % of the range; of "trusted" the share of the pixels in %."""
        known = self.known
        if known and self.notes.kind == "trusted":
            return sum(known) / len(known)
        return math.sqrt(sum(v**2 for v in known) / len(known)) if known else None

    @property
    def known(self) -> list[float]:
        """The figures of the slices that have one."""
        return [v for v in self.slices if v is not None]


@dataclass(frozen=True, slots=True)
class WrittenMaps:
    """All maps of a file, and the intensity range that 100 % is of."""

    maps: tuple[WrittenMap, ...]
    intensity: Intensity


def write_trust_maps(
    source: Path,
    folder: Path,
    restore: RestoreOptions,
    options: MapOptions,
    part: PartOptions | None = None,
    *,
    overwrite: bool = False,
) -> Generator[Progress, None, WrittenMaps]:
    """Super-resolve a file and write its trust maps as float32 TIFF.

    Parameters
    ----------
    source : Path
    folder : Path
        Where ``<name>_<model>_<kind>.tif`` go, with the region before the ending where it is not
        the whole; they appear when all are complete.
    restore : RestoreOptions
        Its region comes from `part`.
    options : MapOptions
    part : PartOptions, optional
    overwrite : bool

    Yields
    ------
    Progress
        First remarks as notes. Closing the generator leaves nothing half-made.

    Returns
    -------
    WrittenMaps

    Raises
    ------
    InputError
        If input, model or folder cannot be used, or a map is there and may not be replaced.
    """
    part = part or PartOptions()
    stack = open_stack(source, axes=part.axes, series=part.series, level=part.level)
    restore = replace(restore, region=region_of(stack, part))
    recognise(stack)
    choice = choice_for(stack, restore)
    card = choice.model.card
    if options.maps is None:
        some = options.fidelity is not None or has_invention(card)
        fitting = ("consistency", "invention", "spread") if some else ("consistency", "spread")
        if choice.kind in calibrations_of(load_model(choice.model.path).sha256):
            fitting = (*fitting, "trusted")
        options = replace(options, maps=fitting)
    label = input_label(name_of(source), restore.anonymise)
    kinds = options.maps or ()
    region = preflight(stack, restore).region
    part_said = part_text(stack, region, part.series)
    targets = {k: folder / f"{image_name(label)}_{card.name}_{k}{part_said}.tif" for k in kinds}
    check_outputs_in(folder, targets.values(), overwrite, "--out")
    spare_inputs(targets.values(), [source])
    specs = {
        k: _spec(stack, region, (1, 1) if k == "consistency" else card.scale, path)
        for k, path in targets.items()
    }
    with ExitStack() as undo:
        made_folder(folder, undo)
        check_room(folder, sum(spec.nbytes for spec in specs.values()))
        sinks: dict[str, FileSink] = {}
        for kind, path in targets.items():
            sinks[kind] = FileSink(path, overwrite)
            undo.callback(sinks[kind].abort)  # harmless after commit
            sinks[kind].reserve(specs[kind])
        maps = TrustMaps(MapRequest(stack=stack, restore=restore, options=options))
        for remark in maps.remarks:
            yield Progress(0, maps.steps, note=remark)
        written = {k: WrittenMap(path, maps.notes(k)) for k, path in targets.items()}
        for kind, sink in sinks.items():
            early = {"trust_map": _noted(maps, kind, label)}
            sink.open(replace(specs[kind], metadata=early))
        steps = maps.planes()
        undo.callback(steps.close)
        for step in steps:
            if isinstance(step, MapPlane):
                sinks[step.kind].write(step.index, 0, 0, step.values)
                sinks[step.kind].plane_done(step.index)
                written[step.kind].slices.append(step.percent)
            else:
                yield step
        for kind, sink in sinks.items():
            figures = "trusted_percent" if kind == "trusted" else "rms_percent"
            sink.commit({"trust_map": _noted(maps, kind, label) | {figures: written[kind].slices}})
    # Whether images are like those of a calibration is known when all have been seen.
    done = (replace(one, notes=maps.notes(kind)) for kind, one in written.items())
    return WrittenMaps(tuple(done), maps.intensity)


def _noted(maps: TrustMaps, kind: str, label: str) -> dict[str, Any]:
    noted: dict[str, Any] = maps.notes(kind).metadata({"input": label, **maps.record()})[
        "trust_map"
    ]
    return noted


def _spec(
    stack: Stack, region: Mapping[str, tuple[int, int]], finer: Scale, path: Path
) -> OutputSpec:
    axes = stack.axes.replace("S", "")
    scale, translate = upscaled_placement(axes, stack.scale, stack.translate, finer, region)
    lengths = (region[a][1] - region[a][0] for a in axes)
    return OutputSpec(
        shape=tuple(n * f for n, f in zip(lengths, factors(axes, finer), strict=True)),
        axes=axes,
        dtype=np.dtype(np.float32),
        scale=scale,
        translate=translate,
        units=stack.units,
        name=path.name,
    )


def write_trust_mask(
    source: Path,
    result: Path,
    restore: RestoreOptions,
    part: PartOptions | None = None,
    *,
    overwrite: bool = False,
) -> Work[WrittenMap]:
    """Write the trust mask of a result that was made of a file, beside it.

    Parameters
    ----------
    source, result : Path
        The input, and its result, whose mask is called as `mask_path` says.
    restore : RestoreOptions
        How the result was made.
    part : PartOptions, optional
        Which part of the input it is of.
    overwrite : bool

    Yields
    ------
    Progress

    Returns
    -------
    WrittenMap

    Raises
    ------
    InputError
        If the model is not calibrated for the kind of image, or the mask is there and may not be
        replaced.
    """
    part = part or PartOptions()
    stack = open_stack(source, axes=part.axes, series=part.series, level=part.level)
    options = replace(restore, region=region_of(stack, part))
    recognise(stack)
    target = mask_path(result)
    request = MapRequest(
        stack=stack,
        restore=options,
        options=MapOptions(maps=("trusted",)),
        result=open_stack(result, axes=choice_for(stack, options).stack.axes),
        result_region=options.region,
    )
    maps = TrustMaps(request)
    label = input_label(str(source), restore.anonymise)
    with ExitStack() as undo:
        sink = FileSink(target, overwrite)
        undo.callback(sink.abort)  # harmless after commit
        spec = _spec(maps.request.stack, maps.region, maps.card.scale, target)
        sink.open(replace(spec, metadata={"trust_map": _noted(maps, "trusted", label)}))
        shares: list[float | None] = []
        for step in maps.planes():
            if isinstance(step, MapPlane):
                sink.write(step.index, 0, 0, step.values)
                sink.plane_done(step.index)
                shares.append(step.percent)
            else:
                yield replace(step, stage="trust mask")
        sink.commit({"trust_map": _noted(maps, "trusted", label) | {"trusted_percent": shares}})
    return WrittenMap(target, maps.notes("trusted"), shares)


def mask_path(result: Path) -> Path:
    """Say where the trust mask of a result goes: ``<name>_trusted.tif`` beside it."""
    return result.with_name(f"{image_name(result.name)}_trusted.tif")


def check_calibrated(
    source: Path, restore: RestoreOptions, part: PartOptions, result: Path, overwrite: bool
) -> None:
    """Refuse a file whose result could have no trust mask, or no place for it, with InputError."""
    check_output(mask_path(result), overwrite, THERE_FOR_COMMANDS)
    stack = open_stack(source, axes=part.axes, series=part.series, level=part.level)
    recognise(stack)
    choice = choice_for(stack, restore)
    sha256 = load_model(choice.model.path).sha256
    calibration_for(choice.model.card.name, sha256, choice.kind)
