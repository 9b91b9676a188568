"""Sessions from the first panel to the last click: no stray window, nothing left, napari ends."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")
pytest.importorskip("pytestqt")

from panels import open_compare, open_super_resolve


@pytest.mark.window
@pytest.mark.timeout(1800)
def test_sessions_of_everything_leave_nothing_and_napari_ends(tiny_models, tmp_path):
    """NAPARI_SRGAN_SESSIONS=10 goes on for ten; each takes some 12 s of the processor."""
    count = os.environ.get("NAPARI_SRGAN_SESSIONS", "2")
    script = Path(__file__).parent / "sessions.py"
    own = os.environ | {"TMPDIR": str(tmp_path)}  # others write to the common folder meanwhile
    done = subprocess.run([sys.executable, script, count], env=own, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.strip().endswith("ended")


def test_the_last_stack_can_be_removed_while_panels_follow_it(viewer, qtbot, tiny_models):
    """The viewer has fewer axes before it tells that a layer is gone; closing ended in an error."""
    panels = open_super_resolve(viewer, qtbot), open_compare(viewer, qtbot)
    pixels = np.random.default_rng(0).integers(0, 255, (3, 24, 32)).astype(np.uint8)
    stack = viewer.add_image(pixels, name="s")
    assert panels[1].reference.choose(stack) and panels[1].low.choose(stack)
    for panel in panels:
        panel.refresh()
    viewer.dims.set_current_step(0, 1)
    viewer.layers.clear()
    assert viewer.dims.ndim == 2
    for panel in panels:
        panel.refresh()
    assert not panels[0].run.isEnabled()
