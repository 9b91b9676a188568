"""The dock widget Train: scans and a recipe in, a model in the list out.

The training is the command, in a process of its own (process.py); what the panel shows it reads
from the run folder (run_view.py). So a panel or a napari that was closed, or another that is opened
elsewhere, goes on where it stands.
"""

from __future__ import annotations

import datetime
import os
import shutil
import tempfile
from collections.abc import Generator, Mapping, Sequence
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QFileDialog, QLineEdit, QToolButton, QWidget
from superqt.utils import signals_blocked

from napari_srgan._gui.form import OptionFields
from napari_srgan._gui.parts.widgets import (
    DropDown,
    Fold,
    Form,
    Message,
    Panel,
    button,
    column,
    open_panel,
    row,
)
from napari_srgan._gui.runner import RunnerBar, errors_said
from napari_srgan._gui.super_resolve.panel import SuperResolve
from napari_srgan._gui.train.process import begin, look
from napari_srgan._gui.train.run_view import Look, RunView
from napari_srgan._gui.train.scans import SCANS, FolderField, ScanPicker, Scans, write_layers
from napari_srgan.errors import InputError, OutputExists
from napari_srgan.models.catalogue import add_model
from training.hardware import check_installed
from training.presets import compose
from training.recipe import Recipe
from training.runs import RunFolder, find_runs
from training.split import RECIPE

if TYPE_CHECKING:
    import subprocess

    import napari

_ABOUT = {
    "quick": "quick: a small network, in minutes on any computer; shows that all is in place.",
    "default": "default: the full network; hours on a GPU, more than a day on a processor. VGG19 "
    "(548 MB) is downloaded once, unless Options > Content is none.",
    "finetune": "finetune: a bundled model learns your scans; the best start with few of them.",
    "paper": "paper: the values of Ledig et al. (2017), with VGG19 (548 MB); days on a GPU.",
}
_OPTIONS = (
    "scale",
    "degradation",
    "transform",
    "pretrain_steps",
    "adversarial_steps",
    "content",
    "init",
    "generator",
    "blocks",
    "features",
    "batch",
    "crop",
    "learning_rate",
    "flips",
    "validate_every",
    "seed",
)
_NEW = "a new training"


class Train(Panel):
    """Train a model on scans.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; napari passes it by this name.
    """

    title = "Train"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self._process: subprocess.Popen[bytes] | None = None
        self._process_of: Path | None = None
        self._stopping = False
        self._replace = False
        self.scans = ScanPicker(self.viewer, self._connections)
        self.preset = DropDown(
            *((name, name) for name in _ABOUT), tip="Where the recipe starts from"
        )
        self.name = QLineEdit("my-model")
        self.name.setToolTip("Name of the model, as in the list of models")
        self.about = Message()
        self.options = OptionFields(Recipe, only=_OPTIONS)
        self.vgg = QLineEdit()
        self.vgg.setPlaceholderText("downloaded once, 548 MB")
        self.vgg.setToolTip("File with the weights of VGG19, for a content loss (vgg22 to vgg54)")
        self.device = DropDown(("auto", "auto"), ("cpu", "cpu"), ("cuda", "cuda"), ("mps", "mps"))
        self.runs = FolderField("of runs", "Folder that the folders of runs are made in")
        self.runs.path.setText(str(runs_folder()))
        self.run = DropDown((_NEW, None), tip="What is shown below")
        self.open_button = QToolButton()
        self.open_button.setText("…")
        self.open_button.setToolTip("Show the training of another run folder")
        self.open_button.setAccessibleName("Open another run")
        self.view = RunView()
        self.start_button = button("Train", "Train in a process of its own, which outlives napari")
        self.look_button = button(
            "Look at the scans", "What is in them, how they are split, and what it would take"
        )
        self.pause = button("Pause", "Stop after this step with a checkpoint; Resume goes on")
        self.stop_button = button("Stop", "End the training; its model is kept")
        self.use = button("Use this model", "Put the model in the list and choose it")
        self.folder_button = button("Open folder", "Show the run folder: models, curves, previews")
        self.runner = RunnerBar()
        self.message = Message()
        self._lay_out()
        self._connect()
        self.preset.choose("quick")
        self._on_preset()
        self.list_runs()
        self.refresh()

    def _lay_out(self) -> None:
        top = Form(fields={"Preset": self.preset, "Name": self.name})
        more = QWidget()
        rows = {
            **self.options.rows(),
            "VGG19 file": self.vgg,
            "Device": self.device,
            "Runs in": self.runs,
        }
        Form(more, rows)
        self.fold = Fold("Options", more)
        which = QWidget()
        beside = row(self.run, self.open_button, stretch=0)
        beside.setStretch(0, 1)
        which.setLayout(beside)
        self._chosen = QWidget()
        column(
            self._chosen,
            self.view,
            row(self.use, self.folder_button),
            spacing=6,
        )
        shown = Form(fields={"Run": which})
        self._new = QWidget()
        column(self._new, self.scans, top, self.about, self.fold, spacing=6)
        self.fill(
            shown,
            self._new,
            self._chosen,
            foot=(
                row(self.look_button, self.start_button, spacing=6),
                row(self.pause, self.stop_button, spacing=6),
                self.runner,
                self.message,
            ),
        )

    def _connect(self) -> None:
        self.preset.currentIndexChanged.connect(lambda _i: self._on_preset())
        self.scans.changed.connect(self.refresh_soon)
        self.run.currentIndexChanged.connect(lambda _i: self._on_run())
        self.runs.changed.connect(self.list_runs)
        self.open_button.clicked.connect(self._on_open)
        self.start_button.clicked.connect(self.start)
        self.look_button.clicked.connect(self.look_at_scans)
        self.pause.clicked.connect(self._on_pause)
        self.stop_button.clicked.connect(self.stop)
        self.use.clicked.connect(self.use_model)
        self.folder_button.clicked.connect(self._on_folder)
        self.runner.ended.connect(lambda _end: self.refresh())
        self.view.looked.connect(self._on_look)

    def say(self, text: str, error: bool = False) -> None:
        """Show a sentence; an error also appears as napari's notification."""
        self.message.say(text, error=error)
        if error:
            from napari.utils.notifications import show_error

            show_error(text)

    # --- what is chosen ---------------------------------------------------------------------

    def recipe_arguments(self) -> list[str]:
        """The arguments of the command for the preset and what was changed of it.

        Raises
        ------
        InputError
            If the recipe makes no sense.
        """
        preset = self.preset.value()
        usual = compose(preset, {}).to_dict()
        given = {**self.options.values(), "name": self.name.text().strip()}
        changed = {key: value for key, value in given.items() if value != usual[key]}
        compose(preset, changed)
        arguments = ["--preset", preset, *flags(changed)]
        if vgg := self.vgg.text().strip():
            arguments += ["--vgg-weights", str(Path(vgg).expanduser().absolute())]
        if self.device.value() != "auto":
            arguments += ["--device", self.device.value()]
        return arguments

    def _on_preset(self) -> None:
        preset = self.preset.value()
        self.about.say(_ABOUT[preset])
        self.options.choose(compose(preset, {}).to_dict())

    # --- starting, pausing, stopping ----------------------------------------------------------

    def start(self) -> None:
        """Begin a training, or say why not."""
        with errors_said(self.say):
            self.message.say("")
            check_installed()
            scans, arguments = self.scans.value(), self.recipe_arguments()
            folder = self._new_folder()
            self._begin_with(scans, [*arguments, "--out", str(folder)], folder)

    def _begin_with(self, scans: Scans, arguments: list[str], folder: Path) -> None:
        if not scans.layers:
            self._begin([*scans.arguments, *arguments], folder)
            return
        self.runner.start(
            partial(write_layers, scans.layers, folder / SCANS),
            lambda at: self._begin(["--data", str(at), *arguments], folder),
            self.say,
            cancelled="Cancelled; nothing is trained.",
        )
        self.refresh()

    def _begin(self, arguments: list[str], folder: Path) -> None:
        self._process, self._process_of = begin(arguments, folder), folder
        self._stopping = False
        self.show_run(folder)

    def resume(self) -> None:
        """Go on with the run that is shown, or say why not."""
        folder = self.run.value()
        if folder is not None:
            with errors_said(self.say):
                check_installed()
                self._begin(["--resume", str(folder)], folder)

    def stop(self) -> None:
        """End the training that is shown; before its first step at once, else with a model."""
        look = self.view.look
        if look is None:
            return
        if look.seen.state == "starting" and self._is_own(look.run.path):
            assert self._process is not None
            self._process.terminate()
            self.say("Stopped before the first step.")
        else:
            self._ask_to_stop(look.run)

    def _ask_to_stop(self, run: RunFolder) -> None:
        with errors_said(self.say):
            run.ask_to_stop()
            self._stopping = True
            self.say("Stopping after this step.")
            self.refresh()

    def _on_pause(self) -> None:
        look = self.view.look
        if look is None:
            return
        if look.seen.state == "training":
            self._ask_to_stop(look.run)
        else:
            self.resume()

    def _is_own(self, folder: Path) -> bool:
        """Whether the process of a run was begun here and is still there."""
        process = self._process
        return process is not None and folder == self._process_of and process.poll() is None

    def _new_folder(self) -> Path:
        root = self.runs.value() or runs_folder()
        name = self.name.text().strip()
        return root / f"{name}-{datetime.datetime.now():%Y%m%d-%H%M%S}"

    # --- looking at the scans -----------------------------------------------------------------

    def look_at_scans(self) -> None:
        """Say what is in the scans, on a page, or why not."""
        with errors_said(self.say):
            self.message.say("")
            check_installed()
            scans, arguments = self.scans.value(), self.recipe_arguments()
            root = self.runs.value() or runs_folder()
            page = root / f"look-{datetime.datetime.now():%Y%m%d-%H%M%S}.html"
            self.runner.start(
                partial(look_at_scans, scans, [*arguments, "--look", str(page)]),
                self._show_page,
                self.say,
                cancelled="Cancelled; no page was written.",
            )
            self.refresh()

    def _show_page(self, told: Mapping[str, Any]) -> None:
        page = Path(str(told["page"]))
        advice = "\n".join(map(str, told["advice"])) or "Nothing stands in the way of a training."
        self.say(f"{told['cost']}\n{advice}\nThe page is {page}.")
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(page)))

    # --- what is shown ------------------------------------------------------------------------

    def list_runs(self) -> None:
        """List the runs of the folder, the newest first; one that is trained in is shown."""
        root, shown = self.runs.value() or runs_folder(), self.run.value()
        try:
            found = [run.path for run in reversed(find_runs(root))]
        except InputError:  # no run yet
            found = []
        extra = [shown] if shown is not None and shown not in found else []
        going = (path for path in found if RunFolder(path).is_trained_in)
        wanted = shown if shown is not None else next(going, None)
        with signals_blocked(self.run):
            self.run.clear()
            self.run.addItem(_NEW, None)
            for path in (*extra, *found):
                self.run.addItem(path.name, path)
            self.run.choose(wanted)
        if self.run.value() != shown:
            self._on_run()

    def show_run(self, folder: Path) -> None:
        """Show a run folder."""
        if not self.run.choose(folder):
            self.run.insertItem(1, folder.name, folder)
            self.run.setCurrentIndex(1)
        self._on_run()

    def _on_run(self) -> None:
        folder = self.run.value()
        self._replace = False
        self.use.setText("Use this model")
        if folder is None:
            self.view.show_run(None)
        else:
            self.view.show_run(RunFolder(folder), partial(self._is_own, folder))
        self.refresh()

    def _on_look(self, look: Look) -> None:
        path, state = look.run.path, look.seen.state
        if self._stopping and state == "training":
            look.run.ask_to_stop()  # it was too early for the first one
        elif self._stopping and state != "starting":
            self._stopping = False
            self.message.say("")
        if state == "failed" and path == self._process_of and not (path / RECIPE).exists():
            # Nothing has begun; the sentence is all that there is.
            sentence = look.seen.sentence or "The training could not be started."
            shutil.rmtree(path, ignore_errors=True)
            self._process_of = None
            self.run.removeItem(self.run.currentIndex())
            self.run.setCurrentIndex(0)
            self.say(sentence, error=True)
        self.refresh()

    def _on_open(self) -> None:
        start = str(self.runs.value() or runs_folder())
        path = QFileDialog.getExistingDirectory(self, "Choose a run folder", start)
        with errors_said(self.say):
            if path:
                RunFolder(Path(path)).recipe  # noqa: B018 - refuses what is none
                self.show_run(Path(path))

    def refresh(self) -> None:
        """Let those buttons be pressed that mean something now."""
        look = self.view.look
        state = look.seen.state if look is not None else None
        new = self.run.value() is None
        going = state in ("starting", "training")
        self._new.setVisible(new)
        self._chosen.setVisible(not new)
        for each in (self.start_button, self.look_button):
            each.setVisible(new)
            each.setEnabled(not self.runner.running)
        can_go_on = look is not None and state in ("stopped", "failed") and look.can_go_on
        self.pause.setVisible(not new and (going or can_go_on))
        self.pause.setText("Resume" if can_go_on else "Pause")
        self.pause.setEnabled(can_go_on or (state == "training" and not self._stopping))
        self.stop_button.setVisible(not new and going)
        self.stop_button.setEnabled(not self._stopping)
        self.use.setEnabled(look is not None and look.has_model)

    def _on_folder(self) -> None:
        folder = self.run.value()
        if folder is not None and not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self.say(f"The folder is {folder}.")

    # --- what comes of it ---------------------------------------------------------------------

    def use_model(self) -> None:
        """Put the model of the run in the list, and choose it in Super-resolve."""
        look = self.view.look
        model = look.run.model if look is not None else None
        if model is None:
            return
        with errors_said(self.say):
            try:
                info = add_model(model, overwrite=self._replace)
            except OutputExists:
                self._replace = True
                self.use.setText("Replace it")
                self.say("A model of that name is in the list already; press again to replace it.")
                return
            self._replace = False
            self.use.setText("Use this model")
            self.say(f"{info.card.name} is in the list of models now.")
            self._choose(info.card.name)

    def _choose(self, name: str) -> None:
        """Open Super-resolve with the model chosen."""
        if hasattr(self.viewer, "window"):
            panel = open_panel(self.viewer, SuperResolve)
            panel.model.refresh()
            panel.model.box.choose(name)

    def let_go(self) -> None:
        """Look no more; the training goes on."""
        self.view.stop()
        super().let_go()


def look_at_scans(
    scans: Scans, arguments: Sequence[str]
) -> Generator[Any, None, Mapping[str, Any]]:
    """Look at what was chosen; layers become files for that time."""
    with tempfile.TemporaryDirectory(prefix="napari-srgan-") as folder:
        where: Sequence[str] = scans.arguments
        if scans.layers:
            at = yield from write_layers(scans.layers, Path(folder) / SCANS)
            where = ("--data", str(at))
        return (yield from look([*where, *arguments], Path(folder)))


def flags(values: Mapping[str, Any]) -> list[str]:
    """Write fields of a recipe as arguments of the command."""
    known = {f.name: f.default for f in fields(Recipe)}
    arguments: list[str] = []
    for key, value in values.items():
        flag = key.replace("_", "-")
        if isinstance(known[key], bool):
            arguments.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, tuple):
            arguments += [f"--{flag}", *map(str, value)]
        else:
            arguments.append(f"--{flag}={value}")
    return arguments


def runs_folder() -> Path:
    """Return where runs are kept that were begun in napari (`NAPARI_SRGAN_RUNS` moves it)."""
    folder = os.environ.get("NAPARI_SRGAN_RUNS")
    return Path(folder) if folder else Path.home() / "napari-srgan-runs"
