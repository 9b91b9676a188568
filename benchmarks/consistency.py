"""What it costs to measure the consistency of a result while it is made.

    python benchmarks/consistency.py [--size 512] [--repeats 3]

One run of the engine, and the measuring alone on the same input and result, in turn in one process.
"""

import argparse
import statistics
import time

import numpy as np

from napari_srgan import load_model, upscale
from napari_srgan.engine.tiles import plan_tiles
from napari_srgan.image.intensity import measure
from napari_srgan.image.stack import Stack
from napari_srgan.trust.meter import Meter
from napari_srgan.trust.operators import operator_of
from napari_srgan.trust.shrinking import shrinking


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--size", type=int, default=512, help="side of the LR image, px")
    arguments.add_argument("--repeats", type=int, default=3)
    options = arguments.parse_args()
    side = options.size
    low = np.random.default_rng(0).integers(0, 256, (side, side)).astype(np.uint8)
    model = load_model("srresnet-gray")
    operator, intensity = operator_of(model.card), measure(Stack(low))
    (whole_plane,) = plan_tiles(side, side, side, 0)
    whole, part = [], []
    for _ in range(options.repeats):
        start = time.perf_counter()
        high = np.asarray(upscale(low, "srresnet-gray", device="cpu", precision="float32").data)
        made = time.perf_counter()
        meter = Meter(operator, intensity, shrinking(operator, side, side, (False,) * 4))
        meter.begin(())
        meter.see(whole_plane, low, high)
        meter.end()
        whole.append(made - start)
        part.append(time.perf_counter() - made)
    print(f"{side} x {side} px, srresnet-gray: a run takes {statistics.median(whole):.2f} s,")
    share = statistics.median(p / w for p, w in zip(part, whole, strict=True))
    print(f"measuring its consistency {1000 * statistics.median(part):.0f} ms, {share:.2%} of it")


if __name__ == "__main__":
    main()
