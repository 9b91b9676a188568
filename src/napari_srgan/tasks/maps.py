"""Trust maps of stacks, plane by plane, whoever asks for them: the panel or the command line.

What belongs here: which results a map needs and making those that are not there. What a map is of
one plane is said by `consistency`, `invention` and `spread`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan import __version__
from napari_srgan.engine.plan import Plan, plan
from napari_srgan.engine.record import RESEARCH_USE
from napari_srgan.engine.upscaler import Progress, Upscaler
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import plain_scale
from napari_srgan.image.intensity import Intensity
from napari_srgan.image.stack import Region, Stack, check_region
from napari_srgan.models.card import Card
from napari_srgan.models.catalogue import model_for
from napari_srgan.tasks.map_request import KINDS, MapNotes, MapPlane, MapRequest
from napari_srgan.trust import spread as mirrored
from napari_srgan.trust.consistency import LEGEND, REMOVED_LEGEND, comparable, consistency
from napari_srgan.trust.invention import (
    SIGMA,
    check_fidelity,
    fidelity_model,
    invention,
    require_definite,
)
from napari_srgan.trust.operators import CONSISTENCY, operator_of

Engines = Callable[[Any, str, str], Upscaler]
"""Gives the upscaler of a model on a device in a precision; keeps it for the next call."""


class Maps:
    """A request that was checked.

    Raises
    ------
    InputError
        If the maps cannot be made: no such model, a degradation that does not fit, NaN.
    """

    def __init__(self, request: MapRequest) -> None:
        for kind in request.kinds:
            if kind not in KINDS:
                raise InputError(f"There is no map '{kind}'; known are {', '.join(KINDS)}.")
        self.request = request
        job = replace(request.job, back_project=False)
        self._plan = plan(request.stack, request.job if request.result is None else job)
        self._float_job = job
        self.card: Card = self._plan.model.card
        self.intensity: Intensity = self._plan.intensity
        self.region = dict(self._plan.region)
        if {"consistency", "invention"} & set(request.kinds):
            self._operator = operator_of(self.card)
        self._fidelity: Card | None = None
        if "invention" in request.kinds:
            require_definite(self._operator)
            if request.fidelity_model is None:
                info = fidelity_model(self.card)
            else:
                info = model_for(request.fidelity_model, request.stack.is_rgb)
                check_fidelity(self.card, info.card)
            self._fidelity, self._fidelity_path = info.card, info.path
        self._members = mirrored.symmetries(self.card, request.symmetries)

    @property
    def steps(self) -> int:
        """Tiles that will be restored for all maps, and one a plane."""
        request, kinds = self.request, set(self.request.kinds)
        passes = len(self._members) * ("spread" in kinds)
        passes += request.result is None and bool(kinds & {"consistency", "invention"})
        passes += request.fidelity is None and "invention" in kinds
        return len(self._plan.planes) * (passes * len(self._plan.tiles) + 1)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for the user about input and model."""
        return self._plan.warnings

    def record(self) -> dict[str, Any]:
        """Name what the maps were made with, for files: JSON can hold it."""
        whole = self.request.stack.sizes
        part = any(ends != (0, whole[a]) for a, ends in self.region.items())
        return {
            "tool": "napari-srgan",
            "tool_version": __version__,
            "model": self.card.name,
            "weights_sha256": self._plan.model.sha256,
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
            unit = "% of the transformed range" if bent else "stored values"
            legend = LEGEND if sure else REMOVED_LEGEND
            return MapNotes(
                kind=kind,
                title=self._operator.kind,
                unit=unit,
                legend=legend,
                scale=(1, 1),
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

    def planes(self, engines: Engines) -> Generator[Progress | MapPlane, None, None]:
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
            for step in self._plane(engines, index):
                if isinstance(step, Progress):
                    done = min(done + 1, total)
                    yield Progress(done, total, note=step.note)
                else:
                    kind, values, figure = step
                    yield MapPlane(kind=kind, index=place, values=values, percent=figure)
            done = min(done + 1, total)
            yield Progress(done, total)

    def _plane(
        self, engines: Engines, index: tuple[int, ...]
    ) -> Iterator[Progress | tuple[str, NDArray[np.float32], float | None]]:
        request, kinds = self.request, self.request.kinds
        channel = request.stack.channel_of(index)
        rows, cols = (slice(*self.region[a]) for a in "YX")
        high: NDArray[Any] = np.empty(0)
        if {"consistency", "invention"} & set(kinds):
            made = self._result(engines, index, request.result, request.result_region, None)
            high = yield from made
        if "consistency" in kinds:
            low, span = comparable(request.stack.read(index, rows, cols), self.intensity, channel)
            again, _ = comparable(high, self.intensity, channel)
            sizes = request.stack.height, request.stack.width
            cuts = (rows.start > 0, rows.stop < sizes[0], cols.start > 0, cols.stop < sizes[1])
            found = consistency(low, again, self._operator, span, cuts)
            yield "consistency", found.map, found.rmse_percent
        if "invention" in kinds:
            other = yield from self._result(
                engines, index, request.fidelity, request.fidelity_region, self._fidelity_path
            )
            first, span = comparable(high, self.intensity, channel)
            second, _ = comparable(other, self.intensity, channel)
            added = invention(first, second, self._operator, span)
            yield "invention", added.map, added.rms_percent
        if "spread" in kinds:
            values = yield from self._spread(engines, index, channel)
            some = values[np.isfinite(values)].astype(np.float64)
            yield "spread", values, math.sqrt(np.mean(some**2)) if some.size else None

    def _result(
        self,
        engines: Engines,
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
        job = replace(self._plan.job, region={**self.region, **one}, intensity=self.intensity)
        if model is not None:
            job = replace(job, model=model, back_project=False)
        data = yield from _run(engines, plan(stack, job))
        # All axes but these have one entry.
        inner = [a for a in stack.axes if a in "YXS"]
        plane = data.reshape([n for a, n in zip(stack.axes, data.shape, strict=True) if a in inner])
        return plane.transpose([inner.index(a) for a in "YXS" if a in inner])

    def _spread(
        self, engines: Engines, index: tuple[int, ...], channel: int
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
            job = replace(self._float_job, region=region, intensity=intensity)
            data = yield from _run(engines, plan(turned, job))
            values, span = comparable(member.undo(data), intensity)
            gathered.add(values)
        return gathered.map(span)


def _run(engines: Engines, planned: Plan) -> Generator[Progress, None, NDArray[Any]]:
    engine = engines(planned.model, planned.job.device, planned.job.precision)
    result = yield from engine.run(planned)
    return result.data
