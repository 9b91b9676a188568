"""Calibrations: what a model's results may be trusted for, by kind of image, and where it is kept.

Those of the bundled models lie beside their weights, a user's own in the folder of the user's
models; a user's own comes first. They name a model by the SHA-256 of its file, so a model that is
trained anew has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError
from napari_srgan.image.kind import KINDS
from napari_srgan.io import schema
from napari_srgan.io.atomic import whole_file
from napari_srgan.models.catalogue import WEIGHTS, user_folder
from napari_srgan.trust.conformal import Tally
from napari_srgan.trust.scores import SCORES

NAME = "calibration.json"
QUANTILES = (0.1, 0.5, 0.9)
_FARTHER = 1.25
"""How many times a new image's quantiles may be beyond those of the calibration's images. Of 20
images that were drawn alike, one is beyond the others in every tenth case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Up to which score a model's pixels are trusted in images of a kind.

    Attributes
    ----------
    model, sha256 : str
        Name, and SHA-256 of the file.
    kind : str
        Of `image.kind.KINDS`.
    score : str
        Of `scores.SCORES`.
    threshold : float
        % of the range; pixels with no greater score are trusted.
    alpha : float
        Expected share of the trusted pixels that are off by more than the tolerance, at most.
    tolerance : float
        % of the range.
    images : int
        How many images or volumes the threshold was chosen on.
    share : float
        Of the pixels of these that are trusted, in the mean.
    typical : tuple of (float, float)
        For each of `QUANTILES`, the range of that quantile of the scores over these images.
    degradation : str
        By which they were made.
    date, tool_version : str
    """

    model: str
    sha256: str
    kind: str
    score: str
    threshold: float
    alpha: float
    tolerance: float
    images: int
    share: float
    typical: tuple[tuple[float, float], ...]
    degradation: str = ""
    date: str = ""
    tool_version: str = ""

    @property
    def sentence(self) -> str:
        """The guarantee and its condition."""
        return (
            f"In images like the {self.images} that it was calibrated on ({self.kind}, degraded by "
            f"{self.degradation}), on average at most {100 * self.alpha:.3g} % of the pixels "
            f"marked as trusted are off by more than {self.tolerance:.3g} % of the range."
        )

    def unlike(self, seen: Tally) -> str:
        """Say in a sentence if an image's scores are not like those of the calibration, else ""."""
        for share, (low, high) in zip(QUANTILES, self.typical, strict=True):
            value = seen.quantile(share)
            if not low / _FARTHER <= value <= high * _FARTHER:
                name = "median" if share == 0.5 else f"{100 * share:.0f} % quantile"
                return (
                    "This image is not like those that the trust mask was calibrated on, so its "
                    f"guarantee does not hold here: the {name} of the score '{self.score}' is "
                    f"{value:.2g} %, and theirs lie between {low:.2g} and {high:.2g} %."
                )
        return ""


def typical(tallies: Sequence[Tally]) -> tuple[tuple[float, float], ...]:
    """Return the range of each of `QUANTILES` of the scores over images."""
    found = []
    for share in QUANTILES:
        values = [t.quantile(share) for t in tallies]
        found.append((min(values), max(values)))
    return tuple(found)


def calibration_for(model: str, sha256: str, kind: str) -> Calibration:
    """Return the calibration of a model for a kind of image.

    Parameters
    ----------
    model, sha256 : str
        Its name, for the message, and its file's SHA-256.
    kind : str

    Raises
    ------
    InputError
        If there is none, or the user's file of calibrations is damaged.
    """
    known = calibrations_of(sha256)
    if kind in known:
        return known[kind]
    others = f"; it has one for {', '.join(known)}" if known else ""
    raise InputError(
        f"The model {model} has no calibration for images of the kind {kind or 'that this is'}"
        f"{others}: make one with 'napari-srgan calibrate HR_FOLDER --model {model}', or leave the "
        "trust mask out."
    )


def calibrations_of(sha256: str) -> dict[str, Calibration]:
    """Return the calibrations of a model file by kind of image, in the order of the kinds.

    Raises
    ------
    InputError
        If the user's file of calibrations is damaged.
    """
    known = {
        found.kind: found
        for folder in (WEIGHTS, user_folder())  # the user's own come last, and so first
        for found in read_calibrations(folder / NAME)
        if found.sha256 == sha256
    }
    return {kind: known[kind] for kind in KINDS if kind in known}


def read_calibrations(path: Path) -> list[Calibration]:
    """Read a file of calibrations; none where there is no file.

    Raises
    ------
    InputError
        If it is damaged.
    """
    try:
        values = schema.from_json(schema.content(path))
        entries = schema.several(schema.mapping)(values)
        return [Calibration(**schema.fields_of(e, _FIELDS, _REQUIRED)) for e in entries]
    except FileNotFoundError:
        return []
    except (ValueError, OSError) as error:
        raise InputError(
            f"The file of calibrations {path} cannot be used ({error}); remove it and calibrate "
            "again."
        ) from error


def keep_calibrations(path: Path, new: Iterable[Calibration]) -> None:
    """Add calibrations to a file, in the place of former ones of the same model name and kind.

    Raises
    ------
    InputError
        If the file that is there is damaged, or the place cannot be written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, patience=5) as partial:  # held from the reading to the writing
        kept = {(c.model, c.kind): c for c in read_calibrations(path)}
        kept |= {(c.model, c.kind): c for c in new}
        entries = [asdict(kept[key]) for key in sorted(kept)]
        partial.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


def _share(value: Any) -> float:
    found = schema.number(value)
    if not 0 <= found <= 1:
        raise ValueError(f"must be from 0 to 1, not {schema.shown(value)}")
    return found


def _positive(value: Any) -> float:
    found = schema.number(value)
    if found <= 0:
        raise ValueError(f"must be above 0, not {schema.shown(value)}")
    return found


_FIELDS: Mapping[str, schema.Reader[Any]] = {
    "model": schema.line,
    "sha256": schema.line,
    "kind": schema.one_of(KINDS),
    "score": schema.one_of(SCORES),
    "threshold": _positive,
    "alpha": _share,
    "tolerance": _positive,
    "images": schema.whole(1, 10**9),
    "share": _share,
    "typical": schema.several(schema.several(schema.number, 2), len(QUANTILES)),
    "degradation": schema.line,
    "date": schema.line,
    "tool_version": schema.line,
}
_REQUIRED = [name for name in _FIELDS if name not in ("degradation", "date", "tool_version")]
