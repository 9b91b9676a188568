"""The bundled sample stacks: what they are called, what is in them, and how they are written.

Every choice that a sample depends on stands here; the physics is in `optics`, `retina` and
`tissue`. All files are made again, pixel for pixel, by

    python -m napari_srgan.synthetic.samples DIR
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError, OutputExists
from napari_srgan.io.atomic import whole_file
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


@dataclass(frozen=True)
class Sample:
    """A bundled file.

    Parameters
    ----------
    name : str
        What `sample_path` takes.
    title : str
        What a person reads in *File > Open Sample*.
    file : str
        File name.
    axes : str
        Axes of the data.
    spacing : tuple of float
        Pixel distance per axis without S, micrometres.
    fine : bool
        Whether it lies on the HR grid, whose pixel 0 is at -0.375 of an LR pixel in Y and X.
    """

    name: str
    title: str
    file: str
    axes: str
    spacing: tuple[float, ...]
    fine: bool

    @property
    def translate(self) -> tuple[float, ...]:
        """Where the centre of pixel 0 lies, um, if that of the LR file is at 0."""
        if not self.fine:
            return (0.0,) * len(self.spacing)
        shift = (FACTOR - 1) / 2
        return tuple(
            -shift * d if axis in "YX" else 0.0
            for axis, d in zip(self.axes.replace("S", ""), self.spacing, strict=True)
        )


def _oct(name: str, title: str, fine: bool, suffix: str = ".tif") -> Sample:
    f = 1 if fine else FACTOR
    spacing = (B_SCAN_DISTANCE, HR_DEPTH * f, HR_LATERAL * f)
    return Sample(name, title, name + suffix, "ZYX", spacing, fine)


def _tissue(name: str, title: str, fine: bool) -> Sample:
    pixel = TISSUE_PIXEL * (1 if fine else FACTOR)
    return Sample(name, title, f"{name}.tif", "YXS", (pixel, pixel), fine)


SAMPLES = (
    _oct("oct_volume_lr", "OCT volume LR: the HR volume shrunk 4x", False),
    _oct("oct_volume_hr", f"OCT volume HR: mean of {FRAMES} frames", True),
    _oct("oct_volume_truth", "OCT volume, speckle-free truth", True),
    _oct("oct_volume_coarse_lr", "OCT volume LR: a 4x coarser instrument", False),
    _oct("oct_frame_hr", "OCT single frames HR, 12 bit", True, ".ome.tif"),
    _oct("oct_frame_coarse_lr", "OCT single frames LR, 12 bit", False, ".ome.tif"),
    _tissue("tissue_rgb_lr", "Stained tissue LR (RGB): the HR image shrunk 4x", False),
    _tissue("tissue_rgb_hr", "Stained tissue HR (RGB)", True),
)


def sample(name: str) -> Sample:
    """Return the catalogue entry of a sample.

    Raises
    ------
    InputError
        If there is no sample of that name.
    """
    for entry in SAMPLES:
        if name in (entry.name, entry.file):
            return entry
    names = ", ".join(entry.name for entry in SAMPLES)
    raise InputError(f"There is no sample {name!r}; choose one of {names}.")


def sample_path(name: str) -> Path:
    """Return the path of a bundled sample file, in an installed wheel or in a checkout.

    Raises
    ------
    InputError
        If there is no sample of that name, or its file is missing from the installation.
    """
    entry = sample(name)
    package = Path(str(resources.files("napari_srgan")))
    # The wheel carries them inside the package; a checkout has them at its root, above src/.
    for folder in (package / "sample_data", package.parent.parent / "sample_data"):
        if (folder / entry.file).is_file():
            return folder / entry.file
    raise InputError(
        f"The sample file {entry.file} is missing from this installation; make it with "
        "'python -m napari_srgan.synthetic.samples DIR' and open it from there."
    )


def copy_to(folder: str | Path, overwrite: bool = False) -> list[Path]:
    """Copy the bundled samples to a folder and return the new paths.

    Raises
    ------
    OutputExists
        If one of the files is there already and `overwrite` is false; nothing is copied then.
    """
    sources = [sample_path(entry.name) for entry in SAMPLES]
    targets = _targets(folder, overwrite)
    for source, target in zip(sources, targets, strict=True):
        if not (target.exists() and target.samefile(source)):
            with whole_file(target, overwrite) as partial:
                shutil.copyfile(source, partial)
    return targets


def make_samples(
    folder: str | Path,
    seed: int = SEED,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Path]:
    """Generate all samples from a seed; the default seed gives the bundled files.

    Parameters
    ----------
    folder : path
        Where to write; made if need be.
    seed : int
        Another seed gives another eye and another section.
    overwrite : bool
        Whether files that are there may be replaced.
    progress : callable, optional
        Called with steps done and steps in all.

    Raises
    ------
    OutputExists
        If one of the files is there already and `overwrite` is false.
    """
    targets = _targets(folder, overwrite)
    images = oct_volumes(seed, progress=progress) | tissue_pair(seed)
    for entry, target in zip(SAMPLES, targets, strict=True):
        with whole_file(target, overwrite) as partial:
            _write(partial, images[entry.name], entry)
    return targets


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


def _targets(folder: str | Path, overwrite: bool) -> list[Path]:
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give a folder for the sample stacks.")
    targets = [folder / entry.file for entry in SAMPLES]
    present = [path for path in targets if path.exists()]
    if present and not overwrite:
        raise OutputExists(f"{present[0]} exists already; choose another folder or overwrite it.")
    folder.mkdir(parents=True, exist_ok=True)
    return targets


def _write(path: Path, image: NDArray[Any], entry: Sample) -> None:
    """Write a compressed TIFF that Fiji reads with its spacing: OME for 12 bit, else ImageJ."""
    import tifffile

    z, dy, dx = len(image), *entry.spacing[-2:]
    y0, x0 = entry.translate[-2:]
    if entry.file.endswith(".ome.tif"):
        metadata: dict[str, Any] = {
            "axes": entry.axes,
            "Name": entry.name,
            "SignificantBits": 12,
            # A fixed one, so that the file of a seed is always the same.
            "UUID": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, entry.file)}",
            **{f"PhysicalSize{a}": d for a, d in zip(entry.axes, entry.spacing, strict=True)},
            **{f"PhysicalSize{a}Unit": "µm" for a in entry.axes},
            "Plane": {
                "PositionX": [x0] * z,
                "PositionY": [y0] * z,
                "PositionXUnit": ["µm"] * z,
                "PositionYUnit": ["µm"] * z,
            },
        }
        tifffile.imwrite(path, image, ome=True, metadata=metadata, compression="zlib")
        return
    metadata = {
        "axes": entry.axes,
        "unit": "um",
        "Info": f"{entry.title}. Synthetic, napari-srgan.",
    }
    if entry.fine:  # ImageJ keeps the pixel at which the coordinate is 0
        metadata |= {"xorigin": -x0 / dx, "yorigin": -y0 / dy}
    if "Z" in entry.axes:
        metadata["spacing"] = entry.spacing[0]
    tifffile.imwrite(
        path,
        image,
        imagej=True,
        resolution=(1 / dx, 1 / dy),
        resolutionunit="NONE",
        metadata=metadata,
        compression="zlib",
    )


if __name__ == "__main__":
    import sys

    for written in make_samples(
        sys.argv[1] if len(sys.argv) > 1 else "sample_data", overwrite=True
    ):
        print(written)
