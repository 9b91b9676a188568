"""Batch clicked as a user would: states, cancel, going on, and closing the panel midway."""

import csv
import gc
import threading

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import Qt

from napari_srgan._gui.batch.panel import Batch
from napari_srgan._gui.parts.widgets import open_panel
from napari_srgan.tasks.presets import save_preset

WAIT = 120_000

pytestmark = pytest.mark.usefixtures("tiny_models")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "scans"
    made.mkdir()
    for number in (1, 2, 10):
        write(made / f"s{number}.tif")
    return made


def write(path, shape=(24, 32)):
    pixels = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    tifffile.imwrite(path, pixels)


def open_batch(viewer, qtbot):
    """Open Batch as its menu entry does."""
    if hasattr(viewer, "window"):
        return open_panel(PublicOnlyProxy(viewer), Batch)
    panel = Batch(PublicOnlyProxy(viewer))
    qtbot.addWidget(panel)
    return panel


def fill_in(panel, qtbot, folder, model="tiny-gray"):
    panel.folder.path.setText(str(folder))
    panel.folder.path.editingFinished.emit()
    panel.model.box.choose(model)
    panel.options["device"].value = "cpu"
    qtbot.waitUntil(lambda: bool(panel.job.entries), timeout=WAIT)


def click(qtbot, button):
    assert button.isEnabled()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def run(qtbot, panel):
    click(qtbot, panel.start_button)
    qtbot.waitUntil(lambda: not panel.job.running, timeout=WAIT)


def shown(panel):
    """The table as it is seen: names and states."""
    table = panel.table
    return [
        (table.item(at, 0).text(), table.item(at, 1).text().split(":")[0])
        for at in range(table.rowCount())
    ]


def rows(folder):
    with (folder / "restored" / "summary.csv").open(newline="") as stream:
        return [(row["input"], row["status"]) for row in csv.DictReader(stream)]


@pytest.fixture
def panel(viewer, qtbot):
    return open_batch(viewer, qtbot)


def test_a_folder_is_restored_with_a_state_for_each_file(panel, qtbot, folder):
    (folder / "s3.tif").write_bytes(b"II*\0 no image")
    (folder / "notes.txt").touch()
    assert not panel.start_button.isEnabled() and "folder" in panel.summary.text()
    fill_in(panel, qtbot, folder)
    names = ["s1.tif", "s2.tif", "s3.tif", "s10.tif"]
    assert shown(panel) == [(name, "waiting") for name in names]
    assert panel.summary.text() == "4 files: 4 waiting."
    run(qtbot, panel)
    states = ["done", "done", "failed", "done"]
    assert shown(panel) == list(zip(names, states, strict=True))
    assert panel.summary.text() == "4 files: 3 done, 1 failed."
    assert "s3.tif" in panel.table.item(2, 1).toolTip()
    assert rows(folder) == list(zip(names, states, strict=True))
    assert tifffile.imread(folder / "restored" / "s1_tiny-gray_4x.tif").shape == (96, 128)
    # What failed is mended and tried again, alone.
    write(folder / "s3.tif")
    assert panel.start_button.text() == "Go on"
    run(qtbot, panel)
    assert shown(panel) == [(name, "done") for name in names]
    assert rows(folder)[4:] == [("s3.tif", "done")]
    assert not panel.start_button.isEnabled()


def test_cancel_and_go_on(panel, qtbot, folder):
    write(folder / "s2.tif", (400, 400))
    panel.options["tile"].value = 64
    fill_in(panel, qtbot, folder)
    click(qtbot, panel.start_button)
    qtbot.waitUntil(lambda: ("s2.tif", "running") in shown(panel), timeout=WAIT)
    assert not panel.folder.isEnabled()
    click(qtbot, panel.cancel_button)
    qtbot.waitUntil(lambda: not panel.job.running, timeout=WAIT)
    assert shown(panel) == [("s1.tif", "done"), ("s2.tif", "waiting"), ("s10.tif", "waiting")]
    assert "Go on" in panel.message.text()
    made = folder / "restored" / "s1_tiny-gray_4x.tif"
    before = made.stat().st_mtime_ns
    left = {p.name for p in made.parent.iterdir() if not p.name.endswith(".lock")}
    assert left == {made.name, "summary.csv"}
    panel.options["tile"].value = "auto"  # another order, of the same results
    run(qtbot, panel)
    assert [state for _, state in shown(panel)] == ["left", "done", "done"]
    assert made.stat().st_mtime_ns == before
    assert "is there" in panel.table.item(0, 1).text()


@pytest.mark.napari_window
def test_the_batch_goes_on_when_its_panel_is_closed_midway(viewer, qtbot, folder):
    panel = open_batch(viewer, qtbot)
    write(folder / "s2.tif", (400, 400))
    panel.options["tile"].value = 64
    fill_in(panel, qtbot, folder)
    job = panel.job
    click(qtbot, panel.start_button)
    qtbot.waitUntil(lambda: ("s2.tif", "running") in shown(panel), timeout=WAIT)
    viewer.window.remove_dock_widget(panel)
    panel.deleteLater()
    gc.collect()
    qtbot.wait(50)
    assert job.running
    again = open_batch(viewer, qtbot)
    assert again.job is job
    assert again.folder.value() == str(folder)
    assert (again.model.value(), again.options["tile"].value) == ("tiny-gray", 64)
    assert shown(again)[0] == ("s1.tif", "done")
    qtbot.waitUntil(lambda: not job.running, timeout=WAIT)
    assert shown(again) == [(name, "done") for name in ("s1.tif", "s2.tif", "s10.tif")]
    assert again.summary.text() == "3 files: 3 done."
    assert "summary.csv" in again.message.text()


@pytest.mark.napari_window
def test_closing_the_window_ends_the_batch(viewer, qtbot, folder):
    panel = open_batch(viewer, qtbot)
    write(folder / "s1.tif", (600, 600))
    panel.options["tile"].value = 64
    fill_in(panel, qtbot, folder)
    click(qtbot, panel.start_button)
    qtbot.waitUntil(lambda: ("s1.tif", "running") in shown(panel), timeout=WAIT)
    viewer.close()
    ours = [t for t in threading.enumerate() if t.name.startswith("napari-srgan")]
    qtbot.waitUntil(lambda: not any(t.is_alive() for t in ours), timeout=WAIT)
    left = {p.name for p in (folder / "restored").iterdir() if not p.name.endswith(".lock")}
    assert left == {"summary.csv"}


def test_options_come_from_presets_and_are_there_next_time(panel, viewer, qtbot, folder, tmp_path):
    save_preset("lab", {"model": "other-gray", "tile": 64})
    panel.output.path.setText(str(tmp_path / "out"))
    fill_in(panel, qtbot, folder)
    panel.pattern.setText("s1*")
    panel.pattern.editingFinished.emit()
    qtbot.waitUntil(lambda: len(panel.job.entries) == 2, timeout=WAIT)
    panel.presets.use("lab")
    run(qtbot, panel)
    assert sorted(p.name for p in (tmp_path / "out").glob("*.tif")) == [
        "s10_other-gray_4x.tif",
        "s1_other-gray_4x.tif",
    ]
    panel.let_go()
    again = open_batch(viewer, qtbot)
    assert (again.folder.value(), again.pattern.text()) == (str(folder), "s1*")
    assert again.output.value() == str(tmp_path / "out")
    assert again.choices.chosen() == {"model": "other-gray", "tile": 64}


def test_results_are_replaced_only_on_request(panel, qtbot, folder):
    fill_in(panel, qtbot, folder)
    run(qtbot, panel)
    made = folder / "restored" / "s1_tiny-gray_4x.tif"
    before = made.stat().st_mtime_ns
    panel.replace.setChecked(True)
    run(qtbot, panel)
    assert made.stat().st_mtime_ns > before
    assert rows(folder) == [(f"s{n}.tif", "done") for n in (1, 2, 10)]  # a table of its own
    panel.output.path.setText(str(folder))
    panel.output.path.editingFinished.emit()
    assert panel.summary.is_error and "another folder" in panel.summary.text()
    assert not panel.start_button.isEnabled()


def test_results_and_other_folders_are_known(panel, qtbot, folder, tmp_path):
    fill_in(panel, qtbot, folder)
    run(qtbot, panel)
    panel.folder.path.setText(str(folder / "restored"))
    panel.folder.path.editingFinished.emit()
    qtbot.waitUntil(lambda: "_4x" in shown(panel)[0][0], timeout=WAIT)
    run(qtbot, panel)
    assert {state for _, state in shown(panel)} == {"left"}
    panel.folder.path.setText(str(tmp_path / "none"))
    panel.folder.path.editingFinished.emit()
    qtbot.waitUntil(lambda: panel.message.is_error, timeout=WAIT)
    assert "none is no folder" in panel.message.text()
    assert not shown(panel) and not panel.start_button.isEnabled()


def test_a_result_opens_beside_its_input(panel, viewer, qtbot, folder):
    fill_in(panel, qtbot, folder)
    run(qtbot, panel)
    panel.table.doubleClicked.emit(panel.table.model().index(1, 0))
    assert [layer.name for layer in viewer.layers] == ["s2", "s2_tiny-gray_4x"]
    assert np.allclose(viewer.layers[1].scale, np.asarray(viewer.layers[0].scale) / 4)
