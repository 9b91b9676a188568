"""What a person chose is there again: by its name, and in the next session."""

import json
import logging

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_super_resolve
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QInputDialog, QMessageBox

from napari_srgan.cli import main
from napari_srgan.tasks.presets import keep_choices, list_presets, presets_file, save_preset

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def panel(viewer, qtbot):
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (24, 32)).astype(np.uint8))
    return open_super_resolve(viewer, qtbot)


def entries(menu):
    """What the open menu lists: texts, and whether each is ticked."""
    menu.aboutToShow.emit()
    return {a.text(): a.isChecked() for a in menu.actions() if a.text()}


def choose(menu, text):
    menu.aboutToShow.emit()
    (action,) = (a for a in menu.actions() if a.text() == text)
    action.trigger()


def name(monkeypatch, text, agreed=True):
    monkeypatch.setattr(QInputDialog, "getText", lambda *_: (text, agreed))


def test_a_preset_saved_in_the_panel_is_one_of_the_command_line(
    panel, qtbot, monkeypatch, capsys, tmp_path
):
    menu = panel.presets.menu
    assert entries(menu)["Defaults"]
    panel.model.box.choose("other-gray")
    panel.advanced.options["tile"].value = 64
    name(monkeypatch, " our OCT ")
    choose(menu, "Save as preset…")
    assert list_presets() == {"our OCT": {"model": "other-gray", "tile": "64"}}
    assert panel.presets.button.text() == "our OCT ▾"
    assert entries(menu) == {
        "Defaults": False, "our OCT": True, "Save as preset…": False, "Delete preset": False,
    }  # fmt: skip
    main(["presets", "show", "our OCT"])
    assert capsys.readouterr().out == "--model other-gray --tile 64\n"

    choose(menu, "Defaults")
    assert (panel.model.value(), panel.advanced.values()["tile"]) == ("auto", "auto")
    assert panel.presets.button.text() == "Presets ▾"
    choose(menu, "our OCT")
    assert (panel.model.value(), panel.advanced.values()["tile"]) == ("other-gray", 64)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        qtbot.mouseClick(panel.run, Qt.MouseButton.LeftButton)
    assert panel.viewer.layers[-1].metadata["napari_srgan"]["model"] == "other-gray"
    delete = next(a.menu() for a in menu.actions() if a.text() == "Delete preset")
    choose_in = next(a for a in delete.actions() if a.text() == "our OCT")
    choose_in.trigger()
    assert list_presets() == {}
    assert panel.presets.button.text() == "Presets ▾"


def test_a_preset_is_replaced_only_when_asked(panel, monkeypatch):
    save_preset("a", {"tile": 64})
    panel.advanced.options["tile"].value = 128
    name(monkeypatch, "a")
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.No)
    panel.presets.save()
    assert list_presets()["a"] == {"tile": "64"}
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton.Yes)
    panel.presets.save()
    assert list_presets()["a"] == {"tile": "128"}
    name(monkeypatch, "b", agreed=False)
    panel.presets.save()
    name(monkeypatch, "a/b")
    panel.presets.save()
    assert list(list_presets()) == ["a"]
    assert panel.message.is_error and "'a/b' cannot be a preset's name" in panel.message.text()


def test_a_preset_of_the_command_line_may_hold_what_the_form_does_not_list(
    panel, model_folder, tmp_path
):
    (tmp_path / "own.safetensors").write_bytes(
        (model_folder / "tiny-gray.safetensors").read_bytes()
    )
    own = str(tmp_path / "own.safetensors")
    flags = ["--model", own, "--tile", "200", "--intensity", "0:300", "--device", "cuda:7"]
    main(["presets", "save", "lab", *flags])
    choose(panel.presets.menu, "lab")
    values = panel.choices.values()
    assert (values["model"], values["tile"], values["intensity"]) == (own, 200, "0:300")
    panel.model.refresh()
    panel.advanced.offer_devices(["cpu"])
    assert panel.model.value() == own
    assert panel.choices.values()["device"] == "cuda:7"  # and not another one, unseen
    assert panel.presets.button.text() == "lab ▾"
    assert panel.advanced.options["intensity"].native.text() == "0:300"


def test_a_preset_that_cannot_be_used_changes_nothing_and_says_why(panel):
    presets_file().write_text(
        json.dumps({"presets": {"lab": {"model": "tiny-grey", "tile": "64"}}})
    )
    panel.advanced.options["tile"].value = 128
    choose(panel.presets.menu, "lab")
    assert panel.advanced.values()["tile"] == 128
    assert panel.message.is_error and "did you mean tiny-gray" in panel.message.text()


def test_last_choices_are_there_in_the_next_session(panel, viewer, qtbot):
    panel.model.box.choose("tiny-gray")
    panel.kind.box.choose("oct")
    panel.advanced.options["transform"].value = "log"
    panel.advanced.options["back_project"].value = True
    panel.let_go()
    again = open_super_resolve(viewer, qtbot) if not hasattr(viewer, "window") else panel
    chosen = {"kind": "oct", "model": "tiny-gray", "transform": "log", "back_project": True}
    assert again is not panel and again.choices.chosen() == chosen
    assert again.fold.button.text() == "Advanced (2 changed)"
    again.set_defaults()
    assert again.fold.button.text() == "Advanced"


def test_a_run_keeps_the_choices_too(panel, qtbot):
    panel.model.box.choose("tiny-gray")
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        qtbot.mouseClick(panel.run, Qt.MouseButton.LeftButton)
    assert json.loads(presets_file().read_text())["last"] == {"model": "tiny-gray"}


def test_who_chooses_nothing_gets_no_file(panel):
    panel.let_go()
    assert not presets_file().exists()


@pytest.mark.parametrize("content", ["{", json.dumps({"last": {"model": "gone"}})])
def test_what_cannot_be_read_is_one_line_in_the_log_and_the_defaults(
    viewer, qtbot, caplog, content
):
    presets_file().write_text(content)
    with caplog.at_level(logging.WARNING):
        panel = open_super_resolve(viewer, qtbot)
        panel.let_go()
    assert panel.choices.chosen() == {}
    (line,) = (r.getMessage() for r in caplog.records if r.name.startswith("napari_srgan"))
    assert "damaged" in line or "There is no model 'gone'" in line
    assert "\n" not in line


@pytest.mark.napari_window
def test_the_menu_opens_by_a_click_and_long_names_fit(panel, viewer, qtbot):
    save_preset("a long name for what our second instrument needs", {"tile": 64})
    keep_choices({"tile": 64})
    panel.choices.choose_last()
    seen = []
    panel.presets.menu.aboutToShow.connect(lambda: seen.append(1))
    qtbot.wait(100)
    from qtpy.QtCore import QTimer

    QTimer.singleShot(200, panel.presets.menu.close)
    qtbot.mouseClick(panel.presets.button, Qt.MouseButton.LeftButton)
    assert seen
    right = panel.presets.button.mapTo(panel, QPoint(panel.presets.button.width(), 0)).x()
    assert panel.width() >= right
