"""What Compare measures of the slice in view: which planes of which layers, and their pixels.

The question is asked on the GUI thread, and nothing is read for it; the pixels are read in the
thread that answers it.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.compare.colours import compared_stack, differ
from napari_srgan._gui.layers import layer_stack, unique_name, view_of
from napari_srgan._gui.sentences import plane_text
from napari_srgan._gui.tags import is_made_from, made_from
from napari_srgan.errors import InputError
from napari_srgan.image.intensity import to_dtype
from napari_srgan.measure.grid import (
    check_kind,
    on_reference_grid,
    plane_factors,
    reference_range,
    refuse_invalid_plane,
    whole_factors,
)
from napari_srgan.measure.planes import Settings
from napari_srgan.measure.stacks import BICUBIC

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image

    from napari_srgan.image.stack import Stack

Range = tuple[int, int]


@dataclass(frozen=True)
class Plane:
    """One plane of a stack.

    Attributes
    ----------
    stack : Stack
    index : tuple of int
        Over its plane axes.
    part : ((int, int), (int, int)) or None
        Of the LR input: rows and columns that the candidate was made from, half-open.
    """

    stack: Stack
    index: tuple[int, ...]
    part: tuple[Range, Range] | None = None

    def read(self) -> np.ndarray:
        """Its pixels, (y, x) or (y, x, S).

        Raises
        ------
        InputError
            If some of them are NaN or infinite.
        """
        pixels = self.stack.read(self.index)
        refuse_invalid_plane(pixels, self.stack, self.index)
        return pixels


@dataclass(frozen=True)
class Question:
    """What is to be measured.

    Attributes
    ----------
    reference : Plane
    candidates : mapping of name to Plane
        In the order of the table; the plane of "bicubic" is the LR input's, with a part.
    settings : Settings
    where, slice_name : str
        Names the plane, in words and for the table.
    errors : mapping of name to str
        Candidates that have no plane here, and why.
    notes : tuple of str
        Doubts, for instance that two layers do not lie at one place.
    data_range : float or None
        Given by hand.
    """

    reference: Plane
    candidates: Mapping[str, Plane]
    settings: Settings
    where: str
    slice_name: str
    errors: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    data_range: float | None = None

    def asks_the_same(self, other: Question) -> bool:
        """Whether the answer is the same; pixels are told apart by identity, not by values."""
        return self._essence() == other._essence()

    @property
    def position(self) -> dict[str, int]:
        """The plane of the reference, by the letters of its axes."""
        return dict(zip(self.reference.stack.plane_axes, self.reference.index, strict=True))

    def _essence(self) -> tuple[Any, ...]:
        planes = {"": self.reference, **self.candidates}
        return (
            [(name, id(p.stack.data), p.stack.name, p.index, p.part) for name, p in planes.items()],
            self.settings,
            self.data_range,
            self.errors,
            self.notes,
        )


def question_for(
    reference: Image,
    candidates: Sequence[Image],
    low: Image | None,
    dims: Dims,
    settings: Settings | None = None,
    data_range: float | None = None,
) -> Question:
    """Find the planes in view.

    Raises
    ------
    InputError
        If the reference cannot be measured, or the slider is beyond it.
    """
    mixed = differ([reference, *candidates, *([] if low is None else [low])])
    ref = _in_view(reference, mixed, dims)
    planes: dict[str, Plane] = {}
    errors: dict[str, str] = {}
    notes: list[str] = []
    for layer in candidates:
        try:
            plane = _in_view(layer, mixed, dims)
            check_kind(ref.stack, plane.stack)
            plane_factors(ref.stack, plane.stack)
            planes[layer.name] = plane
            notes += _place_note(reference, layer)
        except InputError as error:
            errors[layer.name] = str(error)
    if low is not None:
        name = bicubic_name(candidates)
        try:
            small = _in_view(low, mixed, dims)
            check_kind(ref.stack, small.stack)
            part = part_of(low, candidates)
            planes[name] = replace(small, part=(part["Y"], part["X"]))
        except InputError as error:
            errors[name] = str(error)
    at = dict(zip(ref.stack.plane_axes, ref.index, strict=True))
    long = {a: i for a, i in at.items() if ref.stack.sizes[a] > 1}
    return Question(
        reference=ref,
        candidates=planes,
        settings=settings or Settings(measures=("psnr", "ssim")),
        where=plane_text(at, ref.stack.sizes),
        slice_name=" ".join(f"{a}={i}" for a, i in long.items()) or "image",
        errors=errors,
        notes=tuple(notes),
        data_range=data_range,
    )


def bicubic_name(candidates: Sequence[Image]) -> str:
    """The name of the row of bicubic, which no candidate has."""
    return unique_name(BICUBIC, [layer.name for layer in candidates])


def part_of(low: Image, candidates: Sequence[Image]) -> dict[str, Range]:
    """The part of the LR input that the first candidate was made from, axis by axis."""
    stack = layer_stack(low)
    part = {a: (0, n) for a, n in stack.sizes.items() if a != "S"}
    for layer in candidates:
        if is_made_from(layer, low):
            region = made_from(layer).region
            return part | {a: (int(lo), int(hi)) for a, (lo, hi) in region.items()}
    return part


def enlarged(
    low: np.ndarray, part: tuple[Range, Range], shape: tuple[int, ...], name: str
) -> np.ndarray:
    """Enlarge an LR plane bicubically and cut it to the part that the reference shows.

    Enlarged first, so that at the cut it looks as a whole image does there.

    Parameters
    ----------
    low : ndarray, shape (y, x) or (y, x, S)
    part : ((int, int), (int, int))
        Rows and columns of it, half-open.
    shape : tuple of int
        Of the reference's plane.
    name : str
        Of the LR input.

    Returns
    -------
    ndarray
        In the dtype of `low`, integers rounded and clipped, as a restoration's are.

    Raises
    ------
    InputError
        If the sizes do not differ by whole factors, or not at all.
    """
    from napari_srgan.image.resampling import bicubic_enlarge

    (y0, y1), (x0, x1) = part
    height, width = shape[:2]
    scale = whole_factors((y1 - y0, x1 - x0), (height, width))
    if scale is None or scale == (1, 1):
        raise InputError(
            f"The LR input {name} is {y1 - y0} x {x1 - x0} px and the reference {height} x {width} "
            "px: choose an LR input that is a whole number of times smaller."
        )
    sy, sx = scale
    large = bicubic_enlarge(low, scale)[sy * y0 : sy * y1, sx * x0 : sx * x1]
    return to_dtype(large, low.dtype)


def _in_view(layer: Image, mixed: bool, dims: Dims) -> Plane:
    stack, view = compared_stack(layer, mixed), view_of(layer, dims)
    if view.outside:
        raise InputError(f"The slider is beyond {layer.name}; move it to a slice that both have.")
    return Plane(stack, tuple(view.index[a] for a in stack.plane_axes))


def _place_note(reference: Image, candidate: Image) -> list[str]:
    first, second = (np.asarray(la.extent.world)[:, -2:] for la in (reference, candidate))
    pixel = np.abs(np.asarray(reference.scale)[-2:])
    # The corners are pixel centres, which lie apart where pixels differ in size.
    room = 0.5 * pixel + 0.5 * np.abs(np.asarray(candidate.scale)[-2:] - pixel)
    if first.shape == second.shape and np.any(np.abs(first - second) > room):
        return [f"{candidate.name} and {reference.name} do not lie at the same place."]
    return []


class DataRange:
    """The data range of the last reference, so that moving the slider reads it only once.

    It is that of the whole stack: all slices refer to the same range.
    """

    def __init__(self) -> None:
        self._data: Any = None
        self._range = 0.0
        self._lock = threading.Lock()

    def of(self, question: Question) -> float:
        """Return the range that was given by hand, or that of the reference's stack."""
        if question.data_range is not None:
            return question.data_range
        return self.of_stack(question.reference.stack)

    def of_stack(self, stack: Stack) -> float:
        """Return the range of a reference's stack."""
        with self._lock:
            if stack.data is not self._data:
                self._range = reference_range(stack)
                self._data = stack.data
            return self._range

    def forget(self) -> None:
        """Measure anew the next time: the pixels have changed."""
        self._data = None


class SlicePixels:
    """The planes of a question on the reference's grid, each read and enlarged only once."""

    def __init__(self, question: Question) -> None:
        self.question = question
        self._kept: dict[str, np.ndarray] = {}
        self._locks = {name: threading.Lock() for name in ("", *question.candidates)}

    def reference(self) -> np.ndarray:
        """The reference's plane."""
        with self._locks[""]:
            if "" not in self._kept:
                self._kept[""] = self.question.reference.read()
            return self._kept[""]

    def candidate(self, name: str) -> np.ndarray:
        """A candidate's plane, enlarged by bicubic if it is smaller."""
        shape = self.reference().shape
        plane = self.question.candidates[name]
        with self._locks[name]:
            if name not in self._kept:
                pixels = plane.read()
                if plane.part is None:
                    self._kept[name] = on_reference_grid(pixels, shape)[0]
                else:
                    self._kept[name] = enlarged(pixels, plane.part, shape, plane.stack.name)
            return self._kept[name]
