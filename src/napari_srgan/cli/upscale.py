"""`napari-srgan upscale`: image files in, restored files out, with a summary of a batch."""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_srgan.cli.arguments import (
    EXIT_INPUT,
    EXIT_OK,
    add_options,
    add_preset,
    chosen,
    each_of,
    expanded,
    preset_values,
)
from napari_srgan.cli.terminal import (
    Bar,
    follow,
    hide,
    names_of,
    say,
    sentence,
    tell,
    without_names,
)
from napari_srgan.cli.view import check_window, view
from napari_srgan.errors import InputError, OutputExists
from napari_srgan.io.atomic import whole_file
from napari_srgan.io.tables import add_row, encoded
from napari_srgan.options import FileOptions, PartOptions, RestoreOptions, ShareOptions

if TYPE_CHECKING:
    from napari_srgan.engine.plan import Plan

SUMMARY = "summary.csv"
_PATIENCE = 30.0  # seconds
_COLUMNS = (
    "finished", "input", "output", "status", "axes", "shape", "dtype", "scale", "units", "model",
    "seconds", "peak_memory_mb", "error",
)  # fmt: skip


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "upscale",
        help="super-resolve image files",
        usage="napari-srgan upscale INPUT OUTPUT [options]\n"
        "       napari-srgan upscale INPUT... --out-dir DIR [options]",
        description="Super-resolve one file, a folder of slices, or many files into a folder. "
        "Input: TIFF of all flavours, OME-Zarr, PNG, JPEG, .npy, NIfTI, DICOM, and OCT files of "
        "Heidelberg, Zeiss, Topcon, Optovue, Bioptigen and Thorlabs. Output: .tif, .ome.tif, "
        ".zarr, .nii, .npy, .png (one plane).",
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="INPUT OUTPUT, or with --out-dir only inputs"
    )
    parser.add_argument(
        "--out-dir",
        type=Path,
        metavar="DIR",
        help="write <name>_<model>_<scale>.tif for every input, with series and region before the "
        "ending where it is not the whole, and summary.csv",
    )
    parser.add_argument(
        "--each",
        action="store_true",
        help="with --out-dir: the images of a folder one by one, and not as slices of one stack",
    )
    add_options(parser, RestoreOptions)
    add_preset(parser)
    add_options(parser, PartOptions)
    add_options(parser, FileOptions)
    add_options(parser, ShareOptions)
    parser.add_argument(
        "--view", action="store_true", help="then open input and result side by side in napari"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON line per file, and no progress"
    )


def run(arguments: argparse.Namespace) -> int:
    """Restore the files and print what came of each."""
    from napari_srgan.tasks.cluster import is_share, share_file
    from napari_srgan.tasks.restore import FileSummary, restore_file

    options = chosen(arguments, RestoreOptions, preset_values(arguments))
    part, files = chosen(arguments, PartOptions), chosen(arguments, FileOptions)
    if arguments.view:
        check_window("--view")
    if arguments.each and arguments.out_dir is None:
        raise InputError("--each makes a result of each image, which need --out-dir DIR.")
    if arguments.out_dir is not None:
        if arguments.view:
            raise InputError("--view opens one result; with --out-dir, use 'napari-srgan view'.")
        return EXIT_INPUT if _many(arguments, options, part, files) else EXIT_OK
    if len(arguments.paths) != 2:
        raise InputError(
            "Give one input and one output, or --out-dir DIR for any number of inputs (paths "
            f"given: {len(arguments.paths)})."
        )
    if options.anonymise:
        hide(names_of(arguments.paths[:1]))
    source, target = (Path(path) for path in arguments.paths)
    how: dict[str, Any] = {"overwrite": arguments.overwrite, "files": files}
    step = chosen(arguments, ShareOptions)
    if step != ShareOptions() or is_share(target, part, files):
        shared = share_file(source, target, options, part, step, **how)
        made = follow(shared, source.name, "tile", quiet=arguments.json)
        if not isinstance(made, FileSummary):
            return _tell_prepared(made, target, arguments.json)
        summary = made
    else:
        steps = restore_file(source, target, options, part, **how)
        summary = follow(steps, source.name, "tile", quiet=arguments.json)
    _tell(summary.to_dict(), arguments.json)
    if arguments.view:
        view([source, target])
    return EXIT_OK


def _many(
    arguments: argparse.Namespace, options: RestoreOptions, part: PartOptions, files: FileOptions
) -> int:
    """Restore a batch; return how many files failed."""
    from napari_srgan.tasks.restore import FileOutcome, restore_files
    from napari_srgan.tasks.steps import Progress, drain

    folder, sources = arguments.out_dir, expanded(arguments.paths)
    if arguments.each:
        sources = each_of(sources)
    names = names_of(sources, options.anonymise)
    if options.anonymise:
        hide(names)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise InputError(f"{folder} is a file: --out-dir needs a folder.") from None
    table = Summary(folder / SUMMARY, anew=arguments.overwrite)
    bar = Bar("tile", quiet=arguments.json)

    def show(step: Progress | FileOutcome) -> None:
        if not isinstance(step, FileOutcome):
            bar.show(step)
            return
        bar.close()
        if step.summary is not None:
            row = step.summary.to_dict()
            table.add(row | {"status": "done"})
            _tell(row, arguments.json)
            return
        assert step.error is not None
        told = sentence(step.error)
        say(told)
        # What is kept must not hold a name that may be a patient's.
        row = {"input": step.label, "error": without_names(told, names)}
        table.add(row | {"status": "failed"})
        if arguments.json:
            tell(json.dumps(row))

    how = {"overwrite": arguments.overwrite, "files": files}
    steps = restore_files(sources, folder, options, part, **how)
    try:
        failed = drain(steps, show)
    finally:
        bar.close()
    if not arguments.json:
        tell(f"{len(sources) - failed} of {len(sources)} files done; see {folder / SUMMARY}")
    return failed


def _tell_prepared(plan: Plan, target: Path, as_json: bool) -> int:
    """Print what was prepared for several jobs."""
    count, nbytes = len(plan.planes), plan.output.nbytes
    if as_json:
        tell(json.dumps({"output": str(target), "slices": count, "bytes": nbytes}))
    else:
        tell(
            f"{target} is prepared: {count} slices, {nbytes / 1e9:.3g} GB without compression; "
            "fill it with --slice-of K/N, then --finish."
        )
    return EXIT_OK


def _tell(summary: Mapping[str, Any], as_json: bool) -> None:
    """Print what came of one file, for machines or for people."""
    if as_json:
        tell(json.dumps(summary))
        return
    shape = " x ".join(map(str, summary["shape"]))
    tell(
        f"{summary['output']}: {summary['axes']} {shape} {summary['dtype']}, {summary['model']}, "
        f"{summary['seconds']:.1f} s, peak memory {summary['peak_memory_mb']:.0f} MB"
    )
    if summary["sentence"]:
        tell(summary["sentence"])


class Summary:
    """The table of a batch: one row a file, on disk before the next input starts.

    Parameters
    ----------
    path : Path
        Rows are added to the table that is there, so that a batch done in parts has one record.
    anew : bool
        Start an empty table instead.

    Raises
    ------
    InputError
        If the file is there and holds something else.
    """

    def __init__(self, path: Path, anew: bool) -> None:
        self._path = path
        with suppress(OutputExists):
            # A batch that runs beside this one has it for a moment only.
            with whole_file(path, anew, patience=_PATIENCE) as partial:
                partial.write_bytes(encoded([_COLUMNS]))
            return
        with path.open(newline="", encoding="utf-8", errors="replace") as stream:
            if next(csv.reader(stream), None) != list(_COLUMNS):
                raise InputError(
                    f"{path} exists and is not a summary of this program; move it, or "
                    "--overwrite replaces it."
                )

    def add(self, row: Mapping[str, Any]) -> None:
        """Append a row; cells are taken by the columns' names, missing ones stay empty."""
        finished = {"finished": datetime.now(UTC).isoformat(timespec="seconds")}
        values = (finished | dict(row)).get
        add_row(self._path, [_cell(values(key)) for key in _COLUMNS])


def _cell(value: Any) -> Any:
    return " x ".join(map(str, value)) if isinstance(value, list) else value
