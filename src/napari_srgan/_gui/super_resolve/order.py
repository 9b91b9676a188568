"""An order: one layer, one region, one model, one place; what it will make, and its restoration.

From the panel's choices to what the engine takes, without a window. The checks here are the cheap
ones, so that most mistakes are named before the button is pressed; the engine's own plan checks
everything again. How long the work will take is rough arithmetic from pixels to seconds, corrected
by what was measured.
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil

from napari_srgan._gui.layers import View, layer_stack
from napari_srgan._gui.runner import Step
from napari_srgan._gui.sentences import outcome_text, plane_text, size_text, view_note
from napari_srgan._gui.super_resolve.region_picker import preview_area, region_for
from napari_srgan.errors import InputError
from napari_srgan.image.stack import check_region
from napari_srgan.models.catalogue import model_for

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_srgan.engine.upscaler import Plan, Result
    from napari_srgan.image.stack import Stack
    from napari_srgan.models.catalogue import ModelInfo

_HALO = 40
"""Low-resolution pixels that a tile reads beyond its interior (16-block network)."""
_CPU_PER_CORE = 13e3
_GPU = 2e6
"""Guesses, in low-resolution pixels a second, until the first run has measured it."""
PREVIEW_SECONDS = 1.5


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes
    ----------
    layer : Image
        The input; looked at again when the result is placed.
    stack : Stack
        Its pixels.
    region : dict
        Half-open ranges of every axis.
    view : View
        What the canvas showed.
    model : ModelInfo
        Which model.
    job : dict
        The settings under "Advanced", as `upscaler.Job` names them.
    path : Path or None
        File to write, None for memory.
    moved : bool
        Whether it goes to a file only because it would not fit in memory.
    preview : bool
        Whether it is a preview.
    """

    layer: Image
    stack: Stack
    region: dict[str, tuple[int, int]]
    view: View
    model: ModelInfo
    job: Mapping[str, Any]
    path: Path | None = None
    moved: bool = False
    preview: bool = False

    @property
    def factor(self) -> int:
        """Enlargement of Y and X."""
        return self.model.card.scale

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result, in the order of the layer's axes."""
        return result_shape(self.stack, self.region, self.factor)

    @property
    def planes(self) -> int:
        """Number of planes to restore."""
        n = 1
        for axis in self.stack.plane_axes:
            n *= self.region[axis][1] - self.region[axis][0]
        return n

    @property
    def pixels(self) -> float:
        """Low-resolution pixels that the network will see."""
        (y0, y1), (x0, x1) = self.region["Y"], self.region["X"]
        height, width = y1 - y0, x1 - x0
        room = (self.stack.height - height, self.stack.width - width)
        return read_pixels(height, width, self.planes, *room)

    def text(self, speeds: Speeds, devices: Sequence[str]) -> str:
        """Say what will come out, where, and which plane it is made from."""
        device = device_name(str(self.job["device"]), devices)
        name = self.model.card.name
        seconds = self.pixels / speeds.of(name, device)
        shown = "the CPU" if device == "cpu" else device
        parts = [
            outcome_text(
                self.stack.axes,
                self.shape,
                self.stack.dtype.name,
                seconds,
                shown,
                measured=speeds.measured(name, device),
            )
        ]
        sizes = self.stack.sizes
        note = view_note(self.view, sizes)
        fixed = {a: i for a, i in self.view.index.items() if self._fixed(a)}
        if fixed and note:
            parts.append(note)
        elif fixed:
            parts.append(f"Made from {plane_text(fixed, sizes)}.")
        if self.path is not None:
            why = ", because it would not fit in memory" if self.moved else ""
            parts.append(f"It is written to {self.path}{why}.")
        return " ".join(parts)

    def _fixed(self, axis: str) -> bool:
        start, stop = self.region[axis]
        return stop - start == 1 < self.stack.sizes[axis]


def result_shape(
    stack: Stack, region: Mapping[str, tuple[int, int]], factor: int
) -> tuple[int, ...]:
    """Shape of the result of a region, in the order of the stack's axes."""
    lengths = {a: stop - start for a, (start, stop) in region.items()}
    for axis in "YX":
        lengths[axis] *= factor
    return tuple(lengths.get(a, stack.samples) for a in stack.axes)


def device_name(wanted: str, devices: Sequence[str]) -> str:
    """The device that `auto` will be, as far as is known before torch is loaded."""
    if wanted != "auto":
        return wanted
    return next((d for d in devices if d != "cpu"), "cpu")


def full_order(
    layer: Image,
    view: View,
    region: Mapping[str, tuple[int, int]],
    model: ModelInfo,
    job: Mapping[str, Any],
    place: str = "auto",
    path: Path | None = None,
) -> Order:
    """Order the chosen part of a layer.

    Raises
    ------
    InputError
        If the layer cannot be restored or the region does not fit it.
    """
    stack = layer_stack(layer)
    whole = check_region(stack, region)
    _check_back_projection(model, job)
    nbytes = stack.dtype.itemsize
    for n in result_shape(stack, whole, model.card.scale):
        nbytes *= n
    available = int(psutil.virtual_memory().available)
    where = place_for(nbytes, available, place)
    file = None
    if where == "file":
        file = path or free_path(layer, model.card.name, model.card.scale)
    moved = where == "file" and place == "auto"
    if place == "memory" and nbytes > available:
        raise InputError(
            f"The result takes {size_text(nbytes)} and only {size_text(available)} of memory are "
            "free; set Advanced > Output to automatic or to a file."
        )
    return Order(layer, stack, whole, view, model, job, file, moved)


def preview_orders(
    layer: Image,
    view: View,
    names: Sequence[str],
    job: Mapping[str, Any],
    speeds: Speeds,
    devices: Sequence[str],
) -> tuple[Order, ...]:
    """Order what the canvas shows, for each model; only its middle if it is too large to be quick.

    Raises
    ------
    InputError
        If the layer cannot be restored or a model does not fit it.
    """
    stack = layer_stack(layer)
    models = [model_for(name, layer.rgb) for name in names]
    device = device_name(str(job["device"]), devices)
    slowest = min(speeds.of(m.card.name, device) for m in models)
    area = preview_area(view, preview_pixels(slowest, len(models)))
    region = check_region(stack, region_for(stack.sizes, view, "view", area=area))
    return tuple(Order(layer, stack, region, view, m, job, preview=True) for m in models)


def _check_back_projection(model: ModelInfo, job: Mapping[str, Any]) -> None:
    if job.get("back_project"):
        from napari_srgan.trust.back_projection import check_back_projection

        check_back_projection(model.card, str(job["transform"]))


def free_path(layer: Image, model: str, factor: int) -> Path:
    """A file name that is free, beside the layer's own file, else in the user's folder."""
    source = Path(layer.source.path) if layer.source.path else None
    folder = source.parent if source else Path.home()
    if not os.access(folder, os.W_OK):
        folder = Path(tempfile.gettempdir())
    stem = (source.name.split(".")[0] if source else layer.name) or "image"
    stem = "".join(c if c.isalnum() or c in "-_ " else "_" for c in stem)
    path, n = folder / f"{stem}_{model}_{factor}x.tif", 2
    while path.exists():
        path, n = folder / f"{stem}_{model}_{factor}x_{n}.tif", n + 1
    return path


# --- how long it takes -------------------------------------------------------------------------


class Speeds:
    """Low-resolution pixels a second, per model and device, as measured in this session."""

    def __init__(self) -> None:
        self._measured: dict[tuple[str, str], float] = {}

    def note(self, model: str, device: str, pixels: float, seconds: float) -> None:
        """Remember a run; a very short one says little and is left out."""
        if seconds > 0.05 and pixels > 0:
            self._measured[model, device] = pixels / seconds

    def note_all(self, orders: Iterable[Order], restored: Iterable[Restored]) -> None:
        """Remember every run."""
        for order, made in zip(orders, restored, strict=True):
            device = str(made.result.metadata["napari_srgan"]["device"])
            self.note(order.model.card.name, device, order.pixels, made.seconds)

    def measured(self, model: str, device: str) -> bool:
        """Whether the speed is known from a run."""
        return (model, device) in self._measured

    def of(self, model: str, device: str) -> float:
        """Pixels a second, measured or guessed."""
        if (model, device) in self._measured:
            return self._measured[model, device]
        return _CPU_PER_CORE * (os.cpu_count() or 2) if device == "cpu" else _GPU


def read_pixels(height: int, width: int, planes: int, room_y: int = 0, room_x: int = 0) -> float:
    """Pixels that the network sees for an area, its halo included.

    Parameters
    ----------
    height, width, planes : int
        Size of the area and number of planes.
    room_y, room_x : int
        Pixels of the frame that lie outside of the area along Y and X; a halo reaches no further.
    """
    grown = (height + min(room_y, 2 * _HALO)) * (width + min(room_x, 2 * _HALO))
    return float(planes * grown)


def preview_pixels(speed: float, models: int) -> int:
    """Pixels that a preview may cover, so that all its models are done within a second or two."""
    side = math.sqrt(max(speed, 1.0) * PREVIEW_SECONDS / max(models, 1)) - 2 * _HALO
    return max(int(side), 64) ** 2


def place_for(
    nbytes: int, available: int, wanted: Literal["auto", "memory", "file"]
) -> Literal["memory", "file"]:
    """Say where a result goes: by itself to a file when it would take over half of what is free."""
    if wanted != "auto":
        return wanted
    return "file" if nbytes > available / 2 else "memory"


# --- the work ----------------------------------------------------------------------------------


class Engines:
    """Keeps the last upscaler, because building one (weights, folding, device) takes a second."""

    def __init__(self) -> None:
        self._key: tuple[Any, ...] | None = None
        self._engine: Any = None

    def get(self, model: Any, device: str, precision: str) -> Any:
        """Return an upscaler for this model, device and precision."""
        from napari_srgan.engine.upscaler import Upscaler

        key = (model.sha256, device, precision)
        if key != self._key:
            self._engine = None  # free its memory before the next one takes its own
            self._engine = Upscaler(model, device, precision)
            self._key = key
        return self._engine


@dataclass(frozen=True)
class Restored:
    """What has come of one order.

    Attributes
    ----------
    plan : Plan
        With its warnings.
    result : Result
    seconds : float
        That the network took.
    """

    plan: Plan
    result: Result
    seconds: float


def restore(
    orders: Sequence[Order], engines: Engines
) -> Generator[Step, None, tuple[Restored, ...]]:
    """Restore what is ordered, one after the other; for a thread.

    Yields
    ------
    Step
        After every tile. Closing the generator leaves no half-made layer and no partial file.

    Raises
    ------
    InputError
        If an order cannot be carried out.
    """
    # Late: the engine is not needed to open the panel, which has to be quick.
    from napari_srgan.engine.upscaler import Job, plan
    from napari_srgan.io.sinks import FileSink, MemorySink

    made = []
    for part, order in enumerate(orders):
        yield Step(note="Loading the model, measuring the image", part=part, parts=len(orders))
        planned = plan(order.stack, Job(model=order.model.path, region=order.region, **order.job))
        engine = engines.get(planned.model, order.job["device"], order.job["precision"])
        started = time.perf_counter()
        sink = MemorySink() if order.path is None else FileSink(order.path)
        result = yield from tiles(engine.run(planned, sink), part, len(orders))
        made.append(Restored(planned, result, time.perf_counter() - started))
    return tuple(made)


def tiles(
    run: Generator[Any, None, Result], part: int = 0, parts: int = 1
) -> Generator[Step, None, Result]:
    """Tell of a run of the engine as steps, and return its result."""
    with closing(run):
        while True:
            try:
                at = next(run)
            except StopIteration as end:
                return end.value
            yield Step(at.done, at.total, at.eta, at.note, part, parts)
