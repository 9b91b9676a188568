"""A training as one call from Python, for notebooks and programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.hardware import Hardware
from training.presets import PRESETS, compose, from_plain, read_recipe
from training.recipe import Recipe

if TYPE_CHECKING:
    from training.start import Trained

Paths = str | Path | Sequence[str | Path]


def train(
    recipe: Recipe | Mapping[str, Any] | str | Path,
    data: Paths,
    *,
    progress: Callable[[dict[str, Any]], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    out: str | Path | None = None,
    val: Paths = (),
    paired: bool = False,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    skip_bad: bool = False,
    vgg_weights: str | Path | None = None,
    lpips_weights: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    workers: int = -1,
) -> Trained:
    """Train a generator on scans, as ``python -m training.train_oct`` does.

    Not for napari's own process, whose graphics may not bear what torch's optimisers load.

    Parameters
    ----------
    recipe : Recipe, mapping, str or Path
        The recipe; the fields that differ from the preset `default`; the name of a preset; or a
        TOML file with such fields.
    data : path or sequence of paths
        Folders of HR scans, patterns, or files.
    progress : callable, optional
        Called with every event, as ``--json-progress`` prints them: {"event": "step", "step": 50,
        "steps": 400, "seconds_left": 61.0, "generator": 0.02, ...}.
    stop : callable
        Asked after every step whether to stop; a file "stop" in the run folder does the same.
    out : path, optional
        The run folder, a new one; runs/ and the name, date and time by default.
    val : path or sequence of paths
        Folders to validate on; some volumes of `data` by default.
    paired, include, exclude, skip_bad, vgg_weights, lpips_weights, device, precision, workers
        As the options of the command.

    Returns
    -------
    Trained
        With the model's file, its scores, and whether the training came to its end.

    Raises
    ------
    InputError
        If the recipe makes no sense, the scans cannot be used, or the losses stay infinite.

    Examples
    --------
    >>> import training
    >>> made = training.train({"name": "retina", "pretrain_steps": 2000}, "scans/")
    ... # doctest: +SKIP
    >>> napari_srgan.upscale("scan.tif", model=made.model)  # doctest: +SKIP
    """
    from training.data import Sources
    from training.start import Request, carry_out, new_folder

    whole, by_hand = _composed(recipe)
    asked = Request(
        new_folder(whole.name) if out is None else Path(out),
        whole,
        by_hand,
        Sources(
            _paths(data),
            _paths(val),
            paired,
            include=tuple(include),
            exclude=tuple(exclude),
            skip_bad=skip_bad,
        ),
        None if vgg_weights is None else Path(vgg_weights),
        None if lpips_weights is None else Path(lpips_weights),
        Hardware(device, precision, workers),
        progress or (lambda event: None),
    )
    with ExitStack() as undo:
        return carry_out(asked, stop, undo)


def resume(
    run: str | Path,
    *,
    progress: Callable[[dict[str, Any]], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
    **changes: Any,
) -> Trained:
    """Go on with a run that was stopped, or make it longer.

    Parameters
    ----------
    run : path
        The run folder.
    progress, stop
        As of `train`.
    **changes
        Fields of the recipe that may change, `adversarial_steps=20000` for instance.

    Returns
    -------
    Trained

    Raises
    ------
    InputError
        If there is no such run, or it cannot go on in this way.
    """
    from training.start import carry_out, resumed

    asked = resumed(Path(run), from_plain(changes), progress or (lambda event: None))
    with ExitStack() as undo:
        return carry_out(asked, stop, undo)


def _composed(recipe: Recipe | Mapping[str, Any] | str | Path) -> tuple[Recipe, dict[str, Any]]:
    """Return a whole recipe, and the fields that were set in it."""
    if isinstance(recipe, Recipe):
        usual = Recipe().to_dict()
        return recipe, {k: v for k, v in recipe.to_dict().items() if v != usual[k]}
    if isinstance(recipe, str) and recipe in PRESETS:
        return compose(recipe, {}), {}
    given = from_plain(recipe) if isinstance(recipe, Mapping) else read_recipe(Path(recipe))
    return compose("default", given), given


def _paths(paths: Paths) -> tuple[Path, ...]:
    one = isinstance(paths, str | Path)
    return (Path(paths),) if one else tuple(map(Path, paths))  # type: ignore[arg-type]
