"""Copy report for an issue: where trouble is told of, and where a person looks for it."""

import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

import numpy as np
from panels import open_compare, open_super_resolve
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_srgan import __version__
from napari_srgan.tasks import doctor
from napari_srgan.tasks.steps import sentence_for

WAIT = 60_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture(autouse=True)
def without_opengl(monkeypatch):
    monkeypatch.setattr(doctor, "_opengl", lambda: doctor.Fact("OpenGL", "not tried"))
    QApplication.clipboard().setText("")


def copied(qtbot, button):
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert not button.isEnabled()
    qtbot.waitUntil(button.isEnabled, timeout=WAIT)
    assert button.text().startswith("Copied")
    return QApplication.clipboard().text()


def test_it_is_found_under_advanced_and_copies_what_the_command_says(viewer, qtbot):
    panel = open_super_resolve(viewer, qtbot)
    panel.fold.button.setChecked(True)
    button = panel.advanced.issue_report
    assert button.isVisibleTo(panel) and "issue" in button.text()
    text = copied(qtbot, button)
    for word in (f"napari-srgan  {__version__}", "torch", "cpu", "models"):
        assert " ".join(word.split()) in " ".join(text.split())
    assert "What went wrong" not in text


def test_it_stands_below_the_sentence_on_a_defect_and_goes_with_it(viewer, qtbot):
    panel = open_super_resolve(viewer, qtbot)
    viewer.add_image(np.zeros((16, 16), np.uint8), name="scan")
    assert not panel.issue_report.isVisibleTo(panel)
    panel.say("There is no such file.", error=True)  # no reason for an issue
    assert not panel.issue_report.isVisibleTo(panel)
    defect = sentence_for(RuntimeError("tensor of the wrong kind"), "")
    panel.message.say(defect, error=True)
    panel.refresh()  # other sentences of the panel come and go
    assert panel.issue_report.isVisibleTo(panel)
    assert copied(qtbot, panel.issue_report).endswith(f"What went wrong:\n{defect}")
    panel.message.say("")
    assert not panel.issue_report.isVisibleTo(panel)


def test_every_panel_offers_it(viewer, qtbot):
    panel = open_compare(viewer, qtbot)
    panel.message.say(sentence_for(RuntimeError("x"), ""), error=True)
    assert panel.issue_report.isVisibleTo(panel)
