"""Carrying a plan out, from the plan to the result, as a generator that can be stopped.

What belongs here: what outlives one run (the networks on their devices), and that a run ends
with a whole result or with none. The work between is in `work`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from napari_srgan.engine.devices import check_precision, resolve_device
from napari_srgan.engine.plan import Job, Plan, plan
from napari_srgan.engine.work import Progress, Work
from napari_srgan.image.stack import Stack
from napari_srgan.io.sinks import MemorySink, Sink
from napari_srgan.models.catalogue import Model

if TYPE_CHECKING:
    from napari_srgan.engine.window import WindowNetwork

__all__ = ["Job", "Plan", "Progress", "Result", "Upscaler", "finish", "plan", "run_job"]


@dataclass(frozen=True, slots=True)
class Result:
    """A super-resolved image.

    Attributes
    ----------
    data : ndarray
        In memory, or mapped from the file that it was written to; the dtype of the input.
    axes : str
        Letters of T C Z Y X S, those of the input.
    scale, translate : tuple of float
        Per axis without S, in the units of the input.
    metadata : dict
        That of the input, and the provenance under "napari_srgan".
    """

    data: NDArray[Any]
    axes: str
    scale: tuple[float, ...]
    translate: tuple[float, ...]
    metadata: dict[str, Any]


class Upscaler:
    """A model on a device, ready for any number of plans.

    Parameters
    ----------
    model : Model
    device, precision : str
        See `devices`.

    Raises
    ------
    InputError
        If there is no such device or number format.
    """

    def __init__(self, model: Model, device: str = "auto", precision: str = "auto") -> None:
        self.model = model
        self.device = resolve_device(device)
        self.precision = check_precision(precision)
        self._networks: dict[tuple[str, str], WindowNetwork] = {}

    def run(self, plan: Plan, sink: Sink | None = None) -> Generator[Progress, None, Result]:
        """Carry out a plan.

        Parameters
        ----------
        plan : Plan
            Made for this model.
        sink : Sink, optional
            Where the result goes; memory without.

        Yields
        ------
        Progress
            After every tile. Closing the generator, or an error, leaves nothing half-made.

        Returns
        -------
        Result

        Raises
        ------
        InputError
            If the data turn out to be unusable, or no memory is left.
        """
        if plan.model.sha256 != self.model.sha256:
            raise ValueError("the plan was made for another model")
        sink = MemorySink() if sink is None else sink
        work = Work(self.network, plan, self.device, self.precision)
        try:
            sink.open(plan.output)
            yield from work.planes(sink)
            metadata = {**plan.output.metadata, "napari_srgan": work.record()}
            data = sink.commit(metadata)
        except BaseException:
            # GeneratorExit is how the work is cancelled.
            sink.abort()
            raise
        return Result(data, plan.output.axes, plan.output.scale, plan.output.translate, metadata)

    def network(self, device: Any, precision: str) -> WindowNetwork:
        """Return the network on a device in a number format, built at the first call."""
        from napari_srgan.engine.window import WindowNetwork

        key = (str(device), precision)
        if key not in self._networks:
            self._networks[key] = WindowNetwork(self.model, device, precision)
        return self._networks[key]


def run_job(stack: Stack, job: Job, sink: Sink | None = None) -> Generator[Progress, None, Result]:
    """Plan a job and carry it out; see `plan` and `Upscaler.run`."""
    planned = plan(stack, job)
    upscaler = Upscaler(planned.model, job.device, job.precision)
    return (yield from upscaler.run(planned, sink))


def finish(
    steps: Generator[Progress, None, Result], progress: Callable[[Progress], object] | None = None
) -> Result:
    """Run a generator of `Upscaler` to its end, handing each step to `progress`.

    If `progress` raises, the generator is closed, so that nothing half-made is left.
    """
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            if progress is not None:
                progress(step)
    finally:
        steps.close()
