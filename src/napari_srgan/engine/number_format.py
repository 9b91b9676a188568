"""Which number format `auto` takes: sixteen bits where they are known to keep a rule.

The rule is stated as harm to results of 8 bits: the PSNR on the validation images of the model's
card falls by at most 0.02 dB, 99.9 % of the pixels move by at most one grey level, and none by more
than four. For the bundled models it was measured on all of these images (benchmarks/harm.py writes
`weights/harm.json`); any other model is tried on a picture, which is harder than most images.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_srgan.engine.devices import native_16_bits
from napari_srgan.engine.window import window_network
from napari_srgan.models.catalogue import WEIGHTS

if TYPE_CHECKING:
    import torch

    from napari_srgan.models.file import Model

LEVELS = 255
MOST_PSNR_LOST = 0.02  # dB
MOST_MOVED = 0.001
LARGEST_MOVE = 4  # grey levels

_TRIAL = 64  # side of the picture, LR px


@dataclass(frozen=True, slots=True)
class Harm:
    """What 16 bits do to 8-bit results, beside float32.

    Attributes
    ----------
    moved : float
        Share of the pixels that move by more than one grey level.
    largest : int
        Grey levels that a pixel moves by at most.
    psnr_lost : float
        dB, the mean of a set; 0 where there is no reference.
    """

    moved: float
    largest: int
    psnr_lost: float = 0.0

    @classmethod
    def between(cls, low: NDArray[Any], exact: NDArray[Any]) -> Self:
        """Compare two results, both nominally in [0, 1]; one that is not finite moves all."""
        if not np.isfinite(low).all():
            return cls(1.0, LEVELS)
        moves = np.abs(np.subtract(*(np.rint(LEVELS * np.clip(a, 0, 1)) for a in (low, exact))))
        return cls(float((moves > 1).mean()), int(moves.max()))

    @property
    def allowed(self) -> bool:
        """Whether it keeps the rule."""
        return (
            self.moved <= MOST_MOVED
            and self.largest <= LARGEST_MOVE
            and self.psnr_lost <= MOST_PSNR_LOST
        )


def auto_precision(model: Model, device: torch.device, backend: str) -> str:
    """Choose the number format of a model on a device.

    Returns
    -------
    str
        A 16-bit format that is native to the device and keeps the rule, else "float32".
    """
    for low in native_16_bits(device):
        if harm(model, device, low, backend).allowed:
            return low
    return "float32"


_tried: dict[tuple[str, str, str, str], Harm] = {}


def harm(model: Model, device: torch.device, precision: str, backend: str) -> Harm:
    """Say what a 16-bit format does to the results of a model; measured, or tried once.

    Parameters
    ----------
    model : Model
    device : torch.device
    precision : {"bfloat16", "float16"}
    backend : {"torch", "openvino"}
    """
    stated = measured().get(model.sha256, {}).get(f"{backend} {precision}")
    if stated is not None:
        return stated
    key = (model.sha256, str(device), precision, backend)
    if key not in _tried:
        picture = trial_picture()
        if model.card.channels == 3:
            picture = np.stack([picture, picture[::-1], picture[:, ::-1]], axis=-1)
        results = (
            window_network(model, device, p, backend)(picture)[0] for p in (precision, "float32")
        )
        _tried[key] = Harm.between(*results)
    return _tried[key]


@cache
def measured() -> Mapping[str, Mapping[str, Harm]]:
    """Read what was measured of the bundled models: by SHA-256, then by backend and format."""
    stated = json.loads((WEIGHTS / "harm.json").read_text(encoding="utf-8"))
    return {
        entry["sha256"]: {name: Harm(**values) for name, values in entry["harm"].items()}
        for entry in stated.values()
    }


def trial_picture() -> NDArray[np.float32]:
    """Draw what 16 bits are tried on: layers with speckle, a ramp, a disk and fine lines.

    Returns
    -------
    ndarray of float32, shape (64, 64)
        Values in [0, 1], the same on every machine.
    """
    y, x = np.mgrid[:_TRIAL, :_TRIAL] / _TRIAL
    layers = 0.45 + 0.3 * np.sin(14 * y + 1.5 * np.sin(4 * x)) + 0.15 * (y > 0.55)
    speckle = np.random.default_rng(0).gamma(9, 1 / 9, (_TRIAL, _TRIAL))
    picture = np.where(x < 0.5, layers * speckle, x + y - 0.5)
    picture[np.hypot(y - 0.3, x - 0.75) < 0.12] = 1.0
    picture[_TRIAL // 2 :, 3 * _TRIAL // 4 :: 3] = 0.05
    clipped: NDArray[np.float32] = np.clip(picture, 0, 1).astype(np.float32)
    return clipped
