"""Live: what the canvas shows is restored as one pans, zooms and moves through the slices.

A layer of its own holds what is restored of the slice in view; around it, and while nothing is,
the input is seen. First comes the middle of the view, within a moment, then the whole slice, then
the slices that one is likely to move to. Slices that are done are kept, within a bound: one that is
moved to again is there at once, and none is computed again when the whole stack is restored.

One part is on its way at a time: that which is wanted most. When Live ends, nothing of it is left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QWidget

from napari_srgan._gui.layers import (
    View,
    finest_data,
    result_name,
    slice_axis,
    view_of,
)
from napari_srgan._gui.parts.grid import turn_grid
from napari_srgan._gui.parts.widgets import Connections, Message, Part, button, column, timer
from napari_srgan._gui.runner import End, LastQuestion
from napari_srgan._gui.super_resolve.part_layer import PLACED, PartLayer
from napari_srgan._gui.super_resolve.region_picker import Range, preview_area
from napari_srgan.errors import InputError
from napari_srgan.io.sinks.ready import ReadyPlane
from napari_srgan.tasks.look import KeptLooks, Look, look

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.engine.plan import Preflight

KEPT = 2**29
"""Bytes of slices that are kept, or a quarter of the memory that is free, if that is less."""

_BURST = 30  # ms; a drag of the mouse brings an event every few
_FIRST_SECONDS, _MORE_SECONDS = 0.15, 1.0
_FIRST_SIDE = 64  # LR px, of the first part while the speed is not known
_SOON = 2.0  # s; a slice that takes longer comes after all of the view
_AHEAD, _BEHIND = 6, 2  # slices that are made before one moves to them ...
_PATIENCE = 15.0  # s; ... if one takes no longer than that
_FIRST, _MORE, _WHOLE = 1, 2, 3
_NAME = "live"

Asked = tuple["Image", "Preflight"]
Index = tuple[int, ...]


@dataclass(frozen=True)
class _Wanted:
    """A part of a slice, or a whole one where there is no area; the stage tells them apart."""

    index: Index
    stage: int = _WHOLE
    area: tuple[Range, Range] | None = field(default=None, compare=False)


@dataclass(frozen=True)
class _Seen:
    """What is followed: of which image, restored how, and what of it is in view."""

    how: Hashable
    view: View
    index: Index


class Live(Part):
    """The button Live, and what is said and offered while it is on.

    Parameters
    ----------
    viewer : napari.Viewer
    asked : callable
        Gives the layer and what was asked for of it; raises InputError where that is not possible.

    Signals
    -------
    whole_wanted()
        When the whole stack is to be restored as Live does.
    """

    whole_wanted = Signal()

    def __init__(self, viewer: napari.Viewer, asked: Callable[[], Asked]) -> None:
        super().__init__()
        self._viewer, self._asked_for = viewer, asked
        self._shown = PartLayer(viewer)
        self._input: Image | None = None
        self._ahead: Preflight | None = None
        self._seen: _Seen | None = None
        self._doing: _Wanted | None = None
        self._stage = 0  # that what is in view has reached
        self._failed: set[tuple[Hashable, Index]] = set()
        self._heading: tuple[str, int] = ("", 1)  # axis of the last move, and its direction
        self._grid = False
        self._speed: dict[str, float] = {}
        self.kept = KeptLooks(KEPT)
        self._connections = Connections()
        self._soon = timer(self, _BURST, self.follow)
        self._question = LastQuestion(self)
        self._question.found.connect(self._on_found)
        self._question.idle.connect(self._go_on)
        self.button = QPushButton("Live")
        self.button.setCheckable(True)
        self.button.setToolTip(
            "Restore what the canvas shows while you pan, zoom and move through the slices"
        )
        self.button.toggled.connect(self._on_toggled)
        column(self, self.button)
        self.bar = QWidget()
        self.state = Message()
        self.whole = button("Restore whole stack", "")
        self.whole.clicked.connect(self.whole_wanted)
        column(self.bar, self.state, self.whole)
        self.bar.setVisible(False)

    @property
    def on(self) -> bool:
        """Whether the view is followed."""
        return self.button.isChecked()

    @property
    def layer(self) -> Image | None:
        """The layer with what is restored, once there is something."""
        return self._shown.layer

    @property
    def busy(self) -> bool:
        """Whether something is on its way."""
        return self._soon.isActive() or self._question.busy

    def ready(self, layer: Image) -> dict[Index, ReadyPlane]:
        """The slices of a layer that are done, by their position."""
        seen = self._seen
        if seen is None or layer is not self._input:
            return {}
        looks = {i: self.kept.get((how, i)) for how, i in self.kept.held() if how == seen.how}
        return {i: found.plane for i, found in looks.items() if found and found.plane}

    def stop(self) -> None:
        """End it, and leave nothing of it."""
        self.button.setChecked(False)

    def follow_soon(self, event: Any = None) -> None:
        """Follow the view after a burst of events; harmless while Live is off."""
        if self.on:
            self._soon.start()

    def follow(self) -> None:
        """Show what there is of what the canvas shows now, and restore what there is not."""
        try:
            layer, ahead = self._asked_for()
            view = view_of(layer, self._viewer.dims)
        except InputError as error:
            self.say(str(error), error=True)
            self.stop()
            return
        if layer is not self._input:
            self._take_up(layer)
        how, former = _how(layer, ahead), self._seen
        if self._ahead is None or former is None or former.how != how:
            # Else it stays the same: what is measured of a stack is remembered with it.
            self._ahead = ahead
        if view.outside or not view.plain:
            self._pause(
                f"Live waits: the slider is beyond {layer.name}."
                if view.plain
                else "Live waits: the canvas shows no Y x X planes; leave the 3D view."
            )
            return
        seen = _Seen(how, view, _index(ahead, view))
        # napari tells of its sliders also when the extent of the layers changes, as by a new part.
        if seen == former:
            return
        self._seen, self._stage = seen, 0
        if former is not None:
            self._note_heading(former.view, view)
            if former.how != how:  # what another model made is not what was asked for
                self._shown.hide()
        if (kept := self.kept.get((how, seen.index))) is not None:
            self._show(_Wanted(seen.index), kept)
        self._go_on()
        self._tell()

    # --- what is restored -------------------------------------------------------------------

    def _go_on(self) -> None:
        """Restore what is wanted most, if that is not on its way."""
        seen = self._seen
        if seen is None or not self.on:
            return
        whole = _Wanted(seen.index)
        if self._question.busy and self._doing == whole and self._seconds(0.0) <= _SOON:
            return
        wanted = next(self._wanted(), None)
        if wanted is None or (self._question.busy and wanted == self._doing):
            return
        self._doing, ahead = wanted, self._ahead
        assert ahead is not None
        region: dict[str, Range] = {
            a: (i, i + 1) for a, i in zip(ahead.stack.plane_axes, wanted.index, strict=True)
        }
        if wanted.area is not None:
            region |= dict(zip("YX", wanted.area, strict=True))
        self._question.ask(partial(look, ahead.stack, ahead.options, region))

    def _wanted(self) -> Iterator[_Wanted]:
        """What is to be restored, what is wanted most first."""
        seen = self._seen
        assert seen is not None
        whole = _Wanted(seen.index)
        makes_whole = self._makes_whole()
        if (seen.how, seen.index) not in self.kept:
            taking = self._seconds(math.inf)
            if taking > _FIRST_SECONDS and self._stage < _FIRST:
                yield self._middle(_FIRST)
            if (taking > _SOON or not makes_whole) and self._stage < _MORE:
                yield self._middle(_MORE)
            if makes_whole:
                yield whole
        if makes_whole and self._seconds(math.inf) <= _PATIENCE:
            for index in self._neighbours():
                if (seen.how, index) not in self.kept and (seen.how, index) not in self._failed:
                    yield _Wanted(index)

    def _middle(self, stage: int) -> _Wanted:
        """As much of the middle of the view as is done in the time of a stage."""
        seen, ahead = self._seen, self._ahead
        assert seen is not None and ahead is not None
        speed = self._speed.get(ahead.model.card.name)
        seconds = _FIRST_SECONDS if stage == _FIRST else _MORE_SECONDS
        area = preview_area(seen.view, _pixels(speed, seconds))
        whole = area == ((0, ahead.stack.height), (0, ahead.stack.width))
        return _Wanted(seen.index) if whole else _Wanted(seen.index, stage, area)

    def _seconds(self, unknown: float) -> float:
        """How long a whole slice takes; `unknown` while no speed is known."""
        ahead = self._ahead
        assert ahead is not None
        speed = self._speed.get(ahead.model.card.name)
        return unknown if speed is None else ahead.stack.height * ahead.stack.width / speed

    def _makes_whole(self) -> bool:
        """Whether whole slices are made: not of images so large that none can be kept."""
        return self._room() > 0

    def _room(self) -> int:
        """How many slices can be kept."""
        ahead = self._ahead
        assert ahead is not None
        planes = max(1, math.prod(ahead.choice.stack.plane_shape))
        return self.kept.most // max(1, ahead.output.nbytes // planes)

    def _neighbours(self) -> Iterator[Index]:
        """The slices that one is likely to move to, the likeliest first."""
        seen, ahead = self._seen, self._ahead
        assert seen is not None and ahead is not None
        axes, (axis, direction) = ahead.stack.plane_axes, self._heading
        axis = axis or slice_axis(ahead.stack.sizes) or ""
        if not axis or axis not in axes:
            return
        at, room = axes.index(axis), self._room() - 1
        steps = [*range(1, _AHEAD + 1), *range(-1, -_BEHIND - 1, -1)]
        for step in sorted(steps, key=lambda s: (abs(s), s < 0))[:room]:
            there = seen.index[at] + direction * step
            if 0 <= there < ahead.stack.sizes[axis]:
                yield (*seen.index[:at], there, *seen.index[at + 1 :])

    def _note_heading(self, former: View, view: View) -> None:
        moved = [a for a, i in view.index.items() if former.index.get(a, i) != i]
        if moved:
            self._heading = moved[0], (1 if view.index[moved[0]] > former.index[moved[0]] else -1)

    def _on_found(self, found: Any) -> None:
        if isinstance(found, End):
            seen, doing = self._seen, self._doing
            if seen is not None and doing is not None and doing.index != seen.index:
                self._failed.add((seen.how, doing.index))  # told when one moves to it
                return
            self.say(found.error, error=True)
            self.stop()
        elif isinstance(found, Look) and self.on and self._input in self._viewer.layers:
            self._take(found)

    def _take(self, found: Look) -> None:
        """Keep what is there, and show it if it is still in view."""
        seen, doing = self._seen, self._doing
        if seen is None or doing is None:
            return
        made = found.restored
        self._speed[made.record.model] = made.plan.pixels / max(made.seconds, 1e-3)
        if doing.area is None:
            self.kept.put((seen.how, doing.index), found)
        if doing.index == seen.index:
            self._stage = doing.stage
            self._show(doing, found)
        self._tell()

    # --- what is shown ----------------------------------------------------------------------

    def _show(self, part: _Wanted, look: Look) -> None:
        seen, layer, made = self._seen, self._input, look.restored
        assert seen is not None
        plan, result = made.plan, made.result
        self._shown.show(
            (seen.how, part, part.area),
            layer,
            result.data,
            result.axes,
            plan.region,
            plan.scale,
            result_name(made.record.input, f"{_NAME} {made.record.model}", plan.scale),
            result.metadata,
            framed=part.area is not None,
        )

    def _place(self, event: Any = None) -> None:
        """Put what is shown where its input has been moved to."""
        if self._input in self._viewer.layers:
            self._shown.place(self._input)
        self.follow_soon()

    def _pause(self, why: str) -> None:
        """Restore and show nothing for a while."""
        self._question.forget()
        self._seen = self._doing = None
        self._shown.hide()
        self.state.say(why)

    def _tell(self) -> None:
        """Say how far it is."""
        seen, ahead = self._seen, self._ahead
        if seen is None or ahead is None:
            return
        model, planes = ahead.model.card.name, math.prod(ahead.stack.plane_shape)
        done = sum(how == seen.how for how, _ in self.kept.held())
        text = f"Live by {model}"
        if planes > 1 and done:
            text += f"; slices done: {done} of {planes}."
        elif self._makes_whole():
            text += "."
        else:
            text += ": what is in view, in the white frame."
        self.state.say(text)
        self.whole.setText(f"Restore whole {'stack' if planes > 1 else 'image'}")
        self.whole.setToolTip(
            f"Make a result of all of {self._input.name} by {model}; what Live has done of it is "
            "not computed again"
        )

    # --- on and off -------------------------------------------------------------------------

    def _on_toggled(self, on: bool) -> None:
        viewer = self._viewer
        self.bar.setVisible(on)
        if not on:
            self._soon.stop()
            self._question.forget()
            self._connections.disconnect_from()
            self._shown.remove()
            self.kept = KeptLooks(KEPT)
            self._failed.clear()
            self._input = self._ahead = self._seen = self._doing = None
            self._heading = "", 1
            if self._grid:
                turn_grid(viewer, True)
            return
        self.say()
        self.kept = KeptLooks(min(KEPT, int(psutil.virtual_memory().available) // 4))
        self.state.say("Live is getting ready ...")
        # In the grid the part would have a cell of its own, beside what it belongs on.
        self._grid = bool(viewer.canvas.grid.enabled)
        turn_grid(viewer, False)
        camera, dims, layers = viewer.scene.camera.events, viewer.dims.events, viewer.layers.events
        for emitter in (camera.center, camera.zoom, dims.order, dims.ndisplay):
            self._connections.connect(emitter, self.follow_soon)
        self._connections.connect(dims.current_step, self._on_step)
        self._connections.connect(layers.removed, self._on_removed)
        self.follow()

    def _on_step(self, event: Any = None) -> None:
        """Show a slice that is kept at once, and follow the others after a burst."""
        seen, layer = self._seen, self._input
        if seen is not None and layer in self._viewer.layers and self._ahead is not None:
            with suppress(InputError):
                view = view_of(layer, self._viewer.dims)
                index = _index(self._ahead, view)
                kept = self.kept.get((seen.how, index))
                if kept is not None and view.plain and not view.outside:
                    self._show(_Wanted(index), kept)
        self.follow_soon()

    def _take_up(self, layer: Image) -> None:
        """Show parts of another image from now on."""
        former, self._input, self._seen = self._input, layer, None
        self._shown.remove()
        if former is not None:
            events = former.events
            self._connections.disconnect_from(
                events.data, *(getattr(events, name) for name in PLACED)
            )
        self._connections.connect(layer.events.data, self._on_data)
        for name in PLACED:
            self._connections.connect(getattr(layer.events, name), self._place)

    def _on_data(self, event: Any = None) -> None:
        """Nothing that was made of other pixels counts any more."""
        self.kept.clear()
        self._failed.clear()
        self._seen = None
        self._shown.forget()
        self.follow_soon()

    def _on_removed(self, event: Any) -> None:
        if event.value is self._shown.layer or event.value is self._input:
            self.stop()


def _how(layer: Image, ahead: Preflight) -> Hashable:
    """All that decides what a slice of a layer is restored to, but its pixels and index."""
    choice = ahead.choice
    data, axes = id(finest_data(layer)), choice.stack.axes
    return (str(layer.unique_id), data, ahead.options, ahead.model.path, choice.transform, axes)


def _index(ahead: Preflight, view: View) -> Index:
    """The position of the slice in view over the axes that a stack has but Y, X and S."""
    return tuple(view.index[a] for a in ahead.stack.plane_axes)


def _pixels(speed: float | None, seconds: float) -> int:
    """How many pixels are done in so much time; the halo takes about its share of a small part."""
    if speed is None:
        return _FIRST_SIDE**2
    return max(int(math.sqrt(speed * seconds)), _FIRST_SIDE) ** 2
