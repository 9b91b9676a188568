"""The report of a result clicked as a user would."""

import re

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_compare
from qtpy.QtCore import Qt
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog
from skimage.metrics import peak_signal_noise_ratio

from napari_srgan._gui.parts.widgets import Connections
from napari_srgan._gui.super_resolve.report import ReportButton
from napari_srgan.api import upscale

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def layers(viewer):
    """An input, its result by the engine, and a reference."""
    random = np.random.default_rng(0)
    low = random.integers(0, 256, (3, 24, 32)).astype(np.uint8)
    truth = random.integers(0, 256, (3, 96, 128)).astype(np.uint8)
    made = upscale(low, "tiny-gray", axes="ZYX", device="cpu")
    record = made.metadata["napari_srgan"] | {"input": "eye"}
    viewer.add_image(low, name="eye", axis_labels=("z", "y", "x"))
    result = viewer.add_image(
        made.data,
        name="eye [tiny-gray 4x]",
        axis_labels=("z", "y", "x"),
        metadata={"napari_srgan": record},
    )
    viewer.add_image(truth, name="truth", axis_labels=("z", "y", "x"))
    return result


@pytest.fixture
def button(viewer, layers, qtbot):
    settings = {"device": "cpu", "precision": "auto", "tile": "auto"}
    connections = Connections()
    widget = ReportButton(viewer, connections, lambda: settings)
    qtbot.addWidget(widget)
    yield widget
    connections.disconnect_from()


def press(qtbot, widget):
    assert widget.isEnabled() and not widget.isHidden()
    qtbot.mouseClick(widget, Qt.MouseButton.LeftButton)


def test_one_click_writes_the_page_and_offers_it(
    viewer, layers, button, qtbot, tmp_path, monkeypatch
):
    assert button.isHidden()
    button.show_layer(layers)
    assert not button.isHidden()
    offered = []

    def dialog(parent, title, name, kinds):
        offered.append(name)
        return str(tmp_path / "page"), kinds  # typed without an ending

    monkeypatch.setattr(QFileDialog, "getSaveFileName", dialog)
    assert button.reference.choose(viewer.layers["truth"])
    viewer.dims.set_current_step(0, 2)
    with qtbot.waitSignal(button.said, timeout=WAIT, check_params_cb=lambda t, _: bool(t)) as said:
        press(qtbot, button.button)
    path = tmp_path / "page.html"
    assert said.args == [f"Wrote {path}.", False]
    assert offered == ["eye_report.html"]
    text = path.read_text("utf-8")
    assert "Shown is slice Z=2, of 3 slices" in text
    truth, made = viewer.layers["truth"].data, layers.data
    expected = peak_signal_noise_ratio(truth, made, data_range=255)
    found = re.search(
        r'PSNR \(dB\)</th><td.*?</td><td class="number[^"]*" data-value="(.*?)"', text
    )
    assert float(found[1]) == pytest.approx(expected, rel=1e-6)
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url) or True)
    press(qtbot, button.open_button)
    assert opened[0].toLocalFile() == str(path)
    # A page of that name is there now, and the dialog has not asked about it.
    with qtbot.waitSignal(button.said, timeout=WAIT) as said:
        press(qtbot, button.button)
    assert said.args[1] and "already there" in said.args[0]


def test_cancel_writes_nothing(viewer, layers, button, qtbot, tmp_path):
    button.show_layer(layers)
    button.report_to(tmp_path / "page.html")
    assert button.running and not button.button.isEnabled()
    with qtbot.waitSignal(button.runner.ended, timeout=WAIT):
        press(qtbot, button.runner.cancel_button)
    assert not button.running and button.button.isEnabled()
    assert button.open_button.isHidden()
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_sentences(viewer, layers, button, qtbot, tmp_path):
    button.show_layer(layers)
    button.reference.choose(layers)
    for path, words in (
        (tmp_path / "page.pdf", ".html"),
        (tmp_path / "page.html", "choose another reference"),
    ):
        with qtbot.waitSignal(button.said, timeout=WAIT) as said:
            button.report_to(path)
        assert said.args[1] and words in said.args[0]
    # Found only in the thread.
    button.reference.choose(viewer.layers["eye"])
    with qtbot.waitSignal(button.said, timeout=WAIT, check_params_cb=lambda t, _: bool(t)) as said:
        button.report_to(tmp_path / "page.html")
    assert said.args[1] and "give the reference of that size" in said.args[0]
    viewer.layers.remove("eye")
    with qtbot.waitSignal(button.said, timeout=WAIT) as said:
        button.report_to(tmp_path / "page.html")
    assert said.args[1] and "is not open" in said.args[0]
    assert list(tmp_path.iterdir()) == []


def test_compare_reports_on_the_first_result_that_is_ticked(viewer, layers, qtbot, tmp_path):
    panel = open_compare(viewer, qtbot)
    panel.reference.choose(viewer.layers["truth"])
    panel.candidates.tick(layers, False)
    panel.refresh()
    assert panel.report.isHidden()
    panel.candidates.tick(layers)
    panel.refresh()
    assert not panel.report.isHidden()
    with qtbot.waitSignal(panel.report.runner.ended, timeout=WAIT):
        panel.report.report_to(tmp_path / "page.html")
    assert panel.message.text() == f"Wrote {tmp_path / 'page.html'}."
    assert "truth" in (tmp_path / "page.html").read_text("utf-8")
