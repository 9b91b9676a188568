"""The scans of a run: from folders to sets for training and validation, the same at every start."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Scale
from napari_srgan.io import schema
from napari_srgan.io.open import is_zarr
from napari_srgan.models.card import ALIKE, micrometres
from training.likeness import ONE_PLACE, most_alike
from training.pairs import (
    both_sides,
    find_pairs,
    look_like_pairs,
    pair_scans,
    pairings,
    partner_of_another,
)
from training.recipe import Recipe
from training.scans import (
    Decoded,
    Scan,
    ScanSet,
    Sieve,
    channels_of,
    decode,
    scans_of,
    thinned,
)
from training.split import (
    Volume,
    Wanted,
    expanded,
    find_volumes,
    look_like_slices,
    named_sides,
    split,
    volumes_of,
)

_MOST_NAMED = 6  # volumes


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the scans are.

    Attributes
    ----------
    data : tuple of Path
        Folders or files to train on; each folder is a set, and all files are one together.
    val : tuple of Path
        Those to validate on; empty: some volumes of `data` are kept for it.
    paired : bool
        Whether the folders of `data` hold measured pairs; see `pairs`.
    high, low : tuple of Path
        Instead of `data`: one folder of HR files, and the one of their measured LR partners.
    include, exclude : tuple of str
        Patterns of the files below the folders that are meant; see `split.Wanted`.
    skip_bad : bool
        Go on without files that cannot be used.
    """

    data: tuple[Path, ...]
    val: tuple[Path, ...] = ()
    paired: bool = False
    high: tuple[Path, ...] = ()
    low: tuple[Path, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    skip_bad: bool = False

    @property
    def measured(self) -> bool:
        """Whether they are pairs."""
        return self.paired or bool(self.high)

    def to_dict(self) -> dict[str, Any]:
        """Return the sources ready for JSON, paths absolute: a run is resumed from anywhere."""
        folders = {k: [str(p.resolve()) for p in getattr(self, k)] for k in _FOLDERS}
        return asdict(self) | folders

    @classmethod
    def from_dict(cls, values: Any) -> Sources:
        """Read what `to_dict` gave; ValueError if it is something else."""
        paths, patterns = schema.several(schema.path), schema.several(schema.line)
        readers: dict[str, schema.Reader[Any]] = {
            **dict.fromkeys(_FOLDERS, paths),
            **dict.fromkeys(("include", "exclude"), patterns),
            **dict.fromkeys(("paired", "skip_bad"), bool),
        }
        return cls(**schema.fields_of(values, readers, ("data", "val", "paired")))


_FOLDERS = ("data", "val", "high", "low")


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
    warnings : tuple of str
        Sentences on what should be looked at.
    split : dict
        The volumes of both sides by set, each with its files.
    pixel_size : (float, float) or None
        Along Y and X of the LR images that are trained on, micrometres; None if a file states no
        length, or pixels differ by more than a factor of 2.
    pixel_range : ((float, float), (float, float)) or None
        Their smallest and largest along Y and along X, of the files that state one.
    """

    train: list[ScanSet]
    val: list[ScanSet]
    digest: str
    summary: str
    warnings: tuple[str, ...]
    split: Split
    pixel_size: tuple[float, float] | None
    pixel_range: tuple[tuple[float, float], tuple[float, float]] | None

    @property
    def measured(self) -> bool:
        """Whether LR was measured too, not made from HR."""
        return self.train[0].scans[0].low is not None


Split = dict[str, dict[str, dict[str, list[str]]]]
Side = dict[str, list[Volume]]
"""The volumes of each set, by its name."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The files of a training, before they are read.

    Attributes
    ----------
    train, val : Side
    partners : dict
        The LR file of each HR file of measured pairs.
    to_split : tuple of str
        The sets of `train` that volumes for validation are yet to be taken from.
    """

    train: Side
    val: Side
    partners: dict[Path, Path]
    to_split: tuple[str, ...] = ()

    def divided(self, usable: Collection[Path], recipe: Recipe) -> _Found:
        """Return what is left if only some files are usable, with both sides decided."""
        train, val = (
            {
                name: [Volume(v.name, kept) for v in volumes if (kept := _of(v, usable))]
                for name, volumes in side.items()
            }
            for side in (self.train, self.val)
        )
        for name, volumes in (*train.items(), *val.items()):
            if not volumes:
                raise InputError(f"No file of {name} is left.")
        if recipe.folds and not self.to_split:
            raise InputError(
                "The validation scans are named, so there is nothing to divide into folds; leave "
                "--folds out, or --val and the folders train and val."
            )
        for name in self.to_split:
            train[name], val[name] = split(
                train[name], recipe.val_fraction, recipe.folds, recipe.fold
            )
        return replace(self, train=train, val=val)


def _of(volume: Volume, usable: Collection[Path]) -> tuple[Path, ...]:
    return tuple(path for path in volume.files if path in usable)


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
        If scans cannot be used: all of them are named. Or there are too few.
    """
    sieve = Sieve(sources.skip_bad)
    found = _find_pairs(sources, recipe, sieve) if sources.measured else _find_scans(sources)

    def read(path: Path) -> _Read:
        partner = found.partners.get(path)
        return decode(path), decode(partner) if partner else None

    files = [
        {name: sieve.each(read, _files(volumes)) for name, volumes in side.items()}
        for side in (found.train, found.val)
    ]
    high = [file for file, _ in _flat(files[0].values())]
    if not high:
        sieve.settle()
        raise InputError("No file is left to train on.")
    recipe = settle(recipe.channels or channels_of(high))
    scans: dict[Path, list[Scan]] = {}
    # Validation planes are restored whole; 8 LR px are the least that the engine takes.
    for side, smallest in zip(files, (max(recipe.crop), 8 * max(recipe.factors)), strict=True):
        for of_a_set in side.values():
            scans |= _scans(of_a_set, recipe, smallest, sieve)
    left_out = sieve.settle()
    found = found.divided(scans, recipe)
    train, val = (
        [
            ScanSet(name, tuple(_flat(scans[path] for path in _files(volumes))))
            for name, volumes in side.items()
        ]
        for side in (found.train, found.val)
    )
    doubts = [left_out, _colour_lost(high, recipe.channels), *_doubts(found, train, val)]
    return recipe, _data(train, val, recipe, found, doubts, high)


_Read = tuple[Decoded, Decoded | None]
"""A file, and its low-resolution partner."""


def _scans(
    files: Sequence[_Read], recipe: Recipe, min_side: int, sieve: Sieve
) -> dict[Path, list[Scan]]:
    """Make scans of the files of a set, without those that the sieve refuses."""
    how: dict[str, Any] = {"channels": recipe.channels, "min_side": min_side}
    how |= {"intensity": recipe.intensity, "transform": recipe.transform}

    def scans(file: _Read) -> tuple[_Read, list[Scan]]:
        high, low = file
        if low is None:
            return file, scans_of(high, **how)
        return file, pair_scans(high, low, scale=recipe.factors, **how)

    made = sieve.each(scans, files)
    others = partner_of_another([found for (_, low), found in made if low is not None])

    def own(numbered: tuple[int, tuple[_Read, list[Scan]]]) -> tuple[Path, list[Scan]]:
        number, ((high, low), found) = numbered
        if low is not None and (other := others[number]) is not None:
            raise InputError(
                f"{low.path} shows what {made[other][0][0].path} does, not what its partner "
                f"{high.path} does; put the right file in its place."
            )
        return high.path, found

    return dict(sieve.each(own, enumerate(made)))


def _files(volumes: Sequence[Volume]) -> list[Path]:
    return [path for volume in volumes for path in volume.files]


def _find_scans(sources: Sources) -> _Found:
    """Find the files of both sides: as named, as laid out in folders, or by our own split."""
    wanted = Wanted(sources.include, sources.exclude)
    data, named = _expanded(sources.data), _expanded(sources.val)
    for folder in data:
        if look_like_pairs(folder):
            raise InputError(
                f"{folder} holds folders of high and low resolution, as measured pairs do; add "
                "--paired to train on them, or name the folder of high resolution alone."
            )
    train = _volumes(data, wanted)
    if named:
        return _Found(_by_name(train), _by_name(_volumes(named, wanted)), {})
    val: dict[Path, list[Volume]] = {}
    for folder in train.keys() & set(data):
        if sides := named_sides(folder):
            train[folder], val[folder] = (find_volumes(side, wanted) for side in sides)
    return _found(train, val, {})


def _found(
    train: dict[Path, list[Volume]], val: dict[Path, list[Volume]], partners: dict[Path, Path]
) -> _Found:
    """Name the sets, and note which are yet to be split."""
    names = _names([*train])
    to_split = tuple(name for folder, name in names.items() if folder not in val)
    return _Found(_by_name(train), {names[f]: v for f, v in val.items()}, partners, to_split)


def _find_pairs(sources: Sources, recipe: Recipe, sieve: Sieve) -> _Found:
    """Find the pairs of both sides: as laid out in folders, or by our own split."""
    if sources.val:
        raise InputError("With --paired the folder val/ beside train/ is used; leave --val out.")
    if recipe.degradation != "bicubic":
        raise InputError("Measured pairs have their own degradation; leave --degradation out.")
    if recipe.rotation or recipe.affine or recipe.homography:
        raise InputError(
            "Rotation, affine and homography would resample both images of a measured pair, so "
            "they are not for --paired; flips are."
        )
    wanted = Wanted(sources.include, sources.exclude)
    found = {folder: pairings(folder) for folder in _expanded(sources.data)}
    found |= {
        high: both_sides(high, low) for high, low in zip(sources.high, sources.low, strict=True)
    }
    train: dict[Path, list[Volume]] = {}
    val: dict[Path, list[Volume]] = {}
    partners: dict[Path, Path] = {}
    for folder, (taught, kept) in found.items():
        train[folder], low = find_pairs(taught, sieve, wanted)
        partners |= low
        if kept is not None:
            val[folder], low = find_pairs(kept, sieve, wanted)
            partners |= low
    return _found(train, val, partners)


def _expanded(paths: Sequence[Path]) -> list[Path]:
    return [found for path in paths for found in expanded(path)]


def _volumes(paths: Sequence[Path], wanted: Wanted) -> dict[Path, list[Volume]]:
    """Find volumes: a folder is a set, and files that were named one by one are one together."""
    scans = [path for path in paths if path.is_file() or is_zarr(path)]
    found = {path: find_volumes(path, wanted) for path in paths if path not in scans}
    files = [path for path in scans if wanted(path)]
    if files:
        folder = Path(os.path.commonpath([path.parent.absolute() for path in files]))
        found[folder] = volumes_of([path.absolute() for path in dict.fromkeys(files)], folder)
    return found


def _data(
    train: list[ScanSet],
    val: list[ScanSet],
    recipe: Recipe,
    found: _Found,
    doubts: Sequence[str],
    high: Sequence[Decoded],
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
    taught = [_lively(scans) for scans in train]  # empty slices belong to a volume, so they stay
    val = [_lively(scans) for scans in val]
    alike = _neighbours(_flat(s.scans for s in taught), _flat(s.scans for s in val))
    val = [thinned(scans, recipe.val_planes) for scans in val]
    used = sum(len(s.scans) for s in val)
    less = f", {used} of them used" if used < planes[1] else ""
    kind = {1: "grayscale", 3: "RGB"}[recipe.channels]
    what = "pair" if found.partners else "volume"
    trained, kept = (
        _count(sum(len(_files(v)) if found.partners else len(v) for v in side.values()), what)
        for side in (found.train, found.val)
    )
    summary = (
        f"{kind}: {trained} ({_count(planes[0], 'plane')}) to train on, {kept} "
        f"({_count(planes[1], 'plane')}{less}) to validate on: {_held_out(found.val)}"
    )
    return Data(
        train,
        val,
        digest.hexdigest(),
        summary,
        tuple(filter(None, (*doubts, alike))),
        {name: _as_text(side) for name, side in (("train", found.train), ("val", found.val))},
        *_pixel_sizes(high, recipe.factors),
    )


def _as_text(side: Side) -> dict[str, dict[str, list[str]]]:
    return {
        name: {volume.name: [str(path) for path in volume.files] for volume in volumes}
        for name, volumes in side.items()
    }


def _held_out(side: Side) -> str:
    """Name the volumes that are validated on, the first of many."""
    names = [volume.name for volumes in side.values() for volume in volumes]
    beyond = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {beyond} more" if beyond > 0 else "")


def _pixel_sizes(
    files: Sequence[Decoded], scale: Scale
) -> tuple[tuple[float, float] | None, tuple[tuple[float, float], tuple[float, float]] | None]:
    """Return the pixel size of what is made of HR files, and its range; see `Data`."""
    sizes = [micrometres(file.stack) for file in files]
    known = [size for size in sizes if size is not None]
    if not known:
        return None, None
    y, x = ([f * size[axis] for size in known] for axis, f in enumerate(scale))
    span = (min(y), max(y)), (min(x), max(x))
    if len(known) < len(sizes) or any(high > ALIKE * low for low, high in span):
        return None, span
    return (median(y), median(x)), span


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


def _colour_lost(files: Sequence[Decoded], channels: int) -> str:
    """Say that colour is turned to gray for the sake of files that have none."""
    coloured = sum(file.has_colour for file in files) if channels == 1 else 0
    if not coloured:
        return ""
    return (
        f"{coloured} of {_count(len(files), 'file')} have colour, which is turned to gray for the "
        "sake of the others: the model will be for grayscale images"
    )


def _doubts(found: _Found, train: Sequence[ScanSet], val: Sequence[ScanSet]) -> Iterator[str]:
    """Say what about a split should be looked at."""
    pixels = [sum(scans.pixels for scans in side) for side in (train, val)]
    if pixels[1] > pixels[0]:
        yield (
            f"there is more to validate on than to train on ({pixels[1] / 1e6:.1f} and "
            f"{pixels[0] / 1e6:.1f} million pixels); see whether the sides are not swapped"
        )
    for name in found.to_split:
        together = sorted([*found.train[name], *found.val[name]], key=lambda v: v.name)
        if look_like_slices(together):
            yield (
                f"the files in {name} look like the slices of one volume; if they are, neighbours "
                "lie on both sides of the split and the score will mislead: put each volume into "
                "a folder of its own"
            )


def _neighbours(train: Sequence[Scan], val: Sequence[Scan]) -> str:
    """Say which scans on both sides of the split seem to show one place."""
    one, other, alike = most_alike(train, val)
    if alike < ONE_PLACE:
        return ""
    return (
        f"{one.name}, which is trained on, and {other.name}, which is validated on, look like one "
        f"place (correlation {alike:.2f}); if they are, the score will mislead: put all of one eye "
        "into a folder of its own"
    )


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _names(folders: Sequence[Path]) -> dict[Path, str]:
    """Name sets by their folder, or by the whole path where two folders have one name."""
    short = [f.resolve().name for f in folders]
    return {
        f: name if short.count(name) == 1 else str(f)
        for f, name in zip(folders, short, strict=True)
    }


def _by_name(sets: Mapping[Path, list[Volume]]) -> Side:
    names = _names([*sets])
    return {names[folder]: volumes for folder, volumes in sets.items()}


def _flat(lists: Iterable[Sequence[Any]]) -> list[Any]:
    return [item for items in lists for item in items]
