"""One run of a plan: planes -> tiles -> network -> sink, and what happens when memory runs out.

What belongs here: the order of the work, progress, and the state of a run that may change on
the way (tile size, device, number format). Every pixel that leaves here is exact or an error.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_srgan.engine import record as provenance
from napari_srgan.engine.check import Check
from napari_srgan.engine.devices import is_out_of_memory, native_low_precision
from napari_srgan.engine.plan import Plan
from napari_srgan.engine.planes import Plane
from napari_srgan.engine.tiles import SMALLEST_TILE, Tile, split
from napari_srgan.errors import InputError
from napari_srgan.image.intensity import to_dtype
from napari_srgan.image.invalid import put_back
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.io.sinks import Sink

if TYPE_CHECKING:
    import torch

    from napari_srgan.engine.window import WindowNetwork

_PROBE = 128  # side of the window that 16 bits are tried on, LR px
_REMEMBERED = 20  # tiles that the time left is estimated from


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the work is.

    Attributes
    ----------
    done, total : int
        Tiles.
    eta : float or None
        Estimated seconds left.
    note : str
        A sentence for the user when something out of the ordinary happened, else empty.
    """

    done: int
    total: int
    eta: float | None = None
    note: str = ""


class Work:
    """The state of one run: what memory and precision have come to, and how long tiles take."""

    def __init__(
        self,
        network: Callable[[torch.device, str], WindowNetwork],
        plan: Plan,
        device: torch.device,
        precision: str,
    ) -> None:
        self._network, self.plan, self.device = network, plan, device
        self.precision = "" if precision == "auto" else precision
        self.limit = plan.tile
        self.check = Check(plan)
        self.done = 0
        self.notes: list[str] = []
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def planes(self, sink: Sink) -> Iterator[Progress]:
        """Restore plane by plane into the sink."""
        plan, check = self.plan, self.check
        starts = [plan.region[axis][0] for axis in plan.stack.plane_axes]
        y0, x0 = plan.region["Y"][0], plan.region["X"][0]
        started = time.perf_counter()
        for index in plan.planes:
            channel = plan.stack.channel_of(index)
            filling = plan.job.nan == "fill"
            plane = Plane(plan.stack, index, plan.tiles, filling, plan.intensity.lo[channel])
            target = tuple(i - start for i, start in zip(index, starts, strict=True))
            check.begin(channel, plane.invalid(check.whole))
            for planned in plan.tiles:
                check.reach(planned)
                pending = [planned]
                while pending:
                    tile, low, block = self._next(pending, plane, channel)
                    check.add(tile, low, block)
                    if not check.projects:
                        invalid = plane.invalid(tile)
                        if invalid is not None:
                            put_back(block, *invalid, plan.scale)
                        corner = (tile.y0 - y0) * plan.scale[0], (tile.x0 - x0) * plan.scale[1]
                        sink.write(target, *corner, block)
                    if planned is plan.tiles[-1] and not pending:
                        for _ in check.end():
                            yield self._progress()
                        if check.projects:
                            sink.write(target, 0, 0, check.take())
                    if not pending:
                        self.done += 1
                        self._seconds.append(time.perf_counter() - started)
                        started += self._seconds[-1]
                    paused = time.perf_counter()
                    yield self._progress()
                    started += time.perf_counter() - paused  # the caller's time is not ours

    def record(self) -> dict[str, Any]:
        """Make the provenance of the finished result."""
        plan, card = self.plan, self.plan.model.card
        whole = all(plan.region[a] == (0, plan.stack.sizes[a]) for a in plan.region)
        return provenance.build(
            model=card.name,
            weights_sha256=plan.model.sha256,
            input_name=plan.stack.name,
            input_axes=plan.stack.axes,
            intensity_mode=plan.intensity.mode,
            intensity_lo=plan.intensity.lo,
            intensity_hi=plan.intensity.hi,
            transform=plan.intensity.transform,
            precision=self.precision or "float32",
            device=str(self.device),
            tile=self.limit,
            scale=plan.scale,
            region=None if whole else plan.region,
            anonymise=plan.job.anonymise,
            **self.check.entries(),
        )

    def _progress(self) -> Progress:
        left = self.plan.n_tiles - self.done
        mean = sum(self._seconds) / len(self._seconds) if self._seconds else None
        note, self.notes = " ".join(self.notes), []
        return Progress(self.done, self.plan.n_tiles, None if mean is None else mean * left, note)

    def _next(
        self, pending: list[Tile], plane: Plane, channel: int
    ) -> tuple[Tile, NDArray[Any], NDArray[Any]]:
        """Take the next tile off `pending` and restore it, smaller if memory asks for it."""
        height, width = self.plan.stack.height, self.plan.stack.width
        while True:
            tile = pending.pop(0)
            if max(tile.y1 - tile.y0, tile.x1 - tile.x0) > self.limit:
                pending[:0] = split(tile, height, width, self.plan.halo, self.limit)
                continue
            try:
                return tile, *self._restore(tile, plane, channel)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            # Only here is the error gone, and with it the tensors that its traceback held.
            pending.insert(0, tile)
            self._spare_memory(max(tile.y1 - tile.y0, tile.x1 - tile.x0))

    def _spare_memory(self, side: int) -> None:
        """Go on with smaller tiles, then on the CPU, when a tile of this side did not fit."""
        import torch

        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if side > SMALLEST_TILE:
            self.limit = max(SMALLEST_TILE, -(-side // 2))
            self.notes.append(
                f"Memory of {self.device} ran out; going on with tiles of {self.limit} px."
            )
        elif self.device.type != "cpu":
            self.notes.append(
                f"Memory of {self.device} does not even hold tiles of {side} px; going on with the"
                " CPU, which takes longer."
            )
            self.device, self.limit = torch.device("cpu"), self.plan.tile
            self.precision = "float32"
        else:
            raise InputError(
                f"There is not enough memory even for tiles of {side} px; close other programs"
                " or use a machine with more memory."
            )

    def _restore(self, tile: Tile, plane: Plane, channel: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Give one tile's interior and restore it, in the dtype of the stack, both without NaN."""
        plan = self.plan
        window = plane.window(tile)
        alpha = window[..., 3] if plan.stack.samples == 4 else None
        crop = tile.crop(plan.scale)
        if plane.constant is not None:
            shape = [s.stop - s.start for s in crop]
            block = np.full((*shape, *plane.constant.shape), plane.constant)
        else:
            unit = plan.intensity.to_unit(window if alpha is None else window[..., :3], channel)
            margins = tile.margins(plan.stack.height, plan.stack.width)
            continued = np.pad(unit, [*margins, *[(0, 0)] * (unit.ndim - 2)], mode="edge")
            enlarged = self._network_for(unit)(continued)
            if enlarged[1]:
                self.notes.append(f"{self.precision} overflowed; that tile is in float32.")
            inside = enlarged[0][tile.crop(plan.scale, margins)]
            if not np.isfinite(inside).all():
                raise InputError(
                    f"{plan.stack.name} holds values so far beyond the intensity range that the"
                    " network overflows; remove them, or give a wider range with --intensity."
                )
            block = plan.intensity.from_unit(inside, plan.stack.dtype, channel)
        if alpha is not None:
            opacity = to_dtype(bicubic_enlarge(alpha, plan.scale)[crop], plan.stack.dtype)
            block = np.concatenate([block, opacity[..., None]], axis=2)
        return window[tile.crop((1, 1))], block

    def _network_for(self, unit: NDArray[np.float32]) -> WindowNetwork:
        """Return the network; the first tile with content decides what `auto` precision is."""
        if not self.precision:
            low = native_low_precision(self.device)
            if low is None or self.plan.stack.dtype != np.uint8:
                self.precision = "float32"
            else:
                y, x = (max(0, (n - _PROBE) // 2) for n in unit.shape[:2])
                probe = unit[y : y + _PROBE, x : x + _PROBE]
                close = self._network(self.device, low).close_to_float32(probe)
                self.precision = low if close else "float32"
        return self._network(self.device, self.precision)
