"""The scans of a run: from folders to sets for training and validation, the same at every start."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale
from napari_srgan.io import schema
from napari_srgan.models.card import ALIKE, micrometres
from training.pairs import Pair, find_pairs, pair_set
from training.recipe import Recipe
from training.scans import Decoded, ScanSet, channels_of, decode, scan_set, thinned
from training.split import Volume, find_volumes, look_like_slices, split


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the scans are.

    Attributes
    ----------
    data : tuple of Path
        Folders or files to train on; each is a set.
    val : tuple of Path
        Those to validate on; empty: some volumes of `data` are kept for it.
    paired : bool
        Whether the folders of `data` hold measured pairs; see `pairs`.
    """

    data: tuple[Path, ...]
    val: tuple[Path, ...] = ()
    paired: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the sources ready for JSON, paths absolute: a run is resumed from anywhere."""
        folders = {key: [str(p.resolve()) for p in getattr(self, key)] for key in ("data", "val")}
        return asdict(self) | folders

    @classmethod
    def from_dict(cls, values: Any) -> Sources:
        """Read what `to_dict` gave; ValueError if it is something else."""
        paths = schema.several(schema.path)
        readers: dict[str, schema.Reader[Any]] = {"data": paths, "val": paths, "paired": bool}
        return cls(**schema.fields_of(values, readers, readers))


@dataclass(frozen=True, eq=False, slots=True)
class Data:
    """Scans in memory.

    Attributes
    ----------
    train, val : list of ScanSet
    digest : str
        Of all pixels in their order; a run that is resumed must see the same.
    summary : str
        One sentence on what was found and how it was split.
    pixel_size : (float, float) or None
        Along Y and X of the LR images that are trained on, micrometres; None if a file states no
        length, or pixels differ by more than a factor of 2.
    """

    train: list[ScanSet]
    val: list[ScanSet]
    digest: str
    summary: str
    pixel_size: tuple[float, float] | None

    @property
    def measured(self) -> bool:
        """Whether LR was measured too, not made from HR."""
        return self.train[0].scans[0].low is not None


def load(sources: Sources, recipe: Recipe, settle: Callable[[int], Recipe]) -> tuple[Recipe, Data]:
    """Find, split, decode and check the scans.

    Parameters
    ----------
    sources : Sources
    recipe : Recipe
        As asked for.
    settle : callable
        Takes the channels of the scans and returns the recipe with all that depends on them.

    Returns
    -------
    recipe : Recipe
    data : Data

    Raises
    ------
    InputError
        If a scan cannot be used, or there are too few.
    """
    if sources.paired:
        return _load_pairs(sources, recipe, settle)
    train, val = _volumes(sources.data), _volumes(sources.val)
    if not val:
        for folder, found in train.items():
            train[folder], val[folder] = split(found, recipe.val_fraction)
    files = {d: [f for v in volumes for f in v.files] for d, volumes in train.items()}
    val_files = {d: [f for v in volumes for f in v.files] for d, volumes in val.items()}
    decoded = {d: list(map(decode, found)) for d, found in files.items()}
    recipe = settle(recipe.channels or channels_of(_flat(decoded.values())))
    how: dict[str, Any] = {"channels": recipe.channels} | _range(recipe)
    smallest = max(recipe.crop)
    names = _names([*files]) | _names([*val_files])
    sets = [scan_set(names[d], f, min_side=smallest, **how) for d, f in decoded.items()]
    # For validation a plane is restored whole; 8 LR px are the least that the engine takes.
    val_sets = [
        scan_set(names[d], list(map(decode, f)), min_side=8 * recipe.scale, **how)
        for d, f in val_files.items()
    ]
    trained, kept = (_count(sum(map(len, side.values())), "volume") for side in (train, val))
    doubts = "" if sources.val else _doubts(train, val)
    size = _pixel_size(_flat(decoded.values()), recipe.factors)
    return recipe, _data(sets, val_sets, recipe, trained, kept, size, doubts)


def _volumes(paths: Sequence[Path]) -> dict[Path, list[Volume]]:
    """Find volumes: a folder is a set, files that were named one by one are a set together."""
    found = {path: find_volumes(path) for path in paths if not path.is_file()}
    for path in paths:
        if path.is_file():
            found.setdefault(path.parent, []).extend(find_volumes(path))
    return found


def _load_pairs(
    sources: Sources, recipe: Recipe, settle: Callable[[int], Recipe]
) -> tuple[Recipe, Data]:
    if sources.val:
        raise InputError("With --paired the folder val/ beside train/ is used; leave --val out.")
    if recipe.degradation != "bicubic":
        raise InputError("Measured pairs have their own degradation; leave --degradation out.")
    if recipe.rotation or recipe.affine or recipe.homography:
        raise InputError(
            "Rotation, affine and homography would resample both images of a measured pair, so "
            "they are not for --paired; flips are."
        )

    def decoded(part: str) -> dict[Path, list[Pair]]:
        return {
            d: [(decode(low), decode(high)) for low, high in find_pairs(d, part)]
            for d in sources.data
        }

    train, val = decoded("train"), decoded("val")
    recipe = settle(recipe.channels or channels_of([h for _, h in _flat(train.values())]))
    how: dict[str, Any] = {"channels": recipe.channels, "scale": recipe.factors} | _range(recipe)
    names = _names(sources.data)
    sets, val_sets = (
        [pair_set(names[d], pairs, min_side=smallest, **how) for d, pairs in part.items()]
        for part, smallest in ((train, max(recipe.crop)), (val, 8 * recipe.scale))
    )
    trained, kept = (_count(sum(map(len, part.values())), "pair") for part in (train, val))
    size = _pixel_size([high for _, high in _flat(train.values())], recipe.factors)
    return recipe, _data(sets, val_sets, recipe, trained, kept, size)


def _data(
    train: list[ScanSet],
    val: list[ScanSet],
    recipe: Recipe,
    trained: str,
    kept: str,
    pixel_size: tuple[float, float] | None,
    doubts: str = "",
) -> Data:
    digest = hashlib.sha256()
    sides: list[dict[bytes, str]] = []
    for sets in (train, val):
        sides.append({})
        for scan in (scan for scans in sets for scan in scans.scans):
            for pixels in (scan.pixels, scan.low):
                if pixels is not None:
                    fingerprint = hashlib.sha256(f"{pixels.shape} {pixels.dtype}".encode())
                    fingerprint.update(pixels.tobytes())
                    digest.update(fingerprint.digest())
                    # Empty slices are alike everywhere and give nothing away.
                    if pixels.min() != pixels.max():
                        sides[-1][fingerprint.digest()] = scan.name
    for same in sides[0].keys() & sides[1].keys():
        names = dict.fromkeys((sides[0][same], sides[1][same]))
        raise InputError(
            f"{' and '.join(names)} would be both trained on and validated on (the same pixels), "
            "so the score would mislead; take one of them away."
        )
    planes = [sum(len(s.scans) for s in sets) for sets in (train, val)]
    for scans in train:
        _lively(scans)  # only that there is something to learn: empty slices belong to a volume
    val = [thinned(_lively(scans), recipe.val_planes) for scans in val]
    used = sum(len(s.scans) for s in val)
    less = f", {used} of them used" if used < planes[1] else ""
    kind = {1: "grayscale", 3: "RGB"}[recipe.channels]
    summary = (
        f"{kind}: {trained} ({_count(planes[0], 'plane')}) to train on, {kept} "
        f"({_count(planes[1], 'plane')}{less}) to validate on{doubts}"
    )
    return Data(train, val, digest.hexdigest(), summary, pixel_size)


def _pixel_size(files: Sequence[Decoded], scale: Scale) -> tuple[float, float] | None:
    """Return the pixel size of what is made of HR files, see `Data`."""
    sizes = [micrometres(file.stack) for file in files]
    known = [size for size in sizes if size is not None]
    axes = list(zip(*known, strict=True))
    if len(known) < len(sizes) or any(max(axis) > ALIKE * min(axis) for axis in axes):
        return None
    return scale[0] * median(axes[0]), scale[1] * median(axes[1])


def _lively(scans: ScanSet) -> ScanSet:
    """Return a set without planes that are constant in the range that is trained on.

    Raises
    ------
    InputError
        If none is left.
    """
    kept = tuple(s for s in scans.scans if (unit := s.crop()).min() < unit.max())
    if not kept:
        raise InputError(
            f"All planes of {scans.name} are constant within the intensity range, so there is "
            "nothing to learn or to measure; see --intensity."
        )
    return ScanSet(scans.name, kept)


def _doubts(train: Mapping[Path, Sequence[Volume]], val: Mapping[Path, Sequence[Volume]]) -> str:
    """Say what about a split that was made here should be looked at."""
    doubts = ""
    for folder in train:
        together = sorted([*train[folder], *val[folder]], key=lambda v: v.name)
        if look_like_slices(together):
            doubts += (
                f". Warning: the files in {folder} look like the slices of one volume; "
                "if they are, neighbours lie on both sides of the split and the score "
                "will mislead: put each volume into a folder of its own"
            )
    return doubts


def _range(recipe: Recipe) -> dict[str, Any]:
    return {"intensity": recipe.intensity, "transform": recipe.transform}


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _names(folders: Sequence[Path]) -> dict[Path, str]:
    """Name sets by their folder, or by the whole path where two folders have one name."""
    short = [f.resolve().name for f in folders]
    return {
        f: name if short.count(name) == 1 else str(f)
        for f, name in zip(folders, short, strict=True)
    }


def _flat(lists: Iterable[Sequence[Any]]) -> list[Any]:
    return [item for items in lists for item in items]
