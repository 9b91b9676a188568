"""What a reader of a comparison has to know beside its figures, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from napari_srgan.image.geometry import scale_text
from napari_srgan.image.stack import Stack
from napari_srgan.measure.shift import WARN_ABOVE
from napari_srgan.measure.stack_figures import PlaneFigures, StackFigures

_NOT_DEFINED = {
    "ssim": "SSIM needs 11 px a side",
    "ms_ssim": "MS-SSIM needs 176 px a side",
    "pearson": "Pearson's correlation of a constant image is not defined",
}


def notes_on(
    reference: Stack,
    stacks: Mapping[str, Stack],
    whole: Mapping[str, StackFigures],
    planes: Sequence[PlaneFigures],
    middle: tuple[int, ...],
) -> tuple[str, ...]:
    """Compose the notes on a comparison.

    Parameters
    ----------
    reference : Stack
    stacks : mapping of candidate to Stack
    whole : mapping of candidate to StackFigures
    planes : sequence of PlaneFigures
        Of all candidates.
    middle : tuple of int
        The plane for which shifts were estimated.

    Returns
    -------
    tuple of str
        One sentence each.
    """
    notes = []
    for name, stack in stacks.items():
        scale = whole[name].scale
        if scale != (1, 1):
            what = name if name == stack.name else f"{name} is {stack.name}, which"
            notes.append(
                f"{what} was enlarged {scale_text(scale)} by bicubic to the grid of "
                f"{reference.name}."
            )
        if stack.dtype != reference.dtype:
            notes.append(
                f"{stack.name} is of the type {stack.dtype} and {reference.name} of the type "
                f"{reference.dtype}: the values are compared as they are."
            )
        shift = whole[name].shift
        if all(map(math.isfinite, shift)) and max(map(abs, shift)) > WARN_ABOVE:
            at = ", ".join(f"{a}={i}" for a, i in zip(reference.plane_axes, middle, strict=True))
            notes.append(
                f"Warning: {name} seems to lie {shift[0]:+.2f} px along Y and {shift[1]:+.2f} px "
                f"along X from {reference.name}{f' in slice {at}' if at else ''}; a shift lowers "
                "all figures, so align the images first."
            )
    return (*notes, *_not_defined(planes))


def _not_defined(planes: Sequence[PlaneFigures]) -> list[str]:
    notes = []
    for measure, why in _NOT_DEFINED.items():
        values = [p.figures[measure] for p in planes if measure in p.figures]
        without = {(p.candidate, p.index) for p in planes if p.figures.get(measure, 0.0) is None}
        if without:
            count = len(without)
            where = "everywhere" if count == len(values) else f"in {count} of {len(values)} figures"
            notes.append(f"{why}; it is left out {where}.")
    return notes
