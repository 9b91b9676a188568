"""The bundled sample stacks: what they are called, where they lie, and how they are written.

The catalogue, the paths and the files belong here; what is in them is in
`synthetic.recipes`. All files are made again, pixel for pixel, by

    python -m napari_srgan.synthetic.samples DIR
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_srgan.errors import InputError, OutputExists
from napari_srgan.synthetic.recipes import (
    B_SCAN_DISTANCE,
    FACTOR,
    FRAMES,
    HR_DEPTH,
    HR_LATERAL,
    SEED,
    TISSUE_PIXEL,
    oct_volumes,
    tissue_pair,
)


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
            shutil.copyfile(source, target)
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
        _write(target, images[entry.name], entry)
    return targets


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
    if path.name.endswith(".ome.tif"):
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
