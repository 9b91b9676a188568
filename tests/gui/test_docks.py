"""Two panels in a small window: tabs, a button that stays in view, the focus where it was."""

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_compare, open_super_resolve
from qtpy.QtCore import QPoint

from napari_srgan._gui.parts.widgets import DropDown

WAIT = 120_000

pytestmark = [pytest.mark.usefixtures("tiny_models"), pytest.mark.napari_window]


@pytest.fixture
def panel(viewer, qtbot):
    viewer.window.resize(1100, 700)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 24, 32)).astype(np.uint8)
    viewer.add_image(pixels, name="scan")
    panel = open_super_resolve(viewer, qtbot)
    panel.model.box.choose("tiny-gray")
    panel.refresh()
    return panel


def run(qtbot, panel, start):
    before = list(panel.viewer.layers)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        start()
    return [layer for layer in panel.viewer.layers if layer not in before]


def test_a_second_panel_is_a_tab_in_front_and_the_window_does_not_grow(viewer, panel, qtbot):
    compare = open_compare(viewer, qtbot)
    qtbot.wait(100)
    docks = [p.parentWidget() for p in (panel, compare)]
    window = viewer.window._qt_window
    assert window.tabifiedDockWidgets(docks[0]) == [docks[1]]
    assert compare.isVisible() and not panel.visibleRegion().boundingRect().isValid()
    assert (window.width(), window.height()) == (1100, 700)
    # Who takes it out of the tabs finds it outside when it is shown again.
    docks[1].setFloating(True)
    docks[1].hide()
    docks[1].show()
    assert docks[1].isFloating()


def test_the_button_stays_in_view_whatever_is_unfolded(viewer, panel, qtbot):
    panel.fold.button.setChecked(True)
    panel.pixel_size.button.setChecked(True)
    run(qtbot, panel, panel.start)
    qtbot.wait(100)
    for each in (panel.run, panel.preview, panel.message):
        corner = each.mapTo(panel, QPoint(each.width(), each.height()))
        assert each.isVisible() and corner.y() <= panel.height()
        assert each.visibleRegion().boundingRect() == each.rect()


def test_the_focus_is_afterwards_where_it_was(viewer, panel, qtbot):
    window = viewer.window._qt_window
    for each in (panel.run, panel.advanced.path, panel.layer):
        panel.fold.button.setChecked(True)
        each.setFocus()
        assert window.focusWidget() is each
        run(qtbot, panel, panel.run.click)
        assert window.focusWidget() is each

    def and_go_elsewhere():
        panel.run.setFocus()
        panel.run.click()
        qtbot.wait(30)
        panel.model.box.setFocus()

    run(qtbot, panel, and_go_elsewhere)
    assert window.focusWidget() is panel.model.box


def test_every_map_has_a_title_and_a_colour_bar(viewer, panel, qtbot):
    (result,) = run(qtbot, panel, panel.start)
    (trust,) = run(qtbot, panel, lambda: panel.trust.start("consistency"))
    unit = trust.metadata["trust_map"]["unit"]
    rms = np.sqrt(np.mean(trust.data.astype(float) ** 2))
    text = panel.message.text()  # all in the unit of the colour bar
    assert f"RMS {rms:.3g} (" in text and f"{trust.contrast_limits[1]:.3g} in {unit}." in text
    truth = viewer.add_image(result.data + 1, name="truth")
    compare = open_compare(viewer, qtbot)
    compare.reference.choose(truth)
    compare.refresh()
    for start, runner in (
        (compare.maps.map_errors, compare.maps.runner),
        (compare.views.subtract, compare.views.runner),
    ):
        before = list(viewer.layers)
        with qtbot.waitSignal(runner.ended, timeout=WAIT):
            start()
        assert [layer for layer in viewer.layers if layer not in before]
    maps = [layer for layer in viewer.layers if layer not in (viewer.layers["scan"], result, truth)]
    assert len(maps) >= 3
    for layer in maps:
        assert layer.colorbar.visible and layer.name_overlay.visible


def test_a_long_name_is_cut_in_its_middle(qtbot):
    boxes = []
    for text in ("a" * 90 + " [one-model 4x]", "a" * 90 + " [another one 4x]"):
        box = DropDown((text, None))
        qtbot.addWidget(box)
        box.setFixedWidth(200)
        boxes.append(box.grab().toImage())
    assert boxes[0] != boxes[1]
