"""How images are restored, as a panel's controls say it; kept in presets, and for next time."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any

from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import QInputDialog, QMenu, QMessageBox, QSizePolicy, QToolButton

from napari_srgan._gui.form import OptionFields
from napari_srgan._gui.parts.widgets import Part, row
from napari_srgan._gui.runner import errors_said
from napari_srgan._gui.super_resolve.kind_picker import KindPicker
from napari_srgan._gui.super_resolve.model_picker import ModelPicker
from napari_srgan.errors import InputError
from napari_srgan.options import RestoreOptions, as_typed, chosen_values, from_typed
from napari_srgan.tasks.presets import (
    delete_preset,
    keep_choices,
    last_choices,
    list_presets,
    preset,
    save_preset,
)

_log = logging.getLogger(__name__)


class Choices(QObject):
    """The controls that say how images are restored, taken together.

    Parameters
    ----------
    kind : KindPicker
    model : ModelPicker
    options : OptionFields
        All other options.

    Signals
    -------
    changed()
        When one of them was changed.
    """

    changed = Signal()

    def __init__(self, kind: KindPicker, model: ModelPicker, options: OptionFields) -> None:
        super().__init__(kind)
        self.kind, self.model, self.options = kind, model, options
        self._logged = ""
        for signal in (kind.changed, model.changed):
            signal.connect(self.changed.emit)
        options.on_change(self.changed.emit)

    def values(self) -> dict[str, Any]:
        """All of them, as fields of `RestoreOptions`."""
        own = {"kind": self.kind.value(), "model": self.model.value()}
        return own | self.options.values()

    def chosen(self) -> dict[str, Any]:
        """Those that are not the default."""
        return chosen_values(RestoreOptions, self.values())

    def choose(self, values: Mapping[str, Any]) -> None:
        """Choose these, and the defaults for all others."""
        self.kind.box.choose(values.get("kind", "auto"))
        self.model.choose(values.get("model", "auto"))
        self.options.set_defaults()
        self.options.choose({k: v for k, v in values.items() if k not in ("kind", "model")})
        self.changed.emit()

    def choose_last(self) -> None:
        """Choose what was chosen in the last session; the defaults if that cannot be read."""
        try:
            self.choose(last_choices())
        except (InputError, OSError) as error:
            self._warn(error)

    def keep(self) -> None:
        """Keep what is chosen for the next session."""
        try:
            keep_choices(self.chosen())
        except (InputError, OSError) as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        """Tell the log why choices were not read or are not kept; once of what stays as it is."""
        if str(error) != self._logged:
            self._logged = str(error)
            _log.warning("%s", error)


class PresetMenu(Part):
    """A button with the presets; it is called as the one that is in use.

    Parameters
    ----------
    choices : Choices
        What a preset changes, and what is saved as one.
    """

    def __init__(self, choices: Choices) -> None:
        super().__init__()
        self._choices = choices
        self.button = QToolButton()
        self.button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.button.setToolTip("Options that were saved under a name, here or on the command line")
        self.button.setAccessibleName("Presets")
        # napari's theme draws the mark of the menu over the text.
        self.button.setStyleSheet("QToolButton::menu-indicator { image: none; }")
        self.button.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.menu = QMenu(self)
        self.menu.setToolTipsVisible(True)
        self.menu.aboutToShow.connect(self.refresh)
        self.button.setMenu(self.menu)
        self.setLayout(row(self.button, stretch=0))
        choices.changed.connect(self._name)
        self._name()

    def refresh(self) -> None:
        """List the presets that there are now."""
        menu, chosen = self.menu, as_typed(self._choices.chosen())
        menu.clear()
        _entry(menu, "Defaults", not chosen, partial(self._choices.choose, {}))
        with errors_said(self.say):
            known = list_presets()
            for name, options in known.items():
                entry = _entry(menu, name, _same(options, chosen), partial(self.use, name))
                entry.setToolTip(
                    ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in options.items())
                )
            menu.addSeparator()
            menu.addAction("Save as preset…", self.save).setEnabled(bool(chosen))
            delete = menu.addMenu("Delete preset")
            delete.setEnabled(bool(known))
            for name in known:
                delete.addAction(_shown(name), partial(self.delete, name))

    def use(self, name: str) -> None:
        """Choose what a preset says, or say why not."""
        with errors_said(self.say):
            self._choices.choose(preset(name))
            self.say()

    def save(self) -> None:
        """Ask for a name, and keep what is chosen under it."""
        name, agreed = QInputDialog.getText(self, "Save as preset", "Name of the preset:")
        name = name.strip()
        if not agreed:
            return
        with errors_said(self.say):
            there = name in list_presets()
            text = f"There is a preset {name} already. Replace it?"
            if there and QMessageBox.question(self, "Save as preset", text) != _YES:
                return
            save_preset(name, self._choices.chosen(), overwrite=there)
            self._name()
            self.say(f"Saved as preset {name}; on the command line it is --preset '{name}'.")

    def delete(self, name: str) -> None:
        """Forget a preset."""
        with errors_said(self.say):
            delete_preset(name)
            self._name()
            self.say(f"The preset {name} is deleted.")

    def _name(self) -> None:
        """Call the button as the preset that is in use, if one is."""
        try:
            chosen = as_typed(self._choices.chosen())
            names = [name for name, options in list_presets().items() if _same(options, chosen)]
        except (InputError, OSError):  # said when the list is opened
            names = []
        shown = names[0] if names else "Presets"
        width = self.button.fontMetrics().averageCharWidth() * 11
        shown = self.button.fontMetrics().elidedText(shown, Qt.TextElideMode.ElideRight, width)
        self.button.setText(f"{_shown(shown)} ▾")


_YES = QMessageBox.StandardButton.Yes


def _entry(menu: QMenu, text: str, on: bool, act: Any) -> Any:
    entry = menu.addAction(_shown(text), act)
    entry.setCheckable(True)
    entry.setChecked(on)
    return entry


def _shown(text: str) -> str:
    """Write a name for a menu or button, where & would mark a key."""
    return text.replace("&", "&&")


def _same(typed: Mapping[str, Any], chosen: Mapping[str, Any]) -> bool:
    """Whether a preset says what is chosen, with the defaults that it may name."""
    try:
        return as_typed(chosen_values(RestoreOptions, from_typed(RestoreOptions, typed))) == chosen
    except ValueError:  # said when it is used
        return False
