"""Train, from the first click to a model that restores; and a napari that is killed midway."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from napari.utils._proxies import PublicOnlyProxy
from small_scans import picture

from napari_srgan._gui.parts.widgets import open_panel
from napari_srgan._gui.train import process
from napari_srgan._gui.train.panel import Train, flags
from napari_srgan.errors import InputError
from napari_srgan.models.architectures.srresnet import SRResNet
from napari_srgan.models.catalogue import Card, load_model, save_model
from training.command_line import parser
from training.presets import compose
from training.recipe import Recipe
from training.runs import find_runs

WAIT = 120_000  # ms; a process that imports torch on a busy machine
TINY = {
    "blocks": 1,
    "features": 4,
    "crop": (32,),
    "batch": 4,
    "pretrain_steps": 6,
    "adversarial_steps": 0,
    "validate_every": 3,
}
ENDLESS = TINY | {"pretrain_steps": 1_000_000, "validate_every": 900_000}


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_SRGAN_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield
    with suppress(InputError):  # there is none
        for run in find_runs(tmp_path):
            run.ask_to_stop()


@pytest.fixture
def panel(viewer, qtbot):
    if hasattr(viewer, "window"):
        return open_panel(PublicOnlyProxy(viewer), Train)
    panel = Train(PublicOnlyProxy(viewer))
    qtbot.addWidget(panel)
    return panel


def state(panel):
    return panel.view.look.seen.state if panel.view.look is not None else None


def until(qtbot, panel, *wanted):
    qtbot.waitUntil(lambda: state(panel) in wanted, timeout=WAIT)


def begin(panel, scans, values=TINY):
    panel.scans.folder.path.setText(str(scans))
    panel.name.setText("blobs")
    panel.options.choose(values)
    panel.start_button.click()


@pytest.mark.napari_window
def test_from_the_first_click_to_a_model_that_restores_a_layer(
    viewer, panel, qtbot, scans, tmp_path
):
    viewer.window.resize(1100, 700)
    begin(panel, scans)
    assert not panel.message.is_error, panel.message.text()
    until(qtbot, panel, "done", "failed")
    assert state(panel) == "done", panel.view.state.text()
    qtbot.waitUntil(panel.view.preview.isVisible)
    assert "over bicubic" in panel.view.state.text()
    names = [curve.name for curve in panel.view.scores.curves]
    assert names == ["scans", "bicubic, scans"] and panel.view.losses.curves
    panel.use.click()
    assert not panel.message.is_error, panel.message.text()

    upscale = viewer.window.dock_widgets["Super-resolve (SRGAN upscale)"]
    assert upscale.isVisible() and upscale.model.value() == "blobs"
    viewer.add_image(picture(9, 24, 32), name="scan")
    with qtbot.waitSignal(upscale.runner.ended, timeout=WAIT):
        upscale.start()
    assert viewer.layers["scan [blobs 4x]"].data.shape == (96, 128)

    # Of another model of that name nothing is replaced without a second click.
    card = Card(
        name="blobs",
        architecture="srresnet",
        parameters={"channels": 1, "blocks": 1, "features": 5, "scale": 4},
        channels=1,
        scale=(4, 4),
        purpose="Another.",
    )
    save_model(tmp_path / "models/blobs.safetensors", SRResNet(**card.parameters), card)
    panel.use.click()
    assert "again" in panel.message.text() and panel.use.text() == "Replace it"
    panel.use.click()
    assert "in the list" in panel.message.text()
    assert load_model("blobs").card.parameters["features"] == 4


def test_pausing_and_resuming(panel, qtbot, scans):
    begin(panel, scans, ENDLESS)
    until(qtbot, panel, "training")
    panel.pause.click()
    until(qtbot, panel, "stopped")
    qtbot.waitUntil(lambda: panel.pause.text() == "Resume")
    step, run = panel.view.look.seen.step, panel.view.look.run
    assert run.model is not None and not run.is_trained_in
    panel.pause.click()
    qtbot.waitUntil(
        lambda: state(panel) == "training" and panel.view.look.seen.step > step, timeout=WAIT
    )
    panel.stop_button.click()
    until(qtbot, panel, "stopped")
    assert panel.view.look.seen.step > step


def test_open_layers_are_trained_on_and_results_are_not_offered(viewer, panel, qtbot):
    for seed in range(3):
        viewer.add_image(picture(seed), name=f"eye / {seed}")
    made = viewer.add_image(picture(5), name="made")
    made.metadata = {"napari_srgan_role": "view"}
    panel.scans.refresh()
    panel.scans.source.choose("layers")
    listed = [panel.scans.layers.item(i).text() for i in range(panel.scans.layers.count())]
    assert listed == ["eye / 2", "eye / 1", "eye / 0"]
    panel.start()
    assert panel.message.is_error and "Tick" in panel.message.text()
    panel.scans.tick(listed)
    panel.options.choose(TINY | {"pretrain_steps": 1})
    panel.start()
    until(qtbot, panel, "done", "failed")
    assert state(panel) == "done", panel.view.state.text()
    written = sorted(p.name for p in (panel.view.look.run.path / "scans").iterdir())
    assert written == ["eye_0.tif", "eye_1.tif", "eye_2.tif"]


def test_looking_at_the_scans(viewer, panel, qtbot, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(
        "napari_srgan._gui.train.panel.QDesktopServices.openUrl",
        lambda url: opened.append(url.toLocalFile()),
    )
    for seed in range(3):
        viewer.add_image(picture(seed), name=f"eye{seed}")
    panel.scans.source.choose("layers")
    panel.scans.tick(["eye0", "eye1", "eye2"])
    panel.options.choose(TINY)
    with qtbot.waitSignal(panel.runner.ended, timeout=WAIT):
        panel.look_button.click()
    assert not panel.message.is_error, panel.message.text()
    assert "would take" in panel.message.text() and "few to train" in panel.message.text()
    (page,) = (tmp_path / "runs").glob("look-*.html")
    assert opened == [str(page)] and "eye1.tif" in page.read_text()


def test_what_cannot_be_trained_on_is_said_and_leaves_nothing(panel, qtbot, tmp_path):
    (tmp_path / "scans").mkdir()
    begin(panel, tmp_path / "scans")
    qtbot.waitUntil(lambda: panel.message.is_error, timeout=WAIT)
    assert "holds no scans" in panel.message.text()
    assert panel.run.value() is None and not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(
    ("values", "said"),
    [({"crop": (30,)}, "multiple of the scale"), ({"pretrain_steps": 0}, "nothing to train")],
)
def test_a_recipe_without_sense_is_refused_before_anything_starts(panel, scans, values, said):
    begin(panel, scans, TINY | values)
    assert panel.message.is_error and said in panel.message.text()
    assert panel.view.look is None
    panel.options["blocks"].value = "many"
    panel.start()
    assert panel.message.text() == "Blocks must be a whole number, not 'many'."


def test_stopping_before_the_first_step(panel, qtbot, scans, monkeypatch):
    waits = [sys.executable, "-c", "import time; time.sleep(100)"]
    monkeypatch.setattr(process, "command", lambda arguments: waits)
    begin(panel, scans)
    until(qtbot, panel, "starting")
    panel.stop_button.click()
    qtbot.waitUntil(lambda: panel._process.poll() is not None, timeout=WAIT)


SESSION = """
import sys
from qtpy.QtCore import QTimer
import napari
from napari_srgan._gui.parts.widgets import open_panel
from napari_srgan._gui.train.panel import Train
from test_widgets_train import ENDLESS, begin, state

viewer = napari.Viewer(show=False)
panel = open_panel(viewer, Train)
begin(panel, sys.argv[1], ENDLESS)
timer = QTimer()
timer.timeout.connect(lambda: state(panel) == "training" and print("it trains", flush=True))
timer.start(100)
napari.run(force=True)
"""


@pytest.mark.napari_window
def test_a_napari_that_is_killed_midway_finds_its_run_again(viewer, qtbot, scans, tmp_path):
    here = Path(__file__).parent
    paths = os.pathsep.join([*map(str, (here, here.parent)), *filter(None, sys.path)])
    napari = subprocess.Popen(
        [sys.executable, "-c", SESSION, str(scans)],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert napari.stdout.readline() == "it trains\n"
    napari.kill()
    assert napari.wait() == -signal.SIGKILL

    panel = open_panel(PublicOnlyProxy(viewer), Train)
    (run,) = find_runs(tmp_path / "runs")
    assert panel.run.value() == run.path
    until(qtbot, panel, "training")
    step = panel.view.look.seen.step
    qtbot.waitUntil(lambda: panel.view.look.seen.step > step, timeout=WAIT)
    panel.close()  # a panel that is closed lets it go on, too
    assert run.is_trained_in
    again = Train(PublicOnlyProxy(viewer))
    qtbot.addWidget(again)
    until(qtbot, again, "training")
    again.stop_button.click()
    until(qtbot, again, "stopped")
    assert run.model is not None


# The process


def test_the_recipe_of_the_form_is_what_the_command_understands(panel):
    panel.preset.choose("default")
    panel.options.choose({"blocks": 3, "crop": (64, 96), "transform": "power:0.25"})
    panel.name.setText("mine")
    typed = parser().parse_args(panel.recipe_arguments())
    given = {key: value for key, value in vars(typed).items() if key in Recipe.__annotations__}
    assert typed.preset == "default"
    assert given == {"name": "mine", "blocks": 3, "crop": [64, 96], "transform": "power:0.25"}
    # Every field, whatever its type.
    whole = compose("paper", {"batch_norm": True, "branches": False}).to_dict()
    del whole["trained_on"]
    typed = vars(parser().parse_args(flags(whole)))
    assert {k: tuple(v) if isinstance(v, list) else v for k, v in typed.items()}.items() >= (
        whole.items()
    )


@pytest.mark.parametrize("called", ["napari", "pythonw"])
def test_an_app_trains_with_the_python_inside_it(tmp_path, monkeypatch, called):
    """sys.executable is the app, a link that is called after it, or has no console."""
    python = tmp_path / "bin/python3"
    python.parent.mkdir()
    for path in (python, tmp_path / called):
        path.touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / called))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert process.interpreter() == python
    python.unlink()
    monkeypatch.setattr(sys, "_base_executable", "", raising=False)
    with pytest.raises(ValueError, match="napari-srgan train"):
        process.interpreter()


def test_the_process_finds_this_package_and_no_folder_of_the_same_name(tmp_path):
    (tmp_path / "training").mkdir()
    (tmp_path / "training/__init__.py").write_text("raise SystemExit('the wrong one')")
    begun = process.begin(["--help"], tmp_path)
    assert begun.wait(60) == 0
    assert "--data" in (tmp_path / "output.jsonl").read_text()
