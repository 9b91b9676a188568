"""A model is added by the list or a drop, once its card was read; what is hostile is a sentence."""

import hashlib
import pickle

import numpy as np
import pytest
import small_models

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QWheelEvent
from qtpy.QtWidgets import QApplication, QFileDialog

WAIT = 60_000


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """The folder of the user's models, with one in it."""
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path / "mine"))
    small_models.save(tmp_path / "mine", "tiny-gray", 1)
    return tmp_path / "mine"


@pytest.fixture
def trained(tmp_path, mine):
    said = {"trained_on": ("own scans (CC BY 4.0)",), "limits": "None that <b>we</b> know."}
    return small_models.save(tmp_path / "run", "lab-gray", 1, **said)


@pytest.fixture
def panel(viewer, qtbot, mine):
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (24, 32)).astype(np.uint8))
    return open_super_resolve(viewer, qtbot)


def drop(widget, *paths):
    """Drag files over a widget and let them fall; returns whether each event was taken."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    at, copy = QPointF(20, 20), Qt.DropAction.CopyAction
    button, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    taken = []
    for event in (
        QDragEnterEvent(at.toPoint(), copy, data, button, none),
        QDropEvent(at, copy, data, button, none),
    ):
        event.ignore()
        QApplication.sendEvent(widget, event)
        taken.append(event.isAccepted())
    return taken


def wait_for_card(qtbot, panel):
    qtbot.waitUntil(lambda: panel.add_model.dialog is not None, timeout=WAIT)
    return panel.add_model.dialog


def click(qtbot, panel, button):
    with qtbot.waitSignal(panel.add_model.added, timeout=WAIT):
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def test_a_dropped_model_is_used_once_its_card_was_read(panel, qtbot, trained, mine):
    assert drop(panel, trained) == [True, True]
    dialog = wait_for_card(qtbot, panel)
    assert not (mine / "lab-gray.safetensors").exists()  # it is only shown so far
    shown = {head: label.text().replace("\u200b", "") for head, label in dialog.rows.items()}
    assert shown["For"] == "tests"
    assert shown["Trained on"] == "own scans (CC BY 4.0)"
    assert shown["Limits"] == "None that <b>we</b> know."
    assert dialog.rows["Limits"].textFormat() == Qt.TextFormat.PlainText
    assert (shown["Images"], shown["Scale"]) == ("gray", "4x")
    assert "30.50 dB (bicubic 29.25)" in shown["Measured"]
    assert shown["SHA-256"] == hashlib.sha256(trained.read_bytes()).hexdigest()
    click(qtbot, panel, dialog.yes)
    assert (mine / "lab-gray.safetensors").read_bytes() == trained.read_bytes()
    assert panel.model.value() == "lab-gray"
    assert panel.message.text() == "lab-gray is added."
    trained.unlink()
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        qtbot.mouseClick(panel.run, Qt.MouseButton.LeftButton)
    assert panel.viewer.layers[-1].name.endswith("[lab-gray 4x]")


def test_a_model_is_added_from_the_list_by_the_mouse(panel, qtbot, trained, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(trained), ""))
    panel.model.box.choose("tiny-gray")
    box = panel.model.box
    box.showPopup()
    view, at = box.view(), box.findText("Add model…")
    where = view.visualRect(box.model().index(at, 0)).center()
    qtbot.mousePress(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    qtbot.wait(400)  # a shorter press counts as the click that opened the list
    qtbot.mouseMove(view.viewport(), where)
    qtbot.mouseRelease(view.viewport(), Qt.MouseButton.LeftButton, pos=where)
    dialog = wait_for_card(qtbot, panel)
    assert panel.model.value() == "tiny-gray"
    dialog.reject()
    qtbot.wait(50)
    assert panel.model.value() == "tiny-gray" and box.findData("lab-gray") < 0


def test_neither_wheel_nor_arrow_keys_come_upon_add_model(panel, qtbot, monkeypatch):
    asked = []
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: asked.append(1) or ("", ""))
    box = panel.model.box
    box.setFocus()
    for _ in range(box.count() + 2):
        qtbot.keyClick(box, Qt.Key.Key_Down)
        wheel = QWheelEvent(
            QPointF(5, 5), QPointF(5, 5), QPointF(0, -120).toPoint(), QPointF(0, -120).toPoint(),
            Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(box, wheel)
    assert not asked and box.currentText() != "Add model…"


def test_the_same_file_again_is_chosen_and_another_of_its_name_replaces_it(
    panel, qtbot, trained, mine
):
    panel.add_model.look(mine / "tiny-gray.safetensors")
    qtbot.waitUntil(lambda: panel.model.value() == "tiny-gray", timeout=WAIT)
    assert "already" in panel.message.text() and panel.add_model.dialog is None
    other = small_models.save(trained.parent, "tiny-gray", 1, blocks=2)
    panel.add_model.look(other)
    dialog = wait_for_card(qtbot, panel)
    assert dialog.yes.text() == "Replace" and dialog.head.is_error
    click(qtbot, panel, dialog.yes)
    assert (mine / "tiny-gray.safetensors").read_bytes() == other.read_bytes()


def test_bundled_names_pickles_and_damage_are_one_sentence(panel, qtbot, trained, tmp_path):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(trained.read_bytes()[:-40])
    pickled = tmp_path / "model.pth"
    pickled.write_bytes(pickle.dumps({"weights": 1}))
    unpicked = tmp_path / "picked.safetensors"
    unpicked.write_bytes(pickled.read_bytes())
    bundled = small_models.save(tmp_path / "run", "srgan-gray", 1)
    empty = tmp_path / "empty.safetensors"
    empty.touch()
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    for path, words in (
        (cut, "damaged"),
        (pickled, "pickled checkpoint"),
        (unpicked, "pickled checkpoint"),
        (bundled, "is the name of a bundled model"),
        (empty, "no safetensors header"),
        (folder, "There is no file"),
    ):
        assert drop(panel, path) == [True, True]
        qtbot.waitUntil(lambda: panel.message.is_error, timeout=WAIT)
        assert words in panel.message.text() and "\n" not in panel.message.text()
        panel.say("")
    assert panel.add_model.dialog is None
    drop(panel, cut, bundled)
    assert "one model at a time" in panel.message.text()


def test_other_files_are_left_to_who_takes_them(panel, tmp_path):
    assert drop(panel, tmp_path / "scan.tif") == [False, False]
    assert panel.message.text() == ""


@pytest.mark.napari_window
def test_the_card_fits_its_window_and_goes_with_the_panel(panel, viewer, qtbot, trained):
    panel.add_model.look(trained)
    dialog = wait_for_card(qtbot, panel)
    qtbot.waitUntil(dialog.isVisible)
    assert dialog.window() is dialog and dialog.parentWidget() is panel
    assert dialog.minimumSizeHint().width() <= dialog.width() <= 700
    viewer.window.remove_dock_widget(panel)
    qtbot.waitUntil(lambda: not dialog.isVisible())
