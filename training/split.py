"""Which scans are trained on and which are kept for validation: by volume, never by crop."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_srgan.errors import InputError
from napari_srgan.io.open import READABLE_SUFFIXES

RECIPE, SOURCES = "recipe.json", "run.json"
RUN_FILES = {RECIPE, SOURCES}
"""What tells a run folder from a folder of scans: its pictures must not be trained on."""

_SERIES = 8  # files; fewer may be numbered by chance


@dataclass(frozen=True, slots=True)
class Volume:
    """Files that belong together: they lie on the same side of a split.

    Attributes
    ----------
    name : str
        For messages.
    files : tuple of Path
        A stack, a single image, or the slices in one folder.
    """

    name: str
    files: tuple[Path, ...]


def find_volumes(folder: Path) -> list[Volume]:
    """Return the volumes below a folder, sorted by path.

    A file that lies in the folder itself is a volume. All that lies in one folder below it,
    however deep, is one: slices of a volume, visits of a patient and scans of an eye look
    alike, and a score on one whose neighbour was trained on would be too good (Tampu et al., Sci.
    Data 9:580 (2022)). Links are followed; hidden files and folders and the run folders of
    trainings are passed over.

    Parameters
    ----------
    folder : Path
        A folder, or a single file.

    Raises
    ------
    InputError
        If the folder does not exist or holds no scans.
    """
    if folder.is_file():
        return [Volume(folder.name, (folder,))]
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder} with scans.")
    files = sorted(_scans_below(folder))
    if not files:
        known = ", ".join(sorted(READABLE_SUFFIXES))
        raise InputError(f"The folder {folder} holds no scans ({known}).")
    # What all files have in common says nothing about which of them belong together.
    while len({f.relative_to(folder).parts[0] for f in files}) == 1 and files[0].parent != folder:
        folder = folder / files[0].relative_to(folder).parts[0]
    grouped: dict[str, list[Path]] = {}
    for path in files:
        grouped.setdefault(path.relative_to(folder).parts[0], []).append(path)
    return [Volume(name, tuple(found)) for name, found in grouped.items()]


def _scans_below(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and not _names_in(Path(here) / name) >= RUN_FILES
        ]
        for name in names:
            path = Path(here) / name
            if path.suffix.lower() in READABLE_SUFFIXES and name[0] != "." and path.is_file():
                yield path


def _names_in(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read: {error.strerror}.") from error


def look_like_slices(volumes: Sequence[Volume]) -> bool:
    """Say whether single files look like the slices of one volume: a series without a gap."""
    names = [v.files[0].stem for v in volumes if len(v.files) == 1]
    if len(names) < _SERIES or len(names) < len(volumes):
        return False
    numbers = [re.fullmatch(r"(.*?)(\d+)", name) for name in names]
    found = [(m[1], int(m[2])) for m in numbers if m]
    counted = {n for _, n in found}
    return (
        len(found) == len(counted) == len(names)
        and len({stem for stem, _ in found}) == 1
        and max(counted) - min(counted) + 1 == len(counted)
    )


def split(volumes: Sequence[Volume], fraction: float) -> tuple[list[Volume], list[Volume]]:
    """Split into volumes for training and for validation.

    Those for validation are spread evenly over the sorted names, so that they come from every part
    of a collection.

    Parameters
    ----------
    volumes : sequence of Volume
    fraction : float
        Share of the volumes for validation; at least one, and at least one stays.

    Raises
    ------
    InputError
        If there is a single volume: it cannot both teach and test.
    """
    if len(volumes) < 2:
        raise InputError(
            f"{volumes[0].name} is the only volume, so nothing is left to validate on (its own "
            "slices are too much alike); add a second volume, or name other scans with --val."
        )
    count = min(max(round(fraction * len(volumes)), 1), len(volumes) - 1)
    chosen = {round((i + 0.5) * len(volumes) / count - 0.5) for i in range(count)}
    train = [v for i, v in enumerate(volumes) if i not in chosen]
    return train, [v for i, v in enumerate(volumes) if i in chosen]
