"""Sessions of everything, one after the other in one process, each with a window of its own.

    python tests/gui/sessions.py COUNT

Ends with an AssertionError where a session shows a stray window, or leaves a thread, a timer, a
window or a file, or where closing takes much longer than that of an empty napari; prints "ended".
"""

import gc
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import napari
import npe2
import numpy as np
from qtpy.QtCore import QEvent, QEventLoop, QObject, QTimer
from qtpy.QtWidgets import QApplication, QMenu, QWidget

PATIENCE = 120  # seconds for one work
CLOSING = 2.0  # seconds of the processor


class Windows(QObject):
    """Notes every window that is shown, be it for a moment."""

    def __init__(self):
        super().__init__()
        self.strays = []

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
            kind = type(watched)
            if not (kind.__module__.startswith("napari.") or isinstance(watched, QMenu)):
                self.strays.append(f"{kind.__module__}.{kind.__name__}")
        return False


def until(done):
    loop, poll, late = QEventLoop(), QTimer(), QTimer()
    poll.timeout.connect(lambda: done() and loop.quit())
    poll.start(10)
    late.setSingleShot(True)
    late.timeout.connect(lambda: (print("waited in vain"), os._exit(4)))
    late.start(1000 * PATIENCE)
    loop.exec()


def session(viewer, folder):
    """Open every panel and use it; works are waited for, but the last ones."""
    pixels = np.random.default_rng(0).integers(0, 255, (2, 32, 40)).astype(np.uint8)
    scan = viewer.add_image(pixels, name="scan")
    manifest = npe2.PluginManager.instance().get_manifest("napari-srgan")
    panels = {
        widget.display_name: viewer.window.add_plugin_dock_widget(
            "napari-srgan", widget.display_name
        )[1]
        for widget in manifest.contributions.widgets
    }
    upscale, compare = panels["Super-resolve"], panels["Compare"]

    def wait(runner):
        until(lambda: not runner.running)

    until(lambda: upscale._devices)
    upscale.model.box.choose("tiny-gray")
    upscale.fold.button.setChecked(True)
    upscale.start_preview()
    wait(upscale.runner)
    upscale.choose_layer(scan)
    upscale.start()
    wait(upscale.runner)
    upscale.trust.start("consistency")
    wait(upscale.runner)
    upscale.trust.overlay.let_stay()
    upscale.figures.figure_to(folder / "figure.png")
    wait(upscale.runner)
    upscale.report.report_to(folder / "report.html")
    wait(upscale.runner)
    upscale.exports.save_to(folder / "result.tif")
    until(lambda: "Saved" in upscale.message.text())
    compare.self_test_fold.button.setChecked(True)
    compare.maps_fold.button.setChecked(True)
    compare.reference.choose(scan)
    compare.self_test.model.box.choose("tiny-gray")
    compare.self_test.slices.choose("all")
    compare.self_test.start()
    wait(compare.self_test.runner)
    compare.refresh()
    compare.stack.start()
    wait(compare.stack.runner)
    compare.maps.map_errors()
    wait(compare.maps.runner)
    for toggle in (compare.views.difference, compare.views.draw):
        toggle.click()
        wait(compare.views.runner)
    until(lambda: not compare.busy)
    names = [layer.name for layer in viewer.layers]
    for start in ("consistency (", "error map of"):
        assert any(name.startswith(start) for name in names), (start, names)
    assert any(" - scan" in name for name in names), names
    assert compare.views.curtain.is_open
    # What is going on when the window is closed: a map, Live, a profile, figures of a slice.
    upscale.trust.start("spread")
    wait(upscale.runner)
    assert upscale.trust.overlay.layer is not None
    upscale.choose_layer(scan)
    upscale.live.button.setChecked(True)
    until(lambda: upscale.live.layer is not None)
    line = [[4, 4], [20, 30]]
    viewer.add_shapes([line], shape_type="line", name="line")
    viewer.dims.set_current_step(0, 1)


def ended(viewer):
    """Close a window as a user does, and say how long napari goes on.

    In seconds of the processor: others may be using the machine. Who waits in vain is told of.
    """
    QApplication.processEvents()  # what is pending is no part of closing
    began = time.process_time()
    QTimer.singleShot(0, viewer.close)
    late = QTimer()
    late.setSingleShot(True)
    late.timeout.connect(lambda: (print("napari.run() goes on"), os._exit(3)))
    late.start(1000 * PATIENCE)
    napari.run()
    late.stop()
    return time.process_time() - began


def is_ours(thing):
    while thing is not None:
        if type(thing).__module__.startswith("napari_srgan"):
            return True
        thing = thing.parent()
    return False


def left():
    """What of ours is still there: threads, timers that run, and windows."""
    found = [t.name for t in threading.enumerate() if t.name.startswith("napari-srgan")]
    for thing in gc.get_objects():
        try:
            if issubclass(type(thing), QTimer) and thing.isActive() and is_ours(thing):
                found.append(f"a timer of {type(thing.parent()).__name__}")
        except (RuntimeError, ReferenceError):
            continue  # gone in Qt
    return found + [repr(w) for w in QApplication.topLevelWidgets() if is_ours(w)]


def main(count):
    empty = []
    for _ in range(2):  # the first one loads what napari needs
        empty.append(ended(napari.Viewer(show=True)))
    app, windows = QApplication.instance(), Windows()
    app.installEventFilter(windows)
    for number in range(count):
        with tempfile.TemporaryDirectory() as folder:
            before = sorted(Path(tempfile.gettempdir()).iterdir())
            viewer = napari.Viewer(show=True)
            session(viewer, Path(folder))
            assert not windows.strays, windows.strays
            took = ended(viewer)
            made = sorted(p.name for p in Path(folder).iterdir())
            assert made == ["figure.png", "report.html", "result.tif"], made
            assert sorted(Path(tempfile.gettempdir()).iterdir()) == before
        assert not windows.strays, windows.strays
        # A work ends at its next step; a loaded machine gets its time for that.
        deadline = time.monotonic() + 60
        while (found := left()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not found, (number, found)
        # Layers take napari longer to close than none, ten times about; a slow machine both.
        assert took < max(CLOSING, 20 * max(empty)), (number, took, empty)
        print(f"session {number}: closed in {took:.2f} s, an empty napari in {max(empty):.2f} s")
    print("ended")


if __name__ == "__main__":
    main(int(sys.argv[1]))
