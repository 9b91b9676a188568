"""A result that goes to a file is seen while it is made, and leaves no other layer than itself."""

import threading

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve
from qtpy.QtCore import Qt

from napari_srgan._gui.super_resolve import growing as growing_module
from napari_srgan._gui.tags import is_restored, role_of
from napari_srgan.api import upscale
from napari_srgan.engine import run as engine_run
from napari_srgan.image.stack import Stack

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def panel(viewer, qtbot):
    panel = open_super_resolve(viewer, qtbot)
    panel.show()
    panel.grid.setChecked(False)
    panel.before_after.setChecked(False)
    return panel


@pytest.fixture
def held(monkeypatch):
    """The run waits before it reads its third slice."""
    go_on, opened = threading.Event(), engine_run._Run._open

    def waiting(run, index):
        assert index < (2,) or go_on.wait(60)
        return opened(run, index)

    monkeypatch.setattr(engine_run._Run, "_open", waiting)
    yield go_on
    go_on.set()


@pytest.fixture
def stack(viewer):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 24, 32)).astype(np.uint8)
    return viewer.add_image(pixels, name="s", scale=(9, 2, 2), translate=(0, 5, 7))


def start(panel, qtbot, path):
    assert panel.model.box.choose("tiny-gray")
    panel.advanced.place.choose("file")
    panel.advanced.path.setText(str(path))
    panel.refresh()
    qtbot.mouseClick(panel.run, Qt.MouseButton.LeftButton)
    assert panel.runner.running, panel.message.text()


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_slices_that_are_done_are_seen(viewer, panel, stack, qtbot, tmp_path, held, name):
    if name.endswith(".zarr"):
        pytest.importorskip("zarr")
    viewer.dims.set_current_step(0, 1)
    start(panel, qtbot, tmp_path / name)
    qtbot.waitUntil(lambda: bool(panel.growing.layers), timeout=WAIT)
    (seen,) = panel.growing.layers
    assert role_of(seen) == "view" and not is_restored(seen)
    wanted = upscale(Stack(stack.data[:2], "ZYX"), "tiny-gray", intensity="0:255").data
    np.testing.assert_array_equal(seen.data, wanted[1:2])
    low, high = stack.data_to_world([1, -0.5, -0.5]), seen.data_to_world([0, -0.5, -0.5])
    np.testing.assert_allclose(low, high)
    viewer.dims.set_current_step(0, 3)  # not done: the input is seen
    assert not seen.visible
    viewer.dims.set_current_step(0, 0)
    np.testing.assert_array_equal(seen.data, wanted[:1])
    assert seen.visible
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        held.set()
    assert [la.name for la in viewer.layers] == ["s", "s [tiny-gray 4x]"]
    assert is_restored(viewer.layers[-1]) and (tmp_path / name).exists()


def test_nothing_is_left_of_a_run_that_is_cancelled(viewer, panel, stack, qtbot, tmp_path, held):
    start(panel, qtbot, tmp_path / "a.tif")
    viewer.dims.set_current_step(0, 0)
    qtbot.waitUntil(lambda: bool(panel.growing.layers), timeout=WAIT)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        panel.runner.cancel()
        held.set()
    assert list(viewer.layers) == [stack] and not panel.growing.layers


def test_a_layer_that_a_person_removes_does_not_come_back(
    viewer, panel, stack, qtbot, tmp_path, held
):
    start(panel, qtbot, tmp_path / "a.tif")
    viewer.dims.set_current_step(0, 0)
    qtbot.waitUntil(lambda: bool(panel.growing.layers), timeout=WAIT)
    viewer.layers.remove(panel.growing.layers[0])
    viewer.dims.set_current_step(0, 1)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        held.set()
    assert len(viewer.layers) == 2


def test_of_planes_that_take_long_to_read_nothing_is_shown(
    viewer, panel, stack, qtbot, tmp_path, monkeypatch
):
    monkeypatch.setattr(growing_module, "LARGEST", 1000)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        start(panel, qtbot, tmp_path / "a.tif")
        assert not panel.growing._grown
    assert len(viewer.layers) == 2
