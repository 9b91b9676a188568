"""From a recipe and scans to a training that can begin; and what is said before and after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from napari_srgan.cli.terminal import table
from napari_srgan.errors import InputError
from napari_srgan.measure.table import LPIPS_MEASURES, MEASURES
from napari_srgan.models.architectures import build
from napari_srgan.models.file import load
from napari_srgan.models.lpips import LPIPS, load_lpips, network_of
from napari_srgan.models.vgg import VGGFeatures, load_vgg
from training import checkpoint
from training.data import Data
from training.log import CSV_NAME, read_rows
from training.loop import Run
from training.players import Players, discriminator_for
from training.recipe import Recipe
from training.timetable import Timetable, timetable
from training.validation import Row

if TYPE_CHECKING:
    from lightning_fabric import Fabric

_IN_THE_TABLE = ("vgg22", "vgg54")


def content_features(recipe: Recipe, weights: Path | None) -> nn.Module | None:
    """Load VGG19 for the content loss, or None if the recipe has none.

    Raises
    ------
    InputError
        If the weights are not to be had or do not reach the layer: never random ones.
    """
    if not recipe.needs_vgg:
        return None
    return load_vgg(recipe.content, weights, before_activation=recipe.before_activation)


def table_features(weights: Path | None, lpips_weights: Path | None) -> list[VGGFeatures | LPIPS]:
    """Load what the last table measures distances by, as far as weights are at hand.

    Those are VGG19, as deep as it reaches, and the network of LPIPS.

    Raises
    ------
    InputError
        If a file was given that does not even reach the first of them.
    """
    found: list[VGGFeatures | LPIPS] = []
    for layer in _IN_THE_TABLE:
        try:
            found.append(load_vgg(layer, weights, download=False))
        except InputError:
            if weights is not None and not found:
                raise
            break  # the table says which distances it has not
    try:
        network = "alex" if lpips_weights is None else network_of(lpips_weights)
        found.append(load_lpips(network, lpips_weights, download=False))
    except InputError:
        if lpips_weights is not None:
            raise
    return found


def assemble(
    recipe: Recipe,
    data: Data,
    fabric: Fabric,
    folder: Path,
    start_from: Path | None,
    content: nn.Module | None,
) -> Run:
    """Build the networks with their first weights, and put the training together.

    Parameters
    ----------
    recipe : Recipe
        With its channels decided.
    data : Data
    fabric : Fabric
    folder : Path
        The run folder.
    start_from : Path or None
        A model file whose weights are the first.
    content : torch.nn.Module or None
        For the content loss.
    """
    torch.manual_seed(recipe.seed)
    generator = build(recipe.generator, recipe.network_parameters)
    if start_from is None:
        generator.initialise(recipe.initialisation)
    else:
        generator.load_state_dict(load(start_from).network.state_dict())
    players = Players(recipe, fabric, generator, content, discriminator_for(recipe))
    steps = timetable(recipe, sum(s.pixels for s in data.train))
    return Run(steps, data, players, fabric, folder / checkpoint.NAME, outputs=None)


def last_table(folder: Path, rows: Sequence[Row], pretrained_at: int) -> str:
    """Lay out the scores of a run: the model beside bicubic and what it came from.

    Parameters
    ----------
    folder : Path
        The run folder; its log has the scores at step 0 (of the model that the run started
        from, if it did) and at the end of the first phase.
    rows : sequence of Row
        The last scores.
    pretrained_at : int
        The step at which the second phase began; 0 if there was none.
    """
    logged = [r for r in read_rows(folder / CSV_NAME) if r["set"]]

    def at(step: int, name: str) -> Mapping[str, Any]:
        return next((r for r in logged if int(r["step"]) == step and r["set"] == name), {})

    measures = [measure for measure in MEASURES.values() if measure.evaluated]
    parts = []
    for row in rows:
        columns: dict[str, Mapping[str, Any]] = {
            "model": row,
            "bicubic": {m.name: row.get(f"{m.name}_bicubic") for m in measures},
        }
        if pretrained := at(pretrained_at, row["set"]) if pretrained_at else {}:
            columns = {"pretrained": pretrained} | columns
        if before := at(0, row["set"]):
            columns = {"before": before} | columns
        body = [
            (
                ", ".join(filter(None, (m.title or m.label, m.unit))),
                *(_cell(m.name, values.get(m.name)) for values in columns.values()),
            )
            for m in measures
            if row.get(m.name) is not None
        ]
        head = (f"{row['set']} ({row['images']})", *columns)
        parts.append(table([head, *body]))
    missing = [k.upper() for k in _IN_THE_TABLE if rows and rows[0].get(k) is None]
    if missing:
        parts.append(
            f"{' and '.join(missing)} distance not measured: the VGG19 weights at hand do not "
            "reach that deep (--vgg-weights FILE)."
        )
    if rows and not any(rows[0].get(k) is not None for k in LPIPS_MEASURES):
        parts.append("LPIPS not measured: no weights are at hand (--lpips-weights FILE).")
    return "\n\n".join(parts)


def gains_at(folder: Path, step: int) -> dict[str, float]:
    """Return by how many dB a run was better than bicubic at a step, by set, from its log."""
    logged = [r for r in read_rows(folder / CSV_NAME) if r["set"] and int(r["step"]) == step]
    return {r["set"]: float(r["psnr"]) - float(r["psnr_bicubic"]) for r in logged}


def verdict(
    rows: Sequence[Row], pretrained: Mapping[str, float], timetable: Timetable, skipped: int
) -> str:
    """Say why a model is of no use, or what else went wrong; "" if nothing is amiss.

    Parameters
    ----------
    rows : sequence of Row
        The last scores.
    pretrained : mapping of str to float
        By how many dB the model at the end of the first phase was better than bicubic, by set.
    timetable : Timetable
    skipped : int
        Steps whose losses were not finite.
    """
    found = []
    gains = {row["set"]: row["psnr"] - row["psnr_bicubic"] for row in rows}
    worst = min(gains, key=lambda name: gains[name], default=None)
    if worst is not None and gains[worst] <= 0:
        taken_for_it = timetable.adversarial and pretrained.get(worst, 1.0) > 0
        why = (
            "an adversary costs some of it, so look at the previews before you use it"
            if taken_for_it
            else "it is not worth using: train longer, on more scans, or with another recipe"
        )
        found.append(f"The model is {-gains[worst]:.2f} dB worse than bicubic on {worst}; {why}.")
    if skipped:
        found.append(
            f"{skipped} steps of {timetable.total} were left out, since their losses were not "
            "finite; a lower --learning-rate or --clip 1 would help."
        )
    return " ".join(found)


def _cell(key: str, value: Any) -> str:
    if value in (None, ""):
        return ""
    number = float(value)
    return f"{number:.2f}" if key == "psnr" else f"{number:.4g}"
