"""Every dock by keyboard and by screen reader: each control has a name, and Tab goes downwards."""

from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

import npe2
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QAbstractButton, QLabel, QScrollArea, QTableView, QWidget

from napari_srgan._gui.parts.widgets import Fold

WAIT = 120_000

pytestmark = [pytest.mark.usefixtures("tiny_models"), pytest.mark.napari_window]


def controls(panel):
    """What Tab leads to, in its order."""
    found, widget = [], panel.nextInFocusChain()
    while panel.isAncestorOf(widget):
        if is_control(widget):
            found.append(widget)
        widget = widget.nextInFocusChain()
    assert len(found) == sum(map(is_control, panel.findChildren(QWidget)))  # one after the other
    return found


def is_control(widget):
    by_tab = widget.focusPolicy() & Qt.FocusPolicy.TabFocus
    return bool(by_tab) and widget.isVisible() and widget.focusProxy() is None


def spoken(widget):
    """What a screen reader calls a control, by Qt's rules (PyQt6 does not have QAccessible)."""
    if widget.accessibleName():
        return widget.accessibleName()
    if isinstance(widget, QAbstractButton):
        return widget.text().replace("&", "")
    labels = [c for c in widget.parent().children() if isinstance(c, QLabel)]
    return next((label.text() for label in labels if label.buddy() is widget), "")


def comes_after(second, first, panel):
    """Whether a control stands below another one, or right of it in the same row."""
    (top, left), (start, at) = (
        (p.y(), p.x()) for p in (each.mapTo(panel, QPoint(0, 0)) for each in (first, second))
    )
    areas = panel.findChildren(QScrollArea)
    feet = [not any(area.isAncestorOf(each) for area in areas) for each in (first, second)]
    if feet[0] != feet[1]:
        return feet[1]  # what scrolls comes before what does not
    same_row = start < top + first.height() and top < start + second.height()
    return at > left if same_row else start > top


def test_each_control_of_every_dock_has_a_name_of_its_own_and_tab_goes_downwards(viewer, qtbot):
    viewer.window.resize(1100, 700)
    scan = np.random.default_rng(0).integers(0, 256, (2, 24, 32)).astype(np.uint8)
    viewer.add_image(scan, name="scan")
    manifest = npe2.PluginManager.instance().get_manifest("napari-srgan")
    panels = {
        dock: viewer.window.add_plugin_dock_widget("napari-srgan", dock)[1]
        for dock in (widget.display_name for widget in manifest.contributions.widgets)
    }
    first = panels["Super-resolve"]
    first.model.box.choose("tiny-gray")
    for start in (first.start, lambda: first.trust.start("consistency")):
        first.refresh()
        with qtbot.waitSignal(first.runner.ended, timeout=WAIT):
            start()
    for dock, panel in panels.items():
        for fold in panel.findChildren(Fold):
            fold.button.setChecked(True)
        panel.parentWidget().raise_()
        qtbot.waitUntil(panel.isVisible)
        qtbot.wait(100)
        found = controls(panel)
        assert len(found) >= 5, dock
        names = [spoken(each) for each in found]
        nameless = [
            f"{type(each).__name__}: {each.toolTip() or each.parent()}"
            for each, name in zip(found, names, strict=True)
            if len(name.strip()) < 3
        ]
        assert not nameless, dock
        assert not [name for name in names if names.count(name) > 1], dock
        wrong = [(spoken(a), spoken(b)) for a, b in pairwise(found) if not comes_after(b, a, panel)]
        assert not wrong, dock
        # In a table arrows go from cell to cell, and Tab must lead out of it.
        assert not any(table.tabKeyNavigation() for table in panel.findChildren(QTableView)), dock
