"""Measure what the compression of an OME-Zarr result takes in time, and gives in size.

    python benchmarks/zarr_compression.py IMAGE [--model NAME]

IMAGE is upscaled (its first slice), and that result is packed chunk by chunk as a `.zarr` output
is, with each compressor. Prints bytes of the pixels by bytes of the chunks, and the speed of
packing and unpacking in MB of pixels a second of a core's own time. What `io/sinks/zarr.py` uses is
starred.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numcodecs import Blosc, blosc
from numpy.typing import NDArray

from napari_srgan import upscale
from napari_srgan.io.open import open_stack
from napari_srgan.io.sinks.zarr import CHUNK, LEVEL

SHUFFLES = {"no": Blosc.NOSHUFFLE, "bytes": Blosc.SHUFFLE, "bits": Blosc.BITSHUFFLE}
WAYS = [
    *(("zstd", level, shuffle) for level in (1, 3, 5, 7) for shuffle in SHUFFLES),
    *(("lz4", 5, shuffle) for shuffle in SHUFFLES),
    *(("zlib", 5, shuffle) for shuffle in ("bytes",)),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--chunk", type=int, default=CHUNK, help="side in pixels")
    given = parser.parse_args()
    stack = open_stack(given.image)
    first = dict.fromkeys(stack.plane_axes, (0, 1))
    blosc.use_threads = False
    plane = upscale(stack, given.model, region=first).data.squeeze()
    chunks = [
        np.ascontiguousarray(plane[y : y + given.chunk, x : x + given.chunk])
        for y in range(0, plane.shape[0], given.chunk)
        for x in range(0, plane.shape[1], given.chunk)
    ]
    print(f"{given.image.name}: {plane.shape} {plane.dtype}, {len(chunks)} chunks")
    for name, level, shuffle in WAYS:
        codec = Blosc(name, level, SHUFFLES[shuffle])
        packed, packing = timed(codec.encode, chunks)
        _, unpacking = timed(codec.decode, packed)
        size = sum(len(data) for data in packed)
        used = "*" if (name, level, shuffle) == ("zstd", LEVEL, "bytes") else " "
        speeds = f"{plane.nbytes / packing / 1e6:5.0f} {plane.nbytes / unpacking / 1e6:5.0f} MB/s"
        print(f"{used} {name:5}{level} {shuffle:6}{plane.nbytes / size:6.2f}  {speeds}", flush=True)


def timed(
    step: Callable[[object], object], inputs: list[NDArray[np.generic]] | list[object]
) -> tuple[list[object], float]:
    """Do a step with each input; give the outputs and the shortest time of three rounds."""
    times = []
    for _ in range(3):
        started = time.process_time()
        outputs = [step(one) for one in inputs]
        times.append(time.process_time() - started)
    return outputs, min(times)


if __name__ == "__main__":
    main()
