"""Save figure and Save movie in Super-resolve."""

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve
from PIL import Image

from napari_srgan.errors import InputError
from napari_srgan.tasks import figure as figure_module

WAIT = 60_000
pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def panel(viewer, qtbot):
    return open_super_resolve(viewer, qtbot)


@pytest.fixture
def scan(viewer, panel, qtbot):
    """A scan with the result of the slices 1 and 2 of its right half, and the truth of all."""
    truth = np.random.default_rng(0).integers(0, 255, (4, 64, 128)).astype(np.uint8)
    layer = viewer.add_image(truth[:, ::4, ::4], name="scan", axis_labels=("z", "y", "x"))
    panel.choose_layer(layer)
    panel.refresh()  # its slices are known from here on
    panel.model.box.choose("tiny-gray")
    panel.advanced.options["device"].value = "cpu"
    panel.region.slices.choose("range")
    panel.region.first.setValue(1)
    panel.region.last.setValue(2)
    panel.refresh()
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        panel.start()
    return viewer.add_image(truth, name="truth")


def saved(qtbot, panel, start):
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        start()
    return panel.message.text()


def test_the_slice_in_view_is_drawn_beside_its_own(
    viewer, panel, scan, qtbot, tmp_path, monkeypatch
):
    made = []
    real = figure_module.figure
    monkeypatch.setattr(figure_module, "figure", lambda *a: made.append(a) or real(*a))
    panel.report.reference.choose(scan)
    viewer.dims.set_point(0, 2)
    assert not panel.figures.isHidden()
    text = saved(qtbot, panel, lambda: panel.figures.figure_to(tmp_path / "a.png"))
    assert text == "Saved a.png."
    assert Image.open(tmp_path / "a.png").width == 2126
    ((shown, _, index),) = made
    assert index == (1,), "the second slice of those that were restored"
    low, reference = shown.low.read(index), shown.reference.read(index)
    assert np.array_equal(low, viewer.layers["scan"].data[2])
    assert np.array_equal(reference, scan.data[2])
    assert shown.limits == tuple(panel.exports.layer.contrast_limits)
    text = saved(qtbot, panel, lambda: panel.figures.movie_to(tmp_path / "a.gif"))
    assert Image.open(tmp_path / "a.gif").n_frames == 2
    assert panel.figures.figure.isEnabled()


def test_what_is_in_the_way_is_said(viewer, panel, scan, qtbot, tmp_path):
    other = viewer.add_image(np.zeros((5, 20, 20), np.uint8), name="other")
    panel.report.reference.choose(other)
    with pytest.raises(InputError, match="other"):
        panel.figures.figure_to(tmp_path / "a.png")
    panel.report.reference.choose(None)
    text = saved(qtbot, panel, lambda: panel.figures.movie_to(tmp_path / "a.avi"))
    assert ".gif or .mp4" in text and panel.message.is_error
    assert list(tmp_path.iterdir()) == []


def test_without_a_result_there_are_no_buttons(viewer, panel):
    assert panel.figures.isHidden()


def test_channels_that_are_seen_together_are_drawn_together(viewer, panel, qtbot, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (2, 24, 32)).astype(np.uint8)
    channels = viewer.add_image(
        pixels, channel_axis=0, name=["DAPI", "GFP"], colormap=["red", "blue"]
    )
    viewer.layers.selection = set(channels)
    panel.choose_layer(channels[0])
    panel.model.box.choose("tiny-gray")
    panel.advanced.options["device"].value = "cpu"
    panel.refresh()
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        panel.start()
    saved(qtbot, panel, lambda: panel.figures.figure_to(tmp_path / "merged.png"))
    merged = np.asarray(Image.open(tmp_path / "merged.png").convert("RGB")).astype(int)
    picture = merged[80:300, 30:400]  # within the first panel, the input
    assert np.ptp(picture[..., 0]) > 200 and np.ptp(picture[..., 2]) > 200
    frame = (picture == (255, 216, 77)).all(-1)  # of the inset
    assert picture[..., 1][~frame].max() < 40  # nothing of either is green
    # With the reference of one of them, that one alone.
    result = panel.exports.layer
    truth = viewer.add_image(np.asarray(result.data), name="truth")
    panel.report.reference.choose(truth)
    saved(qtbot, panel, lambda: panel.figures.figure_to(tmp_path / "one.png"))
    one = np.asarray(Image.open(tmp_path / "one.png").convert("RGB")).astype(int)[80:300, 30:400]
    assert np.ptp(one[~(one == (255, 216, 77)).all(-1)], axis=-1).max() == 0
