"""The area to restore: drawn on the image, or what the canvas shows."""

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve
from qtpy.QtCore import QPoint, Qt

from napari_srgan._gui.super_resolve.region_picker import SEEN
from napari_srgan._gui.tags import made_from

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def panel(viewer, qtbot):
    return open_super_resolve(viewer, qtbot)


@pytest.fixture
def scan(viewer, panel):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 200, 300)).astype(np.uint8)
    layer = viewer.add_image(pixels, name="scan", scale=(5, 2, 2), units=("um",) * 3)
    panel.model.box.choose("tiny-gray")
    panel.refresh()
    return layer


def run(qtbot, panel, start=None):
    before = list(panel.viewer.layers)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        (start or panel.start)()
    return [layer for layer in panel.viewer.layers if layer not in before]


@pytest.mark.napari_window
def test_a_rectangle_is_drawn_with_the_mouse_on_the_image_at_all_slices(viewer, panel, scan, qtbot):
    viewer.add_image(scan.data, name="another", scale=scan.scale, units=scan.units)
    panel.choose_layer(scan)
    viewer.canvas.grid.enabled = True
    qtbot.wait(50)
    panel.region.draw.click()
    assert not viewer.canvas.grid.enabled  # it would get a cell of its own
    qtbot.wait(100)
    native = viewer.window._qt_viewer.canvas.native
    middle = native.rect().center()
    ends = [middle - QPoint(60, 40), middle + QPoint(60, 40)]
    left = Qt.MouseButton.LeftButton
    qtbot.mousePress(native, left, pos=ends[0])
    for step in np.linspace(0, 1, 5)[1:]:
        at = ends[0] + (ends[1] - ends[0]) * float(step)
        qtbot.mouseMove(native, pos=at)
        qtbot.wait(20)
    qtbot.mouseRelease(native, left, pos=ends[1])
    qtbot.wait(100)
    shapes = panel.region.drawn()
    assert shapes is viewer.layers.selection.active and len(shapes.data) == 1
    assert shapes.mode == "pan_zoom"  # the next drag moves the picture
    np.testing.assert_array_equal(shapes.face_color[:, 3], 0)  # hollow
    viewer.dims.set_current_step(0, 2)
    panel.refresh()
    assert panel.layer.value() is scan and not panel.summary.is_error
    (made,) = run(qtbot, panel)
    region = made_from(made).region
    (y0, y1), (x0, x1) = region["Y"], region["X"]
    assert made.data.shape == (3, 4 * (y1 - y0), 4 * (x1 - x0))
    assert (x1 - x0) / (y1 - y0) == pytest.approx(1.5, abs=0.1)
    panel.region.draw.click()  # the same layer once more
    assert len([la for la in viewer.layers if la.name.startswith("area of")]) == 1


def test_drawing_in_3d_is_refused_in_a_sentence(viewer, panel, scan):
    viewer.dims.ndisplay = 3
    panel.region.draw.click()
    assert "2D view" in panel.message.text() and len(viewer.layers) == 1


def test_what_i_see_is_restored(viewer, panel, scan, qtbot):
    assert panel.region.area.choose(SEEN)
    scan.corner_pixels = np.array([[0, 20, 30], [0, 59, 89]])
    panel.refresh()
    assert "3 x 160 x 240" in panel.summary.text()
    (made,) = run(qtbot, panel)
    assert made.data.shape == (3, 160, 240)
    assert made_from(made).region == {"Z": (0, 3), "Y": (20, 60), "X": (30, 90)}
    panel.choose_layer(scan)
    scan.corner_pixels = np.array([[0, 20, 30], [0, 23, 33]])
    panel.refresh()
    assert "zoom out" in panel.summary.text()
    viewer.dims.ndisplay = 3
    panel.refresh()
    assert "no Y x X planes" in panel.summary.text()


@pytest.mark.napari_window
def test_what_i_see_follows_the_camera(viewer, panel, scan, qtbot):
    panel.region.area.choose(SEEN)
    panel.refresh()
    whole = panel.summary.text()
    viewer.scene.camera.zoom *= 6
    qtbot.waitUntil(lambda: panel.summary.text() != whole, timeout=5000)


@pytest.mark.napari_window
def test_a_preview_leaves_the_camera_where_it_is(viewer, panel, scan, qtbot):
    panel.grid.setChecked(False)
    try:
        viewer.scene.camera.zoom *= 1.5
        qtbot.wait(50)
        before = viewer.scene.camera.zoom, tuple(viewer.scene.camera.center)
        run(qtbot, panel, panel.start_preview)
        assert "middle of the view" in panel.message.text()
        assert (viewer.scene.camera.zoom, tuple(viewer.scene.camera.center)) == before
    finally:
        panel.grid.setChecked(True)
