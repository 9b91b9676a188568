"""The images in the bundled sample files: which tissue, which instruments, which numbers.

Every choice that a sample depends on stands here; the physics is in `optics`,
`retina` and `tissue`, and the files are the business of `sample_data`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.synthetic.optics import Grid, Optics, Psf, acquire, display
from napari_srgan.synthetic.retina import backscatter
from napari_srgan.synthetic.tissue import stained_tissue

SEED = 1609
"""The seed of the bundled files."""
FACTOR = 4
B_SCANS = 8
B_SCAN_DISTANCE = 123.0
"""Distance of the B-scans, um; number 3 passes through the fovea."""
FOVEAL_B_SCAN = 3
FRAMES = 64
"""How many frames with independent speckle the averaged volumes are the mean of."""
NOISE = 10**-2.7
"""Detector noise: 27 dB below the intensity of the RPE, which is near 1."""
DISPLAY = (-33.0, 5.0)
"""The range of the log-compressed display, dB."""
HR_DEPTH, HR_LATERAL = 1.5, 2.25
"""Pixel distances at high resolution, um: half a resolution element of 3 x 4.5 um."""
TISSUE_PIXEL = 0.25
"""Pixel distance of the HR tissue image, um."""
HIGH = Psf(axial=3, lateral=4.5)
LOW = Psf(axial=12, lateral=18)
GRID = Grid(rows=416, cols=640, dz=HR_DEPTH, dx=HR_LATERAL, x0=-480.0)
"""The pixels of an HR B-scan; the fovea lies at a third of its width."""


def oct_volumes(
    seed: int = SEED,
    *,
    b_scans: Iterable[int] = range(B_SCANS),
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, NDArray[Any]]:
    """Image the synthetic eye with both instruments and return its volumes by sample name.

    Parameters
    ----------
    seed : int
        Another seed gives another eye.
    b_scans : iterable of int
        Which B-scans to make. Each has its own stream of random numbers, so that any of them
        can be made alone.
    progress : callable, optional
        Called with B-scans done and B-scans in all.

    Returns
    -------
    dict of str to ndarray, shape (Z, Y, X)
        uint8, the single frames uint16 with 12 bits in use.
    """
    from napari_srgan.image.resampling import bicubic_shrink

    tissue = GRID.padded(24)  # as far as the coarse instrument's weights reach
    sharp = Optics(HIGH, tissue, GRID)
    coarse = Optics(LOW, tissue, GRID.coarser(FACTOR))
    planes: dict[str, list[NDArray[Any]]] = {}
    wanted = list(b_scans)
    for done, k in enumerate(wanted, start=1):
        rng = np.random.default_rng([seed, k])
        s = backscatter(tissue, (k - FOVEAL_B_SCAN) * B_SCAN_DISTANCE, rng)
        first = acquire(s, (sharp, coarse), noise=NOISE, frames=1, rng=rng)
        rest = acquire(s, (sharp, coarse), noise=NOISE, frames=FRAMES - 1, rng=rng)
        mean = [(a + (FRAMES - 1) * b) / FRAMES for a, b in zip(first, rest, strict=True)]
        hr = _grey(mean[0], 255)
        images = {
            "oct_volume_hr": hr,
            "oct_volume_lr": np.rint(bicubic_shrink(hr, FACTOR)).clip(0, 255),
            "oct_volume_truth": _grey(sharp.mean_intensity(s) + NOISE, 255),
            "oct_volume_coarse_lr": _grey(mean[1], 255),
            "oct_frame_hr": _grey(first[0], 4095),
            "oct_frame_coarse_lr": _grey(first[1], 4095),
        }
        for name, image in images.items():
            dtype = np.uint16 if name.startswith("oct_frame") else np.uint8
            planes.setdefault(name, []).append(image.astype(dtype))
        if progress is not None:
            progress(done, len(wanted))
    return {name: np.stack(images) for name, images in planes.items()}


def tissue_pair(seed: int = SEED) -> dict[str, NDArray[np.uint8]]:
    """Draw the stained section, HR and shrunk 4x, and return both by sample name."""
    from napari_srgan.image.resampling import bicubic_shrink

    # 1000: a stream that no B-scan uses.
    hr = stained_tissue(512, TISSUE_PIXEL, np.random.default_rng([seed, 1000]))
    lr = np.rint(bicubic_shrink(hr, FACTOR)).clip(0, 255).astype(np.uint8)
    return {"tissue_rgb_hr": hr, "tissue_rgb_lr": lr}


def _grey(intensity: NDArray[np.float64], top: int) -> NDArray[np.float64]:
    return np.rint(top * display(intensity, *DISPLAY))
