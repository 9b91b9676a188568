"""Which scans are trained on and which are kept for validation: by volume, never by crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_srgan.errors import InputError
from napari_srgan.files import READABLE_SUFFIXES


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

    A file that lies in the folder itself is a volume. The files of a folder below it are one:
    slices of a volume, or scans of an eye, look alike, and a score on one whose neighbour was
    trained on would be too good (Tampu et al., Sci. Data 9:580 (2022)).

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
    files = sorted(
        p
        for p in folder.rglob("*")
        if p.suffix.lower() in READABLE_SUFFIXES and not p.name.startswith(".") and p.is_file()
    )
    if not files:
        known = ", ".join(sorted(READABLE_SUFFIXES))
        raise InputError(f"The folder {folder} holds no scans ({known}).")
    grouped: dict[Path, list[Path]] = {}
    for path in files:
        grouped.setdefault(path if path.parent == folder else path.parent, []).append(path)
    return [Volume(str(k.relative_to(folder)), tuple(v)) for k, v in sorted(grouped.items())]


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


def refuse_leaks(train: Sequence[Path], val: Sequence[Path]) -> None:
    """Raise InputError if a file is on both sides."""
    known = {path.resolve() for path in train}
    for path in val:
        if path.resolve() in known:
            raise InputError(f"{path} is in both --data and --val, so its score would mislead.")
