"""Super-resolve clicked as a user would."""

import threading
import time

import numpy as np
import pytest
import small_models

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from unbounded_model import AverageNet, registered

from napari_srgan._gui.files import read
from napari_srgan._gui.layers import layer_axes
from napari_srgan._gui.parts.widgets import dock_name, open_panel
from napari_srgan._gui.runner import End
from napari_srgan._gui.super_resolve import order as order_module
from napari_srgan._gui.super_resolve import panel as panel_module
from napari_srgan._gui.super_resolve.model_picker import ModelPicker
from napari_srgan._gui.super_resolve.panel import SuperResolve, remember
from napari_srgan.api import upscale
from napari_srgan.errors import InputError

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def panel(viewer, qtbot):
    return open_super_resolve(viewer, qtbot)


def test_model_files_that_cannot_be_listed_are_told_in_the_list(qtbot, tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    picker = ModelPicker()
    qtbot.addWidget(picker)
    bundled = picker.box.count()
    small_models.save(tmp_path, "mine", 1)
    (tmp_path / "bad.safetensors").write_bytes(small_models.with_card("[" * 100_000))
    picker.refresh()
    last = picker.box.count() - 1
    assert last == bundled + 1
    assert picker.box.itemText(last) == "1 model file is left out"
    assert "bad.safetensors" in picker.box.itemData(last, Qt.ItemDataRole.ToolTipRole)
    assert not picker.box.model().item(last).isEnabled()
    assert picker.box.choose("mine") and picker.value() == "mine"


def choose(panel, layer, model="tiny-gray", **advanced):
    assert panel.choose_layer(layer)
    assert panel.model.box.choose(model)
    panel.advanced.options["device"].value = "cpu"
    panel.refresh()


def press(qtbot, button):
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def super_resolve(qtbot, panel):
    """Press the button and wait for the end; returns the new layers."""
    before = set(panel.viewer.layers)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        press(qtbot, panel.run)
    return [layer for layer in panel.viewer.layers if layer not in before]


def corners(layer):
    axes = layer_axes(layer).replace("S", "")
    ends = [(0, n) for _, n in zip(axes, layer.data.shape, strict=False)]
    grid = np.array(np.meshgrid(*ends, indexing="ij")).reshape(len(axes), -1).T - 0.5
    return np.array([layer.data_to_world(c) for c in grid])


def image(*shape, dtype=np.uint8, seed=0):
    top = 255 if dtype == np.uint8 else 4095
    return np.random.default_rng(seed).integers(0, top + 1, shape).astype(dtype)


def test_a_stack_becomes_a_linked_layer_above_its_input(viewer, panel, qtbot):
    below = viewer.add_image(image(3, 20, 24, dtype=np.uint16), name="eye", colormap="viridis")
    viewer.add_image(image(5, 5), name="on top")
    below.contrast_limits, below.gamma = (100, 3000), 0.8
    choose(panel, below)
    assert "3 x 80 x 96" in panel.summary.text()
    (made,) = super_resolve(qtbot, panel)
    assert made.name == "eye [tiny-gray 4x]"
    assert [la.name for la in viewer.layers] == ["eye", "eye [tiny-gray 4x]", "on top"]
    assert made.data.shape == (3, 80, 96)
    assert made.data.dtype == np.uint16
    assert made.colormap.name == "viridis"
    assert (tuple(made.contrast_limits), made.gamma) == ((100, 3000), 0.8)
    np.testing.assert_allclose(corners(made), corners(below))
    assert viewer.canvas.grid.enabled
    below.contrast_limits = (50, 2000)
    assert tuple(made.contrast_limits) == (50, 2000)
    assert made.metadata["napari_srgan"]["input"] == "eye"
    assert panel.message.text().startswith("Done in")
    # A second run overwrites nothing.
    choose(panel, below)
    (again,) = super_resolve(qtbot, panel)
    assert again.name == "eye [tiny-gray 4x] [2]"
    assert made in viewer.layers
    np.testing.assert_array_equal(again.data, made.data)


@pytest.mark.parametrize("seed", range(3))
def test_corners_coincide_in_the_window_under_random_affines(viewer, panel, qtbot, seed):
    rng = np.random.default_rng(seed)
    affine = np.eye(4)
    affine[:3] += rng.normal(0, 0.2, (3, 4))
    layer = viewer.add_image(
        image(2, 12, 16),
        scale=rng.uniform(0.5, 5, 3),
        translate=rng.normal(0, 9, 3),
        rotate=tuple(rng.uniform(-90, 90, 3)),
        shear=rng.normal(0, 0.3, 3),
        affine=affine,
        units=("um",) * 3,
        axis_labels=("z", "y", "x"),
    )
    choose(panel, layer)
    (made,) = super_resolve(qtbot, panel)
    np.testing.assert_allclose(corners(made), corners(layer), atol=1e-9)
    assert made.units == layer.units
    assert made.axis_labels == layer.axis_labels


def test_slice_in_view_and_range(viewer, panel, qtbot):
    layer = viewer.add_image(image(5, 16, 16), scale=(10, 1, 1), name="s")
    choose(panel, layer)
    panel.region.slices.choose("view")
    viewer.dims.set_point(0, 30)
    panel.refresh()
    assert "Z = 3" in panel.summary.text()
    (made,) = super_resolve(qtbot, panel)
    assert made.data.shape == (1, 64, 64)
    assert made.translate[0] == 30
    choose(panel, layer)
    panel.region.slices.choose("range")
    panel.region.first.setValue(1)
    panel.region.last.setValue(2)
    (made,) = super_resolve(qtbot, panel)
    assert made.data.shape == (2, 64, 64)
    assert made.translate[0] == 10


def test_a_slice_alone_equals_that_slice_of_the_whole(viewer, panel, qtbot):
    layer = viewer.add_image(image(4, 16, 20, dtype=np.uint16), name="s")
    choose(panel, layer)
    (whole,) = super_resolve(qtbot, panel)
    choose(panel, layer)
    panel.region.slices.choose("view")
    viewer.dims.set_point(0, 2)
    (one,) = super_resolve(qtbot, panel)
    np.testing.assert_array_equal(one.data[0], whole.data[2])


def test_a_drawn_rectangle(viewer, panel, qtbot):
    layer = viewer.add_image(image(40, 50), name="s")
    drawn = viewer.add_shapes([[[10, 5], [10, 24], [29, 24], [29, 5]]], shape_type="rectangle")
    choose(panel, layer)
    assert panel.region.area.choose(drawn)
    (made,) = super_resolve(qtbot, panel)
    assert made.data.shape == (80, 80)
    np.testing.assert_allclose(corners(made).min(axis=0), (9.5, 4.5))
    np.testing.assert_allclose(corners(made).max(axis=0), (29.5, 24.5))


def test_a_model_that_sees_the_whole_plane_takes_no_tiles(
    viewer, panel, qtbot, tmp_path, monkeypatch
):
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    registered("average", AverageNet, tmp_path, monkeypatch)
    panel.model.refresh()
    layer = viewer.add_image(image(2, 40, 70), name="s")
    choose(panel, layer, "average")
    (made,) = super_resolve(qtbot, panel)
    whole = upscale(layer.data, "average", axes="ZYX", device="cpu").data
    np.testing.assert_array_equal(made.data, whole)
    choose(panel, layer, "average")
    panel.advanced.options["tile"].value = 64
    press(qtbot, panel.run)
    qtbot.waitUntil(lambda: not panel.runner.running, timeout=WAIT)
    assert "sees each plane whole" in panel.message.text() + panel.summary.text()
    assert len(viewer.layers) == 2


def test_an_rgb_image_takes_the_rgb_model_by_itself(viewer, panel, qtbot):
    layer = viewer.add_image(image(16, 20, 3), rgb=True, name="tissue")
    choose(panel, layer, "auto")
    (made,) = super_resolve(qtbot, panel)
    assert made.rgb
    assert made.data.shape == (64, 80, 3)
    assert made.name == "tissue [srresnet-rgb 4x]"


def test_a_preview_with_two_models_replaces_the_last_one(viewer, panel, qtbot):
    layer = viewer.add_image(image(3, 40, 50), name="s")
    choose(panel, layer)
    panel.preview.refresh()
    for action in panel.preview.list.actions():
        action.setChecked(action.text() in ("tiny-gray", "other-gray"))
    for _ in range(2):
        with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
            press(qtbot, panel.preview.button)
        names = [la.name for la in viewer.layers]
        assert sorted(names) == sorted(
            ["s", "s [other-gray 4x preview]", "s [tiny-gray 4x preview]"]
        )
    assert all(la.data.shape[0] == 1 for la in viewer.layers if "preview" in la.name)
    assert panel.message.text().startswith("Preview of")
    # A result is no preview and stays.
    choose(panel, layer)
    (made,) = super_resolve(qtbot, panel)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        press(qtbot, panel.preview.button)
    assert made in viewer.layers


def test_cancel_ends_within_a_tile_and_keeps_nothing(viewer, panel, qtbot, tmp_path):
    layer = viewer.add_image(image(400, 64, 64), name="s")
    choose(panel, layer)
    panel.advanced.options["tile"].value = 64
    target = tmp_path / "out.tif"
    panel.advanced.place.choose("file")
    panel.advanced.path.setText(str(target))
    steps = []
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT) as ended:
        press(qtbot, panel.run)
        qtbot.waitUntil(lambda: panel.runner.bar.value() >= 200, timeout=WAIT)
        steps.append(panel.runner.bar.value())
        started = time.perf_counter()
        press(qtbot, panel.runner.cancel_button)
    took = time.perf_counter() - started
    assert ended.args[0].cancelled
    assert steps[0] < 40_000  # a hundred a tile
    assert took < 5
    assert list(viewer.layers) == [layer]
    assert list(tmp_path.iterdir()) == []
    assert "Cancelled" in panel.message.text()
    assert panel.run.isEnabled()
    assert not panel.runner.isVisible()


def test_a_result_in_a_file(viewer, panel, qtbot, tmp_path):
    layer = viewer.add_image(image(2, 16, 16), name="s")
    choose(panel, layer)
    panel.advanced.place.choose("file")
    panel.advanced.path.setText(str(tmp_path / "out.tif"))
    (made,) = super_resolve(qtbot, panel)
    assert (tmp_path / "out.tif").exists()
    assert made.data.shape == (2, 64, 64)
    # The same name again: refused, and the old file is left alone.
    old = (tmp_path / "out.tif").read_bytes()
    choose(panel, layer)
    press(qtbot, panel.run)
    assert not panel.runner.running
    assert panel.message.is_error
    assert "out.tif" in panel.message.text()
    assert (tmp_path / "out.tif").read_bytes() == old


def test_a_result_in_a_store_is_a_layer_of_levels(viewer, panel, qtbot, tmp_path):
    layer = viewer.add_image(image(2, 140, 16), name="s", scale=(3, 2, 2))
    choose(panel, layer)
    panel.advanced.place.choose("file")
    panel.advanced.path.setText(str(tmp_path / "out.zarr"))
    (made,) = super_resolve(qtbot, panel)
    assert made.multiscale and [level.shape for level in made.data] == [(2, 560, 64), (2, 280, 32)]
    np.testing.assert_allclose(made.translate, (0, -0.75, -0.75), rtol=0, atol=1e-9)
    assert made.contrast_limits == layer.contrast_limits
    ((data, about, _),) = read(str(tmp_path / "out.zarr"))
    np.testing.assert_array_equal(data[0], made.data[0])
    np.testing.assert_allclose(about["translate"], made.translate, rtol=0, atol=1e-9)


def _nan():
    data = np.linspace(0, 1, 3 * 16 * 16, dtype=np.float32).reshape(3, 16, 16)
    data[1, 4, 5] = np.nan
    return data


@pytest.mark.parametrize(
    ("data", "rgb", "model", "words"),
    [
        (_nan(), False, "tiny-gray", "Z=1|Z = 1"),
        (image(16, 16, 3), True, "tiny-gray", "tiny-rgb"),
        (image(16, 16), False, "tiny-rgb", "tiny-gray"),
        (image(4, 40), False, "tiny-gray", "at least 8 px"),
        (image(16, 16) > 99, False, "tiny-gray", "bool"),
        (np.full((16, 16), 2**60, np.int64), False, "tiny-gray", "2\\^53"),
    ],
    ids=["nan", "rgb-gray", "gray-rgb", "small", "bool", "int64"],
)
def test_bad_input_is_named_in_a_sentence_and_nothing_is_made(
    viewer, panel, qtbot, data, rgb, model, words
):
    import re

    layer = viewer.add_image(data, rgb=rgb, name="bad", contrast_limits=None if rgb else (0, 1))
    choose(panel, layer, model)
    assert panel.run.isEnabled(), "the button must answer, not be dead"
    qtbot.mouseClick(panel.run, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not panel.runner.running, timeout=WAIT)
    assert panel.message.is_error
    assert re.search(words, panel.message.text())
    assert panel.message.text().endswith(".")
    assert list(viewer.layers) == [layer]


def test_nan_can_be_filled_and_comes_back(viewer, panel, qtbot):
    layer = viewer.add_image(_nan(), name="s")
    choose(panel, layer)
    panel.advanced.options["nan"].value = "fill"
    (made,) = super_resolve(qtbot, panel)
    assert np.isnan(made.data[1]).any()
    assert np.isfinite(made.data[0]).all()


def test_a_constant_image_comes_back_constant(viewer, panel, qtbot):
    layer = viewer.add_image(np.full((16, 16), 77, np.uint8), name="s")
    choose(panel, layer)
    (made,) = super_resolve(qtbot, panel)
    assert (made.data == 77).all()


def test_a_defect_gives_a_sentence_and_the_log_the_traceback(
    viewer, panel, qtbot, monkeypatch, caplog
):
    def broken(*args):
        raise RuntimeError("tensor of the wrong kind")

    monkeypatch.setattr("napari_srgan.tasks.restore.plan", broken)
    layer = viewer.add_image(image(16, 16), name="s")
    choose(panel, layer)
    assert super_resolve(qtbot, panel) == []
    assert panel.message.is_error
    assert "defect of napari-srgan" in panel.message.text()
    assert "tensor of the wrong kind" in caplog.text
    assert panel.run.isEnabled()


def test_3d_and_permuted_views_name_the_plane(viewer, panel):
    layer = viewer.add_image(image(5, 16, 16), name="s")
    choose(panel, layer)
    panel.region.slices.choose("view")
    viewer.dims.set_point(0, 4)
    viewer.dims.ndisplay = 3
    panel.refresh()
    assert "3D view" in panel.summary.text()
    assert "Z = 4" in panel.summary.text()
    viewer.dims.ndisplay = 2
    viewer.dims.order = (1, 0, 2)
    panel.refresh()
    assert "Z x X" in panel.summary.text()


def test_pixel_size_is_unknown_until_set_and_keeps_results_aligned(viewer, panel, qtbot):
    layer = viewer.add_image(image(2, 16, 16), name="s")
    choose(panel, layer)
    assert panel.pixel_size.text.text() == "unknown"
    (made,) = super_resolve(qtbot, panel)
    choose(panel, layer)
    press(qtbot, panel.pixel_size.button)
    for axis, value in {"Z": 120, "Y": 3.87, "X": 11.6}.items():
        panel.pixel_size.spins[axis].setValue(value)
    press(qtbot, panel.pixel_size.apply)
    panel.refresh()
    assert panel.pixel_size.text.text() == "120 x 3.87 x 11.6 µm (ZYX)"
    assert tuple(layer.scale) == (120, 3.87, 11.6)
    np.testing.assert_allclose(corners(made), corners(layer))


@pytest.mark.napari_window
def test_saving_copying_and_the_scale_bar(viewer, panel, qtbot, tmp_path):
    layer = viewer.add_image(image(2, 16, 16), name="s", axis_labels=("z", "y", "x"))
    choose(panel, layer)
    (made,) = super_resolve(qtbot, panel)
    panel.exports.save_to(tmp_path / "saved.tif")
    qtbot.waitUntil(lambda: "Saved saved.tif" in panel.message.text(), timeout=WAIT)
    ((data, attributes, _),) = read(str(tmp_path / "saved.tif"))
    np.testing.assert_array_equal(data, made.data)
    assert attributes["metadata"]["napari_srgan"]["model"] == "tiny-gray"
    press(qtbot, panel.exports.methods)
    assert "tiny-gray" in QApplication.clipboard().text()
    panel.exports.canvas_to(tmp_path / "a.png")
    assert "without a scale bar" in panel.message.text()
    for each in (layer, made):
        each.units = ("um",) * 3
    panel.exports.canvas_to(tmp_path / "b.png")
    assert "without" not in panel.message.text()
    assert (tmp_path / "b.png").stat().st_size > 0
    assert not viewer.canvas.overlays.scale_bar.visible


def test_the_grid_can_be_left_off_and_that_is_remembered(viewer, panel, qtbot):
    from napari_srgan._gui.super_resolve.panel import wanted

    panel.grid.setChecked(False)
    try:
        layer = viewer.add_image(image(16, 16), name="s")
        choose(panel, layer)
        super_resolve(qtbot, panel)
        assert not viewer.canvas.grid.enabled
        assert wanted("side_by_side") is False
    finally:
        panel.grid.setChecked(True)
    assert wanted("side_by_side") is True


def test_a_result_too_large_for_memory_moves_to_a_file(viewer, panel, qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr(order_module, "place_for", lambda *_: "file")
    monkeypatch.setattr(order_module.Path, "home", lambda: tmp_path)
    layer = viewer.add_image(image(16, 16), name="s")
    choose(panel, layer)
    assert "would not fit in memory" in panel.summary.text()
    super_resolve(qtbot, panel)
    assert (tmp_path / "s_tiny-gray_4x.tif").exists()


def test_layers_come_and_go(viewer, panel):
    assert not panel.run.isEnabled()
    assert "Open an image first" in panel.summary.text()
    layer = viewer.add_image(image(16, 16), name="s")
    panel.refresh()
    assert panel.layer.value() is layer
    layer.name = "renamed"
    assert panel.layer.currentText() == "renamed"
    viewer.layers.remove(layer)
    panel.refresh()
    assert panel.layer.value() is None


def test_little_free_memory_moves_a_result_to_a_file_and_leaves_it_there(
    viewer, panel, qtbot, tmp_path, monkeypatch
):
    class Little:
        available = 30_000

    layer = viewer.add_image(image(2, 32, 32), name="s")
    choose(panel, layer)
    panel.advanced.path.setText(str(tmp_path / "out.tif"))
    with monkeypatch.context() as patch:
        patch.setattr(order_module.psutil, "virtual_memory", lambda: Little)
        panel.refresh()
        assert f"{tmp_path / 'out.tif'}, because it would not fit" in panel.summary.text()
        panel.advanced.place.choose("memory")
        panel.refresh()
        assert panel.summary.is_error
        assert "30 kB of memory are free" in panel.summary.text()
        panel.advanced.place.choose("auto")
        (made,) = super_resolve(qtbot, panel)
    assert (tmp_path / "out.tif").exists()
    data = made.data
    while not isinstance(data, np.memmap):
        assert data is not None, "the layer holds the pixels, and not the file"
        data = data.base


@pytest.mark.napari_window
def test_the_whole_image_stays_in_view_in_the_grid_and_a_zoom_too(viewer, panel, qtbot, request):
    layer = viewer.add_image(image(160, 40), name="s")
    choose(panel, layer)
    panel.before_after.setChecked(False)
    request.addfinalizer(lambda: remember("before_after", True))
    qtbot.wait(100)
    (made,) = super_resolve(qtbot, panel)
    qtbot.wait(100)
    assert layer.name_overlay.visible
    assert made.name_overlay.visible
    np.testing.assert_allclose(layer.corner_pixels, [(0, 0), (159, 39)], atol=1)
    viewer.canvas.grid.enabled = False
    viewer.layers.remove(made)
    viewer.scene.camera.zoom *= 8
    qtbot.wait(100)
    seen = layer.corner_pixels.copy()
    super_resolve(qtbot, panel)
    qtbot.wait(100)
    assert viewer.canvas.grid.enabled
    np.testing.assert_allclose(layer.corner_pixels[:, 1], seen[:, 1], atol=2)


def test_an_error_goes_when_its_cause_does(viewer, panel, qtbot):
    layer = viewer.add_image(image(40, 40), name="s")
    drawn = viewer.add_shapes(name="roi")
    choose(panel, layer)
    panel.region.area.choose(drawn)
    panel.start()
    assert panel.message.is_error
    assert panel.summary.isHidden(), "one sentence, not twice the same"
    drawn.add_rectangles([[5, 5], [25, 25]])
    panel.refresh()
    assert not panel.message.text()
    assert not panel.summary.isHidden()
    assert "84 x 84" in panel.summary.text()


@pytest.mark.parametrize(("typed", "written"), [("a", "a.tif"), ("b.npy", "b.npy")])
def test_a_name_typed_without_an_ending_gets_one(
    viewer, panel, qtbot, tmp_path, monkeypatch, typed, written
):
    from napari_srgan._gui.parts import widgets

    monkeypatch.setattr(
        widgets.QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / typed), "")
    )
    choose(panel, viewer.add_image(image(16, 16), name="s"))
    super_resolve(qtbot, panel)
    press(qtbot, panel.exports.save)
    qtbot.waitUntil(lambda: "Saved" in panel.message.text(), timeout=WAIT)
    assert [p.name for p in tmp_path.iterdir()] == [written]
    if typed != written:
        # The dialog asked about "a", not about "a.tif": that is not replaced unasked.
        press(qtbot, panel.exports.save)
        assert "already there" in panel.message.text()
    panel.exports.canvas_to(tmp_path / "figure.xyz")
    assert panel.message.is_error
    assert not (tmp_path / "figure.xyz").exists()


def test_the_chosen_image_stays_chosen_when_another_layer_is_selected(viewer, panel, qtbot):
    first = viewer.add_image(image(16, 16), name="first")
    second = viewer.add_image(image(16, 16), name="second")
    assert viewer.layers.selection.active is second
    assert panel.layer.value() is second, "a layer that is opened is chosen"
    choose(panel, first)
    super_resolve(qtbot, panel)
    assert panel.layer.value() is first


def test_a_layer_deleted_during_the_work_leaves_its_result(viewer, panel, qtbot):
    layer = viewer.add_image(image(20, 32, 32), name="s", scale=(1, 3, 3))
    other = viewer.add_image(image(16, 16), name="other")
    choose(panel, layer)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        press(qtbot, panel.run)
        viewer.layers.remove(layer)
    assert not panel.message.is_error, panel.message.text()
    assert [la.name for la in viewer.layers] == ["other", "s [tiny-gray 4x]"]
    np.testing.assert_allclose(corners(viewer.layers[1]), corners(layer))
    assert panel.layer.value() is other or panel.layer.value() is viewer.layers[1]


def test_a_result_that_cannot_be_shown_gives_a_sentence(viewer, panel, qtbot, monkeypatch, caplog):
    def broken(*args, **kwargs):
        raise ValueError("no such layer")

    monkeypatch.setattr("napari_srgan._gui.super_resolve.panel.show_results", broken)
    choose(panel, viewer.add_image(image(16, 16), name="s"))
    super_resolve(qtbot, panel)
    assert panel.message.is_error
    assert "defect of napari-srgan" in panel.message.text()
    assert "no such layer" in caplog.text
    assert panel.run.isEnabled()


def measured(panel, monkeypatch, speed=1000.0):
    """Let the panel find torch loaded, and return the list of what it measures."""
    asked = []

    def measure(path, options):
        yield
        asked.append((path.stem, options.device, options.backend, options.precision))
        return speed

    monkeypatch.setattr(panel_module, "measure_speed", measure)
    panel._on_devices(End(result=["cpu"]))
    return asked


def test_the_time_is_measured_once_per_model_and_options(viewer, panel, qtbot, monkeypatch):
    choose(panel, viewer.add_image(image(10, 50, 60), name="s"))
    assert " in " not in panel.summary.text()  # nothing is measured yet, so nothing is said
    asked = measured(panel, monkeypatch)
    qtbot.waitUntil(lambda: "in about 30 s on the CPU" in panel.summary.text(), timeout=WAIT)
    assert asked == [("tiny-gray", "cpu", "auto", "auto")]
    panel.advanced.options["backend"].value = "torch"
    qtbot.waitUntil(lambda: len(asked) == 2, timeout=WAIT)
    qtbot.waitUntil(lambda: "about 30 s" in panel.summary.text(), timeout=WAIT)
    panel.advanced.options["backend"].value = "auto"
    panel.refresh()
    assert "about 30 s" in panel.summary.text()
    assert not panel._timing.running
    assert asked[1:] == [("tiny-gray", "cpu", "torch", "auto")]


def test_a_measurement_that_fails_is_not_repeated_and_tells_no_time(
    viewer, panel, qtbot, monkeypatch
):
    tries = []

    def fail(path, options):
        tries.append(path)
        raise InputError("no such thing")
        yield

    monkeypatch.setattr(panel_module, "measure_speed", fail)
    choose(panel, viewer.add_image(image(10, 50, 60), name="s"))
    with qtbot.waitSignal(panel._timing.ended, timeout=WAIT):
        panel._on_devices(End(result=["cpu"]))
        panel.refresh()
    panel.refresh()
    assert not panel._timing.running
    assert len(tries) == 1
    assert " in " not in panel.summary.text()
    assert panel.message.text() == ""


def test_a_run_gives_the_measurement_up_and_refines_the_time(viewer, panel, qtbot, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def measure(path, options):
        begun.set()
        go_on.wait(WAIT / 1000)
        yield
        return 1e-3

    monkeypatch.setattr(panel_module, "measure_speed", measure)
    choose(panel, viewer.add_image(image(10, 50, 60), name="s"))
    panel._on_devices(End(result=["cpu"]))
    panel.refresh()
    assert begun.wait(WAIT / 1000)
    press(qtbot, panel.run)
    go_on.set()
    qtbot.waitUntil(lambda: not (panel.runner.running or panel._timing.running), timeout=WAIT)
    panel.refresh()
    speed = panel._speeds.of(("tiny-gray", "cpu", "auto", "auto"))
    assert speed is None or speed > 1  # of the run, if that was long enough to tell; not 1e-3


@pytest.mark.napari_window
def test_a_closed_dock_lets_go_of_the_viewer(viewer, panel, qtbot):
    layer = viewer.add_image(image(16, 16), name="s")
    choose(panel, layer)
    viewer.window.remove_dock_widget(panel.parentWidget())
    viewer.add_image(image(16, 16))
    viewer.dims.ndisplay = 3
    assert panel.layer.count() == 1
    fresh = open_panel(viewer, SuperResolve)
    assert fresh is not panel
    assert dock_name(SuperResolve) in viewer.window.dock_widgets


@pytest.mark.napari_window
def test_the_panel_fits_a_low_window_without_cutting_text(viewer, panel, qtbot):
    viewer.window._qt_window.resize(1024, 768)
    viewer.add_image(image(5, 16, 16), name="a very long name of a scan that nobody can read " * 3)
    panel.fold.button.setChecked(True)
    panel.pixel_size.button.setChecked(True)
    panel.region.slices.choose("range")
    panel.refresh()
    qtbot.wait(200)
    area = panel.findChildren(type(panel.layout().itemAt(0).widget()))[0]
    assert area.widget().width() <= area.viewport().width()
    assert panel.width() < 400
    assert viewer.window._qt_window.height() <= 768
