"""What a result, degraded again as its model assumes, leaves unexplained of the measured input.

Of one plane: its residual, its figure, and how they are named. The figure of a whole run is
gathered by `meter` while the tiles are made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from napari_srgan.errors import InputError
from napari_srgan.image.geometry import scale_text, times_text
from napari_srgan.image.intensity import Intensity
from napari_srgan.image.valid import is_value
from napari_srgan.io import schema
from napari_srgan.trust.operators import CONSISTENCY, Operator
from napari_srgan.trust.shrinking import shrinking

LEGEND = "Zero means not contradicted by the input; it does not mean true."
REMOVED_LEGEND = (
    "Removed signal: input minus the shrunk result. It holds the noise that the model takes away, "
    "and whatever else it took; structure in it was lost."
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Consistency:
    """The residual of one plane.

    Attributes
    ----------
    map : ndarray of float32, shape (y, x)
        Input minus degraded result, in the unit of the images, at the size of the input; of RGB
        the sample that departs most, with its sign. NaN where the degradation looks at
        pixels that are not there: beside a cut, and around invalid input pixels.
    rmse_percent : float or None
        Root mean square over all samples that are not NaN, in % of the range; None if all are.
    max_percent : float or None
        The largest absolute residual, likewise.
    kind : str
        "consistency", or "removed signal" for models trained to take noise away.
    """

    map: NDArray[np.float32]
    rmse_percent: float | None
    max_percent: float | None
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyFinding:
    """What the record of a result states of a whole run.

    Attributes
    ----------
    kind : str
        "consistency" or "removed signal".
    degradation : str
    rmse_percent, max_percent : float or None
        Over all planes and samples, in % of hi - lo of the intensity range of each channel, which
        is 255 for uint8, with six digits; None if nothing could be measured.
    legend : str
    """

    kind: str
    degradation: str
    rmse_percent: float | None
    max_percent: float | None
    legend: str

    @classmethod
    def of(cls, values: Any) -> Self:
        """Read the entry of a record; ValueError if it is none."""
        measured = schema.optional(schema.number)
        readers: dict[str, schema.Reader[Any]] = {
            "kind": schema.line,
            "degradation": schema.line,
            "rmse_percent": measured,
            "max_percent": measured,
            "legend": schema.prose,
        }
        unknown = {"rmse_percent": None, "max_percent": None}
        texts = {"kind": CONSISTENCY, "degradation": "", "legend": ""}
        return cls(**{**unknown, **texts, **schema.fields_of(values, readers)})


def consistency(
    low: Any,
    high: Any,
    operator: Operator,
    data_range: float,
    cuts: tuple[bool, bool, bool, bool] = (False, False, False, False),
) -> Consistency:
    """Compare a measured plane with its degraded result.

    Parameters
    ----------
    low : array (y, x) or (y, x, 3), real
        The input; NaN and infinities are left out, with all pixels whose degradation sees them.
    high : array (sy * y, sx * x) or (sy * y, sx * x, 3), real
        The result, in the same unit.
    operator : Operator
        The degradation of the model that made it.
    data_range : float
        100 % of the figures, in that unit: 255 for uint8, else hi - lo of the intensity range.
    cuts : four bool
        Which sides (top, bottom, left, right) cut the image; see `shrinking.shrinking`.

    Returns
    -------
    Consistency

    Raises
    ------
    InputError
        If the shapes do not belong together, or the range is not above zero.

    Notes
    -----
    Input and result are taken as they are stored, rounding included: an 8-bit result of an exact
    model still has a residual of some 0.1 grey levels.
    """
    low, high = _checked(low, high, operator, data_range)
    excluded = excluded_pixels(~is_value(low), operator)
    with np.errstate(invalid="ignore"):
        low, high = (np.where(is_value(p), p, 0.0) for p in (low, high))
    shrink = shrinking(operator, low.shape[0], low.shape[1], cuts)
    residual = np.full(low.shape, np.nan)
    if not shrink.empty:
        residual[shrink.inside] = low[shrink.inside] - shrink.down(high)
    residual[excluded] = np.nan
    known = residual[np.isfinite(residual)]
    return Consistency(
        map=strongest(residual),
        rmse_percent=100 * math.sqrt(np.mean(known**2)) / data_range if known.size else None,
        max_percent=100 * float(np.abs(known).max()) / data_range if known.size else None,
        kind=operator.kind,
    )


def excluded_pixels(invalid: NDArray[np.bool_], operator: Operator) -> NDArray[np.bool_]:
    """Say which LR pixels (y, x) have a degradation that sees invalid ones, (y, x[, S])."""
    flat: NDArray[Any] = np.asarray(invalid.any(axis=2) if invalid.ndim == 3 else invalid)
    if any(operator.reach) and flat.any():
        from scipy.ndimage import maximum_filter

        flat = maximum_filter(flat, size=[2 * reach + 1 for reach in operator.reach])
    return flat


def strongest(values: NDArray[Any]) -> NDArray[np.float32]:
    """Keep of each pixel the sample that is farthest from zero, with its sign."""
    if values.ndim == 3:
        at = np.nan_to_num(np.abs(values), nan=-1.0).argmax(axis=2)
        values = np.take_along_axis(values, at[..., None], axis=2)[..., 0]
    return values.astype(np.float32)


def comparable(
    block: NDArray[Any], intensity: Intensity, channel: int = 0
) -> tuple[NDArray[np.float64], float]:
    """Bring stored values to the space where the model's degradation is linear, and give its range.

    Parameters
    ----------
    block : ndarray, shape (y, x) or (y, x, S)
        Stored values of input or result; alpha is left out.
    intensity : Intensity
        Of the run.
    channel : int
        Position along C.

    Returns
    -------
    values : ndarray of float64
        Without a transform the stored values themselves, with one the transformed ones, with the
        intensity range as 0 to 100.
    data_range : float
        What is 100 %: hi - lo, or 100 with a transform.
    """
    block = block[..., :3] if block.ndim == 3 else block
    if intensity.transform == "none":
        return block.astype(np.float64), (intensity.hi[channel] - intensity.lo[channel]) or 1.0
    with np.errstate(invalid="ignore"):
        return 100.0 * intensity.to_unit(block, channel).astype(np.float64), 100.0


def six_digits(value: float) -> float:
    """Round a figure for a record: in another order of tiles its last digits would differ."""
    return float(f"{value:.6g}")


def percent(value: float) -> str:
    """Write a figure with as many digits as say something: 0.43 %, 12.3 %, 0.0021 %."""
    if abs(value) < 1e-9:  # rounding
        return "0 %"
    return f"{value:.2g} %" if abs(value) < 1 else f"{value:.3g} %"


def _checked(
    low: Any, high: Any, operator: Operator, data_range: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    low, high = np.asarray(low), np.asarray(high)
    sy, sx = scale = operator.scale
    wanted = (sy * low.shape[0], sx * low.shape[1], *low.shape[2:]) if low.ndim in (2, 3) else ()
    if high.shape != wanted:
        raise InputError(
            f"An input of shape {low.shape} and a result of shape {high.shape} do not belong "
            f"together; the result of a {scale_text(scale)} model is {times_text(scale)} "
            "times larger along Y and X."
        )
    if not 0 < data_range < math.inf:
        raise InputError(f"The data range must be a number above zero, not {data_range}.")
    return low.astype(np.float64), high.astype(np.float64)
