"""What the results in view leave unexplained of their measured input, for Compare.

What belongs here: from the planes in view to `napari_srgan.trust`. What the map means is said
there.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import numpy as np

from napari_srgan._gui.compare.comparison import part_of
from napari_srgan._gui.compare.map_work import Mapped, Subject
from napari_srgan._gui.super_resolve.exports import record_of
from napari_srgan._gui.super_resolve.trust_maps import LEAST
from napari_srgan.errors import InputError
from napari_srgan.image.intensity import Intensity
from napari_srgan.models.catalogue import find_model
from napari_srgan.trust.consistency import LEGEND, REMOVED_LEGEND, comparable, consistency, percent
from napari_srgan.trust.operators import REMOVED, operator_of


def consistency_maps(subject: Subject) -> Generator[tuple[int, int], None, list[Mapped]]:
    """Compare the slice in view of every result with the LR input.

    Yields
    ------
    tuple of int
        How many maps are done, and how many there will be.

    Returns
    -------
    list of Mapped
        Of the size of the part of the LR input that each was made from.

    Raises
    ------
    InputError
        If there is no result or no LR input, or the model of a result is not there any more.
    """
    low, question = subject.selection.low, subject.question
    records = {name: record_of(layer) for name, layer in subject.layers.items()}
    made = {name: record for name, record in records.items() if record is not None}
    small = next((p for p in question.candidates.values() if p.part is not None), None)
    if low is None or small is None or not made:
        raise InputError(
            "The consistency map compares a result of Super-resolve with its LR input: tick a "
            "result, and choose the LR input."
        )
    at = dict(zip(small.stack.plane_axes, small.index, strict=True))
    measured = small.read()
    found = []
    for done, (name, record) in enumerate(made.items()):
        yield done, len(made)
        part = part_of(low, [subject.layers[name]])
        rows, cols = part["Y"], part["X"]
        height, width = small.stack.height, small.stack.width
        cuts = (rows[0] > 0, rows[1] < height, cols[0] > 0, cols[1] < width)
        operator = operator_of(find_model(record["model"]).card)
        intensity, channel = _intensity(record), at.get("C", 0)
        first, span = comparable(measured[slice(*rows), slice(*cols)], intensity, channel)
        second, _ = comparable(question.candidates[name].read(), intensity, channel)
        one = consistency(first, second, operator, span, cuts)
        sizes = np.abs(one.map[np.isfinite(one.map)])
        rmse = "unknown" if one.rmse_percent is None else percent(one.rmse_percent)
        legend = REMOVED_LEGEND if one.kind == REMOVED else LEGEND
        found.append(
            Mapped(
                name=name,
                layer=low,
                index=at,
                plane=one.map,
                text=f"{name}: {one.kind}, RMSE {rmse} of the intensity range.",
                part={"Y": rows, "X": cols},
                limit=max(float(np.percentile(sizes, 99.9)) if sizes.size else 0.0, LEAST * span),
                kind=one.kind,
                legend=legend,
            )
        )
    return found


def _intensity(record: Mapping[str, Any]) -> Intensity:
    """The intensity range of the run that made a result."""
    return Intensity(
        tuple(record["intensity_lo"]),
        tuple(record["intensity_hi"]),
        record["intensity_mode"],
        record["transform"],
    )
