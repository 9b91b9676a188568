"""Is the window alive? Measure it in a running napari.

    python benchmarks/window.py [--slices 4] [--side 256] [--tile auto] [--threads N]

Prints how long each dock takes to open after napari is up, and the longest time that the event
loop was blocked while a stack was upscaled on the CPU (a timer that should fire every 5 ms),
apart for the work and for the moment when the result becomes a layer. The one-time import of
torch, which happens after the dock is visible, is waited for and reported on its own line. Last
comes the time from a click to the first look at a frame of 496 x 512 px with `auto`.
Needs a screen; without one it starts itself again under xvfb-run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

INTERVAL = 0.005


class Gaps:
    """Longest time between two ticks of a timer of the running event loop."""

    def __init__(self) -> None:
        from qtpy.QtCore import Qt, QTimer

        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(round(INTERVAL * 1000))
        self._timer.timeout.connect(self._tick)
        self.restart()
        self._timer.start()

    def restart(self) -> None:
        """Begin anew."""
        self._last = time.perf_counter()
        self.gaps: list[float] = []

    @property
    def worst(self) -> float:
        """Longest blockage in ms."""
        return 1000 * max((g - INTERVAL for g in self.gaps), default=0.0)

    @property
    def late(self) -> int:
        """Number of blockages beyond 100 ms."""
        return sum(g - INTERVAL > 0.1 for g in self.gaps)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.gaps.append(now - self._last)
        self._last = now


def under_a_screen() -> None:
    """Start again under a virtual screen where there is none."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        again = shutil.which("xvfb-run")
        if again is None:
            raise SystemExit("There is no screen; install xvfb or set DISPLAY.")
        os.execv(again, [again, "-a", sys.executable, *sys.argv])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=4)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--tile", default="auto", help="auto, 64, 128, 256, 512 or 1024")
    parser.add_argument("--blocks", type=int, default=16)
    parser.add_argument("--features", type=int, default=64)
    parser.add_argument("--threads", type=int, help="threads of torch, its default otherwise")
    parser.add_argument("--idle", type=float, default=20, help="seconds of the control")
    parser.add_argument("--json", action="store_true", help="one machine-readable line")
    options = parser.parse_args()
    under_a_screen()
    with tempfile.TemporaryDirectory() as folder:
        # Settings and models of its own: the figures must not depend on the user's.
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["NAPARI_SRGAN_MODELS"] = folder
        os.environ["NAPARI_SRGAN_PRESETS"] = str(Path(folder) / "presets.json")
        found = measure(options, Path(folder))
    if options.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:42} {value}")
    return 0


def measure(options: argparse.Namespace, folder: Path) -> dict[str, float | int]:
    """Open napari, open the docks, upscale, and watch the event loop all the while."""
    import napari
    import numpy as np
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(show=True)
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 4096, (options.slices, options.side, options.side)).astype(np.uint16)
    layer = viewer.add_image(stack, name="scan")
    app = QApplication.instance()
    settle(1)

    found: dict[str, float | int] = {}
    panels = {}
    for title in ("Compare", "Super-resolve"):
        started = time.perf_counter()
        action(viewer.window.plugins_menu, title).trigger()
        panel = viewer.window.dock_widgets[f"{title} (SRGAN upscale)"]
        until(panel.isVisible)
        app.processEvents()  # until it is drawn
        found[f"{title} dock opens, s"] = round(time.perf_counter() - started, 3)
        panels[title] = panel
    panel = panels["Super-resolve"]
    if "torch" in sys.modules:
        raise RuntimeError("torch was imported before the dock was visible")
    viewer.window.dock_widgets["Compare (SRGAN upscale)"].parent().hide()

    gaps = Gaps()
    started = time.perf_counter()
    until(lambda: panel._devices)
    found["torch import after the dock shows, s"] = round(time.perf_counter() - started, 2)
    found["longest blockage during that import, ms"] = round(gaps.worst, 1)

    write_model(folder, options)
    panel.model.refresh()
    panel.choose_layer(layer)
    panel.model.box.choose("bench-gray")
    panel.advanced.options["device"].value = "cpu"
    tile = options.tile if options.tile == "auto" else int(options.tile)
    panel.advanced.options["tile"].value = tile
    settle(0.5)
    work: dict[str, float | int] = {}

    def close_work(step: object = None) -> None:
        work.update(worst=gaps.worst, late=gaps.late, ticks=len(gaps.gaps))

    # The same window doing nothing: what the machine's other work costs by itself.
    gaps.restart()
    settle(options.idle)
    found["longest blockage while idle (control), ms"] = round(gaps.worst, 1)
    found["blockages beyond 100 ms while idle"] = gaps.late

    gaps.restart()
    started = time.perf_counter()
    panel.runner.stepped.connect(close_work)
    panel.run.click()
    until(lambda: not panel.runner.running)
    panel.runner.stepped.disconnect(close_work)
    found["upscale on the CPU, s"] = round(time.perf_counter() - started, 2)
    settle(1)
    if len(viewer.layers) != 2:
        raise RuntimeError(panel.message.text())
    found["ticks of the timer"] = work["ticks"]
    found["longest blockage while it worked, ms"] = round(work["worst"], 1)
    found["blockages beyond 100 ms while it worked"] = work["late"]
    found["longest blockage, layer and grid included, ms"] = round(gaps.worst, 1)

    panel.choose_layer(layer)
    panel.region.slices.choose("all")
    settle(0.5)
    panel.run.click()
    until(lambda: panel.runner.bar.value() >= 100)  # a hundred a tile
    started = time.perf_counter()
    panel.runner.cancel_button.click()
    until(lambda: not panel.runner.running)
    found["cancel, s"] = round(time.perf_counter() - started, 2)
    found["layers after cancel (2 = none half-made)"] = len(viewer.layers)
    found |= first_picture(viewer, panel)
    viewer.close()
    return found


def first_picture(viewer: object, panel: object) -> dict[str, float | int]:
    """Time the first look at a frame of 496 x 512 px, restored by the model that `auto` is."""
    import numpy as np

    from napari_srgan.image.stack import Stack
    from napari_srgan.io.open import open_stack
    from napari_srgan.synthetic.samples import sample_path

    volume: Stack = open_stack(sample_path("oct_volume_hr"))
    frame = np.tile(volume.read((0,)), (2, 2))[:496, :512]
    layer = viewer.add_image(frame, name="frame")
    panel.choose_layer(layer)
    panel.model.box.choose("auto")
    until(lambda: panel.kind.knows(layer))
    panel.refresh()
    (order,) = panel._full_orders(layer)
    until(lambda: order.seconds(panel._speeds, panel._devices) is not None)
    expected = order.seconds(panel._speeds, panel._devices)
    started = time.perf_counter()
    panel.run.click()
    until(lambda: panel.first_look.layer is not None or not panel.runner.running)
    took = time.perf_counter() - started
    if panel.first_look.layer is None:
        raise RuntimeError(f"there was no first look at a run of {expected:.1f} s")
    area = panel.first_look.layer.data.shape
    panel.runner.cancel()
    until(lambda: not panel.runner.running)
    return {
        "click to the first picture of 496 x 512, s": round(took, 2),
        "its rows": int(area[0]),
        "its columns": int(area[1]),
        "the whole run would take, s": round(expected, 1),
    }


def action(menu: object, title: str) -> object:
    """Find an entry of the plugin's submenu."""
    for outer in menu.actions():
        if outer.text().replace("&", "") == "SRGAN upscale":
            return next(a for a in outer.menu().actions() if a.text().startswith(title))
    raise LookupError("the plugin has no submenu")


def until(done: Callable[[], bool]) -> None:
    """Run the event loop, sleeping when idle as napari's does, until something holds."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop, poll = QEventLoop(), QTimer()
    poll.timeout.connect(lambda: done() and loop.quit())
    poll.start(10)
    loop.exec()


def settle(seconds: float) -> None:
    """Let the event loop run for a while."""
    end = time.perf_counter() + seconds
    until(lambda: time.perf_counter() > end)


def write_model(folder: Path, options: argparse.Namespace) -> None:
    """Write a network of the real size with random weights: time does not depend on them."""
    import torch

    from napari_srgan.models.architectures.srresnet import SRResNet
    from napari_srgan.models.catalogue import Card, save_model

    if options.threads:
        torch.set_num_threads(options.threads)
    parameters = {
        "channels": 1,
        "blocks": options.blocks,
        "features": options.features,
        "scale": 4,
    }
    card = Card(
        name="bench-gray", architecture="srresnet", parameters=parameters, channels=1, scale=(4, 4)
    )
    save_model(folder / "bench-gray.safetensors", SRResNet(**parameters).eval(), card)


if __name__ == "__main__":
    sys.exit(main())
