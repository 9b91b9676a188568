"""A trust map laid over the result that it is about: as a user clicks, fades and looks."""

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve
from qtpy.QtCore import Qt

from napari_srgan._gui.parts.overlay import see_through

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def scan(viewer):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 24, 32)).astype(np.uint8)
    return viewer.add_image(pixels, name="scan")


@pytest.fixture
def panel(viewer, scan, qtbot):
    panel = open_super_resolve(viewer, qtbot)
    panel.advanced.options["device"].value = "cpu"
    return panel


def run(qtbot, panel, start):
    panel.refresh()
    before = list(panel.viewer.layers)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        start()
    return [layer for layer in panel.viewer.layers if layer not in before]


def restored(qtbot, panel, model="tiny-gray"):
    panel.choose_layer(panel.viewer.layers["scan"])
    panel.model.box.choose(model)
    (made,) = run(qtbot, panel, panel.start)
    return made


def laid(qtbot, panel, kind="consistency"):
    click = panel.trust.buttons[kind].click
    (made,) = run(qtbot, panel, click)
    return made


def state(viewer):
    """What is seen: the layers, which of them, how, and the grid."""
    looks = [(la, la.visible, la.opacity, la.name_overlay.visible) for la in viewer.layers]
    return looks, viewer.canvas.grid.enabled


def test_a_map_lies_on_its_result_is_faded_in_and_leaves_nothing(viewer, panel, qtbot):
    first = restored(qtbot, panel)
    second = restored(qtbot, panel, "other-gray")
    viewer.canvas.grid.enabled = False
    panel.result.choose(first)  # below the other one, which covers it
    before = state(viewer)
    button = panel.trust.buttons["consistency"]
    made = laid(qtbot, panel)
    assert button.isChecked() and panel.trust.overlay.isVisibleTo(panel)
    assert first.name in made.name and first.name in panel.message.text()
    assert first.name in button.toolTip() and first.name in panel.trust.overlay.slider.toolTip()
    assert "(stored values)" in made.name and made.name_overlay.visible and made.colorbar.visible
    assert first.visible and not second.visible  # a map over another image would be a lie
    panel.trust.overlay.slider.setValue(25)
    assert made.opacity == 0.25
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert state(viewer) == before
    assert not button.isChecked() and not panel.trust.overlay.isVisibleTo(panel)


def test_one_map_is_seen_at_a_time_and_goes_with_its_result(viewer, panel, qtbot):
    made = restored(qtbot, panel)
    maps = [laid(qtbot, panel, kind) for kind in ("consistency", "spread")]
    assert maps[0] not in viewer.layers and maps[1] in viewer.layers
    down = {kind for kind, each in panel.trust.buttons.items() if each.isChecked()}
    assert down == {"spread"}
    other = restored(qtbot, panel, "other-gray")  # named from now on
    assert maps[1] not in viewer.layers and made.visible
    found = laid(qtbot, panel)
    viewer.layers.remove(found)  # in the list of layers
    assert not panel.trust.buttons["consistency"].isChecked()
    found = laid(qtbot, panel)
    viewer.layers.remove(other)
    assert found not in viewer.layers


def test_a_map_that_is_kept_is_a_layer_like_others(viewer, panel, qtbot):
    made = restored(qtbot, panel)
    found = laid(qtbot, panel)
    qtbot.mouseClick(panel.trust.overlay.keep, Qt.MouseButton.LeftButton)
    assert not panel.trust.buttons["consistency"].isChecked()
    assert found in viewer.layers and found.opacity == 1 and found.visible
    assert found.colormap.name == "blue-black-orange" and found.metadata["trust_map"]
    panel.let_go()
    assert found in viewer.layers and made in viewer.layers


def test_a_quick_map_follows_the_slices_and_a_slow_one_says_its_own(viewer, panel, qtbot):
    made = restored(qtbot, panel)
    viewer.dims.set_current_step(0, 0)
    first = laid(qtbot, panel)
    assert "slice Z = 0" in panel.message.text()
    viewer.dims.set_current_step(0, 2)
    qtbot.waitUntil(lambda: "slice Z = 2" in panel.message.text(), timeout=WAIT)
    found = panel.trust.overlay.layer
    assert first not in viewer.layers and found in viewer.layers
    assert found.translate[0] == made.translate[0] + 2 * made.scale[0]
    slow = laid(qtbot, panel, "spread")
    viewer.dims.set_current_step(0, 0)
    qtbot.wait(200)
    assert panel.trust.overlay.layer is slow
    panel.trust.scope.choose(True)  # made anew, of all slices
    qtbot.waitUntil(lambda: panel.trust.overlay.layer is not slow, timeout=WAIT)
    assert panel.trust.overlay.layer.data.shape == (3, 96, 128)


def test_in_the_grid_a_map_has_a_cell_and_is_not_faded(viewer, panel, qtbot):
    restored(qtbot, panel)
    viewer.canvas.grid.enabled = False
    made = laid(qtbot, panel)
    seen = made.opacity
    viewer.canvas.grid.enabled = True
    assert made.opacity == 1 and not panel.trust.overlay.slider.isEnabled()
    assert all(layer.visible for layer in viewer.layers)
    viewer.canvas.grid.enabled = False
    assert made.opacity == seen and panel.trust.overlay.slider.isEnabled()


def test_a_panel_that_closes_takes_its_map_along(viewer, panel, qtbot):
    made = restored(qtbot, panel)
    found = laid(qtbot, panel)
    panel.let_go()
    assert found not in viewer.layers and made in viewer.layers


def test_a_map_that_cannot_be_made_leaves_its_button_up(viewer, panel, qtbot):
    restored(qtbot, panel)
    viewer.layers.remove("scan")
    panel.trust.buttons["consistency"].click()
    assert panel.message.is_error and "is not open" in panel.message.text()
    assert not panel.trust.buttons["consistency"].isChecked()


@pytest.mark.napari_window
def test_in_the_curtain_a_map_is_seen_on_the_side_of_its_result(viewer, panel, qtbot):
    viewer.window.resize(900, 600)
    panel.before_after.setChecked(True)
    made = restored(qtbot, panel)
    assert panel.curtain.is_open

    def colourful():
        """The share of pixels with a colour, in the left and the right half of the canvas."""
        pixels = viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
        colour = np.ptp(pixels, axis=2) > 40
        height, width = colour.shape
        rows = colour[height // 4 : height // 2]
        return rows[:, : width // 2 - 20].mean(), rows[:, width // 2 + 20 :].mean()

    assert max(colourful()) == 0
    found = laid(qtbot, panel)
    left, right = colourful()
    assert left == 0 and right > 0.05
    panel.curtain.close()
    assert found in viewer.layers and found.visible and made.visible
    panel.curtain.open([viewer.layers["scan"]], [made])  # over the map that is there
    left, right = colourful()
    assert left == 0 and right > 0.05
    viewer.layers.remove(found)
    assert panel.curtain.is_open and max(colourful()) == 0


def test_black_becomes_transparent_and_nothing_else_changes():
    from napari.utils.colormaps import AVAILABLE_COLORMAPS

    plain = AVAILABLE_COLORMAPS["inferno"]
    values = np.linspace(0, 1, 33)
    before, after = plain.map(values), see_through(plain).map(values)
    assert after[0, 3] < 0.05 and after[-1, 3] > 0.95
    np.testing.assert_allclose(after[:, :3] * after[:, 3:], before[:, :3], atol=0.01)
