"""Fields of a form for declared options, made by magicgui as flags are for the command line."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import Field
from typing import Any

from magicgui.widgets import CheckBox, ComboBox, LineEdit
from magicgui.widgets.bases import ValueWidget
from qtpy.QtWidgets import QComboBox, QSizePolicy, QWidget

from napari_srgan.errors import InputError
from napari_srgan.options import declared


class OptionFields:
    """A field for every declared option of a dataclass.

    Parameters
    ----------
    options : type
        A dataclass with fields of `options.option`, or those of a training's recipe; each with a
        default.
    leave_out : collection of str
        Options that have no field here.
    only : sequence of str
        The options that have one, in their order; all by default.
    """

    def __init__(
        self, options: type, leave_out: Collection[str] = (), only: Sequence[str] = ()
    ) -> None:
        known = {f.name: f for f in declared(options)}
        self._options = {name: known[name] for name in only or known if name not in leave_out}
        self._fields = {name: _field(option) for name, option in self._options.items()}
        self._entries = {name: _entries(option) for name, option in self._options.items()}

    def __getitem__(self, name: str) -> ValueWidget:
        """The field of an option."""
        return self._fields[name]

    def rows(self) -> dict[str, QWidget]:
        """Labels and Qt widgets, for a form."""
        return {_label(self._options[name]): field.native for name, field in self._fields.items()}

    def on_change(self, callback: Callable[[], Any]) -> None:
        """Call back when a value was changed; a text counts as changed when it was finished."""
        for field in self._fields.values():
            if isinstance(field, LineEdit):
                field.native.editingFinished.connect(callback)
            else:
                field.changed.connect(lambda _value: callback())

    def values(self) -> dict[str, Any]:
        """The values by name, for the dataclass; an empty text is the default."""
        return {name: self._value(name) for name in self._fields}

    def set_defaults(self) -> None:
        """Put everything back to its default."""
        for name, field in self._fields.items():
            default = self._options[name].default
            field.value = _text(default) if isinstance(field, LineEdit) else default

    def choose(self, values: Mapping[str, Any]) -> None:
        """Set values by name, where they have a field; one not on offer is added to what is."""
        for name in values.keys() & self._fields.keys():
            field, value = self._fields[name], values[name]
            if isinstance(field, ComboBox):
                self._list(name, value)
            field.value = _text(value) if isinstance(field, LineEdit) else value

    def offer(self, name: str, entries: Sequence[tuple[str, Any]]) -> None:
        """List other values; what was chosen stays chosen, so that nothing is changed unseen."""
        self._entries[name] = tuple(entries)
        self._list(name, self._fields[name].value)

    def _list(self, name: str, chosen: Any) -> None:
        field, entries = self._fields[name], self._entries[name]
        there = any(value == chosen for _, value in entries)
        with field.changed.blocked():
            field.choices = entries if there else (*entries, (str(chosen), chosen))

    def _value(self, name: str) -> Any:
        field, option = self._fields[name], self._options[name]
        if not isinstance(field, LineEdit):
            return field.value
        text = field.value.strip()
        if not text:
            return option.default
        read = option.metadata.get("read") or _reader(option.default)
        try:
            return read(text)
        except ValueError:
            kind = {int: "a whole number", float: "a number"}.get(_kind(option.default), "text")
            if "read" in option.metadata:
                raise
            raise InputError(f"{_label(option)} must be {kind}, not '{text}'.") from None


def _label(option: Field[Any]) -> str:
    return option.metadata.get("label") or option.name.replace("_", " ").capitalize()


def _kind(default: Any) -> type:
    """The type of a value, or of the items of a list."""
    return type(next(iter(default), "")) if isinstance(default, tuple) else type(default)


def _reader(default: Any) -> Callable[[str], Any]:
    """Read text as what the default is: a value, or several with spaces between."""
    kind = _kind(default)
    if isinstance(default, tuple):
        return lambda text: tuple(map(kind, text.replace(",", " ").split()))
    return kind


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(map(_text, value)) if isinstance(value, tuple) else str(value)


def _entries(option: Field[Any]) -> tuple[tuple[str, Any], ...]:
    about = option.metadata
    choices = tuple((str(value), value) for value in about.get("choices", ()))
    return about.get("entries") or choices


def _field(option: Field[Any]) -> ValueWidget:
    about, entries = option.metadata, _entries(option)
    tip = about["help"][:1].upper() + about["help"][1:]
    if option.default is False:
        return CheckBox(value=False, text=entries[0][0] if entries else "", tooltip=tip)
    field: ValueWidget
    if entries:
        field = ComboBox(choices=entries, value=option.default, tooltip=tip)
        adjust = QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        field.native.setSizeAdjustPolicy(adjust)
        field.native.setMinimumContentsLength(8)
    else:
        field = LineEdit(value=_text(option.default), tooltip=tip)
        field.native.setMinimumWidth(60)
    # As wide as the dock, and never wider.
    field.native.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return field
