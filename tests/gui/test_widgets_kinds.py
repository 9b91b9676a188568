"""The kind of image in the panel: told in the background, said, changed by a person."""

import threading

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve
from qtpy.QtCore import Qt

from napari_srgan._gui.tags import record_of
from napari_srgan.models.kinds import KINDS_OF_IMAGE
from napari_srgan.synthetic.samples import sample_path

WAIT = 60_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def panel(viewer, qtbot):
    return open_super_resolve(viewer, qtbot)


@pytest.fixture
def frame():
    return tifffile.imread(sample_path("oct_frame_coarse_lr"))[3, :, :48]


def shown(qtbot, panel, layer):
    """Choose a layer and wait until its kind is told."""
    assert panel.choose_layer(layer)
    panel.advanced.options["device"].value = "cpu"
    qtbot.waitUntil(lambda: panel.kind.knows(layer), timeout=WAIT)
    panel.refresh()


def restored(qtbot, panel, viewer):
    before = len(viewer.layers)
    panel.start()
    qtbot.waitUntil(lambda: len(viewer.layers) > before and not panel.runner.running, timeout=WAIT)
    return viewer.layers.selection.active


def test_the_panel_says_what_was_recognised_and_why(qtbot, viewer, panel, frame):
    shown(qtbot, panel, viewer.add_image(frame, name="frame"))
    assert panel.kind.box.currentText() == "auto: raw OCT"
    assert panel.model.purpose.text().startswith("oct-restore, because the image is fully")
    shown(qtbot, panel, viewer.add_image(tifffile.imread(sample_path("tissue_rgb_lr")), name="he"))
    assert panel.kind.box.currentText() == "auto: brightfield, H&E"
    assert panel.model.purpose.text().startswith("srresnet-rgb, because its colours")
    assert panel.choose_layer(viewer.layers["frame"])  # known already
    panel.refresh()
    assert panel.kind.box.currentText() == "auto: raw OCT"


def test_every_kind_has_a_picture_and_words(panel):
    box = panel.kind.box
    assert [box.itemData(i) for i in range(1, box.count())] == [k.name for k in KINDS_OF_IMAGE]
    for i in range(1, box.count()):
        assert not box.itemIcon(i).pixmap(20, 20).isNull()
        assert box.itemData(i, Qt.ItemDataRole.ToolTipRole)


def test_changing_the_kind_changes_the_model_behind_auto(qtbot, viewer, panel, frame):
    shown(qtbot, panel, viewer.add_image(frame, name="frame"))
    assert restored(qtbot, panel, viewer).name == "frame [oct-restore 4x]"
    panel.choose_layer(viewer.layers["frame"])
    assert panel.kind.box.choose("oct")
    panel.refresh()
    assert "srresnet-gray, because the kind oct was chosen" in panel.model.purpose.text()
    made = restored(qtbot, panel, viewer)
    assert made.name == "frame [srresnet-gray 4x]"
    assert record_of(made).kind == "oct"
    panel.set_defaults()
    assert panel.kind.value() == "auto"


def test_a_fidelity_model_by_hand_on_speckle_warns_before_the_click(qtbot, viewer, panel, frame):
    shown(qtbot, panel, viewer.add_image(frame, name="frame"))
    panel.model.box.choose("srresnet-gray")
    panel.refresh()
    assert "takes speckle for structure" in panel.model.purpose.text()
    panel.model.box.choose("auto")
    panel.refresh()
    assert "takes speckle" not in panel.model.purpose.text()


def test_a_click_before_the_image_was_looked_at_still_takes_the_right_model(
    qtbot, viewer, panel, frame
):
    layer = viewer.add_image(frame, name="frame")
    panel.choose_layer(layer)
    panel.advanced.options["device"].value = "cpu"
    assert not panel.kind.knows(layer)
    assert restored(qtbot, panel, viewer).name == "frame [oct-restore 4x]"


class Slow:
    """A plane that can be read when it is let go."""

    def __init__(self, pixels):
        self.pixels, self.go = pixels, threading.Event()
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim

    def __getitem__(self, key):
        if threading.current_thread() is not threading.main_thread():
            assert self.go.wait(60)
        return self.pixels[key]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.pixels, dtype)


def test_pixels_that_are_slow_to_read_never_hold_the_window(qtbot, viewer, panel, frame):
    slow = Slow(frame)
    layer = viewer.add_image(slow, name="slow", contrast_limits=(0, 4095))
    panel.choose_layer(layer)
    panel.advanced.options["device"].value = "cpu"
    panel.refresh()
    assert panel.kind.box.currentText() == "auto"
    panel.start()  # returns, and is remembered
    assert not panel.runner.running
    assert "Looking at the image" in panel.message.text()
    slow.go.set()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=WAIT)
    assert viewer.layers[-1].name == "slow [oct-restore 4x]"


def test_gray_in_rgb_becomes_a_gray_layer(qtbot, viewer, panel):
    mean = tifffile.imread(sample_path("oct_volume_lr"))[3, :64, :48]
    layer = viewer.add_image(np.stack([mean] * 3, axis=-1), name="gray", rgb=True)
    shown(qtbot, panel, layer)
    assert "three colours hold one gray value" in panel.model.purpose.text()
    made = restored(qtbot, panel, viewer)
    assert made.name == "gray [srresnet-gray 4x]"
    assert (made.rgb, made.data.shape) == (False, (256, 192))
    assert tuple(made.contrast_limits) == (0, 255)
    np.testing.assert_allclose((made.scale, made.translate), [(0.25, 0.25), (-0.375, -0.375)])


def test_live_takes_the_model_of_the_kind_and_gray_in_rgb(qtbot, viewer, panel):
    mean = tifffile.imread(sample_path("oct_volume_lr"))[3, :64, :48]
    shown(qtbot, panel, viewer.add_image(np.stack([mean] * 3, axis=-1), name="gray", rgb=True))
    panel.live.button.setChecked(True)
    qtbot.waitUntil(lambda: panel.live.layer is not None or not panel.live.on, timeout=WAIT)
    assert panel.live.on, panel.message.text()
    assert panel.live.layer.rgb is False
    panel.live.stop()


def test_previews_of_gray_in_rgb_offer_gray_models_and_keep_what_is_ticked(qtbot, viewer, panel):
    mean = tifffile.imread(sample_path("oct_volume_lr"))[3, :64, :48]
    shown(qtbot, panel, viewer.add_image(np.stack([mean] * 3, axis=-1), name="gray", rgb=True))
    names = [action.text() for action in panel.preview.list.actions()]
    assert "srresnet-gray" in names and "srresnet-rgb" not in names
    panel.preview.list.actions()[0].setChecked(True)
    panel.refresh()
    assert panel.preview.ticked() == names[:1]
    panel.start_preview()
    qtbot.waitUntil(lambda: len(viewer.layers) > 1 and not panel.runner.running, timeout=WAIT)
    assert viewer.layers[-1].rgb is False


def test_the_choice_needs_no_more_room_than_a_model_in_a_narrow_dock(qtbot, viewer, panel, frame):
    shown(qtbot, panel, viewer.add_image(frame, name="frame"))
    assert panel.kind.minimumSizeHint().width() <= panel.model.minimumSizeHint().width() + 20
