"""A movie through the slices: the panels of a figure, one slice a frame, as GIF or MP4."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from napari_srgan.errors import InputError
from napari_srgan.io.atomic import check_place, whole_file
from napari_srgan.io.open import spare_inputs
from napari_srgan.options import MovieOptions
from napari_srgan.tasks.figure import (
    Part,
    Shown,
    limits_of,
    panels_of,
    pixel_sides,
    scale_bar,
    shown_files,
)
from napari_srgan.tasks.sheet import Box, Picture, Sheet, Words, raster, shortened
from napari_srgan.tasks.steps import Progress, Work

MOVIES = (".gif", ".mp4")
_ENDINGS = f"movies are written as {' or '.join(MOVIES)}."
_TEXT, _GAP = 16, 8  # pixels
_MOST = 2**29  # bytes of frames that a GIF is made of
_NO_FFMPEG = (
    "An MP4 is written by ffmpeg, which is not there; install ffmpeg or 'pip install "
    "imageio-ffmpeg', or name a .gif."
)


def movie_files(
    low: Path | None,
    result: Path | None,
    reference: Path | None,
    output: Path,
    options: MovieOptions,
    overwrite: bool = False,
) -> Work[int]:
    """Make a movie of files; see `write_movie`."""
    check_place(output, overwrite, MOVIES, _ENDINGS)
    spare_inputs([output], [low, result, reference])
    shown = shown_files(low, result, reference)
    return (yield from write_movie(shown, output, options, overwrite=overwrite))


def write_movie(
    shown: Shown, output: Path, options: MovieOptions, overwrite: bool = True
) -> Work[int]:
    """Go through the slices and write a frame of each.

    Parameters
    ----------
    shown : Shown
        With two slices at least, see `Shown.axis`. One gray scale holds for all, that of the
        middle slice where none is given.
    output : Path
        GIF or MP4 by its ending; MP4 needs ffmpeg.
    options : MovieOptions
    overwrite : bool
        Whether a file that is there may be replaced.

    Returns
    -------
    int
        Number of frames.

    Raises
    ------
    InputError
        If there is one slice only, a panel is not there, the ending is another, ffmpeg is missing
        or refuses, or a GIF would be too large to be made in memory.
    OSError
        If it cannot be written.
    """
    shown = replace(shown, channel=options.channel)
    suffix, axis = output.suffix.lower(), shown.axis
    if suffix not in MOVIES:
        raise InputError(f"{output.name}: {_ENDINGS}")
    if axis is None:
        raise InputError(f"{shown.finest.name} has one slice only; a movie needs several.")
    kinds = shown.chosen(options.panels)
    frames = range(shown.finest.sizes[axis])
    middle = shown.plane(None)  # its limits are for all slices: else the movie flickers
    if shown.is_merged:
        shown = replace(shown, looks=shown.looks_at(middle))
    elif shown.limits is None:
        shown = replace(shown, limits=limits_of(shown.finest, middle))
    first = _frame(shown, kinds, frames[0], options.width)
    if suffix == ".gif" and first.width * first.height * len(frames) > _MOST:
        raise InputError(
            f"{len(frames)} frames of {first.width} x {first.height} px are too much for a GIF; "
            "make it narrower, or name an .mp4."
        )
    program = ffmpeg() if suffix == ".mp4" else ""
    with whole_file(output, overwrite) as partial:
        if suffix == ".gif":
            drawn = []
            for done, number in enumerate(frames):
                yield Progress(done, len(frames), stage="Drawing")
                drawn.append(_indexed(raster(_frame(shown, kinds, number, options.width))))
            pause = max(20, round(100 / options.fps) * 10)  # GIF counts in 1/100 s
            drawn[0].save(
                partial, "GIF", save_all=True, append_images=drawn[1:], duration=pause, loop=0
            )
        else:
            with _encoder(program, partial, (first.width, first.height), options.fps) as write:
                for done, number in enumerate(frames):
                    yield Progress(done, len(frames), stage="Drawing")
                    write(raster(_frame(shown, kinds, number, options.width)))
    return len(frames)


def ffmpeg() -> str:
    """Find ffmpeg: on the path, else that of the package imageio-ffmpeg.

    Raises
    ------
    InputError
        If there is none.
    """
    found = shutil.which("ffmpeg")
    if found is not None:
        return found
    try:
        from imageio_ffmpeg import get_ffmpeg_exe

        return str(get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise InputError(_NO_FFMPEG) from error


def _frame(shown: Shown, kinds: tuple[str, ...], number: int, width: int) -> Sheet:
    base = shown.finest
    panels = panels_of(shown, kinds, shown.plane(number))
    sides, size = pixel_sides(base)
    side = (width - _GAP * (len(panels) - 1)) // len(panels)
    if side < 32:
        raise InputError(f"{len(panels)} panels do not fit {width} px; make the movie wider.")
    whole = Part((0, base.height), (0, base.width))
    height, top = whole.height_for(side, sides), _TEXT + _GAP
    items: list[Any] = []
    for at, panel in enumerate(panels):
        box = Box(at * (side + _GAP), top, side, height)
        items.append(Picture(box, whole.of(panel)))
        text = shortened(panel.label, _TEXT, side)
        items.append(Words(box.x + side // 2, _TEXT, text, _TEXT, centred=True))
    if size:
        items += scale_bar(Box(0, top, side, height), base.width * size[0], size[1], _TEXT)
    last = base.sizes[str(shown.axis)] - 1
    bottom = top + height + _TEXT + _GAP // 2
    items.append(Words(0, bottom, f"{str(shown.axis).lower()} {number} of {last}", _TEXT))
    return Sheet(width + width % 2, bottom + _GAP + (bottom + _GAP) % 2, tuple(items))


def _indexed(image: Image.Image) -> Image.Image:
    """Give an image the 256 colours that a GIF can hold; grays are kept as they are."""
    return image if image.mode == "L" else image.quantize(256, dither=Image.Dither.NONE)


@contextmanager
def _encoder(program: str, path: Path, size: tuple[int, int], fps: float) -> Iterator[Any]:
    """Run ffmpeg and yield a function that takes a frame."""
    command = [program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
    command += ["-s", f"{size[0]}x{size[1]}", "-r", f"{fps:g}", "-i", "-", "-an"]
    command += ["-c:v", "libx264", "-crf", "18", "-pix_fmt", "yuv420p", "-f", "mp4", str(path)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    assert process.stdin is not None and process.stderr is not None

    def write(frame: Image.Image) -> None:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # the reason stands in its errors
            process.stdin.write(np.asarray(frame.convert("RGB")).tobytes())

    try:
        yield write
        with suppress(BrokenPipeError):
            process.stdin.close()
        said = process.stderr.read().decode("utf-8", "replace").strip()
        if process.wait() != 0:
            raise InputError(
                f"ffmpeg made no movie: {said.splitlines()[-1] if said else 'no reason given'}."
            )
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stderr.close()
