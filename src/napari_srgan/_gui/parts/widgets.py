"""Qt parts that the panels share, without any knowledge of super-resolution.

A panel and its parts follow the viewer's events and say what has happened; a panel that closes lets
go of all of them here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QDockWidget,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_srgan._gui.parts.issue_report import IssueReport
from napari_srgan._gui.runner import Runner, RunnerBar
from napari_srgan.errors import InputError
from napari_srgan.tasks.steps import DEFECT

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

_BURST = 40  # ms


class Connections:
    """The event connections of one panel."""

    def __init__(self) -> None:
        self._made: list[tuple[Any, Callable[..., Any]]] = []

    def connect(self, emitter: Any, callback: Callable[..., Any]) -> None:
        """Connect a callback to a napari event and remember it."""
        emitter.connect(callback)
        self._made.append((emitter, callback))

    def disconnect_from(self, *emitters: Any) -> None:
        """Disconnect everything, or only what hangs on the given events."""
        kept = []
        for emitter, callback in self._made:
            if emitters and not any(emitter is given for given in emitters):
                kept.append((emitter, callback))
                continue
            # The layer or the viewer may have gone first.
            with suppress(ValueError, TypeError, RuntimeError):
                emitter.disconnect(callback)
        self._made = kept


class Part(QWidget):
    """A part of a panel that says what has come of it.

    Signals
    -------
    said(str, bool)
        A sentence, empty where the one before no longer counts, and whether it reports an error.
    """

    said = Signal(str, bool)

    def say(self, text: str = "", error: bool = False) -> None:
        """Let the panel show a sentence."""
        self.said.emit(text, error)


class Panel(QWidget):
    """A dock widget that follows a viewer, and lets go of it when it is closed.

    Parameters
    ----------
    viewer : napari.Viewer

    Attributes
    ----------
    title : str
        Its name in the Plugins menu, as in napari.yaml.
    """

    title: ClassVar[str]

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self.viewer = viewer_itself(viewer)
        self._connections = Connections()
        self._placed = False
        self.issue_report = IssueReport()
        self.issue_report.setVisible(False)
        self._defect_in: Message | None = None
        # Many events come at once (a layer brings its dims, its name, its selection): one refresh
        # after the burst is enough, and the slider stays smooth.
        self._pending = timer(self, _BURST, self.refresh)

    def refresh(self) -> None:
        """Take the choices and the viewer as they are now."""

    def refresh_soon(self, event: Any = None) -> None:
        """Refresh after a burst of events."""
        self._pending.start()

    def fill(self, *content: QWidget | QLayout, foot: Sequence[QWidget | QLayout] = ()) -> None:
        """Lay the content out from top to bottom, in a scroll area; the foot stays in view."""
        inner, below = _Content(), QWidget()
        column(inner, *content, spacing=6, margin=6).addStretch(1)
        column(below, *foot, spacing=6, margin=6)
        scrolled = Scrolling(inner, least=100 if foot else 230)
        column(self, scrolled, *([below] if foot else []), self.issue_report, spacing=0)
        for message in self.findChildren(Message):
            message.said.connect(partial(self._on_said, message))

    def _on_said(self, message: Message, text: str) -> None:
        """Offer a report while the sentence on a defect is there."""
        defect = text.startswith(DEFECT)
        if defect or message is self._defect_in:
            self._defect_in = message if defect else None
            self.issue_report.about(text if defect else "")
            self.issue_report.setVisible(defect)

    def let_go(self) -> None:
        """Give up all work and hear of the viewer no more."""
        self._pending.stop()
        for kind in (RunnerBar, Runner):
            for runner in self.findChildren(kind):
                runner.stop()
        self._connections.disconnect_from()

    def changeEvent(self, event: QEvent) -> None:
        """Let go when the dock is closed for good: napari then takes the parent."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange and self.parentWidget() is None:
            self.let_go()

    def showEvent(self, event: Any) -> None:
        """Stand behind the other panels at first, as a tab: half a panel each is too little."""
        super().showEvent(event)
        dock = _dock_of(self)
        if dock is None or self._placed:
            return
        self._placed = True
        window = dock.parentWidget()
        panels = [p for p in window.findChildren(Panel) if p is not self and p.isVisible()]
        for other in filter(None, map(_dock_of, panels)):
            if window.dockWidgetArea(other) == window.dockWidgetArea(dock):
                window.tabifyDockWidget(other, dock)
                dock.raise_()
                return

    def closeEvent(self, event: Any) -> None:
        """Let go when the window is closed."""
        self.let_go()
        super().closeEvent(event)


class _Content(QWidget):
    """What a panel holds: as high as its texts are when they wrap at its width.

    Qt takes the height that they would have in a narrow column, and scrolls what would fit.
    """

    def minimumSizeHint(self) -> QSize:
        """As narrow as the content may be, and as high as it is at its width now."""
        least = super().minimumSizeHint()
        high = self.heightForWidth(max(self.width(), least.width()))
        return QSize(least.width(), high if high > 0 else least.height())


def _dock_of(panel: Panel) -> QDockWidget | None:
    """The dock of a panel, if it is in one that is part of a window."""
    dock: Any = panel.parentWidget()
    while dock is not None and not isinstance(dock, QDockWidget):
        dock = dock.parentWidget()
    inside = dock is not None and isinstance(dock.parentWidget(), QMainWindow)
    return dock if inside and not dock.isFloating() else None


P = TypeVar("P", bound=Panel)


def dock_name(panel: type[Panel]) -> str:
    """Name that napari gives the dock when it is opened from the Plugins menu: so there is one."""
    return f"{panel.title} (SRGAN upscale)"


def open_panel(viewer: napari.Viewer, kind: type[P]) -> P:
    """Return the panel of that kind of this window, opened and in front."""
    window, name = viewer.window, dock_name(kind)
    panel = window.dock_widgets.get(name)
    if panel is None:
        panel = kind(viewer)
        window.add_dock_widget(panel, name=name)
    dock = panel.parentWidget()
    dock.show()
    dock.raise_()
    return panel


def viewer_itself(viewer: napari.Viewer) -> napari.Viewer:
    """The viewer behind the proxy that napari gives to plugins.

    Through a proxy a layer is another object at every look: no choice of it is found again.
    """
    return getattr(viewer, "__wrapped__", viewer)


def timer(parent: QObject, interval: int, act: Callable[[], None]) -> QTimer:
    """A timer that acts once, `interval` ms after it was started last.

    Not superqt's debouncer: it does not tell whether something is pending.
    """
    made = QTimer(parent)
    made.setSingleShot(True)
    made.setInterval(interval)
    made.timeout.connect(act)
    return made


def name_controls(field: QWidget, name: str) -> None:
    """Give what a label stands before its name, for screen readers; what has one keeps it."""
    for each in (field, *field.findChildren(QWidget)):
        says = isinstance(each, QAbstractButton) and each.text()
        if each.focusPolicy() & Qt.FocusPolicy.TabFocus and not (says or each.accessibleName()):
            each.setAccessibleName(name)


def bring_into_view(widget: QWidget) -> None:
    """Scroll the panel that a widget is in until it is seen."""
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, QScrollArea):
            parent.ensureWidgetVisible(widget)
        parent = parent.parentWidget()


def column(
    parent: QWidget, *content: QWidget | QLayout, spacing: int = 4, margin: int = 0
) -> QVBoxLayout:
    """Lay widgets and layouts out below each other in a widget."""
    return _filled(QVBoxLayout(parent), content, spacing, margin)


def row(*content: QWidget | QLayout, stretch: int = 1, spacing: int = 4) -> QHBoxLayout:
    """Lay widgets out beside each other, all as wide; with a stretch of 0 as wide as they need."""
    return _filled(QHBoxLayout(), content, spacing, 0, stretch)


def button(text: str, tip: str, checkable: bool = False) -> QPushButton:
    """A button that says in a tip what it does."""
    made = QPushButton(text)
    made.setToolTip(tip)
    made.setCheckable(checkable)
    return made


def asked_path(parent: QWidget, title: str, proposal: str, kinds: str, ending: str) -> Path | None:
    """Ask for a file to write; a name typed without an ending gets one.

    Returns
    -------
    Path or None
        None if the dialog was left.

    Raises
    ------
    InputError
        If the completed name is taken, which the dialog has not asked about.
    """
    path, _ = QFileDialog.getSaveFileName(parent, title, proposal, kinds)
    whole = Path(path)
    if path and not whole.suffix:
        whole = whole.with_name(whole.name + ending)
        if whole.exists():
            raise InputError(f"{whole} is already there; choose another name.")
    return whole if path else None


def _filled(
    layout: Any, content: Sequence[QWidget | QLayout], spacing: int, margin: int, stretch: int = 0
) -> Any:
    layout.setContentsMargins(margin, margin, margin, margin)
    layout.setSpacing(spacing)
    for part in content:
        if isinstance(part, QLayout):
            layout.addLayout(part, stretch)
        else:
            layout.addWidget(part, stretch)
    return layout


class DropDown(QComboBox):
    """A drop-down that never makes the panel wider than the dock, however long its entries."""

    def __init__(self, *entries: tuple[str, Any], tip: str = "") -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for text, data in entries:
            self.addItem(text, data)
        self.setToolTip(tip)

    def paintEvent(self, event: Any) -> None:
        """Cut a long entry in its middle: what tells results apart stands at the end."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        option.currentText = self.fontMetrics().elidedText(
            option.currentText, Qt.TextElideMode.ElideMiddle, field.width() - 2
        )
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)

    def value(self) -> Any:
        """The data of the chosen entry."""
        return self.currentData()

    def choose(self, value: Any) -> bool:
        """Choose the entry that holds this value; False if there is none."""
        for i in range(self.count()):
            if self.itemData(i) is value or self.itemData(i) == value:
                self.setCurrentIndex(i)
                return True
        return False


class LayerPicker(DropDown):
    """A drop-down of the viewer's layers of one kind, which follows the layer list.

    Parameters
    ----------
    viewer : napari.Viewer
        Whose layers.
    kind : type
        Layer class to list, for example `napari.layers.Image`.
    connections : Connections
        Of the panel.
    none : str, optional
        Text of a first entry that stands for no layer.
    also : str, optional
        Text of an entry after it that stands for something else; it is its own value.
    fits : callable, optional
        Tells of a layer whether to list it.
    """

    changed = Signal()

    def __init__(
        self,
        viewer: napari.Viewer,
        kind: type[Layer],
        connections: Connections,
        none: str | None = None,
        also: str | None = None,
        fits: Callable[[Any], bool] | None = None,
    ) -> None:
        super().__init__()
        self._viewer, self._kind, self._fits = viewer, kind, fits
        self._first = [(none, None)] if none is not None else []
        self._first += [(also, also)] if also is not None else []
        for name in ("inserted", "removed", "reordered", "renamed"):
            connections.connect(getattr(viewer.layers.events, name), self.refresh)
        self.refresh()
        self.currentIndexChanged.connect(self._on_index)

    def layers(self) -> list[Any]:
        """The layers on offer, the topmost first."""
        found = [la for la in reversed(self._viewer.layers) if isinstance(la, self._kind)]
        return [la for la in found if self._fits is None or self._fits(la)]

    def refresh(self, event: Any = None) -> None:
        """List the layers anew; the chosen one stays chosen while it is there."""
        chosen = self.value()
        with signals_blocked(self):
            self.clear()
            for text, value in self._first:
                self.addItem(text, value)
            for layer in self.layers():
                self.addItem(layer.name, layer)
            kept = self.choose(chosen)
        self.setToolTip(self.currentText())
        if not kept or chosen is not self.value():
            self.changed.emit()

    def choose(self, value: Any) -> bool:
        """Choose a layer, or an entry by its value; False if it is not on offer."""
        # Layers by identity: == on them or their data would compare pixels; Qt copies texts.
        for i in range(self.count()):
            known = self.itemData(i)
            if known is value or (isinstance(value, str) and isinstance(known, str)):
                self.setCurrentIndex(i)
                return True
        return False

    def _on_index(self, index: int) -> None:
        self.setToolTip(self.currentText())
        self.changed.emit()


class Fold(QWidget):
    """A heading that folds what is under it away.

    Not superqt's QCollapsible: it fixes the height when it opens, so that what grows in it later (a
    plot, a progress bar) is cut, and its animation redraws the window.

    Parameters
    ----------
    title : str
    body : QWidget
    beside : QWidget, optional
        At the right end of the heading.
    """

    def __init__(self, title: str, body: QWidget, beside: QWidget | None = None) -> None:
        super().__init__()
        self.button = QToolButton()
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setArrowType(Qt.ArrowType.RightArrow)
        self.button.setStyleSheet("QToolButton { border: none; background: transparent; }")
        self.body = body
        body.setVisible(False)
        self.button.toggled.connect(self._toggled)
        heading = row(self.button, stretch=0)
        heading.addStretch(1)
        if beside is not None:
            heading.addWidget(beside)
        column(self, heading, body, spacing=2)

    def _toggled(self, on: bool) -> None:
        self.button.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        self.body.setVisible(on)


class Message(QLabel):
    """A line of text that wraps, can be copied, and stands out when it reports an error.

    Signals
    -------
    said(str)
        The text that is shown from now on.
    """

    said = Signal(str)

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.is_error = False
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)

    def say(self, text: str, *, error: bool = False) -> None:
        """Show a text; nothing is shown, and no room taken, for an empty one."""
        self.is_error = error
        # A left bar in the theme's own text colour reads well on dark and on light themes alike.
        self.setStyleSheet(
            "QLabel { border-left: 3px solid #d9534f; padding-left: 6px; }" if error else ""
        )
        self.setText(text)
        self._take_room()
        self.said.emit(text)

    def changeEvent(self, event: QEvent) -> None:
        """Take room, or none, where it has been placed."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.ParentChange:
            self._take_room()

    def _take_room(self) -> None:
        # Made visible without a parent it would be a window, and napari would wait for its end.
        if self.parentWidget() is not None:
            self.setVisible(bool(self.text()))


class Form(QFormLayout):
    """A two-column form that fits a narrow dock; the fields of several forms line up.

    Parameters
    ----------
    parent : QWidget, optional
        Whose layout it becomes.
    fields : mapping of label to QWidget, optional
        Its rows.
    """

    def __init__(
        self, parent: QWidget | None = None, fields: Mapping[str, QWidget] | None = None
    ) -> None:
        super().__init__(parent)
        self.setContentsMargins(0, 0, 0, 0)
        self.setHorizontalSpacing(8)
        self.setVerticalSpacing(4)
        self.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        for text, field in (fields or {}).items():
            self.add(text, field)

    def add(self, text: str, field: QWidget) -> None:
        """Add a row."""
        label = QLabel(text)
        label.setMinimumWidth(label.fontMetrics().horizontalAdvance("Pixel size  "))
        self.addRow(label, field)
        name_controls(field, text)


class Scrolling(QScrollArea):
    """A panel in a scroll area: no window is too low for it, and it is never cut at the side.

    Parameters
    ----------
    content : QWidget
    least : int
        Height that it is never smaller than, if the content is as high.
    """

    def __init__(self, content: QWidget, least: int) -> None:
        super().__init__()
        self._least = least
        self.setWidget(content)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # Tab goes to what is in it
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        content.installEventFilter(self)

    def minimumSizeHint(self) -> QSize:
        """As wide as the content and its scroll bar, and so high that some of it is seen."""
        width = self.widget().minimumSizeHint().width()
        width += self.verticalScrollBar().sizeHint().width() + 4  # themes draw it a little wider
        return QSize(max(width, 300), min(self.widget().sizeHint().height(), self._least))

    def sizeHint(self) -> QSize:
        """As high as the content if there is room."""
        wanted = self.widget().sizeHint()
        return QSize(max(wanted.width(), self.minimumSizeHint().width()), wanted.height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep the dock as wide as the content needs when a part of it unfolds."""
        if event.type() == QEvent.Type.LayoutRequest and watched is self.widget():
            self.setMinimumWidth(self.minimumSizeHint().width())
        return super().eventFilter(watched, event)
