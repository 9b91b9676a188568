"""What the exact rewrites save: the network for inference against the same network as trained.

    python benchmarks/inference.py [--size 256] [--repeats 3]

Both run in turn in one process, so that a busy machine slows both. Memory is that of the
largest single layer output alive at once, read off the modules, not of the process.
"""

import argparse
import statistics
import time

import torch
from torch import nn

from napari_srgan.models.architectures.rewrite import for_inference
from napari_srgan.models.architectures.srresnet import SRResNet


def seconds(network: nn.Module, x: torch.Tensor) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        network(x)
    return time.perf_counter() - start


def widest(network: nn.Module, x: torch.Tensor) -> float:
    """Size in MB of the largest tensor that any convolution of the network puts out."""
    sizes: list[int] = []
    hooks = [
        m.register_forward_hook(lambda _m, _i, out: sizes.append(out.numel() * 4))
        for m in network.modules()
        if isinstance(m, nn.Conv2d)
    ]
    with torch.inference_mode():
        network(x)
    for hook in hooks:
        hook.remove()
    return max(sizes) / 1e6


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--size", type=int, default=256, help="side of the LR image, px")
    arguments.add_argument("--repeats", type=int, default=3)
    options = arguments.parse_args()
    x = torch.rand(1, 1, options.size, options.size)
    print(f"{options.size} x {options.size} px, {torch.get_num_threads()} threads, float32")
    print(
        f"{'network':<22} {'as trained s':>12} {'rewritten s':>12} {'ratio':>6} "
        f"{'widest MB':>10} {'rewritten':>10}"
    )
    for blocks, features in ((8, 32), (16, 64)):
        plain = SRResNet(1, blocks, features).eval().requires_grad_(False)
        fast = for_inference(plain)
        for network in (plain, fast):
            seconds(network, x)
        pairs = [(seconds(plain, x), seconds(fast, x)) for _ in range(options.repeats)]
        before, after = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(
            f"{blocks} blocks, {features} features".ljust(22),
            f"{before:12.2f} {after:12.2f} {before / after:6.2f} "
            f"{widest(plain, x):10.0f} {widest(fast, x):10.0f}",
        )


if __name__ == "__main__":
    main()
