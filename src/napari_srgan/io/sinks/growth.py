"""A file that is looked at while it is made: its planes that are done can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from napari_srgan.io.journal import Found, Origin, Place, Unfinished
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks.file import FileSink


class Growth:
    """What there is of a file that another thread makes.

    Attributes
    ----------
    done : set of tuple of int
        The planes that are done, by their place in the output.
    """

    def __init__(self) -> None:
        self.done: set[Place] = set()
        self._sink: FileSink | None = None

    def begin(self, sink: FileSink, done: Mapping[Place, Found]) -> None:
        """Take a file that is laid out, with the planes that a former run has made."""
        self.done |= set(done)
        self._sink = sink

    def end(self) -> None:
        """Let go of it."""
        self._sink = None

    def plane(self, place: Place) -> NDArray[Any] | None:
        """Read a plane (Y, X[, S]); None if it is not done, or the file is whole or given up."""
        sink = self._sink
        return None if sink is None or place not in self.done else sink.plane(place)


class GrowingSink:
    """A file's sink that lets it be looked at.

    Parameters
    ----------
    sink : FileSink
    growth : Growth
        Told of every plane.
    """

    def __init__(self, sink: FileSink, growth: Growth) -> None:
        self._sink, self._growth = sink, growth

    def open(self, spec: OutputSpec, origin: Callable[[], Origin] | None = None) -> Unfinished:
        """See `Sink.open`."""
        former = self._sink.open(spec, origin)
        self._growth.begin(self._sink, former.planes)
        return former

    def write(self, index: Place, y: int, x: int, block: NDArray[Any]) -> None:
        """See `Sink.write`."""
        self._sink.write(index, y, x, block)

    def plane_done(self, index: Place, found: Found | None = None) -> None:
        """Tell of it; see `Sink.plane_done`."""
        self._sink.plane_done(index, found)
        self._growth.done.add(index)

    def commit(self, metadata: Mapping[str, Any] | None = None) -> NDArray[Any]:
        """See `Sink.commit`."""
        self._growth.end()
        return self._sink.commit(metadata)

    def abort(self, keep: bool = False) -> None:
        """See `Sink.abort`."""
        self._growth.end()
        self._sink.abort(keep)
