"""Looking at an image restored, a part or a slice at a time, and keeping the slices that are done.

What a person has seen is not computed again: neither when it is looked at once more nor when the
whole stack is restored.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator, Hashable
from dataclasses import dataclass, replace
from typing import Any

from napari_srgan.image.stack import Region, Stack
from napari_srgan.io.sinks import MemorySink
from napari_srgan.io.sinks.ready import NotingSink, ReadyPlane, fingerprint
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.restore import Restored, carried_out


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A part of an image, restored.

    Attributes
    ----------
    restored : Restored
    plane : ReadyPlane or None
        Of a whole slice: what a run over the whole stack takes over.
    """

    restored: Restored
    plane: ReadyPlane | None = None

    @property
    def nbytes(self) -> int:
        """Size of its pixels."""
        return int(self.restored.result.data.nbytes)


def look(
    stack: Stack, options: RestoreOptions, region: Region
) -> Generator[Look | None, None, None]:
    """Restore a part of one slice in memory.

    Parameters
    ----------
    stack : Stack
    options : RestoreOptions
        Its region does not count.
    region : Region
        A position along each of the plane axes, and perhaps ranges along Y and X.

    Yields
    ------
    Look or None
        The part when it is there; None before, wherever the work can be given up.

    Raises
    ------
    InputError
        If the image, an option or the region cannot be used.
    """
    whole = not {"Y", "X"} & set(region)
    sink = NotingSink() if whole else MemorySink()
    steps = carried_out(stack, replace(options, region=region), sink)
    try:
        while True:
            next(steps)
            yield None
    except StopIteration as done:
        plane = None
        if isinstance(sink, NotingSink):
            plane = sink.plane
            plane.low = fingerprint(stack, tuple(region[a][0] for a in stack.plane_axes))
        yield Look(done.value, plane)
    finally:
        steps.close()


class KeptLooks:
    """What was looked at, the last of it, within a bound of memory; for any number of threads.

    Parameters
    ----------
    most : int
        Bytes of pixels.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.nbytes = 0
        self._kept: OrderedDict[Hashable, Look] = OrderedDict()
        self._lock = threading.Lock()

    def put(self, key: Hashable, made: Look) -> None:
        """Keep it, and let go of what was looked at longest ago; what is too large is not kept."""
        size = made.nbytes
        with self._lock:
            if size > self.most:
                return
            former = self._kept.pop(key, None)
            self.nbytes += size - (0 if former is None else former.nbytes)
            self._kept[key] = made
            while self.nbytes > self.most:
                _, oldest = self._kept.popitem(last=False)
                self.nbytes -= oldest.nbytes

    def get(self, key: Hashable) -> Look | None:
        """Return what is kept under a key, if it is; it counts as looked at now."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def __contains__(self, key: Hashable) -> bool:
        return key in self._kept

    def held(self) -> list[Any]:
        """What is kept, the oldest first."""
        with self._lock:
            return list(self._kept)

    def clear(self) -> None:
        """Let go of all."""
        with self._lock:
            self._kept.clear()
            self.nbytes = 0
