"""Make the pictures of Compare and the trust maps that docs/compare.md shows.

    python docs/make_compare_pictures.py [--out docs/images]

Restores the sample volume in a running napari, with the models that are bundled now, and writes
compare-stack.png, compare-curtain.png, compare-judge.png and trust-maps.png. The map of inventions
is among the last where a perceptual gray model is bundled. Needs a screen, as make_screenshots.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from make_screenshots import HIGH, LOW, SIZE, open_panel, picture, run, settle, until

PERCEPTUAL = "srgan-gray"
SLICE = 3


def draw(folder: Path) -> None:
    """Drive the window and take the pictures."""
    import napari

    viewer = napari.Viewer(show=True)
    viewer.window.resize(*SIZE)
    settle()
    viewer.open_sample("napari-srgan", LOW)
    restore(viewer, folder / "trust-maps.png")
    viewer.open_sample("napari-srgan", HIGH)
    panel = open_panel(viewer, "Compare")
    until(lambda: not panel.busy)

    panel.stack.button.click()
    until(lambda: not panel.stack.runner.running)
    # Wide images are best seen one above the other.
    viewer.canvas.grid.shape = (-1, 1)
    panel.views.grid.click()
    settle()
    viewer.fit_to_view(margin=0.04)
    picture(viewer, folder / "compare-stack.png")
    panel.views.grid.click()

    panel.stack.forget()
    settle()
    viewer.fit_to_view(margin=0.04)
    panel.views.draw.click()
    settle()
    picture(viewer, folder / "compare-curtain.png")
    panel.views.draw.click()

    panel.maps_fold.button.click()
    draw_regions(viewer, panel)
    for button in (panel.maps.error, panel.maps.rings):
        button.click()
        until(lambda: not panel.maps.runner.running)
    settle()
    picture(viewer, folder / "compare-judge.png")
    viewer.close()


def restore(viewer: Any, path: Path) -> None:
    """Restore the volume, with both kinds of models where there are, and show the trust maps."""
    panel = open_panel(viewer, "Super-resolve")
    until(lambda: len(panel.advanced.options["device"].choices) > 1 and panel.run.isEnabled())
    kinds = ["consistency", "spread"]
    names = ["auto"]
    panel.model.box.showPopup()
    panel.model.box.hidePopup()
    if panel.model.box.findData(PERCEPTUAL) >= 0:
        names.append(PERCEPTUAL)
        kinds.insert(1, "invention")
    for name in names:
        panel.model.box.choose(name)
        panel.before_after.setChecked(False)
        settle()
        panel.run.click()
        until(lambda: not panel.runner.running)
    viewer.canvas.grid.shape = (-1, 1)
    for kind in kinds:
        settle()
        panel.trust.buttons[kind].click()
        until(lambda: not panel.runner.running)
        panel.trust.overlay.keep.click()
    settle()
    viewer.fit_to_view(margin=0.04)
    picture(viewer, path)
    for layer in [la for la in viewer.layers if "trust_map" in la.metadata]:
        viewer.layers.remove(layer)
    panel.parentWidget().close()
    viewer.canvas.grid.enabled = False
    for layer in viewer.layers:
        layer.name_overlay.visible = False


def draw_regions(viewer: Any, panel: Any) -> None:
    """Measure a layer of the retina against the vitreous above it."""
    high = viewer.layers[HIGH]
    shapes = viewer.add_shapes(
        [
            [[215, 150], [215, 250], [235, 250], [235, 150]],
            [[10, 250], [10, 350], [50, 350], [50, 250]],
        ],
        name="regions",
        scale=high.scale[-2:],
        translate=high.translate[-2:],
        units=high.units[-2:],
        edge_color="yellow",
        face_color="transparent",
        edge_width=2,
    )
    settle()
    panel.maps.shapes.choose(shapes)
    panel.maps.regions.click()
    until(lambda: not panel.maps.runner.running)
    settle()
    print(panel.maps.text.text())
    viewer.layers.selection.active = high


if __name__ == "__main__":
    raise SystemExit(run(draw, __doc__))
