"""Carrying a plan out: planes -> tiles -> network -> sink, as a generator that can be stopped.

Here is what may change on the way (tile size when memory runs out, device, number format) and the
promise that a run ends with a whole result or with none. Every pixel that leaves is exact or an
error; what is done to the pixels is in `restore`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_srgan.engine import record
from napari_srgan.engine.backends import resolve_backend
from napari_srgan.engine.devices import check_precision, is_out_of_memory, resolve_device
from napari_srgan.engine.origin import origin_of
from napari_srgan.engine.plan import Plan
from napari_srgan.engine.progress import Clock, Progress, counting
from napari_srgan.engine.resize import ResizedSink
from napari_srgan.engine.restore import (
    EnlargedTile,
    PlanePixels,
    TileObserver,
    enlarge_tile,
    finish_tile,
)
from napari_srgan.engine.tiles import SMALLEST_TILE, Tile, split
from napari_srgan.errors import InputError
from napari_srgan.image.invalid import put_back
from napari_srgan.image.stack import Stack
from napari_srgan.io.journal import Found, Origin, Unfinished
from napari_srgan.io.sinks import MemorySink, Sink
from napari_srgan.models.catalogue import load_model
from napari_srgan.models.file import Model
from napari_srgan.trust.back_projection import PlaneProjection, ProjectionSums, back_project
from napari_srgan.trust.meter import Meter, Sums
from napari_srgan.trust.operators import operator_of
from napari_srgan.trust.shrinking import shrinking

if TYPE_CHECKING:
    from xarray import DataArray

_PATIENCE = 0.1  # s between two words about one tile, when it can be given up

_KEPT_MEMORY = 2**29
"""Bytes of windows that a backend may keep after a run: to take them again costs a small run a
tenth of its time, and a large one nothing that is noticed."""


@dataclass(frozen=True, slots=True)
class Result:
    """A super-resolved image.

    Attributes
    ----------
    data : ndarray
        In memory, or mapped from the file that it was written to; the dtype of the input.
    axes : str
        Letters of T C Z Y X S, those of the input.
    scale, translate : tuple of float
        Per axis without S, in the units of the input.
    metadata : dict
        That of the input, and the provenance under "napari_srgan" (`record.Record`).
    plan : Plan or None
        What it was made by: the input, the options, the warnings, the units.
    """

    data: NDArray[Any]
    axes: str
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    metadata: dict[str, Any]
    plan: Plan | None = field(default=None, repr=False, compare=False)

    def stack(self) -> Stack:
        """Return it as a stack, to be shown or measured."""
        plan, metadata = self.plan, self.metadata
        name, units = ("result", None) if plan is None else (plan.output.name, plan.output.units)
        known = "unknown" if plan is None else plan.stack.spacing_source
        return Stack(self.data, self.axes, name, self.scale, self.translate, units, known, metadata)

    def _repr_html_(self) -> str:
        """Show it in a notebook."""
        from napari_srgan.engine.notebook import html

        return html(self)

    def to_xarray(self) -> DataArray:
        """Return it as an xarray.DataArray with coordinates, units and the provenance.

        Raises
        ------
        InputError
            If xarray is not installed.
        """
        from napari_srgan.io.data_array import to_data_array

        return to_data_array(self.stack())


class Upscaler:
    """A model on a device, ready for any number of plans.

    Parameters
    ----------
    model : Model
    device, precision : str
        See `devices`.
    backend : str
        See `backends`.

    Raises
    ------
    InputError
        If there is no such device, number format or backend, or the backend cannot do that.
    """

    def __init__(
        self, model: Model, device: str = "auto", precision: str = "auto", backend: str = "auto"
    ) -> None:
        self.model = model
        self.device = resolve_device(device)
        self.precision = check_precision(precision)
        self.backend = resolve_backend(backend, self.device, self.precision)

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Return what a plan asks for.

        Raises
        ------
        InputError
            If the model's file is another one than when the plan was made, or as above.
        """
        model = load_model(plan.model_path)
        if model.sha256 != plan.model_sha256:
            raise InputError(
                f"The model {plan.card.name} is not the one that the work was planned with: "
                f"{plan.model_path} has changed since; start again."
            )
        return cls(model, plan.options.device, plan.options.precision, plan.options.backend)

    def run(self, plan: Plan, sink: Sink | None = None) -> Generator[Progress, None, Result]:
        """Carry out a plan.

        Parameters
        ----------
        plan : Plan
            Made for this model.
        sink : Sink, optional
            Where the result goes; memory without.

        Yields
        ------
        Progress
            After every tile. Closing the generator leaves nothing half-made; after an error a file
            keeps what a later run can go on with.

        Returns
        -------
        Result

        Raises
        ------
        InputError
            If the data turn out to be unusable, or no memory is left.
        """
        if plan.model_sha256 != self.model.sha256:
            raise ValueError("the plan was made for another model")
        sink = _resized(MemorySink() if sink is None else sink, plan)
        run = _Run(self, plan)
        try:
            run.settle()
            run.go_on_from(sink.open(plan.output, run.origin))
            yield from run.planes(sink)
            metadata = {**plan.output.metadata, record.KEY: run.record().to_dict()}
            data = sink.commit(metadata)
        except Exception:
            sink.abort(keep=True)
            raise
        except BaseException:
            # GeneratorExit is how the work is cancelled.
            sink.abort()
            raise
        finally:
            run.release()
        output = plan.output
        return Result(data, output.axes, output.scale, output.translate, metadata, plan)

    def origin(self, plan: Plan) -> Origin:
        """Say what the pixels of a plan will follow from."""
        return origin_of(plan, self.device, *self.ready())

    def ready(self) -> tuple[str, str]:
        """Settle backend and number format, neither of them "auto", with the network built.

        Raises
        ------
        InputError
            If OpenVINO was asked for and cannot compute this network.
        """
        from napari_srgan.engine.number_format import auto_precision
        from napari_srgan.engine.window import window_network

        precision = self.precision
        try:
            if precision == "auto":
                precision = auto_precision(self.model, self.device, self.backend)
            window_network(self.model, self.device, precision, self.backend)
        except Exception as error:
            if self.backend != "openvino" or is_out_of_memory(error):
                raise
            raise InputError(
                f"OpenVINO cannot compute the model {self.model.card.name} ({error}); choose the"
                " backend torch."
            ) from error
        return self.backend, precision


def _resized(sink: Sink, plan: Plan) -> Sink:
    """Let a sink take what the model makes, where the result is to be resized."""
    if plan.factor == plan.scale:
        return sink
    height, width = (
        f * (plan.region[a][1] - plan.region[a][0]) for a, f in zip("YX", plan.scale, strict=True)
    )
    return ResizedSink(sink, (height, width), plan.scale, plan.factor)


class _Run:
    """The state of one run: what memory and precision have come to, and what was measured."""

    def __init__(self, upscaler: Upscaler, plan: Plan) -> None:
        self._upscaler, self.plan = upscaler, plan
        self.device = upscaler.device
        self.backend, self.precision = upscaler.backend, upscaler.precision
        self.limit = plan.tile
        self._todo = plan.planes
        self._made_by: Mapping[str, str] = {}
        self.done = 0
        self._computed = 0  # tiles, some of which are still being finished
        self._stopped = False
        self._counted, self._expected = 0.0, 0.0  # multiplications of the window that is computed
        self.notes: list[str] = []
        self._clock = Clock()
        (y0, y1), (x0, x1) = plan.region["Y"], plan.region["X"]
        self._whole = Tile(y0, y1, x0, x1, y0, y1, x0, x1)
        self._meter: Meter | None = None
        self._projected: ProjectionSums | None = None
        try:
            operator = operator_of(plan.card)
        except InputError:  # the plan's warnings say so
            return
        cuts = (y0 > 0, y1 < plan.height, x0 > 0, x1 < plan.width)
        self._shrink = shrinking(operator, y1 - y0, x1 - x0, cuts)
        self._meter = Meter(operator, plan.intensity, self._shrink, (y0, x0))
        if plan.options.back_project:
            self._projected = ProjectionSums(operator, plan.intensity, plan.dtype)

    def settle(self) -> None:
        """Settle backend and number format."""
        self.backend, self.precision = self._upscaler.ready()

    def origin(self) -> Origin:
        """Say what the pixels will follow from."""
        return origin_of(self.plan, self.device, self.backend, self.precision)

    def go_on_from(self, former: Unfinished) -> None:
        """Leave out the planes that are done, and take over what was found on them."""
        planes, done = self.plan.planes, former.planes
        self._todo = tuple(
            i for i in planes if not self._take_over(i, done.get(self.plan.place(i)))
        )
        self.done = self._computed = (len(planes) - len(self._todo)) * len(self.plan.tiles)
        if not self._todo:  # perhaps another machine has done it all
            self._made_by = former.machine

    def _take_over(self, index: tuple[int, ...], found: Found | None) -> bool:
        """Take over what was found on a plane; False if it is not done."""
        if found is None:
            return False
        try:
            sums = None if self._meter is None else Sums.of(found["consistency"])
            left = None if self._projected is None else PlaneProjection.of(found["projection"])
        except (KeyError, ValueError):  # a damaged mark
            return False
        if self._meter is not None and sums is not None:
            self._meter.note(index, sums)
        if self._projected is not None and left is not None:
            self._projected.note(left)
        return True

    def planes(self, sink: Sink) -> Iterator[Progress]:
        """Restore plane by plane into the sink.

        Three things go on at once: the next plane is read, the network computes a tile, and the one
        before it is finished, measured and written, in order. Here they are waited for.
        """
        plan = self.plan
        with (
            _Worker("read") as reader,
            _Worker("finish") as finisher,
            _Worker("compute") as computer,
        ):
            jobs: deque[Future[bool | None]] = deque()
            for plane in self._opened(reader):
                jobs.append(finisher.submit(self._begin, plane))
                for planned in plan.tiles:
                    parts = [planned]
                    while parts:
                        computing = computer.submit(self._next, parts, plane)
                        yield from self._watch(computing)
                        tile, enlarged = computing.result()
                        # A plane that is to be projected is done when that is.
                        projects = plane.kept is not None and planned is plan.tiles[-1]
                        last = not parts and not projects
                        self._computed += last
                        jobs.append(
                            finisher.submit(self._finish, plane, tile, enlarged, sink, last)
                        )
                        # The first is waited for, so that whoever stops the work has to wait for
                        # one tile only.
                        yield from self._settle(jobs, leave=1 if self.done else 0)
                    if self._meter is not None and planned.x1 == self._whole.x1:
                        jobs.append(finisher.submit(self._meter.passed, planned.y1))
                if plane.kept is not None:
                    yield from self._settle(jobs)
                    yield from self._project(plane, sink)
                jobs.append(finisher.submit(self._end, plane, sink))
            yield from self._settle(jobs)

    def _opened(self, reader: _Worker) -> Iterator[_Plane]:
        """Open the planes one after the other, each while the one before it is computed."""
        ahead: Future[_Plane] | None = None
        indices = self._todo
        for number, index in enumerate(indices):
            plane = self._open(index) if ahead is None else ahead.result()
            # A plane that is read window by window is read meanwhile: two reads never go on at
            # once. One that is kept whole for its projection takes the memory of two already.
            alone = not plane.pixels.at_once or plane.kept is not None
            following = () if alone else indices[number + 1 : number + 2]
            ahead = reader.submit(self._open, *following) if following else None
            yield plane

    def _open(self, index: tuple[int, ...]) -> _Plane:
        plan = self.plan
        channel = plan.stack.channel_of(index)
        empty = plan.intensity.lo[channel]
        return _Plane(
            index,
            channel,
            plan.place(index),
            PlanePixels(
                plan.stack,
                index,
                plan.tiles,
                plan.fill_invalid,
                empty,
                plan.options.memory_bytes // 16,
            ),
            None if self._projected is None else _KeptPlane(self._whole, plan),
        )

    def _begin(self, plane: _Plane) -> None:
        if self._meter is not None:
            invalid = plane.pixels.invalid(self._whole)
            self._meter.begin(plane.index, plane.channel, invalid)

    def _end(self, plane: _Plane, sink: Sink) -> None:
        """Let the sink know that a plane is done, and what was measured on it."""
        found: dict[str, Any] = {}
        if self._meter is not None:
            found["consistency"] = astuple(self._meter.end())
        if plane.projection is not None:
            found["projection"] = astuple(plane.projection)
        sink.plane_done(plane.place, found)

    def _finish(
        self, plane: _Plane, tile: Tile, enlarged: EnlargedTile, sink: Sink, last: bool
    ) -> bool:
        """Finish a tile, show it to what measures, and write it; return `last`."""
        plan, (sy, sx) = self.plan, self.plan.scale
        made = finish_tile(tile, enlarged, plane.pixels, plan, plane.channel)
        observers: tuple[TileObserver | None, ...] = (self._meter, plane.kept)
        for observer in observers:
            if observer is not None:
                observer.see(tile, made.low, made.high)
        if plane.kept is None:
            high, invalid = made.high, plane.pixels.invalid(tile)
            if invalid is not None:
                put_back(high, *invalid, plan.scale)
            y, x = (tile.y0 - self._whole.y0) * sy, (tile.x0 - self._whole.x0) * sx
            sink.write(plane.place, y, x, high)
        return last

    def _settle(self, jobs: deque[Future[bool | None]], leave: int = 0) -> Iterator[Progress]:
        """Wait for what is being finished, all but so many jobs, and tell of every tile."""
        while len(jobs) > leave or (jobs and jobs[0].done()):
            try:
                last = jobs.popleft().result()
            except Exception as error:
                if is_out_of_memory(error):
                    raise InputError(
                        "There is not enough memory to put a tile into the result; close other "
                        "programs, or choose a smaller tile."
                    ) from error
                raise
            if last:
                self.done += 1
                self._clock.step()
            if last is not None:
                yield from self._handed_over()

    def _handed_over(self) -> Iterator[Progress]:
        """Tell how far the run is; the caller's time until it goes on is not ours."""
        self._clock.pause()
        note, self.notes = " ".join(self.notes), []
        yield self._progress(self._computed - self.done, note)
        self._clock.go_on()

    def _watch(self, computing: Future[Any]) -> Iterator[Progress]:
        """Tell how far the tile is that is being computed, if that takes long."""
        try:
            while not wait([computing], _PATIENCE).done:
                part = min(self._counted / self._expected, 0.99) if self._expected else 0.0
                if part:
                    yield self._progress(self._computed - self.done + part)
        except GeneratorExit:
            self._stopped = True
            raise

    def _progress(self, part: float, note: str = "") -> Progress:
        total = self.plan.n_tiles
        left = self._clock.left(total - self.done - part, part)
        return Progress(self.done, total, left, note, part=part)

    def record(self) -> record.Record:
        """Make the provenance of the finished result."""
        plan = self.plan
        whole = all(plan.region[a] == (0, plan.stack.sizes[a]) for a in plan.region)
        return record.Record(
            model=plan.card.name,
            weights_sha256=plan.model_sha256,
            input=record.input_label(plan.stack.name, plan.options.anonymise),
            input_axes=plan.stack.axes,
            kind=plan.choice.kind,
            kind_reason=plan.choice.why,
            intensity_mode=plan.intensity.mode,
            intensity_lo=tuple(float(v) for v in plan.intensity.lo),
            intensity_hi=tuple(float(v) for v in plan.intensity.hi),
            transform=plan.intensity.transform,
            precision=self._made_by.get("precision", self.precision),
            device=self._made_by.get("device", str(self.device)),
            backend=self._made_by.get("backend", self.backend),
            tile=0 if plan.halo is None else self.limit,
            scale=plan.scale,
            resized_to=None if plan.factor == plan.scale else plan.factor,
            region=None if whole else plan.region,
            consistency=None if self._meter is None else self._meter.finding(),
            back_projection=None if self._projected is None else self._projected.finding(),
        )

    def _project(self, plane: _Plane, sink: Sink) -> Iterator[Progress]:
        """Project a finished plane and write it, in steps between which work can stop."""
        kept, projected = plane.kept, self._projected
        assert kept is not None and projected is not None
        steps = back_project(kept.low, kept.colours, self._shrink)
        while True:
            try:
                next(steps)
            except StopIteration as finished:
                projection = finished.value
                break
            yield from self._handed_over()
        kept.colours[...] = projection.data
        invalid = plane.pixels.invalid(self._whole)
        mask = None if invalid is None else invalid[1]
        plane.projection = projected.add(projection, plane.channel, self._shrink, mask)
        if invalid is not None:
            put_back(kept.high, *invalid, self.plan.scale)
        sink.write(plane.place, 0, 0, kept.high)
        self.done += 1
        self._computed += 1
        self._clock.step()
        yield from self._handed_over()

    def _next(self, parts: list[Tile], plane: _Plane) -> tuple[Tile, EnlargedTile]:
        """Take the next tile off `parts` and compute it, smaller if memory asks for it."""
        plan = self.plan
        while True:
            tile = parts.pop(0)
            if max(tile.y1 - tile.y0, tile.x1 - tile.x0) > self.limit:
                parts[:0] = split(tile, plan.height, plan.width, plan.halo, self.limit)
                continue
            try:
                made = enlarge_tile(tile, plane.pixels, plan, self._network, plane.channel)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            else:
                if made.overflowed:
                    self.notes.append(
                        f"{self.precision} does not hold the values of a tile; it is in float32."
                    )
                return tile, made
            # Only here is the error gone, and with it the tensors that its traceback held.
            parts.insert(0, tile)
            self._spare_memory(max(tile.y1 - tile.y0, tile.x1 - tile.x0))

    def _spare_memory(self, side: int) -> None:
        """Go on with smaller tiles, then on the CPU, when a tile of this side did not fit."""
        import torch

        if self.plan.halo is None:
            raise InputError(
                f"The model {self.plan.card.name} sees each plane whole, and the memory of "
                f"{self.device} does not suffice for that; save a part of the image as a file of "
                "its own, or take another model or device."
            )
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if side > SMALLEST_TILE:
            self.limit = max(SMALLEST_TILE, -(-side // 2))
            self.notes.append(
                f"Memory of {self.device} ran out; going on with tiles of {self.limit} px."
            )
        elif self.device.type != "cpu":
            self.notes.append(
                f"Memory of {self.device} does not even hold tiles of {side} px; going on with the"
                " CPU, which takes longer."
            )
            self.device, self.limit = torch.device("cpu"), self.plan.tile
            self.precision, self.backend = "float32", "torch"
        else:
            raise InputError(
                f"There is not enough memory even for tiles of {side} px; close other programs"
                " or use a machine with more memory."
            )

    def release(self) -> None:
        """Give back the memory of large windows; the network stays ready for the next run."""
        from napari_srgan.engine.window import release

        if self.plan.memory > _KEPT_MEMORY:
            release(self._upscaler.model)

    def _network(self, unit: NDArray[np.float32]) -> tuple[NDArray[np.float32], bool]:
        """Enlarge a window."""
        from napari_srgan.engine.window import window_network

        model = self._upscaler.model
        network = window_network(model, self.device, self.precision, self.backend)
        self._counted, self._expected = 0.0, network.work_per_pixel * unit.shape[0] * unit.shape[1]
        with counting(self._count):
            return network(unit)

    def _count(self, multiplications: float) -> None:
        if self._stopped:
            raise _StoppedError  # nobody waits for the tile any more
        self._counted += multiplications


class _StoppedError(Exception):
    """The work was given up in the middle of a tile."""


class _Worker(ThreadPoolExecutor):
    """One thread that does its jobs in order; at the end what it has not begun is dropped."""

    def __init__(self, name: str) -> None:
        super().__init__(1, f"napari-srgan-{name}")

    def __exit__(self, *error: Any) -> None:
        self.shutdown(wait=True, cancel_futures=True)


@dataclass(slots=True)
class _Plane:
    """A plane that is being restored: its index in the stack, its place in the output."""

    index: tuple[int, ...]
    channel: int
    place: tuple[int, ...]
    pixels: PlanePixels
    kept: _KeptPlane | None
    projection: PlaneProjection | None = None


class _KeptPlane:
    """A plane kept whole, input and result, for what cannot be done tile by tile."""

    def __init__(self, whole: Tile, plan: Plan) -> None:
        self._whole, self._scale = whole, plan.scale
        height, width = whole.y1 - whole.y0, whole.x1 - whole.x0
        samples = (plan.stack.samples,) if plan.stack.is_rgb else ()
        try:
            self.low = np.empty((height, width, *((3,) if samples else ())), plan.dtype)
            sides = plan.scale[0] * height, plan.scale[1] * width
            self.high: NDArray[Any] = np.empty((*sides, *samples), plan.dtype)
        except MemoryError:
            raise InputError(
                "Back-projection holds a plane of the result whole, and there is not enough "
                "memory for that; restore a smaller region."
            ) from None

    @property
    def colours(self) -> NDArray[Any]:
        """The result without alpha, a view."""
        return self.high[..., :3] if self.high.ndim == 3 else self.high

    def see(self, tile: Tile, low: NDArray[Any], high: NDArray[Any]) -> None:
        """Keep the interior of a tile."""
        y, x = tile.y0 - self._whole.y0, tile.x0 - self._whole.x0
        low = low[..., :3] if low.ndim == 3 else low
        self.low[y : y + low.shape[0], x : x + low.shape[1]] = low
        y, x = self._scale[0] * y, self._scale[1] * x
        self.high[y : y + high.shape[0], x : x + high.shape[1]] = high
