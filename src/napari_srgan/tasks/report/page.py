"""The page itself: what was measured, laid out by a template, and where it is written.

The page holds all that it shows: no address of another file or server is in it, so it opens without
a network, wherever it is moved.
"""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from napari_srgan.engine.record import RESEARCH_USE, methods_text
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import scale_text
from napari_srgan.image.stack import Region, Stack
from napari_srgan.io.atomic import THERE_FOR_COMMANDS, check_place, whole_file
from napari_srgan.io.open import open_stack, spare_inputs
from napari_srgan.measure.frc import HALF_ANGLE
from napari_srgan.measure.grid import middle_plane
from napari_srgan.measure.planes import Settings
from napari_srgan.measure.stacks import BICUBIC
from napari_srgan.measure.table import MEASURES
from napari_srgan.options import PartOptions, RestoreOptions
from napari_srgan.tasks.compare import check_mode
from napari_srgan.tasks.report import tables
from napari_srgan.tasks.report.content import Content
from napari_srgan.tasks.report.curves import Curve, Plot, gap, ring_plot, slice_plot
from napari_srgan.tasks.report.gather import gather
from napari_srgan.tasks.report.pictures import bar_uri, picture_uri
from napari_srgan.tasks.report.prepare import ReportRequest
from napari_srgan.tasks.restore import region_of
from napari_srgan.tasks.steps import Work

SUFFIXES = (".html", ".htm")


def check_page_place(path: Path, overwrite: bool) -> None:
    """Refuse a place where no page can be written, see `check_place`."""
    advice = "a report is an HTML page; let its name end in .html."
    check_place(path, overwrite, SUFFIXES, advice)


def write_page(steps: Work[Content], path: Path, overwrite: bool) -> Work[Content]:
    """Gather the content of a page and write it; the place is held as long as that takes.

    Parameters
    ----------
    steps : Work
        Of `gather`.
    path : Path
    overwrite : bool

    Yields
    ------
    Progress
        Those of `steps`.

    Returns
    -------
    Content
    """
    with whole_file(path, overwrite, THERE_FOR_COMMANDS) as partial:
        content = yield from steps
        partial.write_text(page(content), encoding="utf-8", errors="backslashreplace", newline="\n")
    return content


OPTIMISTIC = 0.5
"""Below so many % of the range the input is the reference shrunk as in training, and its dtype's
rounding: what is measured then holds for such inputs, and real acquisitions are harder."""
_OPEN = 40  # slices up to which their table is unfolded


def page(content: Content) -> str:
    """Lay a report out as HTML.

    Parameters
    ----------
    content : Content

    Returns
    -------
    str
        A whole document; every text in it is escaped.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("napari_srgan.tasks.report").joinpath("template.html").read_text("utf-8")
    heads, lines = tables.slice_table(content)
    return environment.from_string(source).render(
        content=content,
        shown=content.shown,
        card=content.card,
        scale=scale_text(content.card.scale),
        bicubic=BICUBIC,
        research_use=RESEARCH_USE,
        methods=methods_text(content.record),
        measured=_measured_text(content),
        glance=tables.glance(content),
        stack_table=[] if content.comparison is None else tables.stack_table(content),
        slice_heads=heads,
        slice_lines=lines,
        unfolded=len(lines) <= _OPEN,
        rings=tables.ring_table(content),
        slice_plots=_slice_plots(content),
        ring_plots=_ring_plots(content),
        svg=lambda plot: Markup(plot.svg),
        date=content.record.date.replace("T", " ").replace("+00:00", " UTC"),
        validation=_validation(content),
        record=_record(content),
        optimistic=content.shown.reference_percent is not None
        and content.shown.reference_percent < OPTIMISTIC,
        tables=tables,
        uri=picture_uri,
        bar_uri=bar_uri,
    )


def _slice_plots(content: Content) -> list[Plot]:
    """Draw consistency, PSNR and SSIM over the slices, where there are several."""
    found: list[Plot] = []
    if len(content.slices) < 2:
        return found
    model, (x, label) = content.card.name, _positions(content.slices)
    if content.residuals is not None:
        y = [gap(content.residuals.slices.get(name)) for name in content.slices]
        title = f"{content.residuals.title.capitalize()} over slices"
        curve = Curve(name=model, x=x, y=y)
        found.append(slice_plot(title, [curve], label, "RMSE (% of range)", from_zero=True))
    for measure in ("psnr", "ssim"):
        if content.comparison is None or measure not in content.comparison.settings.measures:
            continue
        curves = [
            Curve(
                name=who,
                x=x,
                y=[gap(content.figures[name][who][measure]) for name in content.slices],
            )
            for who in (BICUBIC, model)
        ]
        row = MEASURES[measure]
        found.append(slice_plot(f"{row.label} over slices", curves, label, row.heading))
    return found


def _ring_plots(content: Content) -> list[Plot]:
    """Draw the ring correlations with the reference."""
    shown = content.shown
    unit = tables.unit_text(shown.ring_unit)
    return [
        ring_plot(
            f"Fourier ring correlation, {direction}",
            {who: curves[number] for who, curves in shown.rings.items()},
            unit,
        )
        for number, direction in enumerate(("axial (along Y)", "lateral (along X)"))
        if shown.rings
    ]


def _positions(labels: tuple[str, ...]) -> tuple[list[float], str]:
    """Give the positions of slices along the one axis that they differ in, else their number."""
    axes = {label.partition("=")[0] for label in labels}
    if len(axes) == 1 and not any("," in label for label in labels):
        return [float(label.partition("=")[2]) for label in labels], f"slice {axes.pop()}"
    return [float(i) for i in range(len(labels))], "slice (number in the table)"


def _validation(content: Content) -> list[dict[str, Any]]:
    """Take from the card what it states of the model's validation; figures may be missing."""
    rows = []
    for entry in content.card.validation:
        known: dict[str, float | None] = {
            key: entry[key] if isinstance(entry.get(key), int | float) else None
            for key in ("psnr", "psnr_bicubic", "ssim", "ssim_bicubic")
        }
        gain = MEASURES["psnr"].difference(known["psnr"], known["psnr_bicubic"])
        figures = {key: MEASURES[key.partition("_")[0]].text(v) for key, v in known.items()}
        rows.append(
            {
                "set": str(entry.get("set", tables.NONE)),
                "images": str(entry.get("images", tables.NONE)),
                "gain": gain,
                **figures,
            }
        )
    return rows


def _record(content: Content) -> list[tuple[str, str]]:
    """Spell the provenance record out, in its own order."""
    return [
        (key.replace("_", " "), value if isinstance(value, str) else json.dumps(value))
        for key, value in content.record.to_dict().items()
        if value is not None
    ]


def _measured_text(content: Content) -> str:
    """Say how the figures of the report were obtained."""
    found, text = content.comparison, ""
    if content.residuals is not None:
        text += (
            "Every restored slice was degraded again as the model assumes "
            f"({content.residuals.degradation}) and compared with the input as it is stored. "
        )
    if found is not None:
        cut = found.settings.border
        text += (
            f"Measures against the reference use a data range of {found.data_range:g}"
            f"{f', with {cut} px cut on each side' if cut else ''}"
            f"{', on the Y channel' if found.settings.mode == 'y' else ''}. PSNR of the whole "
            "stack is that of the mean squared error over all pixels; SSIM has a Gaussian window "
            "of 11 px with a standard deviation of 1.5 px, K1 = 0.01 and K2 = 0.03 (Wang et al. "
            "2004), MS-SSIM five scales, and both are means over slices. "
        )
    if content.shown.rings:
        curve = content.shown.rings[content.card.name][0]
        text += (
            "Fourier ring correlation is taken with the reference within "
            f"{HALF_ANGLE:g} degrees of the Y axis (axial) and of the X axis (lateral), with a "
            "Hann window, and the resolution is where its running median falls below "
            f"{curve.threshold:g}: the detail to which image and reference agree. "
        )
    return text.strip()


def report_file(
    source: Path,
    target: Path,
    options: RestoreOptions,
    part: PartOptions,
    *,
    reference: Path | None = None,
    settings: Settings | None = None,
    show: int | None = None,
    overwrite: bool = False,
) -> Work[Content]:
    """Super-resolve a file and write the page on the result; the result itself is not kept.

    Parameters
    ----------
    source, target : Path
        The input, and the page.
    options : RestoreOptions
        Its region comes from `part`.
    part : PartOptions
    reference : Path, optional
        The true high-resolution image.
    settings : Settings, optional
        How the result is compared with it.
    show : int, optional
        The slice of the pictures, of Z or else T; the middle one without.
    overwrite : bool

    Yields
    ------
    Progress
        As `gather`.

    Returns
    -------
    Content

    Raises
    ------
    InputError
        If input, reference, model or place cannot be used; nothing half-made is left.
    """
    check_page_place(target, overwrite)
    spare_inputs([target], [source, reference])
    settings = settings or Settings()
    if reference is None and settings != Settings():
        raise InputError(
            "--mode, --border and --lpips say how the result is compared with --reference; add "
            "that or leave them out."
        )
    stack = open_stack(source, axes=part.axes, series=part.series, level=part.level)
    check_mode(settings, stack)
    region = region_of(stack, part)
    request = ReportRequest(
        stack=stack,
        options=replace(options, region=region),
        reference=None if reference is None else open_stack(reference, axes=part.axes),
        settings=settings,
        shown=None if show is None else _plane_shown(stack, region, show),
        page=target,
    )
    return (yield from write_page(gather(request), target, overwrite))


def _plane_shown(stack: Stack, region: Region | None, wanted: int) -> tuple[int, ...]:
    """Find the plane that is asked for, along Z or else T; the others stand in their middle."""
    axis = next((a for a in "ZT" if a in stack.plane_axes), None)
    if axis is None:
        raise InputError(
            f"{stack.name} has no Z or T axis for --show to choose from (its axes are "
            f"{stack.axes}); --axes says what the axes are."
        )
    start, stop = (region or {}).get(axis, (0, stack.sizes[axis]))
    if not start <= wanted < stop:
        raise InputError(
            f"--show {wanted} is not among the slices of the report, which are {start} to "
            f"{stop - 1} along {axis}."
        )
    middle = middle_plane(stack, region)
    return tuple(wanted if a == axis else i for a, i in zip(stack.plane_axes, middle, strict=True))
