"""The pictures of a report: which limits their colours have, and the words under them.

What belongs here: one function for each group of pictures. The part that is shown is `frames`'.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.geometry import scale_text
from napari_srgan.image.views import values_range
from napari_srgan.tasks.map_request import MapNotes
from napari_srgan.tasks.report.content import Colours, Picture
from napari_srgan.tasks.report.frames import Part
from napari_srgan.trust.consistency import percent, strongest

_GRAY = (0.1, 99.9)  # percentiles that are black and white
_END = 99.9  # percentile of a map at the end of its colours
_LEAST = 0.01  # of the range: rounding noise is not to look alarming


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Planes:
    """The planes of the shown slice.

    Attributes
    ----------
    low : ndarray, shape (y, x) or (y, x, S)
        The input, of the part that was restored.
    bicubic, result : ndarray, shape (Y, X) or (Y, X, S)
    reference : ndarray or None
    """

    low: NDArray[Any]
    bicubic: NDArray[Any]
    result: NDArray[Any]
    reference: NDArray[Any] | None


def image_pictures(planes: Planes, part: Part, model: str, names: Sequence[str]) -> list[Picture]:
    """Show input, bicubic, result and reference with one black and one white.

    Parameters
    ----------
    planes : Planes
    part : Part
    model : str
    names : sequence of str
        Of the input and the reference.
    """
    low = _colours(part.low(planes.low))
    lo, hi = (0.0, 255.0)
    rgb = low.ndim == 3
    if not (rgb and low.dtype == np.uint8):
        lo, hi = values_range(low, _GRAY)
    finer = scale_text(part.scale)
    sy, sx = part.scale
    pairs = [
        ("input", "Input", f"{names[0]}, as measured; each pixel as {sy} x {sx}.", low),
        (
            "bicubic",
            "Bicubic",
            f"The input enlarged {finer} by bicubic interpolation, which adds no detail.",
            part.high(planes.bicubic),
        ),
        (
            "result",
            model,
            f"The input super-resolved {finer}; fine detail is estimated, not measured.",
            part.high(planes.result),
        ),
    ]
    if planes.reference is not None:
        pairs.append(
            ("reference", "Reference", f"{names[1]}.", part.high(planes.reference)),
        )
    return [
        Picture(
            name=name,
            title=title,
            caption=caption,
            pixels=_colours(pixels),
            colours="rgb" if rgb else "gray",
            lo=lo,
            hi=hi,
            framed=True,
        )
        for name, title, caption, pixels in pairs
    ]


def trust_picture(
    values: NDArray[np.float32], notes: MapNotes, figure: float | None, part: Part, span: float
) -> Picture:
    """Show a trust map; `figure` is its RMS over the slice in % of the range, `span`."""
    signed = notes.kind == "consistency"
    cut = part.low(values) if notes.scale == (1, 1) else part.high(values)
    in_percent = notes.unit.startswith("%")
    limit = _limit(cut, 100.0 if in_percent else span)
    ends = " Red: the input is brighter; blue: the degraded result is." if signed else ""
    if not in_percent:
        ends += f" The colours end at {percent(100 * limit / span)} of the range."
    rms = "" if figure is None else f"RMS {percent(figure)} of the range. "
    return Picture(
        name=notes.kind,
        title=notes.title.capitalize(),
        caption=f"{rms}{_legend(notes)}{ends}",
        pixels=cut,
        colours="diverging" if signed else "sequential",
        lo=-limit if signed else 0.0,
        hi=limit,
        unit=notes.unit,
    )


def reference_pictures(
    planes: Planes,
    error: NDArray[np.float32],
    rse: float | None,
    part: Part,
    model: str,
    span: float,
) -> list[Picture]:
    """Show how far bicubic and the result are from the reference, and the error map.

    Parameters
    ----------
    planes : Planes
        With a reference.
    error : ndarray of float32, shape (Y, X)
        The error map of the result, and its RMS `rse`; None: the reference is constant here.
    part : Part
    model : str
    span : float
        The data range.
    """
    assert planes.reference is not None
    truth = _colours(part.high(planes.reference)).astype(np.float64)
    differences = {
        name: strongest(_colours(part.high(plane)).astype(np.float64) - truth)
        for name, plane in (("bicubic", planes.bicubic), (model, planes.result))
    }
    # One limit for both, that of bicubic, so that they can be compared.
    limit = _limit(differences["bicubic"], span)
    colours = " Of the colour that departs most." if truth.ndim == 3 else ""
    found = [
        _map(
            f"difference-{'bicubic' if name == 'bicubic' else 'result'}",
            f"{name} minus reference",
            f"Red: too bright, blue: too dark. Both differences have the same colours.{colours}",
            values,
            "diverging",
            limit,
        )
        for name, values in differences.items()
    ]
    luma = " Of the luma." if truth.ndim == 3 else ""
    rms = "It is not defined here, where the reference is constant."
    if rse is not None:
        rms = f"Root mean square {rse:#.3g}."
    found.append(
        _map(
            "error",
            f"Error map of {model}",
            "What is left of |reference - result| after gain, offset and blur of the result were "
            "fitted to the reference, in the manner of SQUIRREL: structures that one of them shows "
            f"and the other does not. {rms}{luma}",
            part.high(error),
            "sequential",
            _limit(part.high(error), span),
        )
    )
    return found


def detail_picture(picture: Picture, window: Part) -> Picture:
    """Cut the details out of an image."""
    low = picture.name == "input"
    pixels = window.low(picture.pixels) if low else window.high(picture.pixels)
    return replace(picture, pixels=pixels, caption="", framed=False)


def _map(
    name: str, title: str, caption: str, values: NDArray[Any], colours: Colours, limit: float
) -> Picture:
    return Picture(
        name=name,
        title=title,
        caption=caption,
        pixels=values,
        colours=colours,
        lo=-limit if colours == "diverging" else 0.0,
        hi=limit,
        unit="stored values",
    )


def _limit(values: NDArray[Any], span: float) -> float:
    known = np.abs(values[np.isfinite(values)])
    return max(float(np.percentile(known, _END)) if known.size else 0.0, _LEAST * span)


def _colours(plane: NDArray[Any]) -> NDArray[Any]:
    return plane[..., :3] if plane.ndim == 3 else plane


def _legend(notes: MapNotes) -> str:
    # Under the title "Removed signal", the legend's own first words would say it twice.
    head, colon, rest = notes.legend.partition(": ")
    if colon and head.lower() == notes.title.lower():
        return rest[:1].upper() + rest[1:]
    return notes.legend
