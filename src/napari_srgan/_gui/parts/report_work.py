"""The report of a result layer: what is to be made from which layers, and the work in the thread.

What belongs here: from layers and their records to a request, and its outcome. What the page states
is `napari_srgan.tasks.report`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_srgan._gui.layers import layer_stack, view_of
from napari_srgan._gui.super_resolve.map_order import map_order
from napari_srgan._gui.worker import Engines, Step, failure
from napari_srgan.errors import InputError

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.tasks.report.request import ReportRequest


@dataclass(frozen=True)
class ReportOrder:
    """What is to be reported on, and where the page goes."""

    request: ReportRequest
    path: Path


@dataclass(frozen=True)
class ReportOutcome:
    """How it ended: with a page, cancelled, or with the sentence of an error."""

    path: Path | None = None
    cancelled: bool = False
    error: str = ""


def report_order(
    viewer: napari.Viewer,
    result: Image,
    reference: Image | None,
    settings: dict[str, Any],
    path: Path,
) -> ReportOrder:
    """Order the report of a result layer; its pictures are of the slice in view.

    Parameters
    ----------
    viewer : napari.Viewer
    result : Image
        With its record; its input has to be open.
    reference : Image or None
        As large as a result of the whole input.
    settings : dict
        device, precision and tile, for the fidelity model.
    path : Path

    Raises
    ------
    InputError
        If the input is not open, or a layer or the place cannot be used.
    """
    # Late: the engine is not needed to open the panel, which has to be quick.
    from napari_srgan.tasks.report.place import check_page_place
    from napari_srgan.tasks.report.request import ReportRequest

    check_page_place(path, overwrite=True)
    if reference is result:
        raise InputError(f"{result.name} is the result itself; choose another reference.")
    order = map_order("consistency", viewer, result, settings, whole=True)
    stack, region = order.request.stack, order.region
    at = view_of(order.source, viewer.dims).index
    inside = all(region[a][0] <= at[a] < region[a][1] for a in stack.plane_axes)
    hidden = str(order.record.get("input", "")).startswith("scan-")
    request = ReportRequest(
        stack=stack,
        job=replace(order.request.job, anonymise=hidden),
        reference=None if reference is None else layer_stack(reference),
        result=order.request.result,
        result_region=order.request.result_region,
        record=order.record,
        shown=tuple(at[a] for a in stack.plane_axes) if inside else None,
    )
    return ReportOrder(request, path)


def make_report(
    order: ReportOrder, engines: Engines, cancel: threading.Event
) -> Generator[Step, None, ReportOutcome]:
    """Measure and write in the thread; yields after every tile or slice, never raises."""
    steps = None
    try:
        yield Step(0, 1, note="Preparing the report")
        from napari_srgan.tasks.report.gather import gather
        from napari_srgan.tasks.report.page import page
        from napari_srgan.tasks.report.place import write_page

        steps = gather(order.request, engines.get)
        while True:
            if cancel.is_set():
                return ReportOutcome(cancelled=True)
            try:
                step = next(steps)
            except StopIteration as end:
                content = end.value
                break
            note = step.note or step.stage
            yield Step(0, 1, step.done, step.total, step.eta, note)
        yield Step(0, 1, note="Writing the page")
        if cancel.is_set():
            return ReportOutcome(cancelled=True)
        write_page(order.path, page(content))
        return ReportOutcome(order.path)
    except Exception as error:
        return ReportOutcome(error=failure(error))
    finally:
        if steps is not None:
            steps.close()
