"""The rows of the bad-input table that a layer alone cannot bring about, through the window."""

import errno

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

import torch
from panels import open_super_resolve
from qtpy.QtCore import Qt

from napari_srgan.engine.window import WindowNetwork
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.io.sinks import FileSink

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def panel(viewer, qtbot):
    return open_super_resolve(viewer, qtbot)


def image(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def run(qtbot, panel, layer, model="tiny-gray"):
    """Press the button, wait for the end, and return the new layers."""
    assert panel.choose_layer(layer)
    assert panel.model.box.choose(model)
    panel.advanced.options["device"].value = "cpu"
    panel.refresh()
    before = list(panel.viewer.layers)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        qtbot.mouseClick(panel.run, Qt.MouseButton.LeftButton)
    return [made for made in panel.viewer.layers if made not in before]


def assert_refused(panel, made, word):
    assert made == []
    assert panel.message.is_error
    text = panel.message.text()
    assert word in text
    assert text.endswith(".")
    assert "\n" not in text
    assert "Error" not in text
    assert panel.run.isEnabled()


def test_alpha_is_enlarged_bicubically(viewer, panel, qtbot):
    rgba = image(16, 20, 4)
    (made,) = run(qtbot, panel, viewer.add_image(rgba, rgb=True, name="s"), "tiny-rgb")
    assert made.data.shape == (64, 80, 4)
    expected = np.clip(np.rint(bicubic_enlarge(rgba[..., 3], 4)), 0, 255)
    np.testing.assert_array_equal(made.data[..., 3], expected)


def test_a_model_file_that_is_damaged_after_it_was_listed_is_named(
    viewer, panel, qtbot, tiny_models, tmp_path, monkeypatch
):
    content = next(p for p in tiny_models.glob("*gray*.safetensors")).read_bytes()
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    path = tmp_path / "mine.safetensors"
    path.write_bytes(content.replace(b"tiny-gray", b"mine-gray"))
    panel.model.refresh()
    layer = viewer.add_image(image(16, 16), name="s")
    assert panel.choose_layer(layer)
    assert panel.model.box.choose("mine-gray")
    path.write_bytes(path.read_bytes()[:-40] + b"\xff" * 40)  # weights that are not finite
    assert_refused(panel, run(qtbot, panel, layer, "mine-gray"), "damaged")
    path.write_bytes(path.read_bytes()[:-40])
    panel.refresh()
    assert panel.summary.is_error, "now the card alone tells"


def test_a_full_disk_leaves_the_old_file_and_no_layer(viewer, panel, qtbot, tmp_path, monkeypatch):
    def full(self, index, y, x, block):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileSink, "write", full)
    layer = viewer.add_image(image(16, 16), name="s")
    panel.advanced.place.choose("file")
    panel.advanced.path.setText(str(tmp_path / "out.tif"))
    assert_refused(panel, run(qtbot, panel, layer), "space")
    assert list(tmp_path.iterdir()) == []


def test_memory_that_runs_out_means_smaller_tiles_and_the_same_result(
    viewer, panel, qtbot, monkeypatch
):
    layer = viewer.add_image(image(90, 80), name="s")
    (whole,) = run(qtbot, panel, layer)
    enlarge = WindowNetwork.__call__

    def on_a_small_device(self, unit):
        if unit.size > 4500:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return enlarge(self, unit)

    monkeypatch.setattr(WindowNetwork, "__call__", on_a_small_device)
    (tiled,) = run(qtbot, panel, layer)
    np.testing.assert_allclose(tiled.data.astype(int), whole.data.astype(int), atol=1)
    assert tiled.metadata["napari_srgan"]["tile"] < whole.metadata["napari_srgan"]["tile"]


def test_memory_that_never_suffices_is_a_sentence(viewer, panel, qtbot, monkeypatch):
    def fail(self, unit):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(WindowNetwork, "__call__", fail)
    layer = viewer.add_image(image(16, 16), name="s")
    assert_refused(panel, run(qtbot, panel, layer), "memory")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has the device")
def test_only_devices_that_are_there_are_offered(panel, qtbot):
    panel._loading_soon.start()  # what showing the panel does
    qtbot.waitUntil(lambda: bool(panel._devices), timeout=WAIT)
    assert panel.advanced.options["device"].choices == ("auto", "cpu")


@pytest.mark.parametrize("name", ["text.tif", "cut.tif", "absent.tif"])
def test_files_that_cannot_be_opened_bring_no_layer(viewer, tmp_path, name):
    import tifffile

    (tmp_path / "text.tif").write_text("not an image")
    tifffile.imwrite(tmp_path / "cut.tif", image(4, 64, 64), photometric="minisblack")
    whole = (tmp_path / "cut.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Exception, match=name) as refused:
        viewer.open(tmp_path / name, plugin="napari-srgan")
    assert "\n" not in str(refused.value)
    assert len(viewer.layers) == 0


@pytest.mark.parametrize(
    ("option", "text", "word"),
    [("intensity", "9:3", "LO below HI"), ("transform", "root", "transform 'root'")],
)
def test_a_range_or_transform_that_there_is_not_is_told_before_the_button(
    viewer, panel, option, text, word
):
    viewer.add_image(image(16, 16), name="s")
    panel.advanced.options[option].value = text
    panel.refresh()
    assert panel.summary.is_error and word in panel.summary.text()
    panel.advanced.set_defaults()
    panel.refresh()
    assert not panel.summary.is_error


def test_a_file_that_is_there_is_told_before_the_button_and_replaced_on_request(
    viewer, panel, qtbot, tmp_path
):
    layer = viewer.add_image(image(16, 16), name="s")
    target = tmp_path / "out.tif"
    target.write_text("old")
    panel.advanced.place.choose("file")
    panel.advanced.path.setText(str(target))
    panel.refresh()
    assert panel.summary.is_error and "tick Replace" in panel.summary.text()
    panel.advanced.overwrite.setChecked(True)
    panel.refresh()
    assert not panel.summary.is_error
    (made,) = run(qtbot, panel, layer)
    assert made.data.shape == (64, 64) and target.stat().st_size > 64 * 64


def test_the_input_itself_is_never_replaced(viewer, panel, tmp_path):
    import tifffile

    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, image(16, 16), photometric="minisblack")
    viewer.open(path, plugin="napari-srgan")
    panel.advanced.place.choose("file")
    panel.advanced.path.setText(str(path))
    panel.advanced.overwrite.setChecked(True)
    panel.refresh()
    assert "is an input" in panel.summary.text()
