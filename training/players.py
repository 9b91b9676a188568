"""The two players of a training, their optimisers, and one step of each.

What a step may touch is decided here: the generator's step leaves the discriminator as it is, and
the discriminator's step sends no gradient into the generator.
"""

from __future__ import annotations

import copy
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from napari_srgan.models.architectures.generator import Generator
from napari_srgan.models.architectures.rewrite import for_training
from training.discriminator import Discriminator, UNetDiscriminator
from training.hardware import ready
from training.losses import (
    IMAGE_LOSSES,
    REAL_ABOVE,
    adversarial_loss,
    content_loss,
    discriminator_loss,
    grid_loss,
    pixel_loss,
    total_variation,
)
from training.recipe import Recipe

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Losses = dict[str, torch.Tensor]

# The paper's images are in [-1, 1], where a difference is twice and its square four times that in
# [0, 1]; in its SRGAN-MSE this pixel loss stands in for the content loss.
_ON_MINUS_ONE_TO_ONE = {"mse": 4.0, "l1": 2.0, "charbonnier": 2.0}


@dataclass
class Players:
    """Both networks with all that changes while they learn.

    Attributes
    ----------
    generator : Generator
        As in `napari_srgan.models.architectures`; its `state_dict` is what a model file holds.
    average : AveragedModel or None
        Exponential moving average of the generator's weights and buffers.
    discriminator : torch.nn.Module or None
        None in a training without a second phase.
    features : torch.nn.Module or None
        Frozen VGG19, for the content loss.
    """

    recipe: Recipe
    fabric: Fabric
    generator: Generator
    features: nn.Module | None = None
    discriminator: nn.Module | None = None
    average: AveragedModel | None = None
    skipped: dict[str, int] = field(default_factory=lambda: {"generator": 0, "discriminator": 0})

    def __post_init__(self) -> None:
        recipe, fabric = self.recipe, self.fabric
        self.generator = ready(self.generator, fabric)
        if recipe.ema:
            # Buffers too: averaged weights with the last step's batch statistics do not fit.
            self.average = AveragedModel(
                self.generator, multi_avg_fn=_rising_average(recipe.ema), use_buffers=True
            )
        self._pixel = pixel_loss(recipe.pixel_loss)
        self._restore, self._adam = fabric.setup(
            for_training(self.generator), self._new_adam(self.generator)
        )
        if self.discriminator is not None:
            self.discriminator = ready(self.discriminator, fabric)
            self._discriminate, self._adam_discriminator = fabric.setup(
                self.discriminator, self._new_adam(self.discriminator)
            )
        if self.features is not None:
            self.features = self.features.to(fabric.device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _new_adam(self, network: nn.Module) -> torch.optim.Adam:
        betas = (self.recipe.betas[0], self.recipe.betas[1])
        fused = self.fabric.device.type in ("cpu", "cuda")
        # The rate is set at every step, by the timetable.
        return torch.optim.Adam(network.parameters(), lr=0.0, betas=betas, fused=fused)

    def pixel_step(self, lr: torch.Tensor, hr: torch.Tensor, rate: float) -> Losses:
        """Take a step on pixel loss and the other losses of images; return them, detached."""
        buffers, told = self._buffers(), _Means()

        def losses() -> Iterator[torch.Tensor]:
            for low, high in self._parts(lr, hr):
                sr = self._restore(low)
                terms = {"pixel": self._pixel(sr, high), **self._image_terms(sr, high)}
                total = _weighted(terms, self.weights | {"pixel": 1.0})
                told.add(terms | {"generator": total})
                yield total

        if not self._update("generator", losses(), rate):
            self._put_back(buffers)
        return told.values

    def adversarial_step(
        self, lr: torch.Tensor, hr: torch.Tensor, rate: float, *, discriminator_learns: bool
    ) -> Losses:
        """Let the discriminator learn, if it is its turn, then the generator.

        Returns
        -------
        dict of torch.Tensor
            The loss terms before their weights, both sums, and what share of the HR and of the SR
            images the discriminator took for real; detached.
        """
        buffers, told = self._buffers(), _Means()
        parts = self._parts(lr, hr)
        # In parts, memory is what there is too little of, so each is restored for either player.
        whole = self._restore(lr) if len(parts) == 1 else None

        def of_discriminator() -> Iterator[torch.Tensor]:
            for low, high in parts:
                if whole is None:
                    with torch.no_grad():
                        sr = self._restore(low)
                real = self._discriminate(high)
                fake = self._discriminate((sr if whole is None else whole).detach())
                loss = discriminator_loss(self.recipe.adversarial, real, fake)
                # A relativistic logit means something only beside those of the other side.
                relative = self.recipe.adversarial == "relativistic"
                limit = REAL_ABOVE.get(self.recipe.adversarial, 0.0)
                told.add(
                    {
                        "discriminator": loss,
                        "real": (real > (fake.mean() if relative else limit)).float().mean(),
                        "fake": (fake > (real.mean() if relative else limit)).float().mean(),
                    }
                )
                yield loss

        def of_generator() -> Iterator[torch.Tensor]:
            for low, high in parts:
                terms = self.terms(self._restore(low) if whole is None else whole, high)
                total = _weighted(terms, self.weights)
                told.add(terms | {"generator": total})
                yield total

        finite = not discriminator_learns or self._update("discriminator", of_discriminator(), rate)
        if not (self._update("generator", of_generator(), rate) and finite):
            self._put_back(buffers)
        return told.values

    def _parts(self, lr: torch.Tensor, hr: torch.Tensor) -> list[Sequence[torch.Tensor]]:
        """Divide a batch into what is computed at a time."""
        count = self.recipe.accumulate
        return list(zip(lr.chunk(count), hr.chunk(count), strict=True))

    def rehearse(self, lr: torch.Tensor, hr: torch.Tensor) -> float:
        """Take steps against the discriminator, and take them back.

        Returns
        -------
        float
            Seconds that the second one took; the first one prepares.
        """
        before = copy.deepcopy(self.state_dict())
        try:
            for _ in range(2):
                began = time.monotonic()
                self.adversarial_step(lr, hr, 0.0, discriminator_learns=True)
            return time.monotonic() - began
        finally:
            self.load_state_dict(before)

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each term of the generator's loss in the second phase."""
        r = self.recipe
        instead = _ON_MINUS_ONE_TO_ONE[r.pixel_loss] if r.content == "none" else 0.0
        return {
            "pixel": r.pixel_weight or instead,
            "content": r.content_weight,
            "adversarial": r.adversarial_weight,
            "tv": r.tv_weight,
            "grid": r.grid_weight,
            **{name: getattr(r, f"{name}_weight") for name in IMAGE_LOSSES},
        }

    def terms(self, sr: torch.Tensor, hr: torch.Tensor) -> Losses:
        """Return the terms of the generator's loss in the second phase that have a weight."""
        r, discriminator = self.recipe, self.discriminator
        assert discriminator is not None
        terms: Losses = {}
        with self.fabric.autocast():
            if self.weights["pixel"]:
                terms["pixel"] = self._pixel(sr, hr)
            if self.features is not None and r.content_weight:
                terms["content"] = content_loss(self.features, sr, hr)
            if r.adversarial_weight:
                # The discriminator tells, and does not learn from it: not the module that
                # gathers gradients over processes, and no gradients for its weights.
                discriminator.requires_grad_(False)
                with torch.no_grad():
                    real = discriminator(hr) if r.adversarial == "relativistic" else None
                terms["adversarial"] = adversarial_loss(
                    r.adversarial, None if real is None else real.float(), discriminator(sr).float()
                )
                discriminator.requires_grad_(True)
            if r.tv_weight:
                terms["tv"] = total_variation(sr)
            if r.grid_weight:
                terms["grid"] = grid_loss(sr, hr, r.factors)
            return terms | self._image_terms(sr, hr)

    def _image_terms(self, sr: torch.Tensor, hr: torch.Tensor) -> Losses:
        """Return the losses beside the pixel loss that compare two images, in either phase."""
        weights = self.weights
        return {name: loss(sr, hr) for name, loss in IMAGE_LOSSES.items() if weights[name]}

    def _update(self, player: str, losses: Iterable[torch.Tensor], rate: float) -> bool:
        """Take the step of one player, unless a loss or the gradient is not finite; say if so.

        Parameters
        ----------
        player : str
            "generator" or "discriminator".
        losses : iterable of torch.Tensor
            Of the parts of a batch; each is let go before the next is made.
        rate : float
        """
        of_generator = player == "generator"
        module, adam = (
            (self._restore, self._adam)
            if of_generator
            else (self._discriminate, self._adam_discriminator)
        )
        parameters = list(module.parameters())
        adam.zero_grad(set_to_none=True)
        sound = torch.ones((), dtype=torch.bool, device=self.fabric.device)
        for loss in losses:
            self.fabric.backward(loss / self.recipe.accumulate)
            sound = sound & torch.isfinite(loss.detach())
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients)
        # An infinite loss can have a finite gradient: that of L1 is a sign.
        finite = torch.isfinite(norm) & sound
        if self.fabric.world_size > 1:
            finite = self.fabric.all_reduce(finite.float(), reduce_op="sum") == (
                self.fabric.world_size
            )
        if not bool(finite):
            self.skipped[player] += 1
            return False
        if self.recipe.clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.recipe.clip, norm)
        for group in adam.param_groups:
            group["lr"] = rate
        adam.step()
        if of_generator and self.average is not None:
            self.average.update_parameters(self.generator)
        return True

    def _buffers(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Return every buffer of both networks and a copy of it."""
        networks = [n for n in (self.generator, self.discriminator) if n is not None]
        return [(b, b.clone()) for n in networks for b in n.buffers()]

    @staticmethod
    def _put_back(buffers: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Undo what a step that does not count did to the statistics of batch norm."""
        for buffer, before in buffers:
            buffer.copy_(before)

    def begin_adversarial(self) -> None:
        """Forget Adam's moments: they belong to the gradients of another loss."""
        self._adam.optimizer.state.clear()

    def kept(self) -> dict[str, torch.Tensor]:
        """Return the weights that are kept as the model: the average where there is one."""
        if self.average is not None and int(self.average.n_averaged):
            return dict(self.average.module.state_dict())
        return dict(self.generator.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Return all that a training needs to go on."""
        state: dict[str, Any] = {
            "generator": self.generator.state_dict(),
            "adam": self._adam.optimizer.state_dict(),
            "skipped": dict(self.skipped),
        }
        if self.average is not None:
            state["average"] = self.average.state_dict()
        if self.discriminator is not None:
            state["discriminator"] = self.discriminator.state_dict()
            state["adam_discriminator"] = self._adam_discriminator.optimizer.state_dict()
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the state of a checkpoint."""
        self.generator.load_state_dict(state["generator"])
        self._adam.optimizer.load_state_dict(state["adam"])
        self.skipped = dict(state["skipped"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        # A run that is extended by a second phase had none.
        if self.discriminator is not None and "discriminator" in state:
            self.discriminator.load_state_dict(state["discriminator"])
            self._adam_discriminator.optimizer.load_state_dict(state["adam_discriminator"])


def _rising_average(decay: float) -> Callable[..., None]:
    """Return the moving average whose decay rises to `decay`.

    A fixed one of 0.999 would keep half of the first weights after 700 steps; while few steps
    are done, the average is over about a tenth of them.
    """

    def average(old: Any, new: Any, count: Any) -> None:
        now = min(decay, (1 + int(count)) / (10 + int(count)))
        get_ema_multi_avg_fn(now)(old, new, count)  # type: ignore[no-untyped-call]

    return average


class _Means:
    """Means of losses over the parts of a batch, detached."""

    def __init__(self) -> None:
        self._gathered: dict[str, list[torch.Tensor]] = defaultdict(list)

    def add(self, losses: Losses) -> None:
        for key, value in losses.items():
            self._gathered[key].append(value.detach())

    @property
    def values(self) -> Losses:
        return {
            key: found[0] if len(found) == 1 else torch.stack(found).mean()
            for key, found in self._gathered.items()
        }


def _weighted(terms: Losses, weights: dict[str, float]) -> torch.Tensor:
    return torch.stack([weights[key] * term for key, term in terms.items()]).sum()


def discriminator_for(recipe: Recipe) -> nn.Module | None:
    """Return an untrained discriminator, or None if the recipe has no second phase."""
    if not recipe.has_adversary:
        return None
    if recipe.discriminator == "unet":
        return UNetDiscriminator(recipe.channels, recipe.discriminator_features)
    crop = recipe.crop[0] if recipe.discriminator == "dense" else None
    return Discriminator(recipe.channels, recipe.discriminator_features, crop)
