"""What a run leaves behind besides its checkpoint: scores, model files with cards, pictures."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from napari_srgan import __version__
from napari_srgan.measure.features import FeatureMaps
from napari_srgan.models.architectures import build
from napari_srgan.models.architectures.generator import Generator
from napari_srgan.models.card import Card, Role
from napari_srgan.models.catalogue import SUFFIX, save_model
from training.data import Data
from training.log import CSV_NAME, read_rows, scores_by
from training.monitor import Monitor
from training.pictures import draw_curves, draw_previews
from training.recipe import Recipe
from training.validation import Row, validate

MODEL = f"generator{SUFFIX}"
PRETRAINED = f"generator-pretrained{SUFFIX}"
BEST = f"generator-best{SUFFIX}"


@dataclass
class Outputs:
    """Validates weights and writes what there is to keep and to see.

    Attributes
    ----------
    recipe, data : Recipe, Data
    folder : Path
        The run folder.
    monitor : Monitor
    device : torch.device
        Where validation runs, in float32.
    pretrain : int
        Steps of the first phase.
    rows : list
        The scores of the last validation.
    """

    recipe: Recipe
    data: Data
    folder: Path
    monitor: Monitor
    device: torch.device
    pretrain: int
    rows: list[Row] = field(default_factory=list)

    def validate(
        self,
        weights: dict[str, torch.Tensor],
        step: int,
        phase: str,
        names: Sequence[str] = (MODEL,),
        features: Sequence[FeatureMaps] = (),
    ) -> list[Row]:
        """Validate weights, write them under some names, and draw previews and curves.

        Parameters
        ----------
        weights : dict
            A generator's state.
        step, phase : int, str
            At which they were taken.
        names : sequence of str
            Files in the run folder that they are written to.
        features : sequence of FeatureMaps
            For distances of features.

        Returns
        -------
        list of Row
            One for each validation set.
        """
        network = self._network(weights)
        self.rows, pictures = validate(network, self.data.val, self.recipe, self.device, features)
        card = self._card(step, phase, self.rows)
        for name in names:
            save_model(self.folder / name, network, card)
        self.monitor.validation(step, phase, self.rows)
        if step and self._is_best(step):
            save_model(self.folder / BEST, network, card)
        if names:
            self.monitor.pictures(step, draw_previews(self.folder, pictures, step))
            draw_curves(self.folder, self.pretrain)
        return self.rows

    def keep(self, weights: dict[str, torch.Tensor], step: int, phase: str) -> None:
        """Write weights as the model, without a validation, for which there may be no time."""
        save_model(self.folder / MODEL, self._network(weights), self._card(step, phase, ()))
        draw_curves(self.folder, self.pretrain)

    def _is_best(self, step: int) -> bool:
        """Say whether a step, the last one that was validated, is better than all before it."""
        scores = self._scores()
        return all(scores[step] > score for at, score in scores.items() if at < step)

    @property
    def without_gain(self) -> int:
        """How many validations there were since the best one."""
        scores = self._scores()
        best = max(scores, key=lambda step: scores[step], default=0)
        return sum(step > best for step in scores)

    def _scores(self) -> dict[int, float]:
        return scores_by(read_rows(self.folder / CSV_NAME), self.recipe.best)

    def _network(self, weights: dict[str, torch.Tensor]) -> Generator:
        network = build(self.recipe.generator, self.recipe.network_parameters)
        network.load_state_dict(weights)
        return network

    def _card(self, step: int, phase: str, rows: Sequence[Row]) -> Card:
        recipe = self.recipe
        values = recipe.to_dict()
        said = ("name", "purpose", "trained_on", "limits", "degradation", "channels", "scale")
        role: Role = "perceptual" if phase == "adversarial" else "fidelity"
        perceptual = (
            " Detail is what an adversary took for real: invented where it is not measured."
        )
        return Card(
            name=recipe.name,
            architecture=recipe.generator,
            parameters=recipe.network_parameters,
            channels=recipe.channels,
            scale=recipe.factors,
            purpose=recipe.purpose,
            role="restoration" if self.data.measured else role,
            degradation="measured" if self.data.measured else recipe.degradation,
            pixel_size=self.data.pixel_size,
            pixel_range=self.data.pixel_range,
            trained_on=recipe.trained_on,
            training={
                **{k: v for k, v in values.items() if k not in said},
                "steps_done": step,
                "phase": phase,
            },
            validation=tuple(rows),
            limits=recipe.limits + (perceptual if phase == "adversarial" else ""),
            date=datetime.datetime.now(datetime.UTC).date().isoformat(),
            tool_version=__version__,
        )
