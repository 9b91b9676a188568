"""An order: one layer, what is to be done with it, and where the result goes.

From the panel's choices to what the task takes, without a window. What can be checked before the
button is pressed is checked by the engine's own preflight. How long the work takes follows from the
pixels that the network will see, and from the speed that was measured here.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil

from napari_srgan._gui.layers import View
from napari_srgan._gui.sentences import outcome_text, plane_text, size_text, view_note
from napari_srgan._gui.super_resolve.region_picker import preview_area, region_for
from napari_srgan.engine.plan import Preflight, choice_for, footprint, preflight
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import scale_text
from napari_srgan.image.stack import Stack
from napari_srgan.io.journal import Place, planes_done
from napari_srgan.io.open import spare_inputs
from napari_srgan.io.sinks import check_output, check_room
from napari_srgan.io.sinks.growth import Growth
from napari_srgan.io.sinks.ready import ReadyPlane
from napari_srgan.options import FileOptions, RestoreOptions
from napari_srgan.tasks.restore import Restored, restore
from napari_srgan.tasks.steps import Work, stage

if TYPE_CHECKING:
    from napari.layers import Image

PREVIEW_SECONDS = 2.0
UNTIMED_PREVIEW = 128
"""Side of a preview while the speed of a model is not known, LR px."""

THERE = "is already there; choose another name, or tick Replace under Advanced > File."

SpeedKey = tuple[str, str, str, str]
"""What a speed depends on: model, device, and backend and precision as asked for."""


@dataclass(frozen=True)
class Order:
    """What is asked for.

    Attributes
    ----------
    layer : Image
        The input; looked at again when the result is placed.
    view : View
        What the canvas showed.
    ahead : Preflight
        Its pixels, the options, the model and what will come out.
    path : Path or None
        File to write, None for memory.
    moved : bool
        Whether it goes to a file only because it would not fit in memory.
    overwrite : bool
        Whether a file that is there may be replaced.
    preview : bool
        Whether it is a preview.
    ready : mapping of index to ReadyPlane
        Planes that Live has made.
    done : int or None
        Slices that a run which was stopped has made of the file; None if there is none to go on
        with.
    growth : Growth
        What there is of the file while it is made.
    """

    layer: Image
    view: View
    ahead: Preflight
    path: Path | None = None
    moved: bool = False
    overwrite: bool = False
    preview: bool = False
    ready: Mapping[Place, ReadyPlane] = field(default_factory=dict)
    done: int | None = None
    growth: Growth = field(default_factory=Growth)

    @property
    def model(self) -> str:
        """Name of the model."""
        return self.ahead.model.card.name

    def text(self, speeds: Speeds, devices: Sequence[str]) -> str:
        """Say what will come out, where, and which plane it is made from.

        Parameters
        ----------
        speeds : Speeds
        devices : sequence of str
            Those that are there; empty before torch is loaded, when no time can be told.
        """
        ahead, output = self.ahead, self.ahead.output
        device = device_name(ahead.options.device, devices)
        parts = [
            outcome_text(
                output.axes,
                output.shape,
                output.dtype.name,
                self.seconds(speeds, devices),
                "the CPU" if device == "cpu" else device,
            )
        ]
        sizes = ahead.stack.sizes
        note = view_note(self.view, sizes)
        fixed = {a: i for a, i in self.view.index.items() if self._fixed(a)}
        if fixed and note:
            parts.append(note)
        elif fixed:
            parts.append(f"Made from {plane_text(fixed, sizes)}.")
        if self.path is not None:
            why = ", because it would not fit in memory" if self.moved else ""
            parts.append(f"It is written to {self.path}{why}.")
        if self.done is not None:
            parts.append(
                f"A run that was stopped has made {self.done} of its {output.n_planes} slices; it "
                "is gone on with. Replace, under Advanced > File, starts anew."
            )
        return " ".join(parts)

    def seconds(self, speeds: Speeds, devices: Sequence[str]) -> float | None:
        """Say how long it takes; None if that is not known."""
        speed = speeds.of(self.speed_key(devices)) if devices else None
        device = device_name(self.ahead.options.device, devices)
        return None if speed is None else _pixels(self.ahead, device) / speed

    def speed_key(self, devices: Sequence[str]) -> SpeedKey:
        """Say what its speed is found under."""
        return speed_key(self.model, self.ahead.options, devices)

    def _fixed(self, axis: str) -> bool:
        start, stop = self.ahead.region[axis]
        return stop - start == 1 < self.ahead.stack.sizes[axis]


def orders_text(orders: Sequence[Order], speeds: Speeds, devices: Sequence[str]) -> str:
    """Say what will come out of all orders; of several the first stands for the others."""
    text = orders[0].text(speeds, devices)
    if len(orders) == 1:
        return text
    return f"{len(orders)} selected layers. {orders[0].layer.name}: {text}"


def _pixels(ahead: Preflight, device: str) -> int:
    from napari_srgan.engine.devices import resolve_device

    return ahead.pixels(resolve_device(device))


def device_name(wanted: str, devices: Sequence[str]) -> str:
    """Name the device that is meant."""
    if wanted != "auto":
        return wanted
    return next((d for d in devices if d != "cpu"), "cpu")


def full_order(
    layer: Image,
    stack: Stack,
    view: View,
    options: RestoreOptions,
    place: str = "auto",
    path: Path | None = None,
    overwrite: bool = False,
    among: int = 1,
) -> Order:
    """Order the chosen part of a layer, whose pixels are `stack`, one of `among` ordered together.

    Raises
    ------
    InputError
        If the layer cannot be restored, the region does not fit it, or the file cannot be written.
    """
    ahead = preflight(stack, options)
    if path is not None and place == "file" and among > 1:
        raise InputError(
            f"{among} layers are selected and would all be written to {path.name}; leave the file "
            "under Advanced empty, or select one layer."
        )
    nbytes = among * ahead.output.nbytes
    available = int(psutil.virtual_memory().available)
    where = place_for(nbytes, available, place)
    file = done = None
    if where == "file":
        file = path or free_path(layer, ahead)
        spare_inputs([file], [Path(layer.source.path)] if layer.source.path else [])
        check_output(file, overwrite, THERE)
        done = None if overwrite else planes_done(file)
        check_room(file, nbytes - (done or 0) * ahead.output.plane_bytes)
    moved = where == "file" and place == "auto"
    if place == "memory" and nbytes > available:
        raise InputError(
            f"The result takes {size_text(nbytes)} and only {size_text(available)} of memory are "
            "free; set Advanced > Output to automatic or to a file."
        )
    return Order(layer, view, ahead, file, moved, overwrite, done=done)


def preview_orders(
    layer: Image,
    stack: Stack,
    view: View,
    names: Sequence[str],
    settings: Mapping[str, Any],
    speeds: Speeds,
    devices: Sequence[str],
) -> tuple[Order, ...]:
    """Order what the canvas shows, for each model; only its middle if it is too large to be quick.

    Parameters
    ----------
    layer : Image
    stack : Stack
        Its pixels.
    view : View
    names : sequence of str
        Of the models.
    settings : mapping
        Fields of `RestoreOptions`, without model and region.
    speeds : Speeds
    devices : sequence of str
        Those that are there; empty before torch is loaded.

    Raises
    ------
    InputError
        If the layer cannot be restored or a model does not fit it.
    """
    wanted = [RestoreOptions(**settings, model=name) for name in names]
    models = [choice_for(stack, options).model for options in wanted]
    known = [speeds.of(speed_key(m.card.name, wanted[0], devices)) for m in models]
    slowest = None if None in known else min(known)
    # What a halo is, is known as soon as torch is there; without one, the area costs nothing more.
    halo = max(footprint(m).halo or 0 for m in models) if devices else 0
    area = preview_area(view, preview_pixels(slowest, len(models), halo))
    region = region_for(stack.sizes, view, "view", area=area)
    return tuple(
        Order(
            layer,
            view,
            preflight(stack, replace(options, region=region)),
            preview=True,
        )
        for options in wanted
    )


def free_path(layer: Image, ahead: Preflight) -> Path:
    """A file name that is free, beside the layer's own file, else in the user's folder."""
    source = Path(layer.source.path) if layer.source.path else None
    folder = source.parent if source else Path.home()
    if not os.access(folder, os.W_OK):
        folder = Path(tempfile.gettempdir())
    # Not after the file: layers of one file, its channels, are restored together.
    stem = "".join(c if c.isalnum() or c in "-_ " else "_" for c in layer.name) or "image"
    name = f"{stem}_{ahead.model.card.name}_{scale_text(ahead.factor)}"
    path, n = folder / f"{name}.tif", 2
    while path.exists():
        path, n = folder / f"{name}_{n}.tif", n + 1
    return path


def place_for(
    nbytes: int, available: int, wanted: Literal["auto", "memory", "file"]
) -> Literal["memory", "file"]:
    """Say where a result goes: by itself to a file when it would take over half of what is free."""
    if wanted != "auto":
        return wanted
    return "file" if nbytes > available / 2 else "memory"


def restore_all(orders: Sequence[Order]) -> Work[tuple[Restored, ...]]:
    """Restore what is ordered, one after the other; for a thread.

    Yields
    ------
    Progress
        After every tile. Closing the generator leaves no half-made layer and no partial file but
        one that was gone on with.

    Raises
    ------
    InputError
        If an order cannot be carried out.
    """
    made = []
    for number, order in enumerate(orders, 1):
        head = f"{number} of {len(orders)}" if len(orders) > 1 else ""
        ahead = order.ahead
        work = restore(
            ahead.stack,
            ahead.options,
            order.path,
            overwrite=order.overwrite,
            files=FileOptions(resume=order.done is not None),
            ready=order.ready,
            growth=order.growth,
        )
        made.append((yield from stage(head, work)))
    return tuple(made)


# --- how long it takes -------------------------------------------------------------------------


def speed_key(model: str, options: RestoreOptions, devices: Sequence[str]) -> SpeedKey:
    """Say what the speed of a model is found under."""
    return model, device_name(options.device, devices), options.backend, options.precision


class Speeds:
    """Low-resolution pixels a second, as measured in this session: by one tile, then by runs."""

    def __init__(self) -> None:
        self._measured: dict[SpeedKey, float] = {}

    def note(self, key: SpeedKey, speed: float) -> None:
        """Remember a speed."""
        self._measured[key] = speed

    def note_all(self, restored: Iterable[Restored]) -> None:
        """Remember every run; a very short one says little and is left out."""
        for made in restored:
            options, pixels = made.plan.options, made.plan.pixels
            if made.seconds > 0.05 and pixels > 0:
                key = made.record.model, made.record.device, options.backend, options.precision
                self.note(key, pixels / made.seconds)

    def of(self, key: SpeedKey) -> float | None:
        """Pixels a second; None if nothing has measured it."""
        return self._measured.get(key)


def preview_pixels(
    speed: float | None, models: int, halo: int = 0, seconds: float = PREVIEW_SECONDS
) -> int:
    """Pixels that a preview may cover, so that all its models are done within a second or two.

    Parameters
    ----------
    speed : float or None
        Of the slowest model, pixels a second; None if it is not known.
    models : int
        How many.
    halo : int
        What the network reads beyond the area, on each side; it takes its share of the time.
    seconds : float
    """
    if speed is None:
        return UNTIMED_PREVIEW**2
    side = math.sqrt(max(speed, 1.0) * seconds / max(models, 1)) - 2 * halo
    return max(int(side), 64) ** 2
