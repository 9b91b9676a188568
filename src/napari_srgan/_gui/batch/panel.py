"""The dock widget Batch: a folder, a pattern and options in, a state for each file."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHeaderView,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QWidget,
)

from napari_srgan._gui.batch.job import Entry, job_of
from napari_srgan._gui.form import OptionFields
from napari_srgan._gui.parts.widgets import Fold, Form, Message, Panel, button, row
from napari_srgan._gui.runner import End, LastQuestion, errors_said
from napari_srgan._gui.super_resolve.add_model import AddModel
from napari_srgan._gui.super_resolve.choices import Choices, PresetMenu
from napari_srgan._gui.super_resolve.kind_picker import KindPicker
from napari_srgan._gui.super_resolve.model_picker import ModelPicker
from napari_srgan.errors import InputError
from napari_srgan.options import RestoreOptions, declared
from napari_srgan.tasks.batch import BatchOrder, check_apart, files_in
from napari_srgan.tasks.presets import keep_fields, kept_fields

if TYPE_CHECKING:
    import napari

RESULTS = "restored"
"""The folder of the results, in that of the inputs, where none is given."""
_NO_FOLDER = "Choose the folder with the images to restore."


class Batch(Panel):
    """Restore the files of a folder into another.

    The work belongs to the window: it goes on when the panel is closed, and the panel shows it
    when it is opened again.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; napari passes it by this name.
    """

    title = "Batch"

    def __init__(self, napari_viewer: napari.Viewer) -> None:
        super().__init__(napari_viewer)
        self.job = job_of(self.viewer, self)
        self.folder = _FolderField("Folder", "The folder with the images")
        self.pattern = QLineEdit("*")
        self.pattern.setToolTip("Which files of the folder, such as *_oct.tif; * is all images")
        self.output = _FolderField("Output", "The folder for the results and their table")
        self.output.path.setPlaceholderText(f"{RESULTS}, in the folder")
        self.replace = QCheckBox("Replace results that are there")
        self.kind = KindPicker()
        self.model = ModelPicker(adds=True)
        self.add_model = AddModel(self)
        self.options = OptionFields(RestoreOptions, leave_out=("model", "kind"))
        self.choices = Choices(self.kind, self.model, self.options)
        self.presets = PresetMenu(self.choices)
        body = QWidget()
        Form(body, self.options.rows())
        self.fold = Fold("Options", body, beside=self.presets)
        self.table = _Table()
        self.summary = Message()
        self.start_button = button("Start", "Restore the files that have no result yet")
        self.cancel_button = button("Cancel", "Stop after the tile in progress; what is done stays")
        self.message = Message()
        self._listing = LastQuestion(self)
        self._lay_out()
        self._fill_in()
        self.table.show_entries(self.job.entries, -1)
        self._connect()
        if not self.job.entries:
            self.look()
        self.refresh()

    def _lay_out(self) -> None:
        top = Form(
            fields={
                "Folder": self.folder,
                "Files": self.pattern,
                "Output": self.output,
                "Kind": self.kind,
                "Model": self.model,
            }
        )
        top.addRow(self.model.purpose)
        buttons = row(self.start_button, self.cancel_button, spacing=6)
        self.fill(
            top,
            self.fold,
            self.replace,
            self.table,
            foot=(self.summary, buttons, self.message),
        )
        self.table.parentWidget().layout().setStretchFactor(self.table, 1000)  # all that is free

    def _fill_in(self) -> None:
        """Show the batch that there is, or where the last one was."""
        order = self.job.order
        if order is not None:
            self.folder.path.setText(str(self.job.entries[0].path.parent))
            self.output.path.setText(str(order.folder))
            self.replace.setChecked(order.overwrite)
            self.choices.choose(
                {f.name: getattr(order.options, f.name) for f in declared(RestoreOptions)}
            )
            return
        self.choices.choose_last()
        with errors_said(self.say):
            kept = kept_fields("batch")
            self.folder.path.setText(str(kept.get("folder", "")))
            self.pattern.setText(str(kept.get("pattern", "*")))
            self.output.path.setText(str(kept.get("output", "")))

    def _connect(self) -> None:
        self.job.changed.connect(self._on_changed)
        self.job.said.connect(self.say)
        self._listing.found.connect(self._on_listed)
        for field in (self.folder.path, self.pattern):
            field.editingFinished.connect(self.look)
        for signal in (
            self.choices.changed,
            self.output.path.editingFinished,
            self.replace.toggled,
        ):
            signal.connect(self.refresh)
        self.folder.chosen.connect(self.look)
        self.output.chosen.connect(self.refresh)
        for part in (self.presets, self.add_model):
            part.said.connect(self.say)
        self.model.adding.connect(self.add_model.ask)
        self.add_model.added.connect(self.model.choose)
        self.start_button.clicked.connect(self.start)
        self.cancel_button.clicked.connect(self._on_cancel)
        self.table.doubleClicked.connect(lambda index: self._open(index.row()))

    def say(self, text: str, error: bool = False) -> None:
        """Show a sentence."""
        self.message.say(text, error=error)

    def look(self) -> None:
        """List the files anew, in a thread: a folder may lie on a slow drive."""
        if self.job.running or not self.folder.value():
            self.refresh()
            return
        folder, pattern = Path(self.folder.value()).expanduser(), self.pattern.text().strip()
        self._listing.ask(partial(_list, folder, pattern or "*"))

    def start(self) -> None:
        """Restore the files, or those that are left; say what is in the way."""
        with errors_said(self.say):
            self.say("")
            order = self.order()
            self.job.start(order)
            self.choices.keep()
            where = {"folder": self.folder.value(), "pattern": self.pattern.text()}
            keep_fields("batch", where | {"output": self.output.value()})
        self.refresh()

    def order(self) -> BatchOrder:
        """What is asked for now.

        Raises
        ------
        InputError
            If there is no folder, or results would replace inputs.
        """
        if not self.folder.value():
            raise InputError(_NO_FOLDER)
        folder = Path(self.folder.value()).expanduser()
        output = Path(self.output.value()).expanduser() if self.output.value() else folder / RESULTS
        order = BatchOrder(
            folder=output,
            options=RestoreOptions(**self.choices.values()),
            overwrite=self.replace.isChecked(),
            skip=True,
        )
        check_apart(folder, order)
        return order

    def refresh(self, event: Any = None) -> None:
        """Say what there is to be done, and offer it."""
        job = self.job
        for part in (self.folder, self.pattern, self.output, self.replace):
            part.setEnabled(not job.running)
        self.cancel_button.setEnabled(job.running)
        waiting = any(entry.state in ("waiting", "failed") for entry in job.entries)
        changed = False
        with errors_said(self.summary.say):
            changed = job.order is not None and self.order() != job.order
            self.summary.say(job.counts() or (_NO_FOLDER if not self.folder.value() else ""))
        self.start_button.setEnabled(bool(job.entries) and not job.running and (waiting or changed))
        going_on = job.begun and not changed and not job.running
        self.start_button.setText("Go on" if going_on else "Start")

    def let_go(self) -> None:
        """Leave the work to the window."""
        with suppress(TypeError, RuntimeError):  # it has let go before, or the window is gone
            self.job.changed.disconnect(self._on_changed)
            self.job.said.disconnect(self.say)
        self._listing.forget()
        self.add_model.stop()
        super().let_go()

    def _on_listed(self, found: Any) -> None:
        if isinstance(found, End):
            self.say(found.error, error=True)
            self.job.take([])
        elif found is not None and not self.job.running:
            if found != [entry.path for entry in self.job.entries]:
                self.job.take(found)
            self.say("" if found else "No image in this folder matches.")
        self.refresh()

    def _on_changed(self, number: int) -> None:
        self.table.show_entries(self.job.entries, number)
        self.refresh()

    def _on_cancel(self) -> None:
        self.job.cancel()
        self.cancel_button.setEnabled(False)
        self.say("Cancelling after this tile")

    def _open(self, number: int) -> None:
        """Open a result beside its input."""
        entry = self.job.entries[number]
        if entry.result is not None:
            with errors_said(self.say):
                for path in (entry.path, entry.result):
                    self.viewer.open(str(path), plugin="napari-srgan")


class _FolderField(QWidget):
    """A folder, typed or chosen.

    Signals
    -------
    chosen()
        When one was chosen in the dialog.
    """

    chosen = Signal()

    def __init__(self, name: str, tip: str) -> None:
        super().__init__()
        self.path = QLineEdit()
        self.path.setToolTip(tip)
        self.path.setAccessibleName(name)
        self.path.setMinimumWidth(60)
        self.browse = QToolButton()
        self.browse.setText("…")
        self.browse.setToolTip("Choose the folder")
        self.browse.setAccessibleName(f"Choose the folder {name}")
        self.browse.clicked.connect(self._browse)
        layout = row(self.path, self.browse, stretch=0)
        self.setLayout(layout)

    def value(self) -> str:
        """The folder as it stands there."""
        return self.path.text().strip()

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Choose the folder", self.value())
        if folder:
            self.path.setText(folder)
            self.chosen.emit()


class _Table(QTableWidget):
    """The files and their states."""

    def __init__(self) -> None:
        super().__init__(0, 2)
        self.setAccessibleName("Files of the batch")
        self.setTabKeyNavigation(False)  # arrows go through the cells, Tab leaves them
        self.setHorizontalHeaderLabels(["File", "State"])
        self.verticalHeader().setVisible(False)
        self.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        self.setMinimumHeight(160)
        self.setToolTip("A double-click opens input and result")
        self.setAccessibleName("Files and their states")
        for column in range(2):
            self.horizontalHeader().setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)

    def show_entries(self, entries: list[Entry], number: int) -> None:
        """Show one entry anew, or all of them for -1."""
        if number < 0:
            self.setRowCount(len(entries))
        for at in range(len(entries)) if number < 0 else [number]:
            entry = entries[at]
            state = f"{entry.state}: {entry.text}" if entry.text else entry.state
            for column, text in enumerate((entry.path.name, state)):
                item = QTableWidgetItem(text)
                item.setToolTip(str(entry.path) if column == 0 else state)
                self.setItem(at, column, item)
        if number >= 0:
            self.scrollToItem(self.item(number, 0))


def _list(folder: Path, pattern: str) -> Generator[list[Path], None, None]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; choose one that is there.")
    yield files_in(folder, pattern)
