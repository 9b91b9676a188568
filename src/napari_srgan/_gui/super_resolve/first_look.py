"""The first look at a long run: what the canvas shows is restored first, and seen meanwhile.

As much of it as is done within a second, from its middle, by the fast model that stands in for the
chosen one, if there is one; its name says so. It goes when the result comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_srgan._gui.layers import result_name
from napari_srgan._gui.parts.grid import view_kept
from napari_srgan._gui.super_resolve.order import (
    Order,
    Speeds,
    preview_pixels,
    restore_all,
    speed_key,
)
from napari_srgan._gui.super_resolve.part_layer import PartLayer
from napari_srgan._gui.super_resolve.region_picker import preview_area, region_for
from napari_srgan.engine.plan import footprint, preflight
from napari_srgan.models.catalogue import quick_model
from napari_srgan.tasks.restore import Restored, restore
from napari_srgan.tasks.steps import Work, stage

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

SECONDS = 1.0
LONG = 4.0
"""A run that takes less seconds needs no first look: the result is there soon."""
_QUICKER = 4
"""What a stand-in is quicker at least while it was not timed; it has a ninth of the arithmetic."""
_NAME = "first look"


class FirstLook:
    """The layer of what is in view, while a run goes on.

    Parameters
    ----------
    viewer : napari.Viewer
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        self._order: Order | None = None
        self._part = PartLayer(viewer)

    @property
    def layer(self) -> Image | None:
        """What is seen, while it is."""
        return self._part.layer

    def begin(
        self, orders: Sequence[Order], speeds: Speeds, devices: Sequence[str]
    ) -> Callable[[], Work[tuple[Restored, ...]]]:
        """Give the work of these orders, with a first look at the last one if that pays."""
        self.end()
        self._order = first_order(orders[-1], speeds, devices)
        return partial(looked_at_first, self._order, orders)

    def take(self, step: Any) -> None:
        """Show the part, if a step of the work is that."""
        order = self._order
        if (
            not isinstance(step, Restored)
            or order is None
            or order.layer not in self._viewer.layers
        ):
            return
        result, plan = step.result, step.plan
        name = result_name(step.record.input, f"{_NAME} {step.record.model}", plan.scale)
        with view_kept(self._viewer, order.layer):
            self._part.show(
                name,
                order.layer,
                result.data,
                result.axes,
                plan.region,
                plan.scale,
                name,
                {},
                framed=True,
            )

    def end(self) -> None:
        """Leave nothing of it."""
        self._order = None
        self._part.remove()


def first_order(order: Order, speeds: Speeds, devices: Sequence[str]) -> Order | None:
    """Order what the canvas shows of a long order, if it shows what is restored."""
    ahead, view, seconds = order.ahead, order.view, order.seconds(speeds, devices)
    if order.preview or not view.plain or view.outside or seconds is None or seconds < LONG:
        return None
    model, speed = quick_model(ahead.model), speeds.of(order.speed_key(devices))
    if model.path != ahead.model.path:
        own = speeds.of(speed_key(model.card.name, ahead.options, devices))
        speed = own or _QUICKER * speed
    halo = footprint(model).halo
    if halo is None:
        return None  # it looks at the whole image
    area = preview_area(view, preview_pixels(speed, 1, halo, SECONDS))
    region = region_for(ahead.stack.sizes, view, "view", area=area)
    if any(lo < ahead.region[a][0] or hi > ahead.region[a][1] for a, (lo, hi) in region.items()):
        return None
    options = replace(ahead.options.unresized(), region=region, model=model.path)
    part = preflight(ahead.stack, replace(options, back_project=False))
    return Order(order.layer, view, part, preview=True)


def looked_at_first(first: Order | None, orders: Sequence[Order]) -> Work[tuple[Restored, ...]]:
    """Restore what is in view, tell of it, and go on with the rest; for a thread."""
    if first is not None:
        work = restore(first.ahead.stack, first.ahead.options)
        yield (yield from stage("What is in view", work))
    return (yield from restore_all(orders))
