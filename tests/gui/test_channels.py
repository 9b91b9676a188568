"""Several channels: restored in one press, shown as they were; axes that are named by hand."""

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve

from napari_srgan._gui.layers import layer_axes

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def panel(viewer, qtbot):
    panel = open_super_resolve(viewer, qtbot)
    panel.model.box.choose("tiny-gray")
    return panel


def image(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def run(qtbot, panel):
    before = list(panel.viewer.layers)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        panel.start()
    return [layer for layer in panel.viewer.layers if layer not in before]


def test_all_selected_channels_are_restored_in_one_press_and_blend_as_before(viewer, panel, qtbot):
    first, second = viewer.add_image(
        image(2, 16, 20), channel_axis=0, name=["DAPI", "GFP"], colormap=["blue", "green"]
    )
    other = viewer.add_image(image(16, 20), name="other")
    drawn = viewer.add_shapes(name="drawn")
    viewer.layers.selection = {first, second, drawn}
    panel.choose_layer(second)
    panel.refresh()
    assert panel.summary.text().startswith("2 selected layers.")
    made = run(qtbot, panel)
    assert [layer.name for layer in made] == ["DAPI [tiny-gray 4x]", "GFP [tiny-gray 4x]"]
    for layer, source in zip(made, (first, second), strict=True):
        assert layer.blending == source.blending
        assert layer.colormap.name == source.colormap.name
        assert layer.name in panel.message.text()
    assert made[1].blending == "additive"
    # The results blend with each other, not with what lies below them.
    assert list(viewer.layers) == [first, second, *made, other, drawn]
    # An image that is chosen but not selected is restored alone.
    viewer.layers.selection = {first, second}
    panel.choose_layer(other)
    (alone,) = run(qtbot, panel)
    assert alone.name == "other [tiny-gray 4x]"


def test_several_layers_into_one_file_are_refused(viewer, panel, tmp_path):
    viewer.add_image(image(2, 16, 20), channel_axis=0, name=["DAPI", "GFP"])
    viewer.layers.select_all()
    panel.advanced.place.choose("file")
    panel.advanced.path.setText(str(tmp_path / "a.tif"))
    panel.refresh()
    assert panel.summary.is_error and "2 layers are selected" in panel.summary.text()
    panel.advanced.path.setText("")
    panel.refresh()
    assert not panel.summary.is_error


def test_axes_that_were_guessed_can_be_corrected_and_others_need_not(viewer, panel, qtbot):
    known = viewer.add_image(image(2, 16, 20), name="known", axis_labels=("c", "y", "x"))
    panel.refresh()
    assert panel.axes.isHidden()
    layer = viewer.add_image(image(3, 2, 16, 20), name="guessed")
    panel.refresh()
    assert panel.layer.value() is layer
    assert not panel.axes.isHidden() and panel.axes.text() == "TZYX"
    panel.axes.setText("zcyx")
    panel.axes.editingFinished.emit()
    panel.refresh()
    assert layer_axes(layer) == "ZCYX" == panel.axes.text()
    assert not panel.axes.isHidden()  # a slip can be corrected
    assert "(Z x C x Y x X)" in panel.summary.text()
    panel.axes.setText("ZZYX")
    panel.axes.editingFinished.emit()
    assert panel.message.is_error and layer_axes(layer) == "ZCYX"
    panel.choose_layer(known)
    panel.refresh()
    assert panel.axes.isHidden()


def test_five_axes_can_be_named(viewer, panel, qtbot):
    layer = viewer.add_image(image(2, 1, 2, 16, 20), name="many")
    panel.refresh()
    assert panel.summary.is_error and "Axes" in panel.summary.text()
    panel.axes.setText("TCZYX")
    panel.axes.editingFinished.emit()
    panel.refresh()
    assert not panel.summary.is_error
    (made,) = run(qtbot, panel)
    assert made.data.shape == (2, 1, 2, 64, 80) and layer_axes(made) == layer_axes(layer)


@pytest.mark.napari_window
def test_of_images_that_cover_each_other_the_curtain_shows_the_selected_one(viewer, panel, qtbot):
    panel.before_after.setChecked(True)
    pair = [viewer.add_image(image(16, 20, seed=n), name=f"scan {n}") for n in range(2)]
    viewer.layers.selection = set(pair)
    panel.choose_layer(pair[0])
    made = run(qtbot, panel)
    shown = panel.viewer.layers.selection.active
    assert panel.curtain.right == (shown,) and shown in made
    assert panel.curtain.left == (pair[made.index(shown)],)
    assert f"The curtain shows {shown.name}." in panel.message.text()
    panel.curtain.close()
    for layer in (*pair, *made):
        viewer.layers.remove(layer)
    channels = viewer.add_image(image(2, 16, 20), channel_axis=0, name=["DAPI", "GFP"])
    viewer.layers.selection = set(channels)
    panel.choose_layer(channels[0])
    made = run(qtbot, panel)
    assert panel.curtain.left == tuple(channels) and panel.curtain.right == tuple(made)
    assert "The curtain shows" not in panel.message.text()
