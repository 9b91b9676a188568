"""Make the pictures of a training that docs/training.md shows.

    python docs/make_training_pictures.py [--out docs/images]

Trains with the preset `quick` on two of three synthetic eyes, from the panel Train in a running
napari, and writes train.png (the window meanwhile), training-curves.png and training-preview.png.
Takes some minutes, and needs a screen, as make_screenshots.py.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from make_screenshots import open_panel, picture, run, settle, until

from training.runs import Seen

SIZE = (1100, 700)
SEEDS = (11, 12, 13)
SHOWN_AT = 440  # of 500 steps: the discriminator has entered


def draw(folder: Path) -> None:
    """Drive the window and take the pictures."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["NAPARI_SRGAN_RUNS"] = str(Path(place) / "runs")
        train(folder, Path(place))


def train(folder: Path, place: Path) -> None:
    """Train on three eyes, and keep what is seen of it."""
    import napari

    scans = place / "eyes"
    write_eyes(scans)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*SIZE)
    settle()
    viewer.open(scans / f"eye{SEEDS[0]}.tif", plugin="napari-srgan")
    panel = open_panel(viewer, "Train")
    panel.scans.folder.path.setText(str(scans))
    panel.name.setText("retina")
    panel.start_button.click()
    until(lambda: seen(panel).step >= SHOWN_AT, most=3000)
    settle()
    picture(viewer, folder / "train.png")
    until(lambda: seen(panel).state == "done", most=3000)
    settle()
    print(panel.view.state.text())
    run_folder = panel.view.look.run
    for source, name in (
        (run_folder.path / "curves.png", "curves"),
        (run_folder.preview, "preview"),
    ):
        (folder / f"training-{name}.png").write_bytes(source.read_bytes())
    viewer.close()


def seen(panel: Any) -> Seen:
    """What is known of the run."""
    nothing = Seen("starting", 0, 0, 0, None, None, "", [])
    return panel.view.look.seen if panel.view.look is not None else nothing


def write_eyes(folder: Path) -> None:
    """Write the averaged volumes of three synthetic eyes, four B-scans each."""
    import tifffile

    from napari_srgan.synthetic.samples import oct_volumes

    folder.mkdir()
    for seed in SEEDS:
        volume = oct_volumes(seed, b_scans=range(4))["oct_volume_hr"]
        tifffile.imwrite(folder / f"eye{seed}.tif", volume, metadata={"axes": "ZYX"})


if __name__ == "__main__":
    raise SystemExit(run(draw, __doc__))
