"""`napari-srgan trust`: maps of what in a result is measured and what is invented."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_srgan.cli.arguments import EXIT_OK, add_options, add_preset, chosen, preset_values
from napari_srgan.cli.terminal import follow, hide, table, tell
from napari_srgan.options import MapOptions, PartOptions, RestoreOptions
from napari_srgan.tasks.names import names_of

if TYPE_CHECKING:
    from napari_srgan.image.intensity import Intensity

_NOT_HERE = ("back_project", "outscale", "factor_axes")
"""Maps are of what the network says."""


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "trust",
        help="map what in a result is measured and what is invented",
        usage="napari-srgan trust INPUT --out DIR [options]",
        description="Super-resolve a file and write maps of how far the result can be trusted, as "
        "float32 TIFF: consistency (what the input leaves unexplained, or removed signal), "
        "invention (what a perceptual model adds unseen by the measurement, beside the fidelity "
        "model), spread (of mirrored inputs) and trusted (1 where pixels can be trusted by the "
        "calibration of the model for this kind of image).",
    )
    parser.add_argument("input", type=Path, metavar="INPUT", help="the low-resolution image")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the maps go")
    add_options(parser, MapOptions)
    add_options(parser, RestoreOptions, leave_out=_NOT_HERE)
    add_preset(parser)
    add_options(parser, PartOptions)
    parser.add_argument("--overwrite", action="store_true", help="replace maps that exist")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON line per map, and no progress"
    )


def run(arguments: argparse.Namespace) -> int:
    """Write the maps and print their figures."""
    from napari_srgan.tasks.trust_maps import write_trust_maps
    from napari_srgan.trust.consistency import percent

    options = chosen(arguments, RestoreOptions, preset_values(arguments, _NOT_HERE))
    if options.anonymise:
        hide(names_of([arguments.input]))
    steps = write_trust_maps(
        arguments.input,
        arguments.out,
        options,
        chosen(arguments, MapOptions),
        chosen(arguments, PartOptions),
        overwrite=arguments.overwrite,
    )
    written = follow(steps, arguments.input.name, "tile", quiet=arguments.json)
    if arguments.json:
        for one in written.maps:
            row: dict[str, Any] = {"map": one.notes.kind, "title": one.notes.title}
            figure = "trusted_percent" if one.notes.kind == "trusted" else "rms_percent"
            row |= {"models": one.notes.models, figure: one.percent}
            row |= {"per_slice": one.slices, "legend": one.notes.legend}
            tell(json.dumps(row | {"output": str(one.path)}))
        return EXIT_OK
    rows = [("map", "RMS", "worst slice", "of", "file")]
    for one in written.maps:
        mean = one.percent
        shown, worst = ("-", "-") if mean is None else (percent(mean), percent(max(one.known)))
        if mean is not None and one.notes.kind == "trusted":
            shown, worst = f"{mean:.1f} % of the pixels", f"{min(one.known):.1f} %"
        rows.append((one.notes.title, shown, worst, " and ".join(one.notes.models), str(one.path)))
    tell(table(rows))
    tell(f"In % of the intensity range {_range_text(written.intensity)}.")
    for one in written.maps:
        title, legend = one.notes.title, one.notes.legend
        tell(legend if legend.casefold().startswith(title) else f"{title}: {legend}")
    return EXIT_OK


def _range_text(intensity: Intensity) -> str:
    text = ", ".join(f"{lo:g} to {hi:g}" for lo, hi in zip(intensity.lo, intensity.hi, strict=True))
    if intensity.transform == "none":
        return text
    return f"{text} after the transform {intensity.transform}"
