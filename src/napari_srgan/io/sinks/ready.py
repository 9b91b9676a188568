"""Planes that are there already: noted while they are made, and handed to a later sink.

A run leaves out what its sink says is done. So a plane that was made in memory need not be made
again: if it follows from the same settings and the same pixels, it is the same to the byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.stack import Stack
from napari_srgan.io.journal import Found, Origin, Place, Unfinished
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.memory import MemorySink, Sink

_OWN = ("input", "part")
"""What of an origin is settled for each plane: by its pixels, and by its index."""


@dataclass(slots=True, eq=False)
class ReadyPlane:
    """A plane that a run has made.

    Attributes
    ----------
    pixels : ndarray, shape (Y, X[, S])
    origin : Origin or None
        What they follow from.
    found : mapping
        What was measured on it.
    low : str
        Stands for the pixels of the input; see `fingerprint`.
    """

    pixels: NDArray[Any]
    origin: Origin | None = None
    found: Found = field(default_factory=dict)
    low: str = ""


class NotingSink(MemorySink):
    """Keeps one plane in memory, and notes what a later run needs to take it over.

    Attributes
    ----------
    plane : ReadyPlane
        Once it is committed.
    """

    def open(self, spec: OutputSpec, origin: Callable[[], Origin] | None = None) -> Unfinished:
        """Reserve the memory, and note the origin."""
        former = super().open(spec, origin)
        assert self._array is not None
        inner = [a for a in spec.axes if a in "YXS"]
        wanted = [inner.index(a) for a in "YXS" if a in inner]
        outer = tuple(0 if a not in "YXS" else slice(None) for a in spec.axes)
        pixels = self._array[outer].transpose(wanted)
        self.plane = ReadyPlane(pixels, None if origin is None else origin())
        return former

    def plane_done(self, index: Place, found: Found | None = None) -> None:
        """Note what was found."""
        self.plane.found = found or {}


class ReadySink:
    """Hands planes that are ready to a sink, and the rest as it is made.

    Parameters
    ----------
    sink : Sink
    ready : mapping of index to ReadyPlane
        By position over the plane axes of the input.
    stack : Stack
        The input.
    """

    def __init__(self, sink: Sink, ready: Mapping[Place, ReadyPlane], stack: Stack) -> None:
        self._sink, self._ready, self._stack = sink, ready, stack

    def open(self, spec: OutputSpec, origin: Callable[[], Origin] | None = None) -> Unfinished:
        """Open the sink, and say of the planes that were handed over that they are done."""
        former = self._sink.open(spec, origin)
        if origin is None:
            return former
        now, done = origin(), dict(former.planes)
        region = now.settled["region"]
        sides = tuple(dict(zip(spec.axes, spec.shape, strict=True))[a] for a in "YX")
        for index, plane in self._ready.items():
            ends = [region[a] for a in self._stack.plane_axes]
            inside = all(lo <= i < hi for i, (lo, hi) in zip(index, ends, strict=True))
            place = tuple(i - lo for i, (lo, _) in zip(index, ends, strict=True))
            if not inside or place in done or plane.pixels.shape[:2] != sides:
                continue
            if _alike(plane.origin, now) and plane.low == fingerprint(self._stack, index):
                self._sink.write(place, 0, 0, plane.pixels)
                self._sink.plane_done(place, plane.found)
                done[place] = plane.found
        return replace(former, planes=done)

    def write(self, index: Place, y: int, x: int, block: NDArray[Any]) -> None:
        """See `Sink.write`."""
        self._sink.write(index, y, x, block)

    def plane_done(self, index: Place, found: Found | None = None) -> None:
        """See `Sink.plane_done`."""
        self._sink.plane_done(index, found)

    def commit(self, metadata: Mapping[str, Any] | None = None) -> NDArray[Any]:
        """See `Sink.commit`."""
        return self._sink.commit(metadata)

    def abort(self, keep: bool = False) -> None:
        """See `Sink.abort`."""
        self._sink.abort(keep)


def fingerprint(stack: Stack, index: Place) -> str:
    """Stand for the pixels of a plane that could be changed where they are: those in memory."""
    if not isinstance(stack.data, np.ndarray):
        return ""
    pixels = np.ascontiguousarray(stack.read(index))
    return hashlib.blake2b(pixels.data, digest_size=16).hexdigest()


def _alike(then: Origin | None, now: Origin) -> bool:
    if then is None:
        return False
    return then.machine == now.machine and _shared(then) == _shared(now)


def _shared(origin: Origin) -> dict[str, str]:
    return {name: value for name, value in origin.settings.items() if name not in _OWN}
