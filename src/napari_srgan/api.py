"""The function `upscale`: everything between an array and its super-resolved image, in one call."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_srgan.engine.progress import Progress, Work, drain
from napari_srgan.engine.run import Result
from napari_srgan.errors import InputError
from napari_srgan.image.geometry import Factor
from napari_srgan.image.stack import Region, Stack
from napari_srgan.io.data_array import is_data_array, stack_of
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.restore import Restored, restore


def upscale(
    image: Any,
    model: str | Path = "auto",
    axes: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    tile: str | int = "auto",
    intensity: str = "auto",
    transform: str = "auto",
    back_project: bool = False,
    progress: bool | Callable[[Progress], object] | None = None,
    *,
    nan: str = "refuse",
    region: Region | None = None,
    series: int | None = None,
    anonymise: bool = False,
    backend: str = "auto",
    kind: str = "auto",
    outscale: str | float | Factor = "auto",
    factor_axes: str = "both",
    level: int = 0,
    memory: str = "1GB",
) -> Result:
    """Super-resolve an image or a stack, in memory.

    Parameters
    ----------
    image : array-like, xarray.DataArray, Stack or path
        numpy, dask or zarr array, or an image file. Planes are read one by one. Of a DataArray
        the names of the dimensions, the coordinates and their units are heeded.
    model : str or Path
        A name of `list_models()` or a model file; "auto" is the one for the kind of image.
    axes : str, optional
        Letters of T C Z Y X S in the order of the data. Without: those of a Stack or file, else
        YX, ZYX or TZYX, and in uint8 a last axis of 3 or 4 is S (RGB samples).
    device : str
        "auto", "cpu", "cuda", "cuda:N" or "mps".
    precision : str
        "auto", "float32", "bfloat16" or "float16".
    tile : "auto" or int
        Side of a tile's interior in LR pixels; the halo is added. It changes time and memory,
        not the result.
    intensity : str
        "auto", "minmax", "dtype", "percentile:A,B" or "LO:HI": what maps to the network's 0..1.
    transform : str
        "none", "log" or "power:P", for data linear in intensity; "auto" is "power:0.25" for OCT
        that is, else "none".
    back_project : bool
        Change the result as little as makes it, shrunk again, equal the image; for models of the
        degradations "area" (exactly) and "bicubic".
    progress : bool or callable, optional
        Called with a `Progress` after every tile, and before the first with every warning. True:
        a bar, in a notebook as well, and Python's warnings.
    nan : {"refuse", "fill"}
        "fill": restore around NaN and infinities and put them back.
    region : mapping of axis letter to (start, stop), optional
        The part to restore, half-open, in pixels of the image; axes left out are whole.
    series : int, optional
        Which of several images in a file, counted from 0; by default the largest.
    anonymise : bool
        Record no name of the image.
    backend : str
        "auto" and "torch" are the reference; "openvino" (CPUs, extra "cpu") is on trial.
    kind : str
        "raw-oct", "oct", "fluorescence", "brightfield", "em" or "photograph", which decides what
        "auto" is for model and transform; "auto" is told from the pixels.
    outscale : str, float or (float, float)
        How many times finer the result is along Y and X, from 1 to the model's own factor, which
        "auto" is; the model's result is resized to it, antialiased.
    factor_axes : {"both", "lateral"}
        "lateral": only X becomes finer, as the lateral axis of an OCT frame.
    level : int
        Which level of an OME-Zarr image; 0 is the finest.
    memory : str
        What the work may take beside the program and the result, as "500MB" or "4GB".

    Returns
    -------
    Result
        data (dtype of the input), axes, scale, translate, metadata. RGB whose colours all hold one
        gray value comes out gray, without S, unless a model for RGB is named.

    Raises
    ------
    InputError
        If the image or a setting cannot be used; one sentence that says why.

    Examples
    --------
    >>> import numpy as np, napari_srgan
    >>> result = napari_srgan.upscale(np.zeros((8, 16), np.uint8))  # doctest: +SKIP
    >>> result.data.shape  # doctest: +SKIP
    (32, 64)
    """
    options = RestoreOptions(
        model=model,
        device=device,
        precision=precision,
        tile=tile,
        intensity=intensity,
        transform=transform,
        nan=nan,
        back_project=back_project,
        anonymise=anonymise,
        region=region,
        backend=backend,
        kind=kind,
        outscale=outscale,
        factor_axes=factor_axes,
        memory=memory,
    )

    steps = restore(_as_stack(image, axes, series, level), options)
    if progress is True:
        return _under_a_bar(steps).result

    def tell(step: Progress) -> None:
        if callable(progress) and step.total:
            progress(step)

    return drain(steps, tell).result


def _under_a_bar(steps: Work[Restored]) -> Restored:
    """Do the work under a bar; what is out of the ordinary is warned of as Python does."""
    from tqdm.auto import tqdm

    with tqdm(desc="SRGAN upscale", unit="tile") as bar:

        def tell(step: Progress) -> None:
            if step.note:
                warnings.warn(step.note, stacklevel=5)
            if step.total:
                bar.total = step.total
                bar.update(step.done - bar.n)

        return drain(steps, tell)


def _as_stack(image: Any, axes: str | None, series: int | None, level: int) -> Stack:
    if (series is not None or level) and not isinstance(image, (str, Path)):
        raise InputError("series and level choose an image of a file; an array holds only one.")
    if isinstance(image, Stack):
        if axes is not None and axes.upper() != image.axes:
            raise InputError(
                f"{image.name} has the axes {image.axes} already; axes={axes!r} contradicts them."
            )
        return image
    if is_data_array(image):
        return stack_of(image, axes)
    if isinstance(image, (str, Path)):
        from napari_srgan.io.open import open_stack

        return open_stack(image, axes, series, level)
    if not hasattr(image, "dtype"):
        try:
            image = np.asarray(image)  # nested lists
        except ValueError as error:
            raise InputError(f"The image is not an array: {error}.") from error
    return Stack(image, axes)
