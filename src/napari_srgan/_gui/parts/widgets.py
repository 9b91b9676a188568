"""Small Qt parts that the panels share: a layer chooser, a fold, a message line, a form.

What belongs here: widgets without any knowledge of super-resolution.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt, Signal
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QFrame,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_srgan._gui.parts.connections import Connections

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer


class Choice(QComboBox):
    """A drop-down that never makes the panel wider than the dock, however long its entries."""

    def __init__(self, *entries: tuple[str, Any], tip: str = "") -> None:
        super().__init__()
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        for text, data in entries:
            self.addItem(text, data)
        self.setToolTip(tip)

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


class LayerChoice(Choice):
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
        fits: Callable[[Any], bool] | None = None,
    ) -> None:
        super().__init__()
        self._viewer, self._kind, self._none, self._fits = viewer, kind, none, fits
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
        chosen, blocked = self.value(), self.blockSignals(True)
        self.clear()
        if self._none is not None:
            self.addItem(self._none, None)
        for layer in self.layers():
            self.addItem(layer.name, layer)
        kept = self.choose(chosen)
        self.blockSignals(blocked)
        self.setToolTip(self.currentText())
        if not kept or chosen is not self.value():
            self.changed.emit()

    def choose(self, value: Any) -> bool:
        """Choose a layer; False if it is not on offer."""
        # By identity: == on layers or their data would compare pixels.
        for i in range(self.count()):
            if self.itemData(i) is value:
                self.setCurrentIndex(i)
                return True
        return False

    def _on_index(self, index: int) -> None:
        self.setToolTip(self.currentText())
        self.changed.emit()


class Fold(QWidget):
    """A heading that folds what is under it away."""

    def __init__(self, title: str, body: QWidget) -> None:
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
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.button)
        layout.addWidget(body)

    def _toggled(self, on: bool) -> None:
        self.button.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)
        self.body.setVisible(on)


class Message(QLabel):
    """A line of text that wraps, can be copied, and stands out when it reports an error."""

    def __init__(self, text: str = "") -> None:
        super().__init__(text)
        self.is_error = False
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setVisible(bool(text))

    def say(self, text: str, *, error: bool = False) -> None:
        """Show a text; nothing is shown, and no room taken, for an empty one."""
        self.is_error = error
        # A left bar in the theme's own text colour reads well on dark and on light themes alike.
        self.setStyleSheet(
            "QLabel { border-left: 3px solid #d9534f; padding-left: 6px; }" if error else ""
        )
        self.setText(text)
        self.setVisible(bool(text))


class Form(QFormLayout):
    """A two-column form that fits a narrow dock; the fields of several forms line up."""

    def add(self, text: str, field: QWidget) -> None:
        """Add a row."""
        label = QLabel(text)
        label.setMinimumWidth(label.fontMetrics().horizontalAdvance("Pixel size  "))
        self.addRow(label, field)


def form() -> Form:
    """Make a form without margins."""
    layout = Form()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(8)
    layout.setVerticalSpacing(4)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
    return layout


class Scrolling(QScrollArea):
    """A panel in a scroll area: no window is too low for it, and it is never cut at the side."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        content.installEventFilter(self)

    def minimumSizeHint(self) -> QSize:
        """As wide as the content and its scroll bar, and so high that some of it is seen."""
        width = self.widget().minimumSizeHint().width()
        width += self.verticalScrollBar().sizeHint().width() + 4  # themes draw it a little wider
        return QSize(max(width, 300), min(self.widget().sizeHint().height(), 230))

    def sizeHint(self) -> QSize:
        """As high as the content if there is room."""
        wanted = self.widget().sizeHint()
        return QSize(max(wanted.width(), self.minimumSizeHint().width()), wanted.height())

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep the dock as wide as the content needs when a part of it unfolds."""
        if event.type() == QEvent.Type.LayoutRequest and watched is self.widget():
            self.setMinimumWidth(self.minimumSizeHint().width())
        return super().eventFilter(watched, event)
