"""A volume shared among the workers of a dask cluster, with one bar and one sentence for all.

The workers are what the jobs of `cluster` are: each fills planes of one store. What they get is the
plan by value, in which input and model stand by their paths, and the model by its SHA-256 as well.
The planes of a worker that is lost are given to another one.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_srgan.engine.plan import Plan, plan
from napari_srgan.engine.progress import Clock, drain
from napari_srgan.engine.run import Upscaler
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.io.sinks import SharedStore
from napari_srgan.options import FileOptions, RestoreOptions
from napari_srgan.tasks.cluster import as_prepared, finish, prepare
from napari_srgan.tasks.restore import AS_USUAL, Restored
from napari_srgan.tasks.steps import Progress, Work

_PATIENCE = 0.25  # s between two looks at the workers
_TURNS = 8  # pieces of work for each worker: the slowest is waited for a piece long
_MOST_PLANES = 16
_LOST = 10
"""How many workers may be lost with one piece of work before it is given up."""


def restore_by_workers(
    stack: Stack,
    options: RestoreOptions,
    path: Path,
    *,
    workers: int = 0,
    scheduler: str = "",
    overwrite: bool = False,
    files: FileOptions = AS_USUAL,
) -> Work[Restored]:
    """Restore a stack into a store by several processes, here or on the machines of a cluster.

    Parameters
    ----------
    stack, options, path, overwrite, files
        As of `cluster.prepare`; with `files.resume` a store that was prepared is gone on with.
    workers : int
        How many processes are started on this machine, where no scheduler is given.
    scheduler : str
        Address of the scheduler of a dask cluster, whose workers see the same files under the same
        paths, and have this version installed.

    Yields
    ------
    Progress
        After every piece of work. Closing the generator stops the workers; planes that are done
        stay, for a run with `files.resume`.

    Returns
    -------
    Restored

    Raises
    ------
    InputError
        If dask.distributed is not installed, there is no such scheduler, a worker cannot do its
        work, or as of `cluster.prepare`.
    """
    distributed = _distributed()
    path = path.absolute()
    with ExitStack() as undo:
        client, threads = _client(distributed, workers, scheduler, undo)
        shared = SharedStore(path, ome_zarr=files.ome_zarr)
        if not (files.resume and shared.is_prepared):
            yield from prepare(stack, options, path, overwrite=overwrite, files=files)
        with closing(shared):
            shared.reserve()
            planned = plan(stack, as_prepared(options, shared))
            done = shared.done
        planned = replace(planned, model_path=planned.model_path.absolute())
        missing = tuple(index for index in planned.planes if planned.place(index) not in done)
        count = max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
        pieces = list(_pieces(planned, missing, count))
        futures = client.map(
            _fill,
            pieces,
            path=path,
            version=files.ome_zarr,
            threads=threads,
            pure=False,
            retries=_LOST,
        )
        undo.callback(client.cancel, futures)
        yield from _followed(futures, [len(piece.planes) for piece in pieces], len(planned.planes))
    return (yield from finish(stack, options, path, overwrite=overwrite, files=files))


def _fill(piece: Plan, path: Path, version: str, threads: int) -> int:
    """Restore the planes of a plan into the store; what a worker does."""
    if threads:
        import torch

        torch.set_num_threads(threads)
    with closing(SharedStore(path, ome_zarr=version)) as sink:
        drain(Upscaler.of(piece).run(piece, sink))
    return len(piece.planes)


def _pieces(planned: Plan, missing: tuple[tuple[int, ...], ...], workers: int) -> Iterator[Plan]:
    """Cut the planes that are missing into pieces of work."""
    size = max(1, min(_MOST_PLANES, len(missing) // (_TURNS * workers)))
    for first in range(0, len(missing), size):
        yield replace(planned, planes=missing[first : first + size])


def _followed(futures: list[Any], sizes: list[int], total: int) -> Iterator[Progress]:
    """Tell how far the workers are, until all is done; InputError if they cannot do it."""
    clock, waiting = Clock(), dict(zip(futures, sizes, strict=True))
    done = total - sum(sizes)
    yield Progress(done, total)
    while waiting:
        ended = [future for future in waiting if future.done()]
        for future in ended:
            done += waiting.pop(future)
            if future.status != "finished":
                raise _reason(future)
            clock.step()
        clock.pause()
        yield Progress(done, total, clock.left(len(waiting)) if ended else None)
        clock.go_on()
        if not ended:
            time.sleep(_PATIENCE)


def _reason(future: Any) -> Exception:
    """Say why a piece of work was given up."""
    error = future.exception()
    if isinstance(error, InputError):
        return error
    if type(error).__name__ == "KilledWorker":
        return InputError(
            f"{_LOST} workers were lost one after the other, perhaps for want of memory; give them "
            "more, or a smaller --memory. What is done is kept: --resume goes on with it."
        )
    return error if isinstance(error, Exception) else RuntimeError(f"work was {future.status}")


def _client(distributed: Any, workers: int, scheduler: str, undo: ExitStack) -> tuple[Any, int]:
    """Connect to a cluster, or start one here; with the threads of each worker, 0 for its own."""
    import dask

    undo.enter_context(dask.config.set({"distributed.scheduler.allowed-failures": _LOST}))
    if not scheduler:
        cluster = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
        )
        undo.enter_context(cluster)
        client = undo.enter_context(distributed.Client(cluster))
        return client, max(1, _cores() // workers)
    try:
        return undo.enter_context(distributed.Client(scheduler, timeout=10)), 0
    except (OSError, ValueError, TimeoutError) as error:
        raise InputError(
            f"No dask scheduler answers at {scheduler} ({error}); check the address, as "
            "tcp://host:8786."
        ) from error


def _cores() -> int:
    """Count the cores that this process may use, which a job's share of a machine limits."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _distributed() -> Any:
    with suppress(ImportError):
        import distributed

        return distributed
    raise InputError(
        "Work is shared among workers by dask.distributed, which is not installed here: "
        "pip install 'napari-srgan[cluster]'."
    )
