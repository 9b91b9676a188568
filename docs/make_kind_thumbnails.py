"""Draw the thumbnails of the kinds of image, from the bundled samples and public-domain pictures.

python docs/make_kind_thumbnails.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage.data
import tifffile
from numpy.typing import NDArray
from PIL import Image

import napari_srgan.models.kinds as kinds
from napari_srgan.synthetic.samples import sample_path

SIDE = 40


def crop(plane: NDArray[np.float64], y: int, x: int, side: int) -> NDArray[np.float64]:
    """Cut a square out and stretch its values over 0..1."""
    part = plane[y : y + side, x : x + side].astype(float)
    low, high = np.percentile(part, (0.5, 99.5))
    return ((part - low) / (high - low)).clip(0, 1)


def pictures() -> dict[str, NDArray[np.float64]]:
    """Make a square for every kind."""
    raw, mean = (
        tifffile.imread(sample_path(n))[3].astype(float) for n in ("oct_frame_hr", "oct_volume_hr")
    )
    tissue = tifffile.imread(sample_path("tissue_rgb_hr")).astype(float) / 255
    # Nuclei take red away, and membranes all of it.
    stain = 1 - tissue[..., 0]
    random = np.random.default_rng(0)
    cut = crop(tissue.mean(2), 60, 60, 120)
    return {
        "raw-oct": crop(raw, 120, 250, 80),
        "oct": crop(mean, 70, 250, 220),
        "fluorescence": crop(stain, 60, 200, 160) ** 3,
        "brightfield": tissue[60:220, 200:360],
        "em": (0.25 + 0.6 * cut + random.normal(0, 0.09, cut.shape)).clip(0, 1),
        "photograph": skimage.data.astronaut()[0:220, 110:330] / 255,
    }


def main() -> None:
    """Write them all."""
    for name, picture in pictures().items():
        image = Image.fromarray(np.rint(255 * picture).astype(np.uint8))
        small = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        path = Path(kinds.kind_of_image(name).thumbnail)
        path.parent.mkdir(exist_ok=True)
        small.save(path, "PNG", optimize=True)


if __name__ == "__main__":
    main()
