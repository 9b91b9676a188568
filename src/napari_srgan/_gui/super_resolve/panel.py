"""The dock widget Super-resolve: a layer and a model in, a 4x layer beside it out.

What belongs here: following the viewer, starting the work and taking its end. The controls are
in controls.py, what they do is in their own files.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QTimer

from napari_srgan._gui import remembered
from napari_srgan._gui.layers import view_of
from napari_srgan._gui.super_resolve.controls import Controls
from napari_srgan._gui.super_resolve.estimate import Speeds
from napari_srgan._gui.super_resolve.exports import record_of
from napari_srgan._gui.super_resolve.order import Order, full_order, preview_orders, requests_for
from napari_srgan._gui.super_resolve.pixel_size import set_pixel_size
from napari_srgan._gui.super_resolve.show import show_outcome
from napari_srgan._gui.super_resolve.trust_maps import is_map
from napari_srgan._gui.super_resolve.warm_up import WarmUp
from napari_srgan._gui.worker import FAILED, Outcome
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

_log = logging.getLogger(__name__)


class SuperResolve(Controls):
    """Super-resolve an image layer.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; napari passes it by this name.
    """

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._speeds = Speeds()
        self._devices: list[str] = []
        self._orders: tuple[Order, ...] = ()
        self._warm = WarmUp(self)
        self._error_about: str | None = None
        self._closed = False
        self._started = 0.0

        self._connect()
        self.refresh()

    def choose_layer(self, layer: Image) -> bool:
        """Choose the image layer; False if the viewer does not hold it."""
        return self.layer.choose(layer)

    def set_defaults(self) -> None:
        """Put what, model and Advanced back to their defaults."""
        self.model.box.choose("auto")
        self.what.set_defaults()
        self.advanced.set_defaults()

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
        if error:
            from napari.utils.notifications import show_error

            show_error(text)

    # --- following the viewer ---------------------------------------------------------------

    def _connect(self) -> None:
        # Many events come at once (a layer brings its dims, its name, its selection): one refresh
        # after the burst is enough, and the slider stays smooth.
        self._pending = QTimer(self)
        self._pending.setSingleShot(True)
        self._pending.setInterval(40)
        self._pending.timeout.connect(self.refresh)
        self._warm.ready.connect(self._on_devices)
        for signal in (
            self.layer.changed,
            self.model.changed,
            self.what.changed,
            self.advanced.changed,
        ):
            signal.connect(self._pending.start)
        dims, layers = self.viewer.dims.events, self.viewer.layers
        for emitter in (dims.current_step, dims.order, dims.ndisplay, layers.events.removed):
            self._connections.connect(emitter, self._on_viewer)
        self._connections.connect(layers.selection.events.active, self._on_active)
        self._connections.connect(layers.events.inserted, self._on_viewer)
        self.run.clicked.connect(self.start)
        self.preview.clicked.connect(self.start_preview)
        self.runner.ended.connect(self._on_ended)
        self.exports.said.connect(self.say)
        for part in (self.trust, self.report):
            part.said.connect(self._on_finding)
        self.pixel_size.given.connect(self._on_pixel_size)
        self.grid.toggled.connect(remembered.remember_side_by_side)

    def _on_viewer(self, event: Any = None) -> None:
        self._pending.start()

    def _on_active(self, event: Any = None) -> None:
        """Take a selected result as the one to save, any other image as the one to restore."""
        active = self.viewer.layers.selection.active
        if active is not None and not self.runner.running:
            if record_of(active) is not None:
                self._show_result(active)
            elif not is_map(active):
                self.layer.choose(active)
        self._pending.start()

    def refresh(self) -> None:
        """Say anew what will come out, or what is in the way."""
        layer = self.layer.value()
        if self.exports.layer is not None and self.exports.layer not in self.viewer.layers:
            self._show_result(None)
        self.what.show_layer(layer)
        self._pending.stop()  # showing the layer's choices is no change of them
        ready = layer is not None and not self.runner.running
        self.run.setEnabled(ready)
        self.preview.setEnabled(ready)
        for part in (self.trust, self.report):
            part.enable(not self.runner.running)
        if layer is None:
            self.pixel_size.show_layer(None)
            self.summary.say("Open an image first: File > Open, or File > Open Sample.")
            return
        self.model.show_kind(layer.rgb)
        self.preview.show_kind(layer.rgb)
        try:
            self.pixel_size.show_layer(layer)
            order = self._full_order(layer)
            self.summary.say(order.text(self._speeds, self._devices))
        except InputError as error:
            self.summary.say(str(error), error=True)
        self._drop_old_error()

    def _drop_old_error(self) -> None:
        """Take an error away once the choices that it is about have changed."""
        about = self.summary.text()
        if self.message.is_error and self._error_about not in (None, about):
            self.message.say("")
        self._error_about = about
        # The same sentence above and below the button would be once too many.
        self.summary.setVisible(bool(about) and about != self.message.text())

    def _full_order(self, layer: Image) -> Order:
        view = view_of(layer, self.viewer.dims)
        return full_order(
            layer,
            view,
            self.what.region(layer, view),
            self.model.info(layer.rgb),
            self.advanced.job(),
            place=self.advanced.place.value(),
            path=self.advanced.file(),
        )

    # --- working ----------------------------------------------------------------------------

    def _start(self, preview: bool) -> None:
        layer = self.layer.value()
        if self.runner.running:
            return
        if layer is None:
            self.say("There is no image layer to restore; open an image first.", error=True)
            return
        self.message.say("")
        try:
            if preview:
                names = self.preview.ticked() or [self.model.value()]
                self._orders = preview_orders(
                    layer,
                    view_of(layer, self.viewer.dims),
                    names,
                    self.advanced.job(),
                    self._speeds,
                    self._devices,
                )
            else:
                self._orders = (self._full_order(layer),)
            self._started = time.perf_counter()
            self.runner.start(requests_for(self._orders))
        except InputError as error:
            self.say(str(error), error=True)
        self.refresh()

    def _on_ended(self, outcome: Outcome) -> None:
        orders, self._orders = self._orders, ()
        if self._closed:
            return
        for part in (self.trust, self.report):
            if part.running:
                part.finish(outcome)
                return
        if outcome.error:
            self.say(outcome.error, error=True)
        elif outcome.cancelled:
            self.say("Cancelled; nothing was kept.")
        else:
            try:
                self._show(orders, outcome)
            except Exception:  # napari would show the traceback
                _log.exception("the result could not be shown")
                self.say(FAILED, error=True)
        self.refresh()

    def _show(self, orders: tuple[Order, ...], outcome: Outcome) -> None:
        self._speeds.note_all(orders, outcome)
        shown = show_outcome(
            self.viewer,
            orders,
            outcome,
            seconds=time.perf_counter() - self._started,
            grid=self.grid.isChecked(),
            drawn=self.what.area.value(),
        )
        self._show_result(shown.layers[-1])
        self.say(shown.text)

    def _show_result(self, layer: Image | None) -> None:
        """Offer what can be done with a result."""
        for part in (self.exports, self.trust, self.report):
            part.show_layer(layer)

    def _on_finding(self, text: str, error: bool) -> None:
        self.say(text, error=error)
        self.refresh()

    def _on_pixel_size(self, size: dict[str, float]) -> None:
        layer = self.layer.value()
        if layer is not None:
            set_pixel_size(layer, size, self.viewer.layers)
            self._pending.start()

    # --- opening and closing ----------------------------------------------------------------

    def showEvent(self, event: Any) -> None:
        """Import torch once the panel is on the screen, in a thread: it takes seconds."""
        super().showEvent(event)
        self._warm.begin_soon()

    def _on_devices(self, devices: list[str]) -> None:
        self._devices = devices
        self.advanced.offer_devices(devices)
        self._pending.start()

    def changeEvent(self, event: QEvent) -> None:
        """Let go of the viewer when the dock is closed for good: napari then takes the parent."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parentWidget() is None:
            self._close_down()

    def closeEvent(self, event: Any) -> None:
        """Stop the work when the window is closed."""
        self.runner.cancel()
        super().closeEvent(event)

    def _close_down(self) -> None:
        self._closed = True
        self.runner.cancel()
        self._pending.stop()
        self._warm.stop()
        self._connections.disconnect_from()
