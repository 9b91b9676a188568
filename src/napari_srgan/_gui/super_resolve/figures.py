"""Save figure and Save movie: the result beside its input, bicubic and a reference, in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.layers import blend, data_shape, layer_axes, layer_stack, view_of
from napari_srgan._gui.parts.widgets import Part, asked_path, button, column, row
from napari_srgan._gui.runner import RunnerBar, errors_said
from napari_srgan._gui.tags import input_of, is_restored, made_from, record_of
from napari_srgan.engine.progress import Work
from napari_srgan.image.views import MovedArray, along_channels
from napari_srgan.options import FigureOptions, MovieOptions

if TYPE_CHECKING:
    import napari
    from napari.layers import Image

    from napari_srgan.image.stack import Stack
    from napari_srgan.tasks.figure import Shown

_FIGURES = "PNG at 300 dpi (*.png);;SVG (*.svg)"
_MOVIES = "GIF (*.gif);;MP4, needs ffmpeg (*.mp4)"


class FigureButtons(Part):
    """Buttons that write a figure of the slice in view, and a movie through the slices.

    Parameters
    ----------
    viewer : napari.Viewer
    runner : RunnerBar
        Of the panel; one work at a time.
    reference : callable
        Gives the reference to show beside the result, or None.
    """

    def __init__(
        self, viewer: napari.Viewer, runner: RunnerBar, reference: Callable[[], Image | None]
    ) -> None:
        super().__init__()
        self._viewer, self._runner, self._reference = viewer, runner, reference
        self._layer: Image | None = None
        self.figure = button(
            "Save figure",
            "Input, bicubic, result and the reference that is chosen beside Report, if any, with "
            "an inset; the slice in view",
        )
        self.movie = button("Save movie", "The same, slice by slice")
        column(self, row(self.figure, self.movie))
        self.figure.clicked.connect(
            lambda: self._ask("Save the figure", "figure.png", _FIGURES, self.figure_to)
        )
        self.movie.clicked.connect(
            lambda: self._ask("Save the movie", "movie.gif", _MOVIES, self.movie_to)
        )
        self.show_layer(None)

    def show_layer(self, layer: Image | None) -> None:
        """Act on this result from now on."""
        self._layer = layer
        self.setVisible(layer is not None)

    def enable(self, on: bool) -> None:
        """Let the buttons be pressed, or not while something else runs."""
        self.figure.setEnabled(on)
        self.movie.setEnabled(on)

    def figure_to(self, path: Path) -> None:
        """Write the figure of the slice in view; a file that is there is replaced."""
        shown = self._shown()
        at = view_of(self._layer, self._viewer.dims).index
        index = tuple(at.get(a, 0) for a in shown.finest.plane_axes)
        options = FigureOptions(channel=None if shown.looks else at.get("C"))
        self._start(partial(make_figure, shown, path, options, index), path)

    def movie_to(self, path: Path) -> None:
        """Write the movie; a file that is there is replaced."""
        self._start(partial(make_movie, self._shown(), path), path)

    def _channels(self) -> list[Image]:
        """The results that are seen together with this one as the channels of an image."""
        layer, made = self._layer, made_from(self._layer)
        alike = [
            la
            for la in self._viewer.layers
            if is_restored(la)
            and not la.rgb
            and data_shape(la) == data_shape(layer)
            and record_of(la).model == record_of(layer).model
            and (made_from(la) is None) == (made is None)
            and (made is None or made_from(la).region == made.region)
            and input_of(la, self._viewer.layers) is not None
        ]
        several = len(alike) > 1 and layer in alike and blend(alike, self._viewer.layers)
        return alike if several and "C" not in layer_axes(layer) else [layer]

    def _merged(self, results: list[Image]) -> Shown:
        """Show the channels in the colours and with the limits that their layers have."""
        from napari_srgan.tasks.figure import Look, Shown

        lows = [
            part_of_stack(layer_stack(source), {} if made is None else dict(made.region))
            for source, made in (
                (input_of(la, self._viewer.layers), made_from(la)) for la in results
            )
        ]
        looks = tuple(
            Look(
                tuple(int(v) for v in np.rint(255 * la.colormap.map(1.0).ravel()[:3])),
                (float(la.contrast_limits[0]), float(la.contrast_limits[1])),
            )
            for la in results
        )
        high = along_channels([layer_stack(la) for la in results])
        return Shown(along_channels(lows), high, looks=looks)

    def _shown(self) -> Shown:
        # Late: it brings matplotlib along, which opening the panel does not need.
        from napari_srgan.tasks.figure import Shown

        result, reference = self._layer, self._reference()
        channels = self._channels()
        if reference is None and len(channels) > 1:
            return self._merged(channels)
        source = input_of(result, self._viewer.layers)
        made = made_from(result)
        region = {} if made is None else dict(made.region)
        low = None if source is None else part_of_stack(layer_stack(source), region)
        truth = None if reference is None else layer_stack(reference)
        if truth is not None and truth.shape != layer_stack(result).shape and made is not None:
            sides = dict(zip("YX", made.scale, strict=True))
            large = {
                a: (lo * sides.get(a, 1), hi * sides.get(a, 1)) for a, (lo, hi) in region.items()
            }
            truth = part_of_stack(truth, large)
        limits = None if result.rgb else tuple(float(v) for v in result.contrast_limits)
        return Shown(low, layer_stack(result), truth, limits)

    def _ask(self, title: str, name: str, kinds: str, write: Callable[[Path], None]) -> None:
        with errors_said(self.say):
            path = asked_path(self, title, name, kinds, Path(name).suffix)
            if path is not None:
                write(path)

    def _start(self, work: Callable[[], Work[Any]], path: Path) -> None:
        if self._runner.running:
            return
        self.say()
        self._runner.start(
            work,
            lambda _made: self.say(f"Saved {path.name}."),
            self.say,
            cancelled="Cancelled; nothing was written.",
        )
        self.enable(False)


def part_of_stack(stack: Stack, region: dict[str, tuple[int, int]]) -> Stack:
    """Take the part that a result was made from, lazily; a region that does not fit takes all."""
    inside = all(a in stack.sizes and hi <= stack.sizes[a] for a, (_, hi) in region.items())
    if not region or not inside:
        return stack
    shape = [region[a][1] - region[a][0] if a in region else n for a, n in stack.sizes.items()]
    offsets = [region[a][0] if a in region else 0 for a in stack.axes]
    return replace(stack, data=MovedArray(stack.data, shape, offsets))


def make_figure(
    shown: Shown, path: Path, options: FigureOptions, index: tuple[int, ...]
) -> Work[Any]:
    """Write a figure; for a thread."""
    from napari_srgan.tasks.figure import write_figure

    return (yield from write_figure(shown, path, options, index))


def make_movie(shown: Shown, path: Path) -> Work[Any]:
    """Write a movie; for a thread."""
    from napari_srgan.tasks.movie import write_movie

    return (yield from write_movie(shown, path, MovieOptions()))
