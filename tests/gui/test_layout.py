"""The panels at 1100 x 700, as they are on a laptop: all is in view, nothing is cut at 300 px."""

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.utils._proxies import PublicOnlyProxy
from panels import open_super_resolve
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QLabel, QScrollArea

from napari_srgan._gui.batch.panel import Batch
from napari_srgan._gui.parts.widgets import Message, open_panel

WAIT = 120_000

pytestmark = [pytest.mark.napari_window, pytest.mark.usefixtures("tiny_models")]


@pytest.fixture
def window(viewer):
    viewer.window.resize(1100, 700)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 24, 32)).astype(np.uint8)
    viewer.add_image(pixels, name="a volume with quite a long name", scale=(5, 0.5, 0.25))
    return viewer


def narrow(viewer, panel, qtbot):
    """Make the dock 300 px wide."""
    dock, main = panel.parentWidget(), viewer.window._qt_window
    main.resizeDocks([dock], [300], Qt.Orientation.Horizontal)
    qtbot.wait(100)
    assert panel.width() <= 310  # napari's title bar needs a little more for a long title


def is_cut(widget):
    """Whether a visible text has less room than it needs."""
    if not widget.text() or isinstance(widget, Message) or widget.objectName().startswith("qt_"):
        return False
    if isinstance(widget, QLabel) and widget.wordWrap():
        return False
    return widget.width() < widget.sizeHint().width()


def cut(panel):
    texts = [*panel.findChildren(QAbstractButton), *panel.findChildren(QLabel)]
    return [w.text() for w in texts if w.isVisible() and is_cut(w)]


def scrolls(panel):
    (area, *_) = panel.findChildren(QScrollArea)
    return area.verticalScrollBar().maximum() > 0


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_after_a_run_nothing_scrolls_and_nothing_is_cut(window, qtbot, theme):
    window.theme = theme
    panel = open_super_resolve(window, qtbot)
    panel.model.box.choose("tiny-gray")
    panel.advanced.options["device"].value = "cpu"
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        panel.start()
    narrow(window, panel, qtbot)
    assert not scrolls(panel)
    assert not cut(panel)
    for fold in (panel.fold, panel.more):
        fold.button.setChecked(True)
    qtbot.wait(100)
    narrow(window, panel, qtbot)
    assert not cut(panel)


def test_the_list_of_a_batch_takes_the_room_that_is_free(window, qtbot, tmp_path):
    for number in range(3):
        pixels = np.random.default_rng(0).integers(0, 255, (24, 32)).astype(np.uint8)
        tifffile.imwrite(tmp_path / f"a scan with a long name, number {number}.tif", pixels)
    panel = open_panel(PublicOnlyProxy(window), Batch)
    panel.folder.path.setText(str(tmp_path))
    panel.folder.path.editingFinished.emit()
    qtbot.waitUntil(lambda: panel.table.rowCount() == 3, timeout=WAIT)
    narrow(window, panel, qtbot)
    assert not scrolls(panel) and not cut(panel)
    assert panel.table.height() > 200
    panel.fold.button.setChecked(True)
    qtbot.wait(100)
    assert not cut(panel)
