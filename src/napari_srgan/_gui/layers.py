"""Layers and stacks, both ways: a layer as a Stack, and a result as a layer.

Between them, what the viewer shows of a layer. Nothing is restored here, and no Qt is needed.
Layers are touched on the GUI thread only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_srgan._gui.tags import (
    input_tag,
    is_made_from,
    noted_spacing,
    passed_on,
    spacing_tag,
)
from napari_srgan.errors import InputError
from napari_srgan.image.axes import axes_from_labels
from napari_srgan.image.geometry import Factor, factors, placed_translate, scale_text
from napari_srgan.image.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterable

    import napari
    from napari.components import Dims
    from napari.layers import Image, Shapes

LINKED = ("contrast_limits", "gamma", "colormap")

# --- from a layer to a stack --------------------------------------------------------------------


def layer_axes(layer: Image) -> str:
    """Name the axes of a layer: by its own labels if all of them are known, else by their number.

    Returns
    -------
    str
        Letters of T C Z Y X S in the order of the data; S is last in an RGB layer.

    Raises
    ------
    InputError
        If the layer has more axes than can be guessed, and no labels.
    """
    axes = axes_from_labels(tuple(layer.axis_labels), layer.ndim, layer.rgb)
    if axes is None:
        raise InputError(
            f"{layer.name} has {layer.ndim} axes that nothing names; give their letters under "
            "Super-resolve > Axes (of T, C, Z, Y and X), or split it."
        )
    return axes


def layer_stack(layer: Image) -> Stack:
    """Give the layer's pixels as a Stack; of a multiscale layer the finest level. Nothing is read.

    Raises
    ------
    InputError
        If the layer cannot be upscaled (dtype, size, number of axes).
    """
    return Stack(
        finest_data(layer),
        axes=layer_axes(layer),
        name=layer.name,
        scale=tuple(float(s) for s in layer.scale),
        translate=tuple(float(t) for t in layer.translate),
        units=tuple(str(u) for u in layer.units),
        spacing_source=spacing_source(layer),
        metadata=passed_on(layer.metadata),
    )


def spacing_source(layer: Image) -> str:
    """Say where the layer's pixel size comes from: "file", "user", "default" or "unknown".

    Whatever the numbers are: without a unit along Y and X there is no physical size.
    """
    units = zip(layer_axes(layer), layer.units, strict=False)
    if any(str(u) == "pixel" for a, u in units if a in "YX"):
        return "unknown"
    return noted_spacing(layer) or ("file" if layer.source.path else "user")


def finest_data(layer: Image) -> Any:
    """The layer's pixels; of a multiscale layer those of the finest level."""
    return layer.data[0] if layer.multiscale else layer.data


def data_shape(layer: Image) -> tuple[int, ...]:
    """Shape of the layer's finest data, S included."""
    return tuple(int(n) for n in finest_data(layer).shape)


def layer_sizes(layer: Image) -> dict[str, int]:
    """Length of every axis.

    Raises
    ------
    InputError
        If the axes have no names.
    """
    return dict(zip(layer_axes(layer), data_shape(layer), strict=True))


def slice_axis(sizes: Mapping[str, int]) -> str | None:
    """The axis that a range of slices runs along: Z, else T, else C; None for a single plane."""
    return next((a for a in "ZTC" if sizes.get(a, 1) > 1), None)


# --- what the viewer shows of it ----------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """What the viewer shows of one layer.

    Attributes
    ----------
    index : dict of letter to int
        Position of the sliders along every axis but Y, X and S, within the layer.
    rows, cols : (int, int)
        The visible part along Y and X, half-open, in pixels of the layer; whole if the view
        does not show plain Y x X planes.
    shown : str
        The letters of the axes on the canvas, "YX" in the ordinary case.
    outside : bool
        Whether the sliders are beyond this layer, so that nothing of it is seen.
    """

    index: dict[str, int]
    rows: tuple[int, int]
    cols: tuple[int, int]
    shown: str
    outside: bool = False

    @property
    def plain(self) -> bool:
        """Whether the canvas shows the planes that a model works on, in either orientation."""
        return set(self.shown) == {"Y", "X"}


def view_of(layer: Image, dims: Dims) -> View:
    """Read from the viewer's dims which part of the layer is in view.

    Raises
    ------
    InputError
        If its axes are not known, or the viewer has fewer: the layer is on its way out of it.
    """
    axes = layer_axes(layer).replace("S", "")
    sizes = dict(zip(axes, data_shape(layer), strict=False))
    extra = dims.ndim - layer.ndim
    if extra < 0:
        raise InputError(f"{layer.name} is no longer in the viewer; choose another layer.")
    shown = "".join(axes[d - extra] for d in dims.displayed if d >= extra)
    point = to_layer_units(dims.point, layer, dims)
    at = dict(zip(axes, np.round(layer.world_to_data(point)).astype(int), strict=True))
    index = {a: int(np.clip(at[a], 0, sizes[a] - 1)) for a in axes if a not in "YX"}
    outside = any(at[a] != index[a] for a in index if a not in shown)
    rows, cols = (0, sizes["Y"]), (0, sizes["X"])
    if set(shown) == {"Y", "X"}:
        first, last = np.asarray(layer.corner_pixels)
        rows = _visible(first[axes.index("Y")], last[axes.index("Y")], sizes["Y"])
        cols = _visible(first[axes.index("X")], last[axes.index("X")], sizes["X"])
    return View(index, rows, cols, shown, outside)


def unit_ratio(given: Any, wanted: Any) -> float:
    """How many `wanted` units one `given` unit is; 1 where they cannot be converted.

    napari draws layers whose units do not fit together as if they had none, so 1 is what is seen.
    """
    try:
        return float((1 * given).to(wanted).magnitude)
    except (TypeError, AttributeError):  # pint's error of dimensions is a TypeError
        return 1.0


def to_layer_units(point: Any, layer: Image, dims: Dims) -> np.ndarray:
    """Give a point of the viewer in the layer's own axes and units."""
    own = np.asarray(point, dtype=float)[-layer.ndim :]
    units = tuple(dims.units or ())[-layer.ndim :]
    if len(units) != layer.ndim:
        return own
    return own * [unit_ratio(u, wanted) for u, wanted in zip(units, layer.units, strict=True)]


def drawn_in_pixels(points: np.ndarray, shapes: Shapes, image: Image) -> np.ndarray:
    """Where drawn points lie in an image.

    Parameters
    ----------
    points : ndarray, shape (n, axes of the shapes)
    shapes, image
        They may differ in scale, position, rotation and (convertible) units.

    Returns
    -------
    ndarray, shape (n, axes of the image)
        In pixels; a shape of fewer axes than the image (a 2D rectangle over a stack) holds at every
        slice.
    """
    world = np.array([shapes.data_to_world(p) for p in np.atleast_2d(points)])
    shared = min(shapes.ndim, image.ndim)
    pairs = zip(shapes.units[-shared:], image.units[-shared:], strict=True)
    world = world[:, -shared:] * [unit_ratio(a, b) for a, b in pairs]
    lead = np.zeros((len(world), image.ndim - shared))
    return np.array([image.world_to_data(w) for w in np.hstack([lead, world])])


def _visible(first: int, last: int, size: int) -> tuple[int, int]:
    lo, hi = int(np.clip(first, 0, size)), int(np.clip(last + 1, 0, size))
    return (lo, hi) if hi > lo else (0, size)


# --- from a result to a layer -------------------------------------------------------------------


def unique_name(wanted: str, taken: Iterable[str]) -> str:
    """Return the name, with " [2]", " [3]" ... added if it is taken."""
    known = set(taken)
    name, n = wanted, 2
    while name in known:
        name, n = f"{wanted} [{n}]", n + 1
    return name


def result_name(input_name: str, model: str, scale: Factor, *, preview: bool = False) -> str:
    """Name a result: "eye1 [srresnet-gray 4x]"."""
    # The list of layers cuts long names in the middle: what tells them apart stands at the end.
    return f"{input_name} [{model} {scale_text(scale)}{' preview' if preview else ''}]"


def linear_matrix(layer: Image) -> np.ndarray:
    """Matrix (n, n) from data to physical coordinates: rotate @ shear @ diag(scale)."""
    from napari.utils.transforms import Affine

    return np.asarray(
        Affine(rotate=layer.rotate, scale=layer.scale, shear=layer.shear).linear_matrix
    )


def placement(
    layer: Image, region: Mapping[str, tuple[int, int]], scale: Factor
) -> dict[str, np.ndarray | list[str] | Any]:
    """Give the spatial arguments of the layer of an enlarged region.

    Parameters
    ----------
    layer : Image
        The input.
    region : mapping of axis letter to (start, stop)
        Part that was restored; axes left out are whole.
    scale : (int, int)
        Enlargement of Y and X.

    Returns
    -------
    dict
        scale, translate, rotate, shear, affine, units and axis_labels, so that the outer corners
        of the result coincide with those of the region in world coordinates.
    """
    axes = layer_axes(layer).replace("S", "")
    growth = factors(axes, scale)
    offset = [region.get(a, (0, 0))[0] for a in axes]
    return {
        "scale": np.asarray(layer.scale) / growth,
        "translate": placed_translate(linear_matrix(layer), layer.translate, offset, growth),
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": layer.affine.affine_matrix,
        "units": layer.units,
        "axis_labels": layer.axis_labels,
    }


def in_layer_order(data: Any, axes: str, wanted: str) -> Any:
    """Return the data with its axes in the layer's order; a view, nothing is read.

    The result of RGB that holds gray has no S, and gets none.
    """
    if "S" not in axes:
        wanted = wanted.replace("S", "")
    if axes == wanted:
        return data
    if sorted(axes) != sorted(wanted):
        raise ValueError(f"a result with axes {axes} cannot stand beside a layer with {wanted}")
    return np.transpose(data, [axes.index(a) for a in wanted])


def layer_arguments(
    layer: Image,
    region: Mapping[str, tuple[int, int]],
    scale: Factor,
    name: str,
    metadata: Mapping[str, Any],
    rgb: bool | None = None,
) -> dict[str, Any]:
    """Give all arguments of `viewer.add_image` for a result, but its data.

    It is shown as the input is: colormap, contrast limits and gamma are copied, never guessed
    anew, because a different grey scale would pass for an effect of the model. With `rgb` False,
    the gray result of an RGB layer gets the limits that RGB is shown with.
    """
    rgb = layer.rgb if rgb is None else rgb
    arguments = placement(layer, region, scale) | {
        "name": name,
        "rgb": rgb,
        "opacity": layer.opacity,
        "blending": layer.blending,
        "interpolation2d": layer.interpolation2d,
        "metadata": {
            **metadata,
            **spacing_tag(spacing_source(layer)),
            **input_tag(layer, region, scale),
        },
    }
    if not layer.rgb:
        arguments |= {
            "colormap": layer.colormap,
            "contrast_limits": tuple(layer.contrast_limits),
            "gamma": layer.gamma,
        }
    elif not rgb:
        whole = np.dtype(layer.dtype)
        top = np.iinfo(whole).max if whole.kind in "iu" else 1
        arguments |= {"colormap": "gray", "contrast_limits": (0, top)}
    return arguments


def add_layer(
    viewer: napari.Viewer,
    data: Any,
    arguments: Mapping[str, Any],
    *,
    above: Any = None,
    select: bool = False,
) -> Image:
    """Add an image layer; its name is made unique.

    It goes right above the layer `above`, or on top if that was deleted meanwhile. Without
    `select` what was selected stays selected.
    """
    active = viewer.layers.selection.active
    name = unique_name(arguments["name"], (known.name for known in viewer.layers))
    levels = isinstance(data, list)
    made = viewer.add_image(data, multiscale=levels, **{**arguments, "name": name})
    if above is not None and above in viewer.layers:
        at, place = viewer.layers.index(above) + 1, viewer.layers.index(made)
        if place != at:
            viewer.layers.move(place, at)
    viewer.layers.selection.active = made if select else active
    return made


def add_result(
    viewer: napari.Viewer,
    layer: Image,
    data: Any,
    arguments: Mapping[str, Any],
    among: Iterable[Image] = (),
) -> Image:
    """Add a result above its input and all that was made from that before, and select it.

    Of layers that are restored together, channels, it goes above all: so the results blend with
    each other as the layers do. It is linked to its input, and never covered by an older result.
    An input that was deleted while the work went on leaves its result on top, with no link.
    """
    made = add_layer(viewer, data, arguments, above=topmost_of(viewer, layer, *among), select=True)
    if layer in viewer.layers:
        link_looks(viewer, [layer, made])
    elif not layer.rgb:
        made.contrast_limits_range = tuple(layer.contrast_limits_range)
    return made


def topmost_of(viewer: napari.Viewer, *sources: Image) -> Any:
    """The topmost of layers and all that was made from them: what is new belongs above it."""
    family = [la for la in viewer.layers if any(la is s or is_made_from(la, s) for s in sources)]
    return family[-1] if family else None


def add_plane(
    viewer: napari.Viewer,
    layer: Image,
    index: Mapping[str, int],
    plane: np.ndarray,
    part: Mapping[str, tuple[int, int]] | None = None,
    **shown: Any,
) -> Image:
    """Add what was found about one plane of a layer, at its place among the slices.

    Parameters
    ----------
    viewer : napari.Viewer
    layer : Image
        Whose plane it is.
    index : mapping of letter to int
        Its position.
    plane : ndarray, shape (Y, X)
        Of the size of the layer's planes, or of the part.
    part : mapping of letter to (start, stop), optional
        Ranges along Y and X.
    **shown
        Name, colormap, contrast limits and metadata.
    """
    axes = layer_axes(layer).replace("S", "")
    region = {a: (i, i + 1) for a, i in index.items()} | dict(part or {})
    names = [a for a in axes if a in "YX"]
    data = plane if names == ["Y", "X"] else plane.T
    data = np.expand_dims(data, [i for i, a in enumerate(axes) if a not in "YX"])
    return add_layer(viewer, data, {"rgb": False, **shown, **placement(layer, region, (1, 1))})


def blend(layers: Sequence[Any], order: Sequence[Any]) -> bool:
    """Whether all of these layers are seen at once, as channels are, when they lie on each other.

    `order` is that of the viewer, the lowest first.
    """
    upper = [layer for layer in order if any(layer is la for la in layers)][1:]
    return all(layer.blending in ("additive", "minimum", "multiplicative") for layer in upper)


def link_looks(viewer: napari.Viewer, layers: Sequence[Any]) -> None:
    """Show gray layers of one dtype with the first one's contrast, and link them.

    A different gray scale would pass for a difference of the images. The sliders reach as far as
    the first one's, or linked limits would be cut.
    """
    first = layers[0]
    same = [la for la in layers if not la.rgb and not first.rgb and la.dtype == first.dtype]
    if len(same) < 2:
        return
    for layer in same[1:]:
        layer.contrast_limits_range = tuple(first.contrast_limits_range)
        for name in LINKED:
            setattr(layer, name, getattr(first, name))
    viewer.layers.link_layers(same, LINKED)


def diverging() -> Any:
    """The colours of signed maps."""
    from napari.utils import Colormap

    # Black at zero: on the dark canvas, nothing is seen where nothing is to be said.
    colours = [[0.45, 0.85, 1.0], [0.1, 0.4, 0.9], [0, 0, 0], [0.9, 0.35, 0.05], [1.0, 0.85, 0.4]]
    return Colormap(colours, name="blue-black-orange")
