"""The dock widget Super-resolve: a layer and a model in, a 4x layer beside it out.

The controls in their order from the input to the result; following the viewer; starting the work
and showing what comes of it. What a control does by itself is in its own file.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_srgan._gui.layers import blend, view_of
from napari_srgan._gui.parts.curtain import Curtain
from napari_srgan._gui.parts.grid import BeyondSlices
from napari_srgan._gui.parts.widgets import (
    Fold,
    Form,
    LayerPicker,
    Message,
    Panel,
    button,
    column,
    row,
)
from napari_srgan._gui.runner import End, Runner, RunnerBar, errors_said
from napari_srgan._gui.super_resolve.add_model import AddModel
from napari_srgan._gui.super_resolve.advanced import Advanced
from napari_srgan._gui.super_resolve.axes_field import AxesField, set_axes
from napari_srgan._gui.super_resolve.choices import Choices, PresetMenu
from napari_srgan._gui.super_resolve.figures import FigureButtons
from napari_srgan._gui.super_resolve.first_look import FirstLook
from napari_srgan._gui.super_resolve.growing import Growing
from napari_srgan._gui.super_resolve.kind_picker import KindPicker
from napari_srgan._gui.super_resolve.live import Live
from napari_srgan._gui.super_resolve.model_picker import ModelPicker, PreviewButton
from napari_srgan._gui.super_resolve.order import (
    Order,
    SpeedKey,
    Speeds,
    full_order,
    orders_text,
    preview_orders,
)
from napari_srgan._gui.super_resolve.pixel_size import PixelSize, set_pixel_size
from napari_srgan._gui.super_resolve.region_picker import RegionPicker
from napari_srgan._gui.super_resolve.report import ReportButton
from napari_srgan._gui.super_resolve.results import Exports, show_results
from napari_srgan._gui.super_resolve.trust_maps import TrustMapButtons
from napari_srgan._gui.tags import is_restored, role_of
from napari_srgan.engine.plan import Preflight, preflight
from napari_srgan.engine.run import Upscaler
from napari_srgan.engine.speed import measure_speed
from napari_srgan.errors import InputError
from napari_srgan.models.catalogue import quick_model
from napari_srgan.options import RestoreOptions

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.tasks.restore import Restored

NO_IMAGE = "Open an image first: File > Open, or File > Open Sample."
ONLY_RESULTS = (
    "Only results are open; open an image, or tick Advanced > Results to restore one again."
)
_LOOK = 0.3
"""Seconds that a click waits for the kind of the image; what is not in a file takes 0.05."""
_log = logging.getLogger(__name__)


class SuperResolve(Panel):
    """Super-resolve an image layer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; napari passes it by this name.
    """

    title = "Super-resolve"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        from napari.layers import Image

        super().__init__(napari_viewer)
        viewer = self.viewer
        self._speeds = Speeds()
        self._devices: list[str] = []
        self._error_about: str | None = None
        self._selected: Any = None
        self._wanted: bool | None = None  # a preview, or not, to begin when the kind is known
        self._said_about: tuple[Any, Any] = (None, None)
        self.advanced = Advanced()
        self.layer = LayerPicker(viewer, Image, self._connections, fits=self._is_offered)
        self.kind = KindPicker()
        self.model = ModelPicker(adds=True)
        self.add_model = AddModel(self)
        self.region = RegionPicker(viewer, self._connections)
        self.axes = AxesField()
        self.pixel_size = PixelSize()
        self.choices = Choices(self.kind, self.model, self.advanced.options)
        self.presets = PresetMenu(self.choices)
        self.fold = Fold("Advanced", self.advanced, beside=self.presets)
        self.grid = QCheckBox("Side by side")
        self.grid.setToolTip("Show a result beside its input in the grid")
        self._beyond = BeyondSlices(viewer, self._connections)
        self.grid.setChecked(wanted("side_by_side"))
        self.before_after = QCheckBox("Before / after")
        self.before_after.setToolTip(
            "Show a result in the curtain: input to the left of a line, result to its right"
        )
        self.before_after.setChecked(wanted("before_after"))
        self.curtain = Curtain(viewer, self)
        self.summary = Message()
        self.preview = PreviewButton()
        self.run = button("Super-resolve", "Restore what is chosen; the result becomes a new layer")
        self.live = Live(viewer, self._looked_at)
        self.first_look = FirstLook(viewer)
        self.growing = Growing(viewer, self)
        self.runner = RunnerBar()
        self.message = Message()
        self.result = LayerPicker(viewer, Image, self._connections, fits=is_restored)
        self._result = QWidget()
        self.exports = Exports(viewer)
        settings = self.advanced.values
        self.trust = TrustMapButtons(viewer, self._connections, self.runner, settings)
        self.report = ReportButton(viewer, self._connections, settings, self.runner)
        self.figures = FigureButtons(viewer, self.runner, self.report.reference.value)
        # torch is loaded once the panel is on the screen: it takes seconds.
        self._loading = Runner(self)
        self._loading_soon = QTimer(self)
        # Then one tile of what is chosen is timed, for the time in the sentence.
        self._timing = Runner(self)
        self._timing_of: SpeedKey | None = None
        self._timed: set[SpeedKey] = set()
        self._lay_out()
        self.choices.choose_last()
        self._connect()
        self._on_result()
        self._count_changed()
        self.refresh()

    def _lay_out(self) -> None:
        top = Form(fields={"Image": self.layer, "Kind": self.kind, "Model": self.model})
        top.addRow(self.model.purpose)
        buttons = row(self.preview, self.live, self.run, spacing=6)
        buttons.setStretch(0, 0)
        buttons.setStretch(1, 0)
        Form(self._result, {"Result": self.result})
        more = QWidget()
        column(more, self.report, self.figures, self.exports.canvas, spacing=6)
        self.more = Fold("Report, figure, movie, canvas", more)
        self._about_layer = Form(fields={"Axes": self.axes, "Pixel size": self.pixel_size})
        self.fill(
            top,
            self.region,
            self._about_layer,
            self.fold,
            row(self.before_after, self.grid),
            self._result,
            self.trust,
            self.exports,
            self.more,
            foot=(self.summary, buttons, self.live.bar, self.runner, self.message),
        )

    def choose_layer(self, layer: Image) -> bool:
        """Choose the image layer, be it a result; False if it is none that can be restored."""
        if role_of(layer) == "result":
            self.advanced.results.setChecked(True)
        return self.layer.choose(layer)

    def _is_offered(self, layer: Image) -> bool:
        """Whether a layer is an input; results are on request, for they are estimated already."""
        return role_of(layer) == "input" or (
            role_of(layer) == "result" and self.advanced.results.isChecked()
        )

    def set_defaults(self) -> None:
        """Put what, model and Advanced back to their defaults."""
        self.choices.choose({})
        self.region.set_defaults()
        self.advanced.set_defaults()

    def restore_whole(self, layer: Image) -> None:
        """Super-resolve a layer, whole and with the default settings, or say why not."""
        if self.runner.running:
            self.say("One job is running already; wait for it or cancel it.", error=True)
            return
        self.set_defaults()
        if self.choose_layer(layer):
            self.start()
        else:
            text = f"{layer.name} shows what was found about others; select an image."
            self.say(text, error=True)

    def start(self) -> None:
        """Super-resolve what is chosen, or say why not."""
        self._start(preview=False)

    def start_preview(self) -> None:
        """Restore what the canvas shows, with one model or several."""
        self._start(preview=True)

    def say(self, text: str, error: bool = False) -> None:
        """Show a sentence; an error also appears as napari's notification."""
        self.message.say(text, error=error)
        self._error_about = None
        self._said_about = self._about()
        if error:
            from napari.utils.notifications import show_error

            show_error(text)

    def _about(self) -> tuple[Any, Any]:
        """What a sentence is about: the image and the result that are chosen."""
        return self.layer.value(), self.result.value()

    # --- following the viewer ---------------------------------------------------------------

    def _connect(self) -> None:
        self._loading_soon.setSingleShot(True)
        self._loading_soon.setInterval(100)
        self._loading_soon.timeout.connect(self._load_torch)
        self._loading.ended.connect(self._on_devices)
        self._timing.ended.connect(self._on_speed)
        followed = (self.layer.changed, self.choices.changed, self.advanced.changed)
        for signal in (*followed, self.region.changed):
            signal.connect(self.refresh_soon)
        for signal in followed:
            signal.connect(self.live.follow_soon)
        self.choices.changed.connect(self._count_changed)
        self.model.adding.connect(self.add_model.ask)
        self.add_model.added.connect(self.model.choose)
        self.live.said.connect(self.say)
        self.live.whole_wanted.connect(self.start_as_live)
        self.live.button.pressed.connect(self.curtain.close)  # first: both turn the grid off
        self.curtain.closed.connect(self.trust.overlay.place)
        dims, layers = self.viewer.dims.events, self.viewer.layers
        for emitter in (dims.current_step, dims.order, dims.ndisplay, layers.events.removed):
            self._connections.connect(emitter, self.refresh_soon)
        self._connections.connect(layers.selection.events.active, self._on_active)
        self._connections.connect(layers.selection.events.changed, self.refresh_soon)
        self._connections.connect(layers.events.inserted, self.refresh_soon)
        self.advanced.results.toggled.connect(self.layer.refresh)
        self.result.changed.connect(self._on_result)
        self.kind.changed.connect(self._on_kind)
        self.run.clicked.connect(self.start)
        self.preview.clicked.connect(self.start_preview)
        self.runner.stepped.connect(self.first_look.take)
        self.runner.ended.connect(self._on_ended)
        self.exports.said.connect(self.say)
        parts = (self.trust, self.report, self.figures, self.region, self.presets, self.add_model)
        for part in parts:
            part.said.connect(self._on_finding)
        self.axes.given.connect(self._on_axes)
        self.pixel_size.given.connect(self._on_pixel_size)
        self.grid.toggled.connect(partial(remember, "side_by_side"))
        self.before_after.toggled.connect(self._on_before_after)

    def _count_changed(self) -> None:
        """Say how many settings that are folded away are not as they were."""
        number = len(self.choices.chosen().keys() - {"kind", "model"})
        self.fold.button.setText(f"Advanced ({number} changed)" if number else "Advanced")

    def _on_active(self, event: Any = None) -> None:
        """Take a selected result as the one to save, any other image as the one to restore."""
        active = self.viewer.layers.selection.active
        # A map or view that is added is selected for a moment; what was before is no new choice.
        if not self.runner.running and active is not self._selected:
            (self.result if is_restored(active) else self.layer).choose(active)
        if active is not None and role_of(active) not in ("map", "view"):
            self._selected = active
        self.refresh_soon()

    def refresh(self) -> None:
        """Say anew what will come out, or what is in the way."""
        layer = self.layer.value()
        if self.runner.running:
            self._timing.cancel()  # each would slow the other
        self._about_layer.setRowVisible(self.axes, self.axes.show_layer(layer))
        self.region.show_layer(layer)
        self._pending.stop()  # showing the layer's choices is no change of them
        ready = layer is not None and not self.runner.running
        self.run.setEnabled(ready)
        self.preview.setEnabled(ready)
        self.live.setEnabled(ready)
        for part in (self.trust, self.report, self.figures):
            part.enable(not self.runner.running)
        self.kind.show_layer(layer)
        if layer is None:
            self.pixel_size.show_layer(None)
            self.summary.say(NO_IMAGE if self.result.value() is None else ONLY_RESULTS)
            self._drop_old_message()
            return
        self.model.show_kind(layer.rgb)
        choice = None
        try:
            self.pixel_size.show_layer(layer)
            orders = self._full_orders(layer)
            choice = next(o.ahead.choice for o in orders if o.layer is layer)
            self.summary.say(orders_text(orders, self._speeds, self._devices))
            self._time(orders[0])
        except InputError as error:
            self.summary.say(str(error), error=True)
        self.model.show_choice(choice)
        self.preview.show_kind(layer.rgb if choice is None else choice.stack.is_rgb)
        self._drop_old_message()

    def _drop_old_message(self) -> None:
        """Take a sentence away once what it is about has changed: the layers, or the choices."""
        about = self.summary.text()
        others = any(a is not b for a, b in zip(self._about(), self._said_about, strict=True))
        if others or (self.message.is_error and self._error_about not in (None, about)):
            self.message.say("")
            self._said_about = self._about()
        self._error_about = about
        # The same sentence above and below the button would be once too many.
        self.summary.setVisible(bool(about) and about != self.message.text())

    def _is_image(self, layer: Any) -> bool:
        return any(layer is la for la in self.layer.layers())

    def _full_order(self, layer: Image, among: int) -> Order:
        view = view_of(layer, self.viewer.dims)
        return full_order(
            layer,
            self.kind.stack_of(layer),
            view,
            RestoreOptions(
                **self.advanced.values(),
                kind=self.kind.value(),
                model=self.model.value(),
                region=self.region.region(layer, view),
            ),
            **self._place(),
            among=among,
        )

    def _place(self) -> dict[str, Any]:
        """Where results go, as arguments of `full_order`."""
        return {
            "place": self.advanced.place.value(),
            "path": self.advanced.file(),
            "overwrite": self.advanced.overwrite.isChecked(),
        }

    def _looked_at(self) -> tuple[Image, Preflight]:
        """Return the image that Live shows a part of, and how it is restored: quickly."""
        layer = self.layer.value()
        if layer is None:
            raise InputError(NO_IMAGE)
        settings = self.advanced.values() | {"back_project": False, "kind": self.kind.value()}
        chosen = RestoreOptions(**settings, model=self.model.value()).unresized()
        ahead = preflight(self.kind.stack_of(layer), chosen)
        quick = quick_model(ahead.model)
        if quick.path != ahead.model.path:
            ahead = preflight(ahead.stack, replace(chosen, model=quick.path))
        return layer, ahead

    def _time(self, order: Order) -> None:
        """Measure in the background how fast what is chosen is, once."""
        busy = self.runner.running or self._timing.running or self.live.on
        if not self._devices or busy:
            return
        key = order.speed_key(self._devices)
        if key not in self._timed and self._speeds.of(key) is None:
            self._timing_of = key
            ahead = order.ahead
            self._timing.start(partial(measure_speed, ahead.model.path, ahead.options))

    def _on_speed(self, end: End) -> None:
        if not (end.cancelled or self.runner.running):  # else it is measured another time
            self._timed.add(self._timing_of)
            if end.result is not None:  # what cannot be measured is named when work is asked for
                self._speeds.note(self._timing_of, end.result)
        self.refresh_soon()

    # --- working ----------------------------------------------------------------------------

    def _start(self, preview: bool) -> None:
        layer = self.layer.value()
        if self.runner.running:
            return
        self.message.say("")
        with errors_said(self.say):
            if layer is None:
                raise InputError("There is no image layer to restore; open an image first.")
            layers = [layer] if preview else self._asked(layer)
            if not all(self.kind.wait(la, _LOOK) for la in layers):
                # Its kind decides the model: what is slow to read is gone on with once it is known.
                self._wanted = preview
                self.message.say("Looking at the image first ...")
                return
            self._carry_out(self._preview_orders(layer) if preview else self._full_orders(layer))
            self.choices.keep()
        self.refresh()

    def start_as_live(self) -> None:
        """Make a result of the whole layer that Live shows, as Live does."""
        with errors_said(self.say):
            layer, ahead = self._looked_at()
            order = full_order(
                layer, ahead.stack, view_of(layer, self.viewer.dims), ahead.options, **self._place()
            )
            self._carry_out((order,))
        self.refresh()

    def _carry_out(self, orders: Sequence[Order]) -> None:
        started = time.perf_counter()
        orders = [o if o.preview else replace(o, ready=self.live.ready(o.layer)) for o in orders]
        self.live.stop()  # each would slow the other
        self.growing.begin(orders)
        self.runner.start(
            self.first_look.begin(orders, self._speeds, self._devices),
            lambda restored: self._show(orders, restored, started),
            self.say,
        )

    def _on_ended(self, end: End) -> None:
        self.first_look.end()
        self.growing.end()
        self.refresh()

    def _load_torch(self) -> None:
        self._loading.start(load_torch)

    def _on_kind(self) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            self._start(wanted)

    def _asked(self, layer: Image) -> list[Image]:
        """Return the chosen layer, and with it all that are selected beside it."""
        selected = self.viewer.layers.selection
        layers = [la for la in self.viewer.layers if la in selected and self._is_image(la)]
        return layers if any(la is layer for la in layers) else [layer]

    def _full_orders(self, layer: Image) -> tuple[Order, ...]:
        layers = self._asked(layer)
        return tuple(self._full_order(la, len(layers)) for la in layers)

    def _preview_orders(self, layer: Image) -> tuple[Order, ...]:
        view, names = view_of(layer, self.viewer.dims), self.preview.ticked()
        names = names or [self.model.value()]
        settings = self.advanced.values() | {"kind": self.kind.value()}
        stack = self.kind.stack_of(layer)
        return preview_orders(layer, stack, view, names, settings, self._speeds, self._devices)

    def _show(self, orders: Sequence[Order], restored: Sequence[Restored], started: float) -> None:
        self.first_look.end()
        self.growing.end()
        if not any(order.ready for order in orders):
            self._speeds.note_all(restored)
        layers, text = show_results(
            self.viewer,
            orders,
            restored,
            seconds=time.perf_counter() - started,
            grid=self.grid.isChecked(),
            drawn=self.region.drawn(),
        )
        self.result.choose(layers[-1])
        self.say(f"{text} {self._draw_curtain(orders, layers)}".rstrip())

    def _draw_curtain(self, orders: Sequence[Order], made: Sequence[Image]) -> str:
        """Show inputs and results in the curtain, if that is wanted; what is in the way is said.

        Previews of several models are many results of one input, and have no two sides. Of images
        that cover each other, unlike channels, the one that is selected is shown, which is said.
        """
        inputs = list(dict.fromkeys(order.layer for order in orders))
        there = all(layer in self.viewer.layers for layer in inputs)
        flat = self.viewer.dims.ndisplay == 2 and hasattr(self.viewer, "window")
        if not (self.before_after.isChecked() and len(inputs) == len(made) and there and flat):
            return ""
        said = ""
        if not blend(inputs, self.viewer.layers):
            inputs, made = inputs[-1:], made[-1:]
            said = f"The curtain shows {made[0].name}."
        try:
            names = ("Input", f"Result: {orders[-1].model}")
            self.curtain.open(inputs, made, names, closer=not orders[0].preview)
        except InputError as error:
            return str(error)
        return said

    def _on_before_after(self, on: bool) -> None:
        remember("before_after", on)
        if not on:
            self.curtain.close()

    def _on_result(self) -> None:
        """Offer what can be done with the result that is named."""
        layer = self.result.value()
        for part in (self._result, self.more):
            part.setVisible(layer is not None)
        for part in (self.exports, self.trust, self.report, self.figures):
            part.show_layer(layer)
        self.refresh_soon()

    def _on_finding(self, text: str, error: bool) -> None:
        self.say(text, error=error)
        self.refresh()

    def _on_axes(self, letters: str) -> None:
        layer = self.layer.value()
        with errors_said(self.say):
            if layer is not None:
                set_axes(layer, letters)
        self.refresh_soon()

    def _on_pixel_size(self, size: dict[str, float]) -> None:
        layer = self.layer.value()
        if layer is not None:
            set_pixel_size(layer, size, self.viewer.layers)
            self.refresh_soon()

    # --- opening and closing ----------------------------------------------------------------

    def showEvent(self, event: Any) -> None:
        """Begin to load torch when what is on its way to the screen has been drawn."""
        super().showEvent(event)
        if not (self._devices or self._loading.running):
            self._loading_soon.start()

    def let_go(self) -> None:
        """Give up all work and hear of the viewer no more."""
        self._loading_soon.stop()
        self.live.stop()
        self.growing.end()
        self._beyond.stop()
        self.first_look.end()
        self.trust.let_go()
        self.curtain.close()
        self.choices.keep()
        self.add_model.stop()
        super().let_go()

    def _on_devices(self, end: End) -> None:
        self._devices = end.result or []  # a broken installation is named when work is asked for
        if self._devices:
            self.advanced.offer_devices(self._devices)
            self.refresh_soon()


def load_torch() -> Generator[None, None, list[str]]:
    """Import all that a run needs and the first click would else import; return the devices.

    By getting ready for a run of nothing, with the default model: a list of modules would soon be
    out of date.
    """
    yield
    from napari_srgan.engine.devices import available_devices
    from napari_srgan.engine.plan import plan
    from napari_srgan.image.stack import Stack

    # A broken default model is named when work is asked for; the devices are there all the same.
    with suppress(InputError):
        nothing = Stack(np.zeros((8, 8), np.uint8))
        Upscaler.of(plan(nothing, RestoreOptions(device="cpu"))).ready()
    return available_devices()


# --- what is remembered from one session to the next -------------------------------------------


def _viewing() -> Any:
    """The settings that the manifest declares, as napari's Preferences show them."""
    from napari.settings import get_plugin_settings

    return get_plugin_settings("napari-srgan").viewing


def wanted(name: str) -> bool:
    """Whether results are shown in this way, by the name of its setting; True unless turned off."""
    try:
        return bool(getattr(_viewing(), name))
    except Exception:  # broken settings must never keep the panel from opening
        _log.debug("the plugin's settings cannot be read", exc_info=True)
        return True


def remember(name: str, on: bool) -> None:
    """Keep the choice for the next session."""
    try:
        setattr(_viewing(), name, bool(on))
    except Exception:
        _log.warning("the choice %s could not be kept", name, exc_info=True)
