"""Volumes larger than memory: peak memory, and the time of a slice from the first to the last.

    python benchmarks/volumes.py                          # 2 GB of results
    python benchmarks/volumes.py --gigabytes 20
    python benchmarks/volumes.py --slices 1 --side 20000  # one plane, 6.4 GB of results
    python benchmarks/volumes.py --output .tif --memory 500MB

A file of 8-bit texture is restored from disk to disk by a network of one block and 8 features, so
that the time is that of reading and writing as much as can be. The peak is counted from the moment
at which the program is loaded. It ends with exit code 1 if that is above --memory, or if a tile of
the last tenth took more than twice as long as one of the first.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

from memory import memory_mb  # noqa: E402

from napari_srgan.options import read_memory  # noqa: E402


def main() -> int:
    """Measure in a process of its own and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=2.0, help="of results")
    parser.add_argument("--side", type=int, default=512, help="px along Y and X of the input")
    parser.add_argument("--slices", type=int, help="instead of --gigabytes")
    parser.add_argument("--output", default=".zarr", help=".zarr, .tif or .npy")
    parser.add_argument("--input", default=".npy", choices=(".npy", ".tif", ".zip.tif"))
    parser.add_argument("--memory", default="1GB", help="as of napari-srgan upscale")
    parser.add_argument("--folder", help="where the files go")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    slices = arguments.slices or round(arguments.gigabytes * 1e9 / (16 * arguments.side**2))
    if arguments.one:
        return measure(Path(arguments.one), slices, arguments)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        return subprocess.run([sys.executable, __file__, *sys.argv[1:], "--one", folder]).returncode


def write_input(path: Path, slices: int, side: int) -> None:
    """Write texture: waves and noise."""
    import tifffile

    rng = np.random.default_rng(0)
    across = np.cos(np.arange(side, dtype=np.float32) / 23)

    def rows(z: int, first: int, last: int) -> np.ndarray:
        down = np.sin(np.arange(first, last, dtype=np.float32)[:, None] / 17 + z)
        made = 100 + 60 * down * across
        return (made + rng.integers(0, 40, (last - first, side), np.uint8)).astype(np.uint8)

    if path.suffix == ".npy":
        file = np.lib.format.open_memmap(path, "w+", np.uint8, (slices, side, side))
        for z in range(slices):
            for first in range(0, side, 1024):
                last = min(first + 1024, side)
                file[z, first:last] = rows(z, first, last)
        file.flush()
        return
    packed = {"compression": "zlib", "rowsperstrip": 16} if ".zip" in path.name else {}
    planes = (rows(z, 0, side) for z in range(slices))
    tifffile.imwrite(
        path, planes, shape=(slices, side, side), dtype=np.uint8, bigtiff=True,
        photometric="minisblack", metadata={"axes": "ZYX"}, **packed,
    )  # fmt: skip


def measure(folder: Path, slices: int, arguments: argparse.Namespace) -> int:
    """Restore, and print and judge the figures."""
    source = folder / f"in{arguments.input}"
    subprocess.run(  # its memory is not ours
        [sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1]); import volumes; "
         "from pathlib import Path; "
         "volumes.write_input(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))",
         str(Path(__file__).parent), str(source), str(slices), str(arguments.side)],
        check=True,
    )  # fmt: skip
    import small_models

    import napari_srgan.engine.window
    from napari_srgan import open_stack
    from napari_srgan.options import RestoreOptions
    from napari_srgan.tasks.restore import restore

    assert napari_srgan.engine.window
    model = small_models.save(folder, "light", 1, blocks=1, features=8)
    options = RestoreOptions(
        model=model, device="cpu", precision="float32", memory=arguments.memory
    )
    small = restore(
        open_stack(source),
        RestoreOptions(model=model, device="cpu", region={"Z": (0, 1), "Y": (0, 32), "X": (0, 32)}),
        folder / f"small{arguments.output}",
    )
    for _ in small:  # loads what a run loads
        pass
    before = memory_mb("VmRSS")
    target = folder / f"out{arguments.output}"
    started, ends = time.perf_counter(), []
    for step in restore(open_stack(source), options, target):
        if step.total and step.done > len(ends):
            ends += [time.perf_counter()] * (step.done - len(ends))
    took = time.perf_counter() - started
    peak = memory_mb("VmHWM") - before
    files = [f for f in target.rglob("*") if f.is_file()] if target.is_dir() else [target]
    size = sum(f.stat().st_size for f in files)
    result = 16 * slices * arguments.side**2
    steps = np.diff([started, *ends])
    tenths = [float(np.median(part)) for part in np.array_split(steps[1:], 10) if len(part)]
    print(
        f"{slices} x {arguments.side} x {arguments.side} px: {result / 1e9:.3g} GB of results, "
        f"{size / 1e9:.3g} GB in {len(files)} files, {took:.0f} s, {len(ends)} tiles"
    )
    print("ms a tile, by tenths of the run: " + ", ".join(f"{1e3 * t:.0f}" for t in tenths))
    print(f"peak memory above the loaded program: {peak:.0f} MB ({before:.0f} MB)")
    slower = bool(tenths) and tenths[-1] > 2 * tenths[0]
    return int(peak * 2**20 > read_memory(arguments.memory) or slower)


if __name__ == "__main__":
    sys.exit(main())
