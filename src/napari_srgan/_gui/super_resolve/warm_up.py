"""The import of torch, seconds long, in a thread once the panel is on the screen.

What belongs here: that thread, and the timer that looks whether it is done.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_srgan.errors import InputError

_log = logging.getLogger(__name__)


def load() -> list[str]:
    """Import all that a run needs and the first click would else import; name the devices.

    By planning a run of nothing, which also loads the default model: a list of modules would
    soon be out of date.
    """
    import napari_srgan.engine.window  # noqa: F401  # what a plan does not need but a run does
    from napari_srgan.engine.devices import available_devices
    from napari_srgan.engine.upscaler import Job, plan
    from napari_srgan.image.stack import Stack

    # A broken default model is named when work is asked for; the devices are there all the same.
    with suppress(InputError):
        plan(Stack(np.zeros((8, 8), np.uint8)), Job(device="cpu"))
    return available_devices()


class WarmUp(QObject):
    """Imports torch in a thread; `devices` is None until that is done.

    A plain thread that is looked at now and then, not a worker with signals: the import cannot
    be cancelled, and a signal to a window that was closed meanwhile would end the process.

    Signals
    -------
    ready(list)
        On the GUI thread, once: the devices that are there.
    """

    ready = Signal(list)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self.devices: list[str] | None = None
        self._begun = self._stopped = False
        self._poll = QTimer(self)
        self._poll.setInterval(100)
        self._poll.timeout.connect(self._look)

    def begin_soon(self) -> None:
        """Begin when what is on its way to the screen has been drawn; only the first call does."""
        if not self._begun:
            self._begun = True
            QTimer.singleShot(100, self._begin)

    def stop(self) -> None:
        """Tell nobody any more; a thread that has begun ends by itself."""
        self._stopped = True
        self._poll.stop()

    def _begin(self) -> None:
        if not self._stopped:
            threading.Thread(target=self._run, name="napari-srgan warm-up").start()
            self._poll.start()

    def _run(self) -> None:
        try:
            self.devices = load()
        except Exception:
            # A broken installation is named when work is asked for.
            _log.exception("torch could not be loaded")
            self.devices = []

    def _look(self) -> None:
        if self.devices is not None:
            self._poll.stop()
            self.ready.emit(self.devices)
