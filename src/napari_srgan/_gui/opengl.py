"""Which OpenGL napari would draw with; `tasks.doctor` runs this in a process of its own."""

from __future__ import annotations

import json

_ASKED = ("version", "renderer")


def main() -> None:
    """Print version and renderer as one JSON line."""
    from qtpy.QtGui import QOffscreenSurface, QOpenGLContext
    from qtpy.QtWidgets import QApplication
    from vispy.gloo import gl

    app = QApplication([])
    context, surface = QOpenGLContext(), QOffscreenSurface()
    surface.create()
    if not (context.create() and context.makeCurrent(surface)):
        raise SystemExit("There is no OpenGL.")
    found = {name: gl.glGetParameter(getattr(gl, f"GL_{name.upper()}")) for name in _ASKED}
    print(json.dumps(found))
    context.doneCurrent()
    app.quit()
