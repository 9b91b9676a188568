"""`napari-srgan upscale`: image files in, restored files out, with a summary of a batch."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Mapping
from functools import partial
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
from napari_srgan.cli.terminal import Bar, follow, hide, say, sentence, tell
from napari_srgan.cli.view import check_window, view
from napari_srgan.errors import InputError
from napari_srgan.options import FileOptions, PartOptions, RestoreOptions, ShareOptions
from napari_srgan.tasks.names import names_of, without_names

if TYPE_CHECKING:
    from napari_srgan.engine.plan import Plan
    from napari_srgan.tasks.batch import FileBegun
    from napari_srgan.tasks.restore import FileOutcome
    from napari_srgan.tasks.steps import Progress


def add(commands: Any) -> None:
    """Describe the command."""
    parser = commands.add_parser(
        "upscale",
        help="super-resolve image files",
        usage="napari-srgan upscale INPUT OUTPUT [options]\n"
        "       napari-srgan upscale INPUT... --out-dir DIR [options]\n"
        "       napari-srgan upscale --watch FOLDER --out-dir DIR [options]",
        description="Super-resolve one file, a folder of slices, or many files into a folder. "
        "Input: TIFF of all flavours, OME-Zarr, PNG, JPEG, .npy, NIfTI, DICOM, and OCT files of "
        "Heidelberg, Zeiss, Topcon, Optovue, Bioptigen and Thorlabs. Output: .tif, .ome.tif, "
        ".zarr, .nii, .npy, .png (one plane).",
    )
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="INPUT OUTPUT, or with --out-dir only inputs"
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
    parser.add_argument(
        "--skip-existing",
        action="store_true",
        help="with --out-dir: leave files whose result is there, to go on with a batch",
    )
    parser.add_argument(
        "--watch",
        type=Path,
        metavar="FOLDER",
        help="with --out-dir: restore the files of this folder that have no result yet, and those "
        "that come, until Ctrl-C",
    )
    parser.add_argument(
        "--pattern",
        default="*",
        metavar="P",
        help="with --watch: which files, such as '*_oct.tif' (default: all images)",
    )
    add_options(parser, RestoreOptions)
    add_preset(parser)
    add_options(parser, PartOptions)
    add_options(parser, FileOptions)
    add_options(parser, ShareOptions)
    parser.add_argument(
        "--trust-mask",
        action="store_true",
        help="also write <output>_trusted.tif: 1 where pixels can be trusted by the calibration of "
        "the model for this kind of image ('napari-srgan calibrate')",
    )
    parser.add_argument(
        "--view", action="store_true", help="then open input and result side by side in napari"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an output that exists")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON line per file, and no progress"
    )


def run(arguments: argparse.Namespace) -> int:
    """Restore the files and print what came of each."""
    from napari_srgan.tasks.restore import FileSummary, restore_file
    from napari_srgan.tasks.share import is_share, note_of_slices, share_file
    from napari_srgan.tasks.trust_maps import check_calibrated

    options = chosen(arguments, RestoreOptions, preset_values(arguments))
    part, files = chosen(arguments, PartOptions), chosen(arguments, FileOptions)
    step = chosen(arguments, ShareOptions)
    if arguments.view:
        check_window("--view")
    if step != ShareOptions() and (arguments.out_dir is not None or arguments.view):
        raise InputError(
            "--prepare, --slice-of, --finish, --workers and --scheduler take one input and one "
            "output, without --out-dir and --view."
        )
    if arguments.each and arguments.out_dir is None:
        raise InputError("--each makes a result of each image, which need --out-dir DIR.")
    if arguments.trust_mask and options != options.unresized():
        raise InputError(
            "A trust mask is of the model's own result: leave --trust-mask out, or what makes the "
            "result another size."
        )
    if arguments.out_dir is not None:
        if arguments.view:
            raise InputError("--view opens one result; with --out-dir, use 'napari-srgan view'.")
        if not arguments.paths and arguments.watch is None:
            raise InputError("Give the files to restore, or --watch FOLDER.")
        return EXIT_INPUT if _many(arguments, options, part, files) else EXIT_OK
    if arguments.watch is not None or arguments.skip_existing:
        raise InputError("--watch and --skip-existing need --out-dir DIR, for the results.")
    if len(arguments.paths) != 2:
        raise InputError(
            "Give one input and one output, or --out-dir DIR for any number of inputs (paths "
            f"given: {len(arguments.paths)})."
        )
    if options.anonymise:
        hide(names_of(arguments.paths[:1]))
    source, target = (Path(path) for path in arguments.paths)
    how: dict[str, Any] = {"overwrite": arguments.overwrite, "files": files}
    slices = step == ShareOptions() and is_share(target, part, files, arguments.overwrite)
    if step != ShareOptions() or slices:
        if arguments.trust_mask:
            raise InputError(
                "A trust mask is made of a whole result: leave --trust-mask out of the jobs that "
                "share one, and make it with 'napari-srgan trust --maps trusted'."
            )
        shared = share_file(source, target, options, part, step, **how)
        made = follow(shared, source.name, "tile", quiet=arguments.json)
        if not isinstance(made, FileSummary):
            return _tell_prepared(made, target, arguments.json)
        if slices or step.slice_of:
            return _tell_share(made.to_dict(), target, arguments.json)
        summary = made
    else:
        if arguments.trust_mask:
            check_calibrated(source, options, part, target, arguments.overwrite)
        if note := note_of_slices(target, part, files):
            say(note)
        steps = restore_file(source, target, options, part, **how)
        summary = follow(steps, source.name, "tile", quiet=arguments.json)
    _tell(summary.to_dict(), arguments.json)
    if arguments.trust_mask:
        _mask(source, target, options, part, arguments)
    if arguments.view:
        view([source, target])
    return EXIT_OK


def _many(
    arguments: argparse.Namespace, options: RestoreOptions, part: PartOptions, files: FileOptions
) -> int:
    """Restore a batch, or the files of a folder as they come; return how many files failed."""
    from napari_srgan.tasks.batch import SUMMARY, BatchOrder, run_batch, watch
    from napari_srgan.tasks.steps import drain

    folder, watched = arguments.out_dir, arguments.watch
    mask = None
    if arguments.trust_mask:
        mask = partial(_mask, options=options, part=part, arguments=arguments)
    order = BatchOrder(
        folder=folder,
        options=options,
        part=part,
        files=files,
        overwrite=arguments.overwrite,
        anew=arguments.overwrite,
        skip=arguments.skip_existing,
    )
    if watched is not None:
        if arguments.paths:
            raise InputError("--watch takes the files of its folder; leave the other paths out.")
        told = _Told(arguments.json, options.anonymise, True, mask)
        say(f"Watching {watched} for {arguments.pattern}; Ctrl-C ends it.")
        steps = watch(watched, arguments.pattern, order, sentence)
    else:
        sources = expanded(arguments.paths)
        if arguments.each:
            sources = each_of(sources)
        if options.anonymise:
            hide(names_of(sources, options.anonymise))
        told = _Told(arguments.json, options.anonymise, mask=mask)
        steps = run_batch(sources, order, sentence)
    try:
        drain(steps, told.show)
    finally:
        told.bar.close()
        if not arguments.json:
            tell(f"{told.count()}; see {folder / SUMMARY}")
    return told.failed


def _mask(
    source: Path,
    result: Path,
    options: RestoreOptions,
    part: PartOptions,
    arguments: argparse.Namespace,
) -> None:
    """Write the trust mask of a result, and print its share and what it promises."""
    from napari_srgan.tasks.trust_maps import write_trust_mask

    steps = write_trust_mask(source, result, options, part, overwrite=arguments.overwrite)
    made = follow(steps, source.name, "plane", quiet=arguments.json)
    if arguments.json:
        row = {"trust_mask": str(made.path), "trusted_percent": made.percent}
        tell(json.dumps(row | {"sentence": made.notes.legend}))
        return
    tell(f"{made.path}: {made.percent:.1f} % of the pixels are trusted. {made.notes.legend}")


class _Told:
    """Tells of the files of a batch: on standard output, and of what failed beside it.

    Parameters
    ----------
    as_json : bool
        For machines, without progress.
    anonymise : bool
        Hide the names of files that come.
    brief : bool
        A line a file.
    mask : callable, optional
        Makes the trust mask of an input and its result.
    """

    def __init__(
        self,
        as_json: bool,
        anonymise: bool,
        brief: bool = False,
        mask: Callable[[Path, Path], None] | None = None,
    ) -> None:
        self.bar = Bar("tile", quiet=as_json)
        self.done = self.failed = self.left = 0
        self._as_json, self._anonymise, self._brief = as_json, anonymise, brief
        self._mask = mask

    def show(self, step: Progress | FileBegun | FileOutcome) -> None:
        """Tell of a step."""
        from napari_srgan.tasks.batch import FileBegun
        from napari_srgan.tasks.restore import FileOutcome

        if isinstance(step, FileOutcome):
            self.bar.close()
            self._tell(step)
        elif not isinstance(step, FileBegun):
            self.bar.show(step)
        elif self._anonymise:
            hide(names_of([step.source]))

    def _tell(self, step: FileOutcome) -> None:
        if step.summary is not None:
            self.done += 1
            _tell(step.summary.to_dict(), self._as_json, self._brief)
            if self._mask is not None:
                try:
                    self._mask(Path(step.source), Path(step.summary.output))
                except Exception as error:
                    self.failed += 1
                    say(sentence(error))
        elif step.error is not None:
            self.failed += 1
            say(step.said)
            if self._as_json:
                # What is kept must not hold a name that may be a patient's.
                names = names_of([step.source], self._anonymise)
                tell(json.dumps({"input": step.label, "error": without_names(step.said, names)}))
        else:
            self.left += 1
            if self._as_json:
                tell(json.dumps({"input": step.label, "left": step.left}))
            else:
                tell(f"{step.label} is left: {step.left}")

    def count(self) -> str:
        """Say how many files there were of each."""
        total = self.done + self.failed + self.left
        left = f", {self.left} left" if self.left else ""
        return f"{self.done} of {total} files done{left}"


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


def _tell_share(summary: Mapping[str, Any], target: Path, as_json: bool) -> int:
    """Print how far a store is that several jobs fill, after one of them."""
    from napari_srgan.io.journal import planes_done

    sizes = zip(summary["axes"], summary["shape"], strict=True)
    count = math.prod(size for axis, size in sizes if axis not in "YXS")
    done = planes_done(target)
    if as_json:
        tell(json.dumps({**summary, "slices": count, "slices_done": done}))
    else:
        when = "now" if done == count else "when all are,"
        tell(f"{target}: {done} of {count} slices are done; {when} --finish puts it in place.")
    return EXIT_OK


def _tell(summary: Mapping[str, Any], as_json: bool, brief: bool = False) -> None:
    """Print what came of one file, for machines or for people."""
    if as_json:
        tell(json.dumps(summary))
        return
    shape = " x ".join(map(str, summary["shape"]))
    tell(
        f"{summary['output']}: {summary['axes']} {shape} {summary['dtype']}, {summary['model']}, "
        f"{summary['seconds']:.1f} s, peak memory {summary['peak_memory_mb']:.0f} MB"
    )
    if summary["sentence"] and not brief:
        tell(summary["sentence"])
