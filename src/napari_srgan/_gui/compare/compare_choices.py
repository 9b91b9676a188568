"""What Compare chooses by itself where the answer is plain: reference, LR input.

What belongs here: those rules. Candidates that are results tick themselves (candidate_list.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_srgan._gui.compare.candidate_list import is_candidate
from napari_srgan._gui.layers import data_shape, layer_axes
from napari_srgan._gui.result_layer import input_of
from napari_srgan._gui.super_resolve.exports import record_of
from napari_srgan.errors import InputError
from napari_srgan.measure.grid import whole_factors

if TYPE_CHECKING:
    from napari_srgan._gui.compare.compare import Compare


class Choices:
    """Completes the choices of a panel; what the user has chosen stays."""

    def __init__(self, panel: Compare) -> None:
        self._panel = panel
        self._first: Any = None
        self._watched: list[Any] = []

    def complete(self) -> None:
        """Choose what was left open."""
        panel = self._panel
        for box in (panel.reference, panel.low):
            box.blockSignals(True)
        ticked = panel.candidates.ticked()
        if panel.reference.value() is None and ticked:
            size = data_shape(ticked[0])
            fitting = [
                la
                for la in panel.reference.layers()
                if is_candidate(la)
                and record_of(la) is None
                and data_shape(la) == size
                and not any(la is t for t in ticked)
            ]
            if len(fitting) == 1:
                panel.reference.choose(fitting[0])
        panel.candidates.leave_out(panel.reference.value())
        self._choose_low()
        for box in (panel.reference, panel.low):
            box.blockSignals(False)
        self._watch()

    def _choose_low(self) -> None:
        """With a new first candidate, choose the layer it was made from, else the one that fits."""
        panel = self._panel
        ticked, reference = panel.candidates.ticked(), panel.reference.value()
        first = ticked[0] if ticked else None
        if first is self._first:
            return
        self._first = first
        if first is None:
            return
        source = input_of(first, panel.low.layers())
        if source is None and panel.low.value() is None and reference is not None:
            smaller = [la for la in panel.low.layers() if is_candidate(la) and _fits(la, reference)]
            source = smaller[0] if len(smaller) == 1 else None
        if source is not None:
            panel.low.choose(source)

    def _watch(self) -> None:
        """Hear of new pixels in the chosen layers."""
        panel = self._panel
        chosen = [panel.reference.value(), *panel.candidates.ticked(), panel.low.value()]
        wanted = [la.events.data for la in chosen if la is not None]
        if [id(e) for e in wanted] == [id(e) for e in self._watched]:
            return
        if self._watched:
            panel._connections.disconnect_from(*self._watched)
        for emitter in wanted:
            panel._connections.connect(emitter, panel.data_changed)
        self._watched = wanted


def _fits(low: Any, reference: Any) -> bool:
    """Whether a layer is a whole number of times smaller, with the same slices and colours."""
    if low.rgb != reference.rgb or low.ndim != reference.ndim:
        return False
    try:
        sizes = [dict(zip(layer_axes(la), data_shape(la), strict=True)) for la in (low, reference)]
    except InputError:
        return False
    same = all(sizes[0].get(a) == sizes[1].get(a) for a in "TCZ")
    scale = whole_factors(*((s["Y"], s["X"]) for s in sizes))
    return same and scale is not None and scale != (1, 1)
