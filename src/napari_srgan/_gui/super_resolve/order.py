"""An order: one layer, one region, one model, one place; what it will make, in one sentence.

What belongs here: from the panel's choices to requests for the worker, without a window. The
checks here are the cheap ones, so that most mistakes are named before the button is pressed;
the engine's own plan checks everything again.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from napari_srgan._gui.layers import View, layer_stack
from napari_srgan._gui.sentences import outcome_text, plane_text, size_text, view_note
from napari_srgan._gui.super_resolve.choice import preview_area, region_for
from napari_srgan._gui.super_resolve.estimate import Speeds, place_for, preview_pixels, read_pixels
from napari_srgan._gui.worker import Request
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale, scale_text
from napari_srgan.image.stack import check_region
from napari_srgan.models.catalogue import model_for

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_srgan.image.stack import Stack
    from napari_srgan.models.catalogue import ModelInfo


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
    def scale(self) -> Scale:
        """Enlargement of Y and X."""
        return self.model.card.scale

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the result, in the order of the layer's axes."""
        return result_shape(self.stack, self.region, self.scale)

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
    stack: Stack, region: Mapping[str, tuple[int, int]], scale: Scale
) -> tuple[int, ...]:
    """Shape of the result of a region, in the order of the stack's axes."""
    lengths = {a: stop - start for a, (start, stop) in region.items()}
    for axis, growth in zip("YX", scale, strict=True):
        lengths[axis] *= growth
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


def requests_for(orders: Sequence[Order]) -> list[Request]:
    """Turn orders into what the worker takes."""
    # Late: the engine is not needed to open the panel, which has to be quick.
    from napari_srgan.engine.upscaler import Job
    from napari_srgan.io.sinks import FileSink, MemorySink

    def sink(order: Order) -> Any:
        return MemorySink() if order.path is None else FileSink(order.path)

    return [
        Request(
            order.stack,
            Job(model=order.model.path, region=order.region, **order.job),
            lambda order=order: sink(order),
        )
        for order in orders
    ]


def free_path(layer: Image, model: str, scale: Scale) -> Path:
    """A file name that is free, beside the layer's own file, else in the user's folder."""
    source = Path(layer.source.path) if layer.source.path else None
    folder = source.parent if source else Path.home()
    if not os.access(folder, os.W_OK):
        folder = Path(tempfile.gettempdir())
    stem = (source.name.split(".")[0] if source else layer.name) or "image"
    stem = "".join(c if c.isalnum() or c in "-_ " else "_" for c in stem)
    path, n = folder / f"{stem}_{model}_{scale_text(scale)}.tif", 2
    while path.exists():
        path, n = folder / f"{stem}_{model}_{scale_text(scale)}_{n}.tif", n + 1
    return path
