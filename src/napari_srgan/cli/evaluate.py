"""High-resolution images in, figures out: which files, in what order, and what is told of them.

As in a batch of `upscale`, an error in one file is said and does not stop the others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from napari_srgan.cli.evaluate_image import Evaluator, FileScore, Request
from napari_srgan.cli.evaluate_report import file_row, mean_row, text, write_csv
from napari_srgan.cli.terminal import say, sentence_for
from napari_srgan.engine.upscaler import Progress
from napari_srgan.errors import InputError
from napari_srgan.io.atomic import check_place, spare_inputs
from napari_srgan.io.open import READABLE_SUFFIXES
from napari_srgan.measure.protocols import summary

__all__ = ["Request", "evaluate", "find_images"]


def evaluate(
    paths: Sequence[Path],
    request: Request,
    csv: Path | None = None,
    overwrite: bool = False,
    as_json: bool = False,
) -> int:
    """Measure all images below folders and print the figures.

    Parameters
    ----------
    paths : sequence of Path
        Folders or files.
    request : Request
        How to measure.
    csv : Path, optional
        A table to write as well.
    overwrite : bool
        Replace that table if it exists.
    as_json : bool
        Print one JSON line a file and a last one with "mean" instead of the table.

    Returns
    -------
    int
        How many files failed. The mean is over the others, each with the same weight.

    Raises
    ------
    InputError
        If a folder holds no images, or the request cannot be met for any file.
    """
    if csv is not None:
        check_place(csv, overwrite)
    images = find_images(paths)
    spare_inputs([csv], (path for path, _ in images))
    evaluator = Evaluator(request)
    measured: list[FileScore] = []
    rows: list[dict[str, Any]] = []
    # As everywhere: no bar where standard error is no terminal.
    with tqdm(total=len(images), unit="image", disable=as_json or None) as bar:
        for number, (path, name) in enumerate(images):

            def show(plane: int, planes: int, progress: Progress, name: str = name) -> None:
                tile = f"tile {progress.done} of {progress.total}"
                bar.set_postfix_str(f"{name}, plane {plane + 1} of {planes}, {tile}")
                if progress.note:
                    say(progress.note)

            try:
                measured.append(evaluator.measure(path, name, number, show))
                rows.append(file_row(measured[-1], request.protocol))
            except Exception as error:
                sentence = sentence_for(error)
                # Some causes are told of the file's last name only, which many may share.
                say(sentence if name in sentence else f"{name}: {sentence}")
                rows.append({"image": name, "error": sentence})
            if as_json:
                print(json.dumps(rows[-1]), flush=True)
            bar.update()
    means = [f.summary.mean for f in measured if f.summary.mean is not None]
    overall = replace(summary(means), left_out=len(measured) - len(means))
    failed = len(images) - len(measured)
    if csv is not None:
        write_csv(csv, rows)
    if as_json:
        print(json.dumps(mean_row(overall, failed)))
    elif measured:
        print(text(measured, overall, request.protocol))
    return failed


def find_images(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """List files and all images below folders, each with the name that it is told of by.

    Returns
    -------
    list of (path, name)
        In the order given, those of a folder sorted; the name is the path below the folder.

    Raises
    ------
    InputError
        If a folder holds no images.
    """
    found: list[tuple[Path, str]] = []
    for path in paths:
        if not path.is_dir():
            found.append((path, path.name))
            continue
        below = sorted(
            p
            for p in path.rglob("*")
            if p.name.lower().endswith(READABLE_SUFFIXES)
            and not p.name.startswith(".")
            and p.is_file()
        )
        if not below:
            raise InputError(f"The folder {path} holds no images ({', '.join(READABLE_SUFFIXES)}).")
        found += [(p, p.relative_to(path).as_posix()) for p in below]
    return found
