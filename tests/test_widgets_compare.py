"""Compare in a real viewer."""

import time

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari_srgan import metrics
from napari_srgan._widgets.compare import Compare
from napari_srgan._widgets.filter_action import open_panel

WAIT = 60_000


def settled(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.busy, timeout=WAIT)


def shown(panel, row, measure):
    return panel.cells[row, measure].text()


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture
def panel(viewer):
    made = Compare(viewer)
    viewer.window.add_dock_widget(made, name="Compare (SRGAN upscale)")
    return made


def test_figures_follow_the_slider(viewer, panel, qtbot):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 256, (3, 32, 32)).astype(np.uint8)
    other = truth.copy()
    other[2] //= 2
    reference = viewer.add_image(truth, name="truth")
    candidate = viewer.add_image(other, name="result")
    low = viewer.add_image(truth[:, ::4, ::4], name="low", scale=(1, 4, 4))
    panel.reference.choose(reference)
    panel.candidate.choose(candidate)
    panel.low.choose(low)
    viewer.dims.set_point(0, 0)
    settled(qtbot, panel)
    assert shown(panel, "candidate", "psnr") == "identical"
    assert shown(panel, "candidate", "ssim") == "1.0000"
    assert float(shown(panel, "bicubic", "psnr")) < 30
    assert "Z = 0" in panel.where.text()
    assert "data range 255" in panel.where.text()
    viewer.dims.set_point(0, 2)
    assert not panel.cells["candidate", "psnr"].isEnabled(), "old figures must turn grey at once"
    settled(qtbot, panel)
    assert panel.cells["candidate", "psnr"].isEnabled()
    assert shown(panel, "candidate", "psnr") == f"{metrics.psnr(truth[2], other[2], 255):.2f}"
    assert shown(panel, "candidate", "ssim") == f"{metrics.ssim(truth[2], other[2], 255):.4f}"


def test_the_lr_input_is_found_from_the_result(make_napari_viewer, tiny_models, qtbot):
    viewer = make_napari_viewer()
    small = np.random.default_rng(0).integers(0, 256, (2, 16, 16)).astype(np.uint8)
    low = viewer.add_image(small, name="low")
    work = open_panel(viewer)
    work.choose_layer(low)
    work.model.box.choose("tiny-gray")
    with qtbot.waitSignal(work.runner.ended, timeout=120_000):
        work.start()
    truth = np.repeat(np.repeat(small, 4, 1), 4, 2)
    reference = viewer.add_image(truth, scale=(1, 0.25, 0.25), translate=(0, -0.375, -0.375))
    panel = Compare(viewer)
    viewer.window.add_dock_widget(panel, name="Compare (SRGAN upscale)")
    assert panel.candidate.currentText() == "low [tiny-gray 4x]"
    settled(qtbot, panel)
    assert panel.reference.value() is reference, "the one image of its size needs no choosing"
    assert panel.low.value() is low
    assert float(shown(panel, "bicubic", "psnr")) > float(shown(panel, "candidate", "psnr"))
    assert panel.message.text() == ""


def test_a_result_made_later_becomes_the_candidate(viewer, panel, qtbot):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    first = viewer.add_image(pixels, name="first")
    made = viewer.add_image(pixels, name="made", metadata={"napari_srgan": {"model": "m"}})
    settled(qtbot, panel)
    assert panel.candidate.value() is made
    assert panel.reference.value() is first
    assert "LR input" in panel.message.text()
    # Two that fit: the choice is the user's.
    panel.reference.setCurrentIndex(0)
    viewer.add_image(pixels, name="second")
    panel.reference.setCurrentIndex(0)
    settled(qtbot, panel)
    assert panel.reference.value() is None


def test_different_sizes_are_named(viewer, panel, qtbot):
    panel.reference.choose(viewer.add_image(np.zeros((32, 32), np.uint8)))
    panel.candidate.choose(viewer.add_image(np.zeros((16, 32), np.uint8)))
    settled(qtbot, panel)
    assert panel.message.is_error
    assert "32 x 32" in panel.message.text()
    assert shown(panel, "candidate", "psnr") == "–"


def test_a_slow_measurement_does_not_block_the_slider(viewer, panel, qtbot, monkeypatch):
    from napari_srgan._widgets import compare

    asked = []

    def slow(question, ranges):
        asked.append(question.reference.index)
        time.sleep(0.5)
        return original(question, ranges)

    original = compare.answer
    monkeypatch.setattr(compare, "answer", slow)
    data = np.random.default_rng(0).integers(0, 256, (9, 32, 32)).astype(np.uint8)
    panel.reference.choose(viewer.add_image(data))
    panel.candidate.choose(viewer.add_image(data))
    qtbot.waitUntil(lambda: bool(asked), timeout=WAIT)
    started = time.perf_counter()
    for z in range(9):
        viewer.dims.set_point(0, z)
    assert time.perf_counter() - started < 0.4
    settled(qtbot, panel)
    assert asked[-1] == (8,)
    assert len(asked) <= 4, "positions that the slider only passed are not measured"
    assert "Z = 8" in panel.where.text()
