"""The dock widget Line profile."""

import csv

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_srgan._gui.profile import HINT, LAYER, LineProfile
from napari_srgan._gui.tags import input_tag, role_tag
from napari_srgan.image.resampling import bicubic_enlarge

WAIT = 30_000
FINE = 0.5  # um a pixel
SIGMA = 6.0  # pixels


@pytest.fixture
def panel(viewer, qtbot):
    made = LineProfile(viewer)
    if hasattr(viewer, "window"):
        viewer.window.add_dock_widget(made, name="Line profile")
    else:
        qtbot.addWidget(made)
    return made


def add(viewer, data, size, name, **arguments):
    """A layer of square pixels whose outer corner lies at the origin of the world."""
    ndim = data.ndim
    scale = [1.0] * (ndim - 2) + [size] * 2
    translate = [0.0] * (ndim - 2) + [size / 2] * 2
    units = ["pixel"] * (ndim - 2) + ["um"] * 2
    return viewer.add_image(
        data, scale=scale, translate=translate, units=units, name=name, **arguments
    )


@pytest.fixture
def images(viewer):
    """A bright line at x = 40 um: LR, and what stands for its result and the reference."""
    x = (np.arange(160) + 0.5) * FINE
    plane = np.tile(200 * np.exp(-((x - 40) ** 2) / (2 * (SIGMA * FINE) ** 2)), (80, 1))
    high = np.stack([0 * plane, plane])
    low = high.reshape(2, 20, 4, 40, 4).mean(axis=(2, 4))
    source = add(viewer, low, 4 * FINE, "low")
    metadata = {**role_tag("result"), **input_tag(source, {}, (4, 4))}
    metadata["napari_srgan"] = {"model": "tiny-gray", "input": "low"}
    result = add(viewer, high, FINE, "result", metadata=metadata)
    return source, result, add(viewer, high, FINE, "truth")


def settled(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.busy, timeout=WAIT)


def draw(viewer, line, **arguments):
    return viewer.add_shapes([np.array(line)], shape_type="line", ndim=2, **arguments)


def test_a_drawn_line_is_measured_in_all_images(viewer, panel, images, qtbot, tmp_path):
    low, _, truth = images
    viewer.dims.set_point(0, 1)
    panel.reference.choose(truth)
    draw(viewer, [[20, 20], [20, 60]], name=LAYER, units=("um", "um"))
    settled(qtbot, panel)
    profiles = {p.name: p for p in panel.found.profiles}
    assert list(profiles) == ["input", "bicubic", "result", "reference"]
    assert panel.found.symbol == "µm"
    assert profiles["result"].distance[-1] == pytest.approx(40)
    for name in ("result", "reference"):
        assert profiles[name].fwhm == pytest.approx(2.355 * SIGMA * FINE, rel=0.01)
        assert profiles[name].distance[profiles[name].values.argmax()] == pytest.approx(20, abs=0.3)
    assert profiles["bicubic"].fwhm > profiles["result"].fwhm
    large = bicubic_enlarge(np.asarray(low.data[1]), 4)
    at = np.interp(20 + profiles["bicubic"].distance, (np.arange(160) + 0.5) * FINE, large[40])
    assert np.abs(profiles["bicubic"].values - at).max() < 1
    assert panel.table.item(2, 0).text() == f"{profiles['result'].fwhm:.3g}"
    assert panel.table.item(2, 1).text() == "–"
    panel.save_to(tmp_path / "profile.csv")
    with (tmp_path / "profile.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["image"] for row in rows} == set(profiles)
    assert float(rows[-1]["distance_micrometer"]) == pytest.approx(40)
    # Another slice, and then no line.
    viewer.dims.set_point(0, 0)
    qtbot.waitUntil(
        lambda: not panel.busy and panel.found.profiles[2].values.max() == 0, timeout=WAIT
    )
    assert panel.found.profiles[2].fwhm is None
    viewer.layers.remove(LAYER)
    settled(qtbot, panel)
    assert panel.found is None and panel.message.text() == HINT
    assert not panel.save.isEnabled()


def test_layers_line_up_whatever_their_units_and_places(viewer, panel, images, qtbot):
    """The line is drawn in nanometres on a layer of its own scale."""
    viewer.dims.set_point(0, 1)
    line = np.array([[20_000, 20_000], [25_000, 60_000]]) / 7
    draw(viewer, line, scale=(7, 7), units=("nm", "nm"))
    settled(qtbot, panel)
    profiles = {p.name: p for p in panel.found.profiles}
    assert profiles["result"].distance[-1] == pytest.approx(np.hypot(5, 40))
    middle = {n: p.distance[p.values.argmax()] for n, p in profiles.items()}
    assert middle["bicubic"] == pytest.approx(middle["result"], abs=0.6)


def test_a_new_result_is_taken_with_its_input(viewer, panel, images, qtbot):
    low, result, _ = images
    panel.refresh()
    assert (panel.low.value(), panel.result.value()) == (low, result)
    assert panel.reference.value() is None
    panel.result.choose(None)
    panel.refresh()
    assert panel.result.value() is None, "what was chosen stays"


def test_what_is_in_the_way_is_said(viewer, panel, images, qtbot):
    draw(viewer, [[500, 500], [600, 600]], units=("um", "um"))
    settled(qtbot, panel)
    assert panel.message.is_error
    assert "lies outside input" in panel.message.text()
    viewer.dims.order = (1, 0, 2)
    settled(qtbot, panel)
    assert "Y x X planes" in panel.message.text()


@pytest.mark.napari_window
def test_a_line_is_drawn_with_the_mouse(viewer, panel, images, qtbot):
    viewer.dims.set_point(0, 1)
    viewer.canvas.grid.enabled = True
    qtbot.waitUntil(lambda: panel.draw.isVisible() and panel.draw.isEnabled())
    qtbot.wait(100)  # the dock is laid out, and the button where it stays
    QTest.mouseClick(panel.draw, Qt.MouseButton.LeftButton)
    assert not viewer.canvas.grid.enabled
    viewer.fit_to_view()
    qtbot.wait(100)
    native = viewer.window._qt_viewer.canvas.native
    y, x = native.height() // 2, native.width() // 2
    QTest.mousePress(native, Qt.MouseButton.LeftButton, pos=QPoint(x - 80, y))
    for at in (x - 20, x + 40, x + 80):
        QTest.mouseMove(native, QPoint(at, y))
        qtbot.wait(20)
    QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=QPoint(x + 80, y))
    qtbot.waitUntil(lambda: panel.found is not None and not panel.busy, timeout=WAIT)
    zoom = viewer.scene.camera.zoom
    assert panel.found.profiles[2].distance[-1] == pytest.approx(160 / zoom, rel=0.05)
    QTest.mouseClick(panel.draw, Qt.MouseButton.LeftButton)
    assert sum(la.name.startswith(LAYER) for la in viewer.layers) == 1
