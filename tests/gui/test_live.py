"""Live follows the view, shows what a run would give, and leaves nothing behind."""

import threading
import time

import numpy as np
import pytest
import small_models

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve
from qtpy.QtCore import Qt

from napari_srgan._gui.super_resolve import live as live_module
from napari_srgan._gui.tags import is_restored, made_from, role_of
from napari_srgan.api import upscale
from napari_srgan.engine import run as engine_run
from napari_srgan.image.stack import Stack
from napari_srgan.models import catalogue

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def panel(viewer, qtbot):
    panel = open_super_resolve(viewer, qtbot)
    panel.show()
    return panel


@pytest.fixture
def stack(viewer):
    pixels = np.random.default_rng(0).integers(0, 255, (3, 24, 32)).astype(np.uint8)
    layer = viewer.add_image(pixels, name="s", scale=(9, 2, 2), translate=(0, 5, 7))
    layer.corner_pixels = np.array([[0, 0, 0], [0, 23, 31]])
    viewer.dims.set_current_step(0, 1)
    return layer


def turn_on(qtbot, panel, model="tiny-gray"):
    assert panel.model.box.choose(model)
    panel.refresh()
    qtbot.mouseClick(panel.live.button, Qt.MouseButton.LeftButton)
    settle(qtbot, panel)


def settle(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.live.busy, timeout=WAIT)


def shown_as_restored(live, layer, model="tiny-gray"):
    """Hold what is shown to a run of the same part, in pixels and in place."""
    z = round(float(live.translate[0] / layer.scale[0]))
    y = round(float((live.translate[1] - layer.translate[1]) / layer.scale[1] + 0.375))
    x = round(float((live.translate[2] - layer.translate[2]) / layer.scale[2] + 0.375))
    height, width = (n // 4 for n in live.data.shape[-2:])
    region = {"Z": (z, z + 1), "Y": (y, y + height), "X": (x, x + width)}
    made = upscale(layer.data, model, region=region)
    np.testing.assert_array_equal(live.data, made.data)
    assert {a: made_from(live).region[a] for a in "ZYX"} == region
    return region


def test_what_is_in_view_is_shown_as_a_run_would_restore_it(viewer, panel, stack, qtbot):
    turn_on(qtbot, panel)
    live = panel.live.layer
    assert list(viewer.layers) == [stack, live]
    assert viewer.layers.selection.active is stack
    region = shown_as_restored(live, stack)
    assert region == {"Z": (1, 2), "Y": (0, 24), "X": (0, 32)}
    assert role_of(live) == "view" and not is_restored(live)
    assert panel.result.value() is None  # nothing to be saved or reported


def test_slices_are_followed_in_the_same_layer(viewer, panel, stack, qtbot):
    turn_on(qtbot, panel)
    live = panel.live.layer
    viewer.dims.set_current_step(0, 2)
    settle(qtbot, panel)
    assert shown_as_restored(live, stack)["Z"] == (2, 3)
    assert list(viewer.layers) == [stack, live]
    assert not live.bounding_box.visible  # the frame is around parts


def test_of_slices_too_large_to_be_kept_the_part_in_view_is_restored(
    viewer, panel, stack, qtbot, monkeypatch
):
    monkeypatch.setattr(live_module, "KEPT", 1000)
    monkeypatch.setattr(live_module, "_FIRST_SECONDS", 0.0)
    stack.corner_pixels = np.array([[0, 4, 10], [0, 15, 25]])
    turn_on(qtbot, panel)
    live = panel.live.layer
    region = shown_as_restored(live, stack)
    assert (region["Y"], region["X"]) == ((4, 16), (10, 26))
    assert live.bounding_box.visible and "white frame" in panel.live.state.text()
    stack.corner_pixels = np.array([[0, 0, 0], [0, 15, 15]])
    viewer.scene.camera.center = (0, 30, 40)
    settle(qtbot, panel)
    region = shown_as_restored(live, stack)
    assert (region["Y"], region["X"]) == ((0, 16), (0, 16))
    assert list(viewer.layers) == [stack, live] and not panel.live.kept.held()


def test_nothing_is_left_when_it_ends(viewer, panel, stack, qtbot):
    viewer.canvas.grid.enabled = True
    turn_on(qtbot, panel)
    assert not viewer.canvas.grid.enabled
    qtbot.mouseClick(panel.live.button, Qt.MouseButton.LeftButton)
    assert list(viewer.layers) == [stack]
    assert viewer.canvas.grid.enabled
    viewer.dims.set_current_step(0, 0)
    settle(qtbot, panel)
    assert list(viewer.layers) == [stack]


@pytest.mark.parametrize("which", ["input", "view"])
def test_it_ends_when_a_layer_of_it_is_removed(viewer, panel, stack, qtbot, which):
    turn_on(qtbot, panel)
    viewer.layers.remove(stack if which == "input" else panel.live.layer)
    assert not panel.live.on
    assert list(viewer.layers) == ([] if which == "input" else [stack])


def test_it_ends_before_a_run_and_with_the_panel(viewer, panel, stack, qtbot):
    turn_on(qtbot, panel)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        qtbot.mouseClick(panel.run, Qt.MouseButton.LeftButton)
    assert not panel.live.on
    assert len(viewer.layers) == 2  # the input and the result
    viewer.layers.remove(viewer.layers[-1])
    turn_on(qtbot, panel)
    panel.close()
    assert list(viewer.layers) == [stack]


@pytest.fixture
def looked(monkeypatch):
    """The regions that are restored, in their order."""
    begun, look = [], live_module.look

    def noted(stack, options, region):
        begun.append(region)
        yield from look(stack, options, region)

    monkeypatch.setattr(live_module, "look", noted)
    return begun


def test_of_many_moves_only_the_last_is_followed(viewer, panel, qtbot, looked):
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (40, 24, 32)).astype(np.uint8))
    turn_on(qtbot, panel)
    looked.clear()
    for step in (30, 25, 38, 22, 27, 39):
        viewer.dims.set_current_step(0, step)
        viewer.scene.camera.zoom *= 1.1
    settle(qtbot, panel)
    assert looked[0] == {"Z": (39, 40)}
    assert {r["Z"][0] for r in looked} == {39, 38, 37}  # and its neighbours


def test_slices_ahead_are_made_before_one_moves_to_them_and_shown_at_once(
    viewer, panel, qtbot, looked
):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 24, 32)).astype(np.uint8)
    layer = viewer.add_image(pixels, scale=(9, 2, 2))
    viewer.dims.set_current_step(0, 20)
    turn_on(qtbot, panel)
    assert [r["Z"][0] for r in looked] == [20, 21, 19, 22, 18, 23, 24, 25, 26]
    looked.clear()
    viewer.dims.set_current_step(0, 19)
    assert shown_as_restored(panel.live.layer, layer)["Z"] == (19, 20)  # nothing is waited for
    settle(qtbot, panel)
    assert [r["Z"][0] for r in looked] == [17, 16, 15, 14, 13]  # in the direction of the move
    viewer.dims.set_current_step(0, 26)
    assert shown_as_restored(panel.live.layer, layer)["Z"] == (26, 27)
    assert "slices done: " in panel.live.state.text()


def test_what_is_kept_stays_within_its_bound(viewer, panel, stack, qtbot, monkeypatch):
    plane = 16 * 24 * 32
    monkeypatch.setattr(live_module, "KEPT", 2 * plane)
    turn_on(qtbot, panel)
    for step in (0, 2, 1, 0):
        viewer.dims.set_current_step(0, step)
        settle(qtbot, panel)
        assert panel.live.kept.nbytes <= 2 * plane
        assert shown_as_restored(panel.live.layer, stack)["Z"] == (step, step + 1)
    assert len(panel.live.kept.held()) == 2


def test_another_model_makes_its_own_slices(viewer, panel, stack, qtbot, tmp_path, monkeypatch):
    small_models.save(tmp_path, "one", 1)
    small_models.save(tmp_path, "two", 1, features=8)
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    panel.model.refresh()
    turn_on(qtbot, panel, "one")
    shown_as_restored(panel.live.layer, stack, "one")
    assert panel.model.box.choose("two")
    settle(qtbot, panel)
    shown_as_restored(panel.live.layer, stack, "two")
    assert panel.live.layer.name == "s [live two 4x]"


def test_other_settings_make_their_own_slices(viewer, panel, stack, qtbot):
    turn_on(qtbot, panel)
    before = np.array(panel.live.layer.data)
    panel.advanced.options["intensity"].value = "50:100"
    panel.advanced.options["intensity"].native.editingFinished.emit()
    settle(qtbot, panel)
    wanted = upscale(stack.data, "tiny-gray", region={"Z": (1, 2)}, intensity="50:100")
    np.testing.assert_array_equal(panel.live.layer.data, wanted.data)
    assert (before != wanted.data).any()


def test_it_waits_in_three_dimensions_and_goes_on_after(viewer, panel, stack, qtbot):
    turn_on(qtbot, panel)
    viewer.dims.ndisplay = 3
    settle(qtbot, panel)
    assert panel.live.on and not panel.live.layer.visible
    assert "leave the 3D view" in panel.live.state.text()
    viewer.dims.ndisplay = 2
    settle(qtbot, panel)
    assert panel.live.layer.visible and "slices done" in panel.live.state.text()
    shown_as_restored(panel.live.layer, stack)


@pytest.mark.parametrize("which", ["as live", "the usual button"])
def test_the_whole_stack_takes_over_what_live_has_done(
    viewer, panel, stack, qtbot, monkeypatch, which
):
    panel.grid.setChecked(False)
    panel.before_after.setChecked(False)
    turn_on(qtbot, panel)
    assert panel.live.whole.text() == "Restore whole stack"
    opened, button = [], panel.live.whole if which == "as live" else panel.run
    with monkeypatch.context() as patch, qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        patch.setattr(engine_run._Run, "_open", lambda run, index: opened.append(index))
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert not opened  # all three slices were done
    result = viewer.layers[-1]
    assert list(viewer.layers) == [stack, result] and is_restored(result)
    plain = upscale(Stack(stack.data, "ZYX"), "tiny-gray")
    np.testing.assert_array_equal(result.data, plain.data)
    assert not panel.live.on and not panel.live.bar.isVisible() and not panel.live.kept.held()


def test_looks_and_place_follow_the_input(viewer, panel, stack, qtbot):
    turn_on(qtbot, panel)
    live = panel.live.layer
    stack.colormap, stack.contrast_limits, stack.gamma = "green", (20, 90), 0.5
    assert (live.colormap.name, tuple(live.contrast_limits), live.gamma) == ("green", (20, 90), 0.5)
    stack.scale, stack.translate, stack.rotate = (9, 3, 4), (0, 1, 2), 30
    settle(qtbot, panel)
    low, high = (la.data_to_world([z, -0.5, -0.5]) for la, z in ((stack, 1), (live, 0)))
    np.testing.assert_allclose(low[1:], high[1:])
    assert live.visible


def test_colours_and_steps_in_time_are_restored(viewer, panel, qtbot):
    pixels = np.random.default_rng(0).integers(0, 255, (2, 3, 16, 20, 3)).astype(np.uint8)
    layer = viewer.add_image(pixels, rgb=True, axis_labels=("t", "z", "y", "x"))
    viewer.dims.set_current_step(0, 1)
    viewer.dims.set_current_step(1, 2)
    turn_on(qtbot, panel, "tiny-rgb")
    wanted = upscale(pixels, "tiny-rgb", axes="TZYXS", region={"T": (1, 2), "Z": (2, 3)})
    np.testing.assert_array_equal(panel.live.layer.data, wanted.data)
    viewer.dims.set_current_step(0, 0)
    settle(qtbot, panel)
    wanted = upscale(pixels, "tiny-rgb", axes="TZYXS", region={"T": (0, 1), "Z": (2, 3)})
    np.testing.assert_array_equal(panel.live.layer.data, wanted.data)
    assert layer in viewer.layers


class Slow:
    """An array that takes its time, and notes which thread read it."""

    def __init__(self, pixels):
        self._pixels, self.readers = pixels, set()
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim

    def __getitem__(self, key):
        self.readers.add(threading.current_thread().name)
        time.sleep(0.02)
        return self._pixels[key]


def test_slow_pixels_are_never_read_by_the_window(viewer, panel, stack, qtbot, monkeypatch):
    slow = Slow(stack.data)
    monkeypatch.setattr(panel.kind, "stack_of", lambda layer: Stack(slow, "ZYX", "slow"))
    turn_on(qtbot, panel)
    viewer.dims.set_current_step(0, 2)
    settle(qtbot, panel)
    assert panel.live.layer is not None
    assert slow.readers and threading.main_thread().name not in slow.readers


def test_a_viewer_that_closes_in_the_middle_is_no_error(viewer, panel, stack, qtbot):
    panel.model.box.choose("tiny-gray")
    panel.refresh()
    qtbot.mouseClick(panel.live.button, Qt.MouseButton.LeftButton)
    viewer.layers.clear()
    assert not panel.live.on and panel.live.layer is None
    panel.close()
    qtbot.wait(50)


def test_a_model_that_is_as_good_and_faster_stands_in(
    viewer, panel, stack, qtbot, tmp_path, monkeypatch
):
    small_models.save(tmp_path, "slow", 1)
    small_models.save(tmp_path, "quick", 1)
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    monkeypatch.setattr(catalogue, "FAST", {"slow": "quick"})
    panel.model.refresh()
    turn_on(qtbot, panel, "slow")
    assert panel.live.layer.name == "s [live quick 4x]"


def test_an_image_that_cannot_be_restored_is_told_and_live_is_off(viewer, panel, qtbot):
    viewer.add_image(np.full((24, 32), np.nan, np.float32), name="bad")
    turn_on(qtbot, panel)
    assert not panel.live.on
    assert panel.message.is_error and "no finite value" in panel.message.text()
    assert len(viewer.layers) == 1


def test_a_slice_ahead_that_cannot_be_restored_is_told_of_when_one_moves_to_it(
    viewer, panel, qtbot
):
    pixels = np.random.default_rng(0).random((4, 24, 32)).astype(np.float32)
    pixels[2, 3, 3] = np.nan
    viewer.add_image(pixels, name="holed")
    viewer.dims.set_current_step(0, 1)
    turn_on(qtbot, panel)
    assert panel.live.on and panel.message.text() == ""
    assert {index for _, index in panel.live.kept.held()} == {(0,), (1,), (3,)}
    viewer.dims.set_current_step(0, 2)
    settle(qtbot, panel)
    assert not panel.live.on and "slice Z=2" in panel.message.text()


def test_a_view_that_stays_is_restored_in_stages_that_grow(viewer, panel, qtbot, looked):
    pixels = np.random.default_rng(0).integers(0, 255, (300, 400)).astype(np.uint8)
    layer = viewer.add_image(pixels)
    layer.corner_pixels = np.array([[0, 0], [299, 399]])
    turn_on(qtbot, panel)
    sides = [r["Y"][1] - r["Y"][0] if "Y" in r else 300 for r in looked]
    assert sides == sorted(sides) and sides[-1] == 300 and len(sides) <= 3
    shown = panel.live.layer.data
    assert shown.shape == (1200, 1600)


def test_beyond_the_slices_of_the_image_nothing_is_shown(viewer, panel, stack, qtbot):
    viewer.add_image(np.zeros((9, 24, 32), np.uint8), name="longer", scale=(9, 2, 2))
    assert panel.choose_layer(stack)
    viewer.dims.set_current_step(0, 1)
    turn_on(qtbot, panel)
    assert panel.live.layer.visible
    viewer.dims.set_current_step(0, 7)
    settle(qtbot, panel)
    assert not panel.live.layer.visible
    viewer.dims.set_current_step(0, 1)
    settle(qtbot, panel)
    assert panel.live.layer.visible


def test_another_image_is_followed_when_it_is_chosen(viewer, panel, stack, qtbot):
    turn_on(qtbot, panel)
    other = viewer.add_image(stack.data[:, ::-1], name="other", scale=(9, 2, 2))
    other.corner_pixels = np.array([[0, 0, 0], [0, 23, 31]])
    assert panel.choose_layer(other)
    settle(qtbot, panel)
    assert panel.live.on
    shown_as_restored(panel.live.layer, other)
    assert list(viewer.layers) == [stack, other, panel.live.layer]


def test_a_view_that_stays_is_followed_once(viewer, panel, stack, qtbot, looked):
    """The part itself changes the extent of the layers, of which napari tells as of a move."""
    turn_on(qtbot, panel)
    viewer.dims.events.current_step()
    viewer.scene.camera.events.zoom()
    settle(qtbot, panel)
    assert [r["Z"][0] for r in looked] == [1, 2, 0]


def test_new_pixels_of_the_image_are_restored(viewer, panel, stack, qtbot):
    turn_on(qtbot, panel)
    before = panel.live.layer.data
    stack.data = 255 - stack.data
    settle(qtbot, panel)
    assert panel.live.layer.data is not before
    shown_as_restored(panel.live.layer, stack)
