"""Profiles of several images along one line: read, sampled and measured, as one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from napari_srgan.image.stack import Stack
from napari_srgan.image.units import ome_symbol
from napari_srgan.measure.profile import Crossed, Kernel, Profile, line_profiles
from napari_srgan.tasks.steps import Progress, Work

__all__ = ["LineProfiles", "OnLine", "measure_line"]


@dataclass(frozen=True)
class OnLine:
    """A stack, the plane of it that a line lies in, and where; the rest as of `Crossed`.

    Attributes
    ----------
    name : str
        In plot and table.
    stack : Stack
    index : tuple of int
        Of the plane, over all axes but Y, X and S.
    start, end, beside : (float, float)
    kernel : {"linear", "cubic"}
    """

    name: str
    stack: Stack
    index: tuple[int, ...]
    start: tuple[float, float]
    end: tuple[float, float]
    beside: tuple[float, float]
    kernel: Kernel = "linear"


@dataclass(frozen=True)
class LineProfiles:
    """What was measured along a line.

    Attributes
    ----------
    profiles : tuple of Profile
    unit : str
        Of the distances, as pint spells it; "pixel" where no size is known.
    """

    profiles: tuple[Profile, ...]
    unit: str

    @property
    def symbol(self) -> str:
        """The unit as it is written: "µm", or "px"."""
        return "px" if self.unit == "pixel" else ome_symbol(self.unit)

    def rows(self) -> list[dict[str, Any]]:
        """Give a row a sample, with the widths of its profile; for `io.tables.csv_file`."""
        unit = "px" if self.unit == "pixel" else self.unit
        return [
            {
                "image": profile.name,
                f"distance_{unit}": float(f"{distance:.6g}"),
                "value": None if value != value else float(f"{value:.6g}"),
                f"fwhm_{unit}": profile.fwhm,
                f"edge_10_90_{unit}": profile.edge,
            }
            for profile in self.profiles
            for distance, value in zip(profile.distance, profile.values, strict=True)
        ]


def measure_line(
    images: Sequence[OnLine], length: float, unit: str, width: float = 0.0
) -> Work[LineProfiles]:
    """Read the planes that a line lies in and sample them at the same places.

    Parameters
    ----------
    images : sequence of OnLine
    length : float
        Of the line, in `unit`.
    unit : str
        As pint spells it.
    width : float
        Average over lines side by side, this far from the first to the last, in `unit`.

    Returns
    -------
    LineProfiles
        In the order of the images.

    Raises
    ------
    InputError
        As of `measure.profile.line_profiles`.
    """
    crossed = []
    for done, image in enumerate(images):
        yield Progress(done, len(images))
        plane = image.stack.read(image.index)
        where = (image.start, image.end, image.beside, image.kernel)
        crossed.append(Crossed(image.name, plane, *where))
    return LineProfiles(tuple(line_profiles(crossed, length, width)), unit)
