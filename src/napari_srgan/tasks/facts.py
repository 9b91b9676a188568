"""What is known of a model beside its card: what follows from its architecture, and was measured.

A card lies within the file of the weights, and any change to it changes the SHA-256 by which
results, calibrations and `harm.json` know the model. So what can be counted is counted, and what is
measured later, on one machine or another, lies beside: for the bundled models in
`weights/measured.json`, which `benchmarks/measured.py` writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from napari_srgan.errors import InputError
from napari_srgan.io.atomic import whole_file
from napari_srgan.models.catalogue import WEIGHTS, load_model
from napari_srgan.models.file import Model
from napari_srgan.trust.calibration import Calibration, calibrations_of

MEASURED = WEIGHTS / "measured.json"
_SIDE = 32  # LR px of the plane that is counted on; no part of the count but its border


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of a model file.

    Attributes
    ----------
    seconds : float
        For a megapixel of the input, in float32.
    on : str
        The machine.
    lpips : mapping of str to (float, float)
        By validation set: LPIPS (AlexNet) of the model and of bicubic enlargement.
    """

    seconds: float
    on: str
    lpips: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a model beside its card.

    Attributes
    ----------
    multiply_adds : int
        For a pixel of the input.
    measured : Measured or None
    calibrations : mapping of kind of image to Calibration
    """

    multiply_adds: int
    measured: Measured | None
    calibrations: Mapping[str, Calibration]

    def rows(self) -> list[tuple[str, str]]:
        """Say for people what there is, under a head for each."""
        arithmetic = f"{count_text(self.multiply_adds)} multiply-adds for a pixel of the input"
        rows = [("Arithmetic", arithmetic)]
        if self.measured is not None:
            time = f"{self.measured.seconds:.3g} s for a megapixel of the input"
            rows.append(("Time", f"{time} ({self.measured.on})"))
            lpips = (f"{k} {own:.3f} (bicubic {b:.3f})" for k, (own, b) in self.lpips.items())
            rows.append(("LPIPS", "; ".join(lpips)))
        rows.append(("Calibrated", "; ".join(map(_promise, self.calibrations.values()))))
        return [(head, text) for head, text in rows if text]

    @property
    def lpips(self) -> Mapping[str, tuple[float, float]]:
        """LPIPS by validation set, of the model and of bicubic."""
        return {} if self.measured is None else self.measured.lpips

    def to_dict(self) -> dict[str, Any]:
        """Return the facts ready for JSON."""
        values: dict[str, Any] = {"multiply_adds": self.multiply_adds}
        if self.measured is not None:
            values["seconds_per_megapixel"] = self.measured.seconds
            values["measured_on"] = self.measured.on
            values["lpips"] = {k: list(v) for k, v in self.measured.lpips.items()}
        values["calibrations"] = {
            kind: {
                "alpha": c.alpha,
                "tolerance_percent": c.tolerance,
                "trusted_share": round(c.share, 4),
                "images": c.images,
            }
            for kind, c in self.calibrations.items()
        }
        return values


def facts_of(path: Path) -> Facts:
    """Return what is known of a model file.

    Raises
    ------
    InputError
        If it is no model, or the user's file of calibrations is damaged.
    """
    model = load_model(path)
    return Facts(
        multiply_adds=multiply_adds(model),
        measured=_measured().get(model.sha256),
        calibrations=calibrations_of(model.sha256),
    )


def multiply_adds(model: Model) -> int:
    """Count the multiplications for a pixel of the input, as the network is computed.

    Convolutions and matrix products count, in the form that `architectures.rewrite` gives them.
    """
    return _counted(model.sha256, model.path)


@lru_cache(maxsize=32)
def _counted(sha256: str, path: Path) -> int:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from napari_srgan.models.architectures.rewrite import for_inference

    model = load_model(path)
    network = for_inference(model.network)
    plane = torch.zeros(1, model.card.channels, _SIDE, _SIDE)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(plane)
    operations: int = counter.get_total_flops()  # a multiply-add is two
    return round(operations / 2 / _SIDE**2)


def count_text(count: int) -> str:
    """Write a number of multiply-adds: 2.06 million, 215,000."""
    return f"{count / 1e6:.3g} million" if count >= 1e6 else f"{round(count, -3):,}"


def keep_measured(found: Mapping[str, tuple[str, Measured]]) -> None:
    """Write what was measured, by model name with the SHA-256, beside what is kept of others."""
    known = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.is_file() else {}
    for name, (sha256, one) in found.items():
        values = {"seconds": one.seconds, "on": one.on, "lpips": dict(one.lpips)}
        known[name] = {"sha256": sha256, **values}
    text = json.dumps(dict(sorted(known.items())), indent=1) + "\n"
    with whole_file(MEASURED) as partial:
        partial.write_text(text, encoding="utf-8")


@cache
def _measured() -> Mapping[str, Measured]:
    """Read what was measured of the bundled models, by SHA-256."""
    if not MEASURED.is_file():
        raise InputError(f"The file {MEASURED} is missing; install napari-srgan again.")
    stated = json.loads(MEASURED.read_text(encoding="utf-8"))
    return {
        entry["sha256"]: Measured(
            entry["seconds"], entry["on"], {k: (a, b) for k, (a, b) in entry["lpips"].items()}
        )
        for entry in stated.values()
    }


def _promise(calibration: Calibration) -> str:
    return (
        f"{calibration.kind}: {100 * calibration.share:.0f} % of the pixels trusted, at most "
        f"{100 * calibration.alpha:.3g} % of them off by more than {calibration.tolerance:.3g} %"
    )
