"""Make the pictures of the window that the README and docs/napari.md show.

    python docs/make_screenshots.py [--out docs/images]

Opens napari, drives it through the menus as a user would, with the models that are bundled now,
and writes window.png (the sample volume beside its 4x result), compare.png (that result
measured against the HR volume) and batch.png (a folder while it is restored). Make them again
whenever the weights or the panels change.
Needs a screen; without one it starts itself again under xvfb-run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = (1400, 900)
LOW, HIGH = "oct_volume_lr", "oct_volume_hr"
COLOURS = 256  # nearly all of the picture is gray or the theme's; it stays far under 400 KB


def run(draw: Callable[[Path], None], about: str) -> int:
    """Draw pictures into the folder of the command line; 2 without a screen."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    options = parser.parse_args()
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        again = shutil.which("xvfb-run")
        if again is None:
            print("There is no screen; install xvfb or set DISPLAY.", file=sys.stderr)
            return 2
        screen = f"-screen 0 {SIZE[0]}x{SIZE[1]}x24"
        os.execv(again, [again, "-a", "-s", screen, sys.executable, *sys.argv])
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        # The pictures must not depend on the user's own settings and models.
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        os.environ["NAPARI_SRGAN_MODELS"] = folder
        os.environ["NAPARI_SRGAN_PRESETS"] = str(Path(folder) / "presets.json")
        draw(options.out)
    return 0


def draw(folder: Path) -> None:
    """Drive the window and take both pictures."""
    import napari

    viewer = napari.Viewer(show=True)
    viewer.window.resize(*SIZE)
    settle()
    viewer.open_sample("napari-srgan", LOW)
    panel = open_panel(viewer, "Super-resolve")
    until(lambda: len(panel.advanced.options["device"].choices) > 1 and panel.run.isEnabled())
    panel.before_after.setChecked(False)
    settle()
    panel.run.click()
    until(lambda: not panel.runner.running)
    settle()
    # A closer look, at the vessels: the cells are high and the B-scan is wide.
    viewer.scene.camera.zoom *= 1.8
    _, rows, columns = viewer.layers[LOW].extent.world.T
    viewer.scene.camera.center = (0, float(rows.mean()), float(columns @ (0.3, 0.7)))
    settle()
    picture(viewer, folder / "window.png")

    panel.parentWidget().close()
    viewer.open_sample("napari-srgan", HIGH)
    viewer.layers[HIGH].name_overlay.visible = True
    # Wide images are best seen one above the other: input, result, truth.
    viewer.canvas.grid.shape = (3, 1)
    compare = open_panel(viewer, "Compare")
    until(lambda: not compare.busy)
    settle()
    viewer.fit_to_view(margin=0.04)
    settle()
    picture(viewer, folder / "compare.png")
    compare.parentWidget().close()
    with tempfile.TemporaryDirectory() as scans:
        draw_batch(viewer, Path(scans), folder / "batch.png")
    viewer.close()


def draw_batch(viewer: Any, scans: Path, path: Path) -> None:
    """Restore a folder and take the panel's picture while one file is running."""
    for number in (1, 2, 3, 10):
        viewer.layers[LOW].save(str(scans / f"eye_{number}_oct.tif"), plugin="napari-srgan")
    (scans / "eye_4_oct.tif").write_bytes(b"II*\0 was not copied whole")
    panel = open_panel(viewer, "Batch")
    panel.folder.path.setText(str(scans))
    panel.folder.path.editingFinished.emit()
    panel.model.box.choose("srfast-gray")
    until(lambda: len(panel.job.entries) == 5)
    settle()
    panel.start_button.click()
    until(lambda: panel.job.entries[2].state == "running" and panel.job.entries[2].text > "3")
    panel.folder.path.setText("/data/clinic/2026-11")  # what is typed there is not looked at now
    settle(0.1)
    panel.grab().save(str(path))
    panel.job.cancel()
    until(lambda: not panel.job.running)


def open_panel(viewer: Any, title: str) -> Any:
    """Choose an item of Plugins > SRGAN upscale and return the panel that it opens."""
    find(viewer.window.plugins_menu, title).trigger()
    settle()
    return viewer.window.dock_widgets[f"{title} (SRGAN upscale)"]


def find(menu: Any, title: str) -> Any:
    """Find an item in a menu and what hangs below it."""
    for action in menu.actions():
        if action.menu() is not None:
            inner = find(action.menu(), title)
            if inner is not None:
                return inner
        elif action.text().replace("&", "").startswith(title):
            return action
    return None


def picture(viewer: Any, path: Path) -> None:
    """Write the window to a PNG with few colours."""
    from PIL import Image

    image = Image.fromarray(viewer.window.screenshot(flash=False, canvas_only=False)).convert("RGB")
    small = image.quantize(palette=palette(image), dither=Image.Dither.NONE)
    small.save(path, optimize=True)
    print(f"{path}: {small.width} x {small.height}, {path.stat().st_size // 1000} kB")


def palette(image: Any) -> Any:
    """Choose colours: most for the grays, and enough for the lines of plots, which are thin."""
    import numpy as np
    from PIL import Image

    pixels = np.asarray(image).reshape(-1, 3)
    bright = np.ptp(pixels, axis=1) > 60
    found = []
    for part, count in ((pixels[~bright], COLOURS - COLOURS // 4), (pixels[bright], COLOURS // 4)):
        if len(part):
            found += Image.fromarray(part[None]).quantize(count).getpalette()[: 3 * count]
    chosen = Image.new("P", (1, 1))
    chosen.putpalette(found)
    return chosen


def settle(seconds: float = 0.6) -> None:
    """Let Qt lay out and draw what has been asked for."""
    end = time.perf_counter() + seconds
    until(lambda: time.perf_counter() > end)


def until(done: Callable[[], bool], most: float = 300) -> None:
    """Let the event loop run until something is so."""
    from qtpy.QtWidgets import QApplication

    end = time.perf_counter() + most
    while not done():
        if time.perf_counter() > end:
            raise TimeoutError("the window did not get there")
        QApplication.processEvents()
        time.sleep(0.005)


if __name__ == "__main__":
    raise SystemExit(run(draw, __doc__))
