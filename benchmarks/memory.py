"""Peak memory of upscaling a uint16 stack to BigTIFF: bounded, and the same for twice the slices.

    python benchmarks/memory.py [--slices 300 600] [--side 256] [--model auto]

Each stack is upscaled in a process of its own. Two base lines: the process just before the
upscaling starts, with the program loaded (that one has the limit), and a bare Python. Most of
the difference is torch's libraries, which are mapped files: a CUDA build counts some 500 MB.
Without bundled models a network of the same size with random weights is used: memory does not
depend on the weights.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LIMIT_MB = 600


def main() -> None:
    """Measure, print a table, and exit with 1 if a peak is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, nargs="+", default=[300, 600])
    parser.add_argument("--side", type=int, default=256, help="px along Y and X")
    parser.add_argument("--model", default="auto")
    parser.add_argument("--folder", help="where the files go; the output is 32x side^2 x slices B")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(*measure(Path(arguments.one), arguments.slices[0], arguments.side, arguments.model))
        return
    peaks = []
    print("slices  output MB  seconds  peak above start MB  ratio  above bare Python MB")
    for slices in arguments.slices:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            command = [sys.executable, __file__, "--one", folder, "--slices", str(slices)]
            command += ["--side", str(arguments.side), "--model", arguments.model]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        seconds, output, peak, whole = map(float, done.stdout.split()[-4:])
        peaks.append(peak)
        ratio = peak / peaks[0]
        row = (
            f"{slices:6d}  {output:9.0f}  {seconds:7.1f}  {peak:19.0f}  {ratio:5.3f}  {whole:20.0f}"
        )
        print(row, flush=True)
    sys.exit(int(max(peaks) > LIMIT_MB))


def measure(folder: Path, slices: int, side: int, model: str) -> tuple[float, float, float, float]:
    """Return seconds, size of the output, and the peak above the start and above a bare Python."""
    before = memory_mb("VmRSS")
    import numpy as np
    import tifffile

    source = folder / "stack.tif"
    rng = np.random.default_rng(0)
    shape = (slices, side, side)
    planes = (rng.integers(0, 4096, (side, side), np.uint16) for _ in range(slices))
    tifffile.imwrite(
        source, planes, shape=shape, dtype=np.uint16, bigtiff=True, photometric="minisblack"
    )

    import napari_srgan.engine.window  # the whole program, as a window has it loaded before work
    from napari_srgan import open_stack
    from napari_srgan.options import RestoreOptions
    from napari_srgan.tasks.restore import restore

    path = model_or_random(model, folder)
    loaded = memory_mb("VmRSS")
    assert napari_srgan.engine.window
    started = time.perf_counter()
    target = folder / "result.tif"
    options = RestoreOptions(model=path, device="cpu")
    for _ in restore(open_stack(source), options, target):
        pass
    seconds = time.perf_counter() - started
    peak = memory_mb("VmHWM")
    return seconds, target.stat().st_size / 2**20, peak - loaded, peak - before


def model_or_random(model: str, folder: Path) -> str:
    """Return the model, or one of the same size with random weights if none is there."""
    from napari_srgan import InputError
    from napari_srgan.models.catalogue import Card, model_for, save_model
    from napari_srgan.models.file import build_network

    try:
        return str(model_for(model, rgb=False).path)
    except InputError:
        if model != "auto":
            raise
    card = Card(
        name="random",
        architecture="srresnet",
        parameters={"channels": 1, "blocks": 16, "features": 64, "scale": 4},
        channels=1,
        scale=(4, 4),
    )
    return str(save_model(folder / "random.safetensors", build_network(card), card))


def memory_mb(entry: str) -> float:
    """Read an entry of this process's memory account (Linux): VmRSS now, VmHWM at its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(entry + ":"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {entry}")


if __name__ == "__main__":
    main()
