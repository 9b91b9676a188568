"""Small scans that a network can learn something from in a few steps."""

import numpy as np
import tifffile

TINY = [
    "--blocks", "1", "--features", "4", "--crop", "32", "--batch", "4", "--seed", "3",
    "--warmup", "0", "--val-planes", "2", "--discriminator-features", "2",
    "--content", "none", "--adversarial-steps", "0",
]  # fmt: skip
"""Options of a training that takes seconds: pixel loss only unless told otherwise."""


def picture(seed, height=70, width=90):
    """Smooth blobs, uint8."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.zeros((height, width))
    for cy, cx, r in random.uniform((0, 0, 2), (height, width, 8), (25, 3)):
        image += np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * r * r))
    return (255 * image / image.max()).astype(np.uint8)


def write_scans(folder, count=4):
    """Write `count` TIFF files of one plane each into a new folder, and return it."""
    folder.mkdir(parents=True)
    for seed in range(count):
        tifffile.imwrite(folder / f"eye{seed}.tif", picture(seed))
    return folder
