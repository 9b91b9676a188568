"""Compare used in an order that nobody planned: what must not be lost, mixed up or stale."""

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_compare
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_srgan._gui.parts.widgets import Connections
from napari_srgan._gui.super_resolve.report import ReportButton

WAIT = 120_000


def click(widget):
    assert widget.isEnabled()
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def image(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.fixture
def panel(viewer, qtbot):
    return open_compare(viewer, qtbot)


def settled(qtbot, panel):
    parts = (panel.stack.runner, panel.maps.runner, panel.views.runner, panel.self_test.runner)
    qtbot.waitUntil(lambda: not panel.busy and not any(p.running for p in parts), timeout=WAIT)


def choose(qtbot, panel, reference, *candidates, low=None):
    panel.reference.choose(reference)
    qtbot.wait(100)  # each choice is followed before the next one is made
    for layer in candidates:
        panel.candidates.tick(layer)
    panel.low.choose(low)
    qtbot.wait(100)
    settled(qtbot, panel)


def test_left_and_right_differ_when_the_reference_is_chosen_first(viewer, panel, qtbot):
    truth, other = viewer.add_image(image(40, 48)), viewer.add_image(image(40, 48, seed=1))
    choose(qtbot, panel, truth, other)
    assert (panel.views.left.value(), panel.views.right.value()) == (truth, other)
    click(panel.views.difference)
    settled(qtbot, panel)
    wanted = other.data.astype(float) - truth.data
    assert np.array_equal(np.asarray(viewer.layers[-1].data), wanted)


@pytest.mark.napari_window
def test_bicubic_stays_chosen_when_its_layer_is_added(viewer, panel, qtbot):
    truth = viewer.add_image(image(2, 40, 48), name="truth")
    other = viewer.add_image(image(2, 40, 48, seed=1), name="other")
    choose(qtbot, panel, truth, other, low=viewer.add_image(image(2, 10, 12), name="low"))
    panel.views.right.setCurrentIndex(2)
    assert panel.views.right.value() == "bicubic"
    click(panel.views.draw)
    qtbot.wait(200)  # the new layers are heard of
    settled(qtbot, panel)
    assert panel.views.right.value() == "bicubic"
    assert panel.views.curtain.is_open
    assert [la.name for la in panel.views.curtain.right] == ["low [bicubic]"]


def test_an_error_stays_until_something_else_is_done(viewer, panel, qtbot):
    truth, other = viewer.add_image(image(3, 40, 48)), viewer.add_image(image(3, 40, 48, seed=1))
    choose(qtbot, panel, truth, other)
    click(panel.maps_fold.button)
    click(panel.maps.regions)
    assert "Draw a region" in panel.message.text()
    shapes = viewer.add_shapes([np.array([[5, 5], [30, 30]])], shape_type="line")
    panel.maps.shapes.choose(shapes)
    click(panel.maps.regions)
    assert "no area" in panel.message.text()
    shapes.data = []
    shapes.add_rectangles(np.array([[5, 5], [5, 30], [30, 30], [30, 5]]))
    click(panel.maps.regions)
    settled(qtbot, panel)
    assert "ENL" in panel.maps.text.text()
    assert not panel.message.is_error


def test_findings_name_their_slice_and_go_with_their_layers(viewer, panel, qtbot):
    truth, other = viewer.add_image(image(3, 40, 48)), viewer.add_image(image(3, 40, 48, seed=1))
    viewer.dims.set_point(0, 1)
    choose(qtbot, panel, truth, other)
    click(panel.maps_fold.button)
    click(panel.maps.rings)
    settled(qtbot, panel)
    viewer.dims.set_point(0, 2)
    settled(qtbot, panel)
    assert panel.maps.text.text().startswith("Slice Z = 1 (of 0 to 2).")
    assert panel.maps.plot.isVisibleTo(panel)
    viewer.layers.remove(other)
    qtbot.waitUntil(lambda: panel.maps.text.text() == "", timeout=WAIT)
    assert not panel.maps.plot.isVisibleTo(panel)


def test_error_maps_of_several_candidates_have_one_scale(viewer, panel, qtbot):
    truth = image(40, 48) // 2
    far = truth + image(40, 48, seed=1) // 3
    near = truth + image(40, 48, seed=2) // 30
    layers = [viewer.add_image(far, name="far"), viewer.add_image(near, name="near")]
    choose(qtbot, panel, viewer.add_image(truth, name="truth"), *layers)
    click(panel.maps_fold.button)
    click(panel.maps.error)
    settled(qtbot, panel)
    limits = {tuple(viewer.layers[f"error map of {n}"].contrast_limits) for n in ("far", "near")}
    assert len(limits) == 1
    assert viewer.layers[-1].name == "error map of near", "the first row of the table on top"
    maps = [la for la in viewer.layers if la.name.startswith("error map")]
    assert [la.visible for la in maps] == [viewer.canvas.grid.enabled] * (len(maps) - 1) + [True]
    assert ("are hidden" in panel.maps.text.text()) != viewer.canvas.grid.enabled
    # What shows findings is no image to compare with.
    assert {la.name for la in panel.reference.layers()} == {"truth", "far", "near"}
    button = ReportButton(viewer, Connections(), dict)
    qtbot.addWidget(button)
    assert {la.name for la in button.reference.layers()} == {"truth", "far", "near"}


def test_colours_and_alpha(viewer, panel, qtbot):
    colours = image(40, 48, 3)
    alpha = np.concatenate([colours, image(40, 48, 1, seed=1)], axis=2)
    truth = viewer.add_image(colours, name="truth", rgb=True)
    choose(qtbot, panel, truth, viewer.add_image(alpha, name="alpha", rgb=True))
    assert panel.table.cell("alpha", "psnr").text() == "∞"
    click(panel.stack.button)
    settled(qtbot, panel)
    assert not panel.message.is_error
    assert panel.table.cell("alpha", "psnr", "all").text() == "∞"
    click(panel.maps_fold.button)
    click(panel.maps.error)
    settled(qtbot, panel)
    assert "RSE 0" in panel.maps.text.text()
    panel.candidates.tick(viewer.add_image(colours[..., 0], name="one channel"))
    qtbot.waitUntil(lambda: panel.message.is_error, timeout=WAIT)
    assert "truth is RGB and one channel gray" in panel.message.text()


def test_a_candidate_of_another_size_is_named(viewer, panel, qtbot):
    truth = viewer.add_image(image(40, 48), name="truth")
    good, bad = viewer.add_image(truth.data, name="good"), viewer.add_image(image(37, 48))
    bad.name = "bad"
    choose(qtbot, panel, truth, good, bad)
    assert "truth is 40 x 48 px and bad 37 x 48 px" in panel.message.text()
    assert panel.table.cell("good", "psnr").text() == "∞"


def test_a_result_of_one_slice_is_named_rather_than_its_input(viewer, panel, qtbot):
    truth = viewer.add_image(image(3, 40, 48), name="truth")
    low = viewer.add_image(image(1, 10, 12), name="low", scale=(1, 4, 4), translate=(1, 1.5, 1.5))
    made = viewer.add_image(truth.data[1:2], name="made", translate=(1, 0, 0))
    viewer.dims.set_point(0, 1)
    choose(qtbot, panel, truth, made, low=low)
    assert panel.table.cell("made", "psnr").text() == "∞"
    click(panel.stack.button)
    assert panel.message.is_error
    assert "truth has slices Z=3 and made" in panel.message.text()


@pytest.mark.napari_window
def test_side_by_side_names_all_and_gives_the_view_back(viewer, panel, qtbot):
    layers = [viewer.add_image(image(60, 40, seed=n), name=f"long name {n} " * 3) for n in range(3)]
    choose(qtbot, panel, layers[0], *layers[1:])
    viewer.fit_to_view()
    qtbot.wait(200)
    zoom = viewer.scene.camera.zoom
    viewer.scene.camera.zoom = 2 * zoom
    click(panel.views.grid)
    assert viewer.canvas.grid.enabled
    assert all(layer.name_overlay.visible for layer in layers)
    assert layers[0].name_overlay.font_size < 10, "or the names would be cut"
    click(panel.views.grid)
    assert viewer.scene.camera.zoom == pytest.approx(2 * zoom)
    assert not any(layer.name_overlay.visible for layer in layers)
    for layer in layers:
        layer.data = image(40, 160)  # wide ones stand one above the other
    click(panel.views.grid)
    assert viewer.canvas.grid.actual_shape(viewer.layers) == (3, 1)
    click(panel.views.grid)
    # The grid of a run is there already: the reference gets its name all the same.
    viewer.canvas.grid.enabled = True
    click(panel.views.grid)
    assert layers[0].name_overlay.visible


def test_side_by_side_of_layers_that_cannot_be_measured(viewer, panel, qtbot):
    layers = [viewer.add_image(image(2, 2, 2, 16, 16, seed=n), name=f"five {n}") for n in (0, 1)]
    choose(qtbot, panel, *layers)
    assert "axes that nothing names" in panel.message.text()
    click(panel.views.grid)
    assert viewer.canvas.grid.enabled


def test_the_table_is_as_high_as_its_rows_and_its_columns_fit(viewer, panel, qtbot):
    truth, other = viewer.add_image(image(3, 40, 48)), viewer.add_image(image(3, 40, 48, seed=1))
    choose(qtbot, panel, truth, other, low=viewer.add_image(image(3, 10, 12), name="low"))
    before = panel.table.height()
    click(panel.stack.button)
    settled(qtbot, panel)
    assert panel.table.height() > before
    columns = panel.table.columnCount()
    widths = [panel.table.columnWidth(c) for c in range(columns)]
    assert widths[-1] < panel.table.fontMetrics().horizontalAdvance("∞") + 10
    assert sum(widths) <= panel.table.width(), "nothing is cut off, nothing has to be scrolled"
    panel.stack.forget()
    assert panel.table.rowCount() == 2
    assert panel.table.height() == before


def test_a_second_self_test_starts_from_the_original(viewer, panel, tiny_models, qtbot):
    layer = viewer.add_image(image(66, 80), name="scan")
    panel.self_test.model.box.choose("tiny-gray")
    panel.self_test.operator.choose("decimate")
    for _ in range(2):
        panel.self_test.start()
        settled(qtbot, panel)
    assert panel.reference.value().name == "scan [target] [2]"
    lows = [la.data for la in viewer.layers if la.name.startswith("scan [LR 4x]")]
    assert len(lows) == 2 and np.array_equal(*lows)
    assert layer in viewer.layers
