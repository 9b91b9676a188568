"""A result brought to another factor than its model's, on its way into a sink.

The model makes what its card says, 4x for instance; an antialiased cubic kernel makes less of it.
A plane is taken as it is made, in bands of rows, and no more of it is held than the tiles of a row
and the reach of the kernel; what comes out does not depend on the bands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.image.geometry import Factor, Scale
from napari_srgan.image.intensity import to_dtype
from napari_srgan.image.resampling import cubic_weights
from napari_srgan.image.valid import is_value
from napari_srgan.io.journal import Found, Origin, Unfinished
from napari_srgan.io.output import OutputSpec
from napari_srgan.io.sinks import Sink

AT_ONCE = 2**22
"""Values that are resampled at once."""


class ResizedSink:
    """Takes the blocks of a model's result, and gives a sink those of the result resized.

    Parameters
    ----------
    sink : Sink
        Is opened for the resized result.
    sides : (int, int)
        Rows and columns of a plane as the model makes it.
    scale : Scale
        Of the model.
    factor : Factor
        What is wanted, no more than that.
    """

    def __init__(self, sink: Sink, sides: tuple[int, int], scale: Scale, factor: Factor) -> None:
        self._sink, self._sides = sink, sides
        self._ratios = [s / f for s, f in zip(scale, factor, strict=True)]
        self._index: tuple[int, ...] | None = None

    def open(self, spec: OutputSpec, origin: Callable[[], Origin] | None = None) -> Unfinished:
        """Open the sink; see `Sink.open`."""
        sizes = dict(zip(spec.axes, spec.shape, strict=True))
        self._dtype, self._wanted = spec.dtype, sizes["Y"]
        self._rows, self._cols = (
            cubic_weights(n, sizes[a], ratio)
            for n, a, ratio in zip(self._sides, "YX", self._ratios, strict=True)
        )
        # The nearest pixel says whether there is a value, and if not, what stands in its place.
        self._nearest = [
            np.minimum(((np.arange(sizes[a]) + 0.5) * ratio).astype(int), n - 1)
            for n, a, ratio in zip(self._sides, "YX", self._ratios, strict=True)
        ]
        return self._sink.open(spec, origin)

    def write(self, index: tuple[int, ...], y: int, x: int, block: NDArray[Any]) -> None:
        """Take a block, planes one after the other and each from top to bottom."""
        height, width = self._sides
        if index != self._index:
            self._index, self._first, self._whole, self._made = index, 0, 0, 0
            self._filled = np.zeros(height, int)
            self._held = np.empty((0, width, *block.shape[2:]), self._dtype)
        end = y + block.shape[0]
        if (more := end - self._first - len(self._held)) > 0:
            added = np.empty((more, *self._held.shape[1:]), self._dtype)
            self._held = np.concatenate([self._held, added])
        at = slice(y - self._first, end - self._first)
        self._held[at, x : x + block.shape[1]] = block
        self._filled[y:end] += block.shape[1]
        while self._whole < height and self._filled[self._whole] == width:
            self._whole += 1
        self._give()

    def _give(self) -> None:
        """Make all rows that see whole ones only, and let go of what no other will see."""
        assert self._index is not None
        starts, ends = self._rows.indptr, self._rows.indices
        while self._made < self._wanted:
            stop = self._made
            first = ends[starts[stop]]
            while stop < self._wanted:
                seen = ends[starts[stop + 1] - 1] + 1
                many = (seen - first) * self._sides[1] > AT_ONCE
                if seen > self._whole or (many and stop > self._made):
                    break
                last, stop = seen, stop + 1
            if stop == self._made:
                break
            band = self._held[first - self._first : last - self._first]
            self._sink.write(self._index, self._made, 0, self._resampled(band, first, stop))
            self._made = stop
        needed = self._sides[0] if self._made == self._wanted else ends[starts[self._made]]
        drop = min(needed, self._whole) - self._first
        if drop > 0:
            self._held, self._first = self._held[drop:].copy(), self._first + drop

    def _resampled(self, band: NDArray[Any], first: int, stop: int) -> NDArray[Any]:
        """Make the rows from those made to `stop` of rows from `first` on, in the stored dtype."""
        made = slice(self._made, stop)
        down = self._rows[made, first : first + len(band)]
        samples = band.reshape(*band.shape[:2], -1)
        planes = [self._plane(samples[..., s], down, first, made) for s in range(samples.shape[2])]
        return np.stack(planes, axis=-1).reshape(-1, len(self._nearest[1]), *band.shape[2:])

    def _plane(self, band: NDArray[Any], down: Any, first: int, made: slice) -> NDArray[Any]:
        def over(values: NDArray[Any]) -> NDArray[np.float64]:
            resampled: NDArray[np.float64] = (self._cols @ (down @ values).T).T
            return resampled

        known = is_value(band) if band.dtype.kind == "f" else None
        if known is None or known.all():
            return to_dtype(over(band.astype(np.float64)), self._dtype)
        rows, cols = self._nearest
        at = np.ix_(rows[made] - first, cols)
        share = over(known.astype(np.float64))
        with np.errstate(divide="ignore", invalid="ignore"):
            values = over(np.where(known, band, 0).astype(np.float64)) / share
        values = np.where(known[at], values, 0)
        return np.where(known[at], to_dtype(values, self._dtype), band[at])

    def plane_done(self, index: tuple[int, ...], found: Found | None = None) -> None:
        """See `Sink.plane_done`."""
        self._sink.plane_done(index, found)

    def commit(self, metadata: Mapping[str, Any] | None = None) -> NDArray[Any]:
        """See `Sink.commit`."""
        return self._sink.commit(metadata)

    def abort(self, keep: bool = False) -> None:
        """See `Sink.abort`."""
        self._sink.abort(keep)
