"""A volume shared among jobs: a store is prepared, filled by any number of jobs, and finished.

Nothing but the store and its journal is between the jobs. So a Slurm array needs no library, and a
job that was lost is simply started again.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from napari_srgan.engine.origin import as_begun, region_begun
from napari_srgan.engine.plan import Plan, plan
from napari_srgan.engine.run import Upscaler
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.io.sinks import FileSink, SharedStore, prepared
from napari_srgan.options import FileOptions, OpenRange, RestoreOptions
from napari_srgan.tasks.restore import (
    AS_USUAL,
    STARTING,
    Planes,
    Restored,
    carried_out,
    reserve,
    slices_axis,
)
from napari_srgan.tasks.steps import Progress, Work


@dataclass(frozen=True, slots=True)
class Share:
    """The planes that one job restores.

    Attributes
    ----------
    slices : (start, stop) or None
        Range along Z, or along T where there is no Z, in the input.
    part : (int, int) or None
        Part K of N of the planes, counted from 1.
    """

    slices: OpenRange | None = None
    part: tuple[int, int] | None = None

    def planes(self, plan: Plan) -> Planes:
        """Choose them of those of a plan; InputError if there are none."""
        found = plan.planes
        if self.slices is not None:
            at = plan.stack.plane_axes.index(slices_axis(plan.stack))
            start, stop = self.slices[0] or 0, self.slices[1]
            found = tuple(p for p in found if start <= p[at] and (stop is None or p[at] < stop))
        if self.part is not None:
            number, count = self.part
            first, last = (len(found) * k // count for k in (number - 1, number))
            return found[first:last]  # none, if there are more jobs than planes
        if not found:
            raise InputError(
                f"None of the slices {_range(self.slices)} is among those that were prepared."
            )
        return found


def prepare(
    stack: Stack,
    options: RestoreOptions,
    path: Path,
    *,
    overwrite: bool = False,
    files: FileOptions = AS_USUAL,
) -> Work[Plan]:
    """Lay a store out for several jobs, and settle for all of them what is automatic.

    Parameters
    ----------
    stack, options, path, overwrite, files
        As of `restore`; the path ends in ``.zarr``.

    Returns
    -------
    Plan
        The planes that the jobs are to make.

    Raises
    ------
    InputError
        If anything about it cannot be used, or the place is taken.
    """
    yield Progress(0, 0, stage=STARTING)
    if path.suffix.lower() != ".zarr":
        raise InputError(f"{path.name}: only a .zarr output can be filled by several jobs.")
    with closing(FileSink(path, overwrite, files.ome_zarr)) as sink:
        reserve(sink, stack, options)
        planned = plan(stack, options)
        for note in planned.notes:
            yield Progress(0, 0, note=note)
        upscaler = Upscaler.of(planned)
        sink.open(planned.output, lambda: upscaler.origin(planned))
        sink.leave()
    return planned


def restore_share(
    stack: Stack,
    options: RestoreOptions,
    path: Path,
    share: Share,
    *,
    files: FileOptions = AS_USUAL,
) -> Work[Restored]:
    """Restore some planes into a store that was prepared; those that are done stay as they are.

    Parameters
    ----------
    stack, options, files
        As for `prepare`; the region is that of the store.
    path : Path
    share : Share

    Raises
    ------
    InputError
        If no store was prepared there, or from something else.
    """
    yield Progress(0, 0, stage=STARTING)
    with closing(SharedStore(path, ome_zarr=files.ome_zarr)) as sink:
        sink.reserve()
        options = as_prepared(options, sink)
        return (yield from carried_out(stack, options, sink, share.planes))


def finish(
    stack: Stack,
    options: RestoreOptions,
    path: Path,
    *,
    overwrite: bool = False,
    files: FileOptions = AS_USUAL,
) -> Work[Restored]:
    """Put a store in place whose planes are all done, with the provenance of the whole.

    Parameters
    ----------
    stack, options, path, overwrite, files
        As for `prepare`.

    Raises
    ------
    InputError
        If planes are missing, which the sentence names, or nothing was prepared.
    """
    yield Progress(0, 0, stage=STARTING)
    prepared(path)
    with closing(FileSink(path, overwrite, files.ome_zarr, resume=True)) as sink:
        reserve(sink, stack, replace(options, region=None))
        options, done = as_prepared(options, sink), sink.done

        def all_planes(plan: Plan) -> Planes:
            missing = [p for p in plan.planes if plan.place(p) not in done]
            if missing:
                raise InputError(_missing_text(path, plan, missing))
            return plan.planes

        return (yield from carried_out(stack, options, sink, all_planes))


def as_prepared(options: RestoreOptions, sink: FileSink) -> RestoreOptions:
    """Give options what was settled when a store was prepared: region, range and tile."""
    former = sink.former
    assert former is not None
    return replace(as_begun(options, former), region=region_begun(former))


def _missing_text(path: Path, plan: Plan, missing: list[tuple[int, ...]]) -> str:
    axes = plan.stack.plane_axes
    at = ", ".join(f"{a}={i}" for a, i in zip(axes, missing[0], strict=True))
    more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
    return (
        f"{path} is not whole: {len(missing)} of its {len(plan.planes)} slices are missing "
        f"({at}{more}); start their jobs again, and then --finish."
    )


def _range(slices: OpenRange | None) -> str:
    start, stop = slices or (None, None)
    return f"{start or 0}:{'' if stop is None else stop}"
