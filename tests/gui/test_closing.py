"""A session from the first panel to the last click: no stray window, and napari ends."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_compare, open_super_resolve

SESSION = """
import os, sys, threading
import napari, npe2
import numpy as np
from qtpy.QtCore import QEvent, QEventLoop, QObject, QTimer
from qtpy.QtWidgets import QApplication, QMenu, QWidget

class Windows(QObject):
    "Notes every window that is shown, be it for a moment."
    def __init__(self):
        super().__init__()
        self.strays = []
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Show and isinstance(watched, QWidget) and watched.isWindow():
            kind = type(watched)
            if not (kind.__module__.startswith("napari.") or isinstance(watched, QMenu)):
                self.strays.append(f"{kind.__module__}.{kind.__name__}")
        return False

def until(done, seconds=100):
    loop, poll, late = QEventLoop(), QTimer(), QTimer()
    poll.timeout.connect(lambda: done() and loop.quit())
    poll.start(10)
    late.setSingleShot(True)
    late.timeout.connect(lambda: (print("waited in vain"), os._exit(4)))
    late.start(1000 * seconds)
    loop.exec()

viewer = napari.Viewer(show=True)
app, windows = QApplication.instance(), Windows()
app.installEventFilter(windows)
pixels = np.random.default_rng(0).integers(0, 255, (2, 32, 40)).astype(np.uint8)
scan = viewer.add_image(pixels, name="scan")

panels = {}
for widget in npe2.PluginManager.instance().get_manifest("napari-srgan").contributions.widgets:
    name = widget.display_name
    _, panels[name] = viewer.window.add_plugin_dock_widget("napari-srgan", name)
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
assert not windows.strays, windows.strays

QTimer.singleShot(0, viewer.close)
QTimer.singleShot(20_000, lambda: (print("napari.run() goes on"), os._exit(3)))
napari.run()
assert not windows.strays, windows.strays
ours = [t.name for t in threading.enumerate() if t.name.startswith("napari-srgan")]
assert not ours, ours
print("ended")
"""


@pytest.mark.window
def test_a_session_of_everything_leaves_no_window_and_napari_ends(tiny_models):
    done = subprocess.run(
        [sys.executable, "-c", SESSION], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith("ended")


def test_the_last_stack_can_be_removed_while_panels_follow_it(viewer, qtbot, tiny_models):
    """The viewer has fewer axes before it tells that a layer is gone; closing ended in an error."""
    panels = open_super_resolve(viewer, qtbot), open_compare(viewer, qtbot)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 24, 32)).astype(np.uint8)
    stack = viewer.add_image(pixels, name="s")
    assert panels[1].reference.choose(stack) and panels[1].low.choose(stack)
    for panel in panels:
        panel.refresh()
    viewer.dims.set_current_step(0, 1)
    viewer.layers.clear()
    assert viewer.dims.ndim == 2
    for panel in panels:
        panel.refresh()
    assert not panels[0].run.isEnabled()
