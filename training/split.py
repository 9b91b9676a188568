"""Which scans are trained on and which are kept for validation: by volume, never by crop."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from napari_srgan.errors import InputError
from napari_srgan.io.open import READABLE_SUFFIXES, is_zarr

RECIPE, SOURCES, SPLIT = "recipe.json", "run.json", "split.json"
RUN_FILES = {RECIPE, SOURCES}
"""What tells a run folder from a folder of scans: its pictures must not be trained on."""

_SERIES = 8  # files; fewer may be numbered by chance
_MOST_GAPS = 2  # numbers for each file of a series; beyond, they count something else
TRAIN = ("train", "training")
VAL = ("val", "valid", "validation", "test")  # `test` where there is no other


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of the files below a folder are meant.

    Attributes
    ----------
    include, exclude : tuple of str
        Patterns as of a shell, for a file's name or its path below the folder; without any
        `include` all files are.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __call__(self, below: Path) -> bool:
        """Say whether a file is meant, by its path below the folder."""

        def fits(pattern: str) -> bool:
            return fnmatch(below.as_posix(), pattern) or fnmatch(below.name, pattern)

        return (not self.include or any(map(fits, self.include))) and not any(
            map(fits, self.exclude)
        )


ALL = Wanted()


def expanded(pattern: Path) -> list[Path]:
    """Return what a pattern of a shell means, sorted; a path that exists means itself.

    Raises
    ------
    InputError
        If nothing fits the pattern.
    """
    text = str(pattern)
    if pattern.exists() or not set("*?[") & set(text):
        return [pattern]
    root = Path(pattern.anchor)
    found = sorted(root.glob(str(pattern.relative_to(root))))
    if not found:
        raise InputError(f"Nothing fits the pattern {text}.")
    return found


def find_volumes(folder: Path, wanted: Wanted = ALL) -> list[Volume]:
    """Return the volumes below a folder, sorted by path.

    All that lies in one folder below it, however deep, is a volume: slices of a volume, visits of
    a patient and scans of an eye look alike, and a score on one whose neighbour was trained on
    would be too good (Tampu et al., Sci. Data 9:580 (2022)). So are files in the folder itself
    whose names begin alike where there are several such series; else each is a volume. Links are
    followed; hidden files and folders and the run folders of trainings are passed over.

    Parameters
    ----------
    folder : Path
        A folder, or a single file.
    wanted : Wanted
        Which of the files are meant.

    Raises
    ------
    InputError
        If the folder does not exist or holds no scans.
    """
    if folder.is_file() or is_zarr(folder):
        return [Volume(folder.name, (folder,))]
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder} with scans.")
    found = [path for path in _scans_below(folder) if wanted(path.relative_to(folder))]
    if not found:
        known = ", ".join(sorted(READABLE_SUFFIXES))
        which = " that --include and --exclude leave" if wanted != ALL else ""
        raise InputError(f"The folder {folder} holds no scans{which} ({known}).")
    return volumes_of(found, folder)


def volumes_of(files: Iterable[Path], folder: Path) -> list[Volume]:
    """Group files below a folder to volumes, see `find_volumes`."""
    files = sorted(files)
    # What all files have in common says nothing about which of them belong together.
    while len({f.relative_to(folder).parts[0] for f in files}) == 1 and files[0].parent != folder:
        folder = folder / files[0].relative_to(folder).parts[0]
    series = _series([f.stem for f in files if f.parent == folder])
    grouped: dict[str, list[Path]] = {}
    for path in files:
        loose = path.parent == folder
        name = series.get(path.stem, path.name) if loose else path.relative_to(folder).parts[0]
        grouped.setdefault(name, []).append(path)
    return [Volume(name, tuple(found)) for name, found in grouped.items()]


def _series(stems: Sequence[str]) -> dict[str, str]:
    """Name the series that files belong to whose names begin alike: P0_slice_3 belongs to P0.

    Returns
    -------
    dict of str to str
        From a stem to its series; empty unless there are two series of two files or more, since
        one beginning that all files share tells nothing.
    """
    fields = {stem: re.split(r"(\d+)", stem) for stem in stems}
    at = _first_that_varies([found[1::2] for found in fields.values()])
    if at is None:
        return {}
    # Up to the first number that varies (P0 of P0_slice_3), or to what comes before it (anna of
    # anna_3).
    for last in (2 * at + 2, 2 * at + 1):
        grouped = defaultdict(list)
        for stem, found in fields.items():
            grouped["".join(found[:last]).strip(" _-.") or stem].append(stem)
        if sum(len(group) > 1 for group in grouped.values()) > 1:
            return {stem: name for name, group in grouped.items() for stem in group}
    return {}


def _first_that_varies(numbers: Sequence[Sequence[str]]) -> int | None:
    """Return the place of the first number that is not the same in all names that have it."""
    for at in range(max(map(len, numbers), default=0)):
        if len({found[at] for found in numbers if len(found) > at}) > 1:
            return at
    return None


def _scans_below(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder, followlinks=True):
        stores = [name for name in folders if is_zarr(Path(here) / name)]
        yield from (Path(here) / name for name in stores if name[0] != ".")
        folders[:] = [
            name
            for name in folders
            if name not in stores
            and not name.startswith(".")
            and not _names_in(Path(here) / name) >= RUN_FILES
        ]
        for name in names:
            path = Path(here) / name
            if name.lower().endswith(READABLE_SUFFIXES) and name[0] != "." and path.is_file():
                yield path


def child(folder: Path, names: Sequence[str]) -> Path | None:
    """Return the folder below this one that has one of some names, in any case; None without."""
    if not folder.is_dir():
        return None
    here = {path.name.lower(): path for path in sorted(folder.iterdir()) if path.is_dir()}
    return next((here[name] for name in names if name in here), None)


def named_sides(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders for training and validation that somebody has made below a folder.

    Raises
    ------
    InputError
        If there are scans below the folder in neither: whether they are meant cannot be known.
    """
    if not folder.is_dir():
        return None
    train, val = child(folder, TRAIN), child(folder, VAL)
    if train is None or val is None:
        entries = [path for path in folder.iterdir() if path.name[0] != "."]
        return named_sides(entries[0]) if len(entries) == 1 else None
    kept_out = child(folder, ("test",))
    for path in _scans_below(folder):
        inside = folder / path.relative_to(folder).parts[0]
        if inside not in (train, val, kept_out):
            raise InputError(
                f"{folder} holds {train.name} and {val.name}, and scans beside them such as "
                f"{path.relative_to(folder)}; move these, or name the folders with --data and "
                "--val."
            )
    return train, val


def _names_in(folder: Path) -> set[str]:
    try:
        return {path.name for path in folder.iterdir()}
    except OSError as error:
        raise InputError(f"The folder {folder} cannot be read: {error.strerror}.") from error


def look_like_slices(volumes: Sequence[Volume]) -> bool:
    """Say whether single files look like the slices of one volume: a series, with few gaps."""
    names = [v.files[0].stem for v in volumes if len(v.files) == 1]
    if len(names) < _SERIES or len(names) < len(volumes):
        return False
    fields = [re.split(r"(\d+)", name) for name in names]
    at = _first_that_varies([found[1::2] for found in fields])
    if at is None or len({found[2 * at] for found in fields if len(found) > 2 * at}) > 1:
        return False
    counted = {int(found[2 * at + 1]) for found in fields if len(found) > 2 * at + 1}
    return len(counted) == len(names) and (
        max(counted) - min(counted) + 1 <= _MOST_GAPS * len(counted)
    )


def split(
    volumes: Sequence[Volume], fraction: float, folds: int = 0, fold: int = 1
) -> tuple[list[Volume], list[Volume]]:
    """Split into volumes for training and for validation.

    Those for validation are spread evenly over the sorted names, so that they come from every part
    of a collection.

    Parameters
    ----------
    volumes : sequence of Volume
    fraction : float
        Share of the volumes for validation; at least one, and at least one stays.
    folds, fold : int
        Instead of it: how many parts, each of which is validated on by one of as many trainings,
        and which of them, from 1.

    Raises
    ------
    InputError
        If there is a single volume: it cannot both teach and test; or fewer than folds.
    """
    if len(volumes) < 2:
        raise InputError(
            f"{volumes[0].name} is the only volume, so nothing is left to validate on (its own "
            "slices are too much alike); add a second volume, or name other scans with --val."
        )
    if len(volumes) < folds:
        raise InputError(
            f"{len(volumes)} volumes cannot be divided into {folds} folds; give fewer --folds."
        )
    if folds:
        train = [v for i, v in enumerate(volumes) if i % folds != fold - 1]
        return train, [v for i, v in enumerate(volumes) if i % folds == fold - 1]
    count = min(max(round(fraction * len(volumes)), 1), len(volumes) - 1)
    chosen = {round((i + 0.5) * len(volumes) / count - 0.5) for i in range(count)}
    train = [v for i, v in enumerate(volumes) if i not in chosen]
    return train, [v for i, v in enumerate(volumes) if i in chosen]
