"""How soon Live shows what one has moved to, and whether the window stays alive.

    python benchmarks/live.py [--moves 40] [--model srfast-gray]

In a running napari, once on the bundled volume and once on a synthetic one of 200 slices of
512 x 496, the slider is moved

- on, a slice at a time, with as long between two moves as a person looks (`--look`);
- far, to slices that nothing is known of.

For each: from the move to the first restored part of the slice, and to all of it at 4x (medians and
95 %). Then the longest time in which the event loop did not turn, and the most processor time that
its thread took in one turn: on a machine that does other work the first holds what that took, as
the same figure of the idle window does. At last the slices that are kept, and their bound. Needs a
screen; without one it starts itself again under xvfb-run.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from window import Gaps, settle, under_a_screen, until

SIDES = 200, 512, 496


class Turns(Gaps):
    """Also the processor time of the event loop's thread between two ticks."""

    def restart(self) -> None:
        """Begin anew."""
        super().restart()
        self._used = time.thread_time()
        self.used: list[float] = []

    def _tick(self) -> None:
        super()._tick()
        now = time.thread_time()
        self.used.append(now - self._used)
        self._used = now

    @property
    def most(self) -> float:
        """The longest turn in ms of processor time."""
        return 1000 * max(self.used, default=0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--look", type=float, default=1.0, help="seconds between moves by one")
    parser.add_argument("--model", default="srresnet-gray", help="Live takes the fast one for it")
    given = parser.parse_args()
    under_a_screen()
    import napari

    from napari_srgan.io.open import open_stack
    from napari_srgan.synthetic.samples import sample_path

    low = np.asarray(open_stack(sample_path("oct_volume_lr")).data[:])
    large = np.tile(low, (25, 5, 4))[: SIDES[0], : SIDES[1], : SIDES[2]]
    large = large + np.arange(SIDES[0], dtype=np.uint8)[:, None, None] % 8  # no two are alike
    for name, pixels in (("bundled", low), ("synthetic", large)):
        viewer = napari.Viewer(show=True)
        viewer.window.resize(1100, 700)
        try:
            measure(viewer, name, pixels, given)
        finally:
            viewer.close()


def measure(viewer, name: str, pixels: np.ndarray, given: argparse.Namespace) -> None:
    from napari_srgan import upscale
    from napari_srgan._gui.docks import open_panel
    from napari_srgan._gui.super_resolve.panel import SuperResolve

    viewer.add_image(pixels, name="volume")
    panel = open_panel(viewer, SuperResolve)
    until(lambda: bool(panel._devices) and panel.live.button.isEnabled())
    panel.model.box.choose(given.model)
    settle(3)
    turns = Turns()
    settle(5)
    idle = turns.worst
    live, planes = panel.live, len(pixels)
    live.button.click()
    until(lambda: live.layer is not None and not live.busy)
    print(f"\n{name}, {' x '.join(map(str, pixels.shape))}, {live.state.text()}")
    turns.restart()
    on, far, at = [], [], planes // 2
    for _ in range(given.moves):
        at = (at + 1) % planes
        on.append(moved_to(viewer, live, at, pixels.shape))
        settle(given.look)
    rng = np.random.default_rng(0)
    for _ in range(given.moves if planes > 50 else 0):
        at = int((at + rng.integers(20, planes - 20)) % planes)
        far.append(moved_to(viewer, live, at, pixels.shape))
    worst, most = turns.worst, turns.most
    for what, times in (("on", on), ("far", far)):
        if times:
            first, whole = (
                f"{1000 * np.median(t):.0f} ms ({1000 * np.percentile(t, 95):.0f})"
                for t in zip(*times, strict=True)
            )
            print(f"  {what:>4}: first part {first}, whole slice {whole}")
    print(f"  longest blockage {worst:.0f} ms (idle {idle:.0f}), {most:.0f} ms of processor time")
    kept = live.kept
    print(f"  kept {len(kept.held())} slices, {kept.nbytes / 1e6:.0f} of {kept.most / 1e6:.0f} MB")
    model = live.layer.name.split("live ")[1].split()[0]
    start = time.perf_counter()
    upscale(pixels[0], model)
    print(f"  {model} alone, one slice: {1000 * (time.perf_counter() - start):.0f} ms", flush=True)


def moved_to(viewer, live, at: int, shape: tuple[int, ...]) -> tuple[float, float]:
    """Move the slider; return the seconds until a part of the slice is there, and all of it."""
    first: list[float] = []
    start = time.perf_counter()
    viewer.dims.set_current_step(0, at)

    def whole() -> bool:
        layer = live.layer
        there = round(float(layer.translate[0])) == at
        if there and not first:
            first.append(time.perf_counter() - start)
        return there and layer.data.shape[-2:] == (4 * shape[1], 4 * shape[2])

    if not whole():
        until(whole)
    return first[0], time.perf_counter() - start


if __name__ == "__main__":
    main()
