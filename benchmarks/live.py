"""How soon Live shows what one has moved to, and whether the window stays alive.

    python benchmarks/live.py [--moves 20]

In a running napari, once on the bundled volume and once on a synthetic one of 200 slices of
512 x 496: the slider moves by one, and the time until the first part of the new slice is restored
and until Live is done with all of what is in view is taken, as is the longest blockage of the event
loop. Beside it, in the same minute, stands the time of one `upscale` of the same slice. Needs a
screen; without one it starts itself again under xvfb-run.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from window import Gaps, under_a_screen

PATIENCE = 30.0  # s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=20)
    given = parser.parse_args()
    under_a_screen()
    import napari

    from napari_srgan.io.open import open_stack
    from napari_srgan.synthetic.samples import sample_path

    low = np.asarray(open_stack(sample_path("oct_volume_lr")).data[:])
    large = np.tile(low, (25, 5, 4))[:200, :512, :496]
    print(f"{'volume':>16}  slice in view  first part  all of it   upscale  blocked")
    for name, pixels in (("bundled", low), ("200 x 512 x 496", large)):
        viewer = napari.Viewer(show=True)
        viewer.window.resize(1100, 700)
        try:
            measure(viewer, name, pixels, given.moves)
        finally:
            viewer.close()


def measure(viewer, name: str, pixels: np.ndarray, moves: int) -> None:
    from napari_srgan import upscale
    from napari_srgan._gui.docks import open_panel
    from napari_srgan._gui.super_resolve.panel import SuperResolve

    viewer.add_image(pixels, name="volume")
    panel = open_panel(viewer, SuperResolve)
    wait(lambda: bool(panel._devices) and panel.live.button.isEnabled())
    panel.model.box.choose("srresnet-gray")
    panel.live.button.click()
    wait(lambda: panel.live.layer is not None and not panel.live.busy)
    gaps, first, whole = Gaps(), [], []
    for move in range(moves):
        before, start = panel.live.layer.data, time.perf_counter()
        viewer.dims.set_current_step(0, (move + 1) % len(pixels))
        wait(lambda before=before: panel.live.layer.data is not before)
        first.append(time.perf_counter() - start)
        wait(lambda: not panel.live.busy)
        whole.append(time.perf_counter() - start)
    model = panel.live.layer.name.split("live ")[1].split()[0]
    start = time.perf_counter()
    upscale(pixels[0], model)
    alone = time.perf_counter() - start
    height, width = (n // 4 for n in panel.live.layer.data.shape[-2:])
    times = "  ".join(
        f"{1000 * np.median(t):4.0f} ({1000 * np.max(t):.0f})" for t in (first, whole)
    )
    print(
        f"{name:>16}  {height} x {width}  {times} ms  {1000 * alone:.0f} ms  {gaps.worst:.0f} ms"
        f"  ({model})",
        flush=True,
    )


def wait(done) -> None:
    """Let the event loop run until that is so."""
    from qtpy.QtWidgets import QApplication

    end = time.perf_counter() + PATIENCE
    while not done():
        QApplication.processEvents()
        time.sleep(0.002)
        if time.perf_counter() > end:
            raise TimeoutError("Live did not come to rest.")


if __name__ == "__main__":
    main()
