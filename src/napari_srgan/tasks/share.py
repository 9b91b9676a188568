"""One file restored by several processes: the step that is asked for, or all of them by workers."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from napari_srgan.engine.plan import Plan
from napari_srgan.errors import InputError
from napari_srgan.io.atomic import THERE_FOR_COMMANDS
from napari_srgan.io.journal import unfinished
from napari_srgan.io.open import open_stack, spare_inputs
from napari_srgan.io.sinks import check_output
from napari_srgan.options import FileOptions, PartOptions, RestoreOptions, ShareOptions
from napari_srgan.tasks.cluster import Share, finish, prepare, restore_share
from napari_srgan.tasks.restore import AS_USUAL, FileSummary, region_of, summed_up
from napari_srgan.tasks.steps import Work
from napari_srgan.tasks.workers import restore_by_workers


def share_file(
    source: Path,
    target: Path,
    options: RestoreOptions,
    part: PartOptions,
    step: ShareOptions,
    *,
    overwrite: bool = False,
    files: FileOptions = AS_USUAL,
) -> Work[FileSummary | Plan]:
    """Do one of the steps by which several jobs restore a file.

    Parameters
    ----------
    source, target : Path
    options, part
        As of `restore_file`; of a share the slices are those that it makes.
    step : ShareOptions
        Without any of its steps: a share by `part.slices`.
    overwrite : bool
    files : FileOptions

    Returns
    -------
    FileSummary or Plan
        Of what is in the store now; of `prepare` the plan.

    Raises
    ------
    InputError
        As of the step.
    """
    started = time.perf_counter()
    spare_inputs([target], [source])
    whole = step.prepare or step.finish or step.workers or step.scheduler
    if overwrite and not whole:
        raise InputError("--overwrite has no meaning for one share of an output; leave it out.")
    begins = step.prepare or step.workers or step.scheduler
    if not begins and (part.roi is not None or (step.finish and part.slices is not None)):
        raise InputError(
            "--prepare says which part of the image is restored: leave --roi out of the jobs that "
            "share it, and --slices and --roi out of --finish."
        )
    if whole:
        check_output(target, overwrite, THERE_FOR_COMMANDS)
    stack = open_stack(source, axes=part.axes, series=part.series, level=part.level)
    if step.prepare:
        options = replace(options, region=region_of(stack, part))
        return (yield from prepare(stack, options, target, overwrite=overwrite, files=files))
    if step.workers or step.scheduler:
        options = replace(options, region=region_of(stack, part))
        how = {"workers": step.workers, "scheduler": step.scheduler}
        work = restore_by_workers(
            stack,
            options,
            target,
            overwrite=overwrite,
            files=files,
            **how,  # type: ignore[arg-type]
        )
        made = yield from work
    elif step.finish:
        made = yield from finish(stack, options, target, overwrite=overwrite, files=files)
    else:
        share = Share(part.slices, step.slice_of)
        made = yield from restore_share(stack, options, target, share, files=files)
    return summed_up(made, target, time.perf_counter() - started)


def is_share(target: Path, part: PartOptions, files: FileOptions, overwrite: bool = False) -> bool:
    """Whether slices that are to be gone on with are a share of a store that was prepared.

    Of one that is whole and not to be replaced they are too, so that `share_file` says so.
    """
    if not _may_be_share(target, part, files):
        return False
    found = unfinished(target)
    return target.exists() and not overwrite if found is None else found[1].shared


def note_of_slices(target: Path, part: PartOptions, files: FileOptions) -> str:
    """Say what becomes of slices that might have been meant as a share; "" where all is clear."""
    if not _may_be_share(target, part, files) or unfinished(target) is not None:
        return ""
    return (
        f"{target} is not prepared for several jobs, so it will hold these slices only; for several"
        " jobs --prepare comes first."
    )


def _may_be_share(target: Path, part: PartOptions, files: FileOptions) -> bool:
    asked = files.resume and part.slices is not None
    return asked and target.suffix.lower() == ".zarr" and target.parent.is_dir()
