"""Do the figures follow the slider? Measure it in a running napari.

    python benchmarks/compare_readout.py [--side 2048] [--slices 12] [--moves 6] [--dtype uint8]

A reference, a candidate and the LR input, the last enlarged by bicubic, are measured while the
slider moves. Printed are the times from the move to the figures on the panel, napari's own reading
of the slice included, which comes first; and, while the slider sweeps over all slices without a
pause, the longest time that the event loop was blocked (a timer that should fire every 5 ms),
beside that of the same sweep without the panel: most of it is napari's own reading and drawing.
The load of the machine is printed with them. Needs a screen; without one it starts itself again
under xvfb-run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from window import Gaps, settle, until


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--slices", type=int, default=12)
    parser.add_argument("--moves", type=int, default=6, help="single moves that are timed")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds a slice in the sweep")
    parser.add_argument("--dtype", default="uint8")
    parser.add_argument("--json", action="store_true", help="one machine-readable line")
    options = parser.parse_args()
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        again = shutil.which("xvfb-run")
        if again is None:
            print("There is no screen; install xvfb or set DISPLAY.", file=sys.stderr)
            return 2
        os.execv(again, [again, "-a", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        found = measure(options)
    if options.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:58} {value}")
    return 0


def measure(options: argparse.Namespace) -> dict[str, object]:
    """Open napari, move the slider without and with Compare, and watch."""
    import napari
    import numpy as np

    rng = np.random.default_rng(0)
    shape = (options.slices, options.side, options.side)
    low = rng.integers(0, 200, (options.slices, options.side // 4, options.side // 4))
    low = low.astype(options.dtype)
    truth = low.repeat(4, 1).repeat(4, 2)
    other = truth + rng.integers(0, 30, shape).astype(options.dtype)

    viewer = napari.Viewer(show=True)
    viewer.add_image(low, name="low", scale=(1, 4, 4), translate=(0, 1.5, 1.5))
    reference = viewer.add_image(truth, name="truth")
    candidate = viewer.add_image(other, name="result")
    viewer.dims.set_point(0, 0)
    settle(2)
    found: dict[str, object] = {
        "load of the machine, 1 min": round(os.getloadavg()[0], 1),
        "processors": os.cpu_count(),
    }
    alone = sweep(viewer, options)

    from napari_srgan._gui.compare.panel import Compare

    gaps = Gaps()
    panel = Compare(viewer)
    viewer.window.add_dock_widget(panel, name="Compare")
    panel.reference.choose(reference)
    panel.candidates.tick(candidate)
    panel.low.choose(viewer.layers["low"])
    until(
        lambda: panel.slice.question is not None and len(panel.slice.rows) == 2 and not panel.busy
    )
    settle(1)

    times: dict[str, list[float]] = {}
    for number in range(options.moves):
        z = (number * 5 + 1) % options.slices
        gaps.restart()
        one = move(viewer, panel, z)
        times.setdefault("blocked", []).append(gaps.worst)
        for name, value in one.items():
            times.setdefault(name, []).append(value)
    for name, what in (
        ("result psnr", "PSNR of the candidate"),
        ("after napari", "... of it after napari has read the slice"),
        ("bicubic psnr", "PSNR of bicubic"),
        ("result ssim", "SSIM of the candidate"),
        ("bicubic ssim", "SSIM of bicubic, the last figure"),
    ):
        values = [1000 * v for v in times[name]]
        found[f"{what}, ms, median"] = round(statistics.median(values))
        found[f"{what}, ms, longest"] = round(max(values))
    with_panel = sweep(viewer, options)
    found["longest blockage in a sweep without the panel, ms"] = round(alone["worst"])
    found["longest blockage in a sweep with it, ms"] = round(with_panel["worst"])
    found["median step of a sweep without the panel, ms"] = round(alone["step"])
    found["median step of a sweep with it, ms"] = round(with_panel["step"])
    found["step with the panel / without"] = round(with_panel["step"] / alone["step"], 2)
    share = own_share(viewer, panel, options)
    found["processor time of the panel's own part of a step, ms, longest"] = round(share)
    until(lambda: not panel.busy)
    viewer.close()
    return found


def move(viewer: object, panel: object, z: int) -> dict[str, float]:
    """Move the slider and note when each figure has come."""
    heard: list[float] = []
    measure = panel._measure

    def hear(*arguments: object, **named: object) -> None:
        heard.append(time.perf_counter())
        measure(*arguments, **named)

    panel._measure = hear
    wanted = {(name, m) for name in ("result", "bicubic") for m in ("psnr", "ssim")}
    came: dict[str, float] = {}
    started = time.perf_counter()

    def look() -> bool:
        for name, m in list(wanted):
            if heard and m not in panel.slice.rows[name].stale:
                wanted.discard((name, m))
                came[f"{name} {m}"] = time.perf_counter() - started
                if (name, m) == ("result", "psnr"):
                    came["after napari"] = time.perf_counter() - heard[0]
        return not wanted

    panel.slice.changed.connect(look)
    viewer.dims.set_point(0, z)
    until(look)
    panel.slice.changed.disconnect(look)
    panel._measure = measure
    settle(0.3)
    return came


def sweep(viewer: object, options: argparse.Namespace) -> dict[str, float]:
    """Move over all slices, letting the event loop run between two of them."""
    gaps, steps = Gaps(), []
    settle(0.3)
    gaps.restart()
    for z in range(options.slices):
        started = time.perf_counter()
        viewer.dims.set_point(0, z)
        steps.append(1000 * (time.perf_counter() - started))
        settle(options.pause)
    return {"worst": gaps.worst, "step": statistics.median(steps)}


def own_share(viewer: object, panel: object, options: argparse.Namespace) -> float:
    """Longest processor time in ms that the panel takes of the GUI thread at one move.

    Processor time, because on a busy machine the clock tells more of the other programs.
    """
    spent = []

    def timed(function: object) -> object:
        def call(*arguments: object, **named: object) -> None:
            started = time.thread_time()
            function(*arguments, **named)
            spent.append(1000 * (time.thread_time() - started))

        return call

    panel._measure = timed(panel._measure)
    for z in range(options.slices):
        viewer.dims.set_point(0, z)
        settle(options.pause)
    return max(spent)


if __name__ == "__main__":
    sys.exit(main())
