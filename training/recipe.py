"""The recipe: every choice of a training in one frozen dataclass, with its unit and source.

A field says itself what it may be; the check, the command's options and the recipe file follow
from that. What a run is made of besides (folders, devices) is no part of the recipe.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from napari_srgan.errors import InputError
from napari_srgan.image.degradation import NAMES as DEGRADATIONS
from napari_srgan.image.degradation import BlurNoise, Degradation
from napari_srgan.image.degradation import degradation as operator_named
from napari_srgan.image.geometry import Scale
from napari_srgan.io import schema
from napari_srgan.models.architectures import ARCHITECTURES
from napari_srgan.models.catalogue import check_name

BEST_BY = ("psnr", "ssim", "ms_ssim", "mse", "mae")
"""Measures of every validation."""
PIXEL_LOSSES = ("mse", "l1", "charbonnier")
CONTENT_LAYERS = ("vgg22", "vgg34", "vgg44", "vgg54")
_SMALLEST_CROP = 32  # px for a discriminator; below, batch norm may be left with a single value
_SCALES = tuple(sorted({scale for known in ARCHITECTURES.values() for scale in known.scales}))
_SCHEDULES = ("constant", "step", "cosine")


MAY_CHANGE = frozenset(
    (
        "purpose",
        "trained_on",
        "limits",
        "val_planes",
        "validate_every",
        "checkpoint_every",
        "log_every",
        "bad_steps",
        "best",
        "patience",
    )
)
"""Fields that a run may change when it goes on: nothing that is learned depends on them."""
COMMON = (
    "name",
    "scale",
    "degradation",
    "init",
    "pretrain_steps",
    "adversarial_steps",
    "content",
    "validate_every",
)
"""Fields that most trainings are told; faces show them first."""
EXTENDS = frozenset(
    ("pretrain_steps", "pretrain_epochs", "adversarial_steps", "adversarial_epochs")
)
"""Fields by which a run is made longer."""


def _of(default: Any, text: str, **rule: Any) -> Any:
    """Describe a field: help text, and `choices`, `least`, `most`, `above` or `count` as rules."""
    return field(default=default, metadata={"help": text, **rule})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train a generator; `python -m training.train_oct --help` lists the fields' meanings.

    "The paper" is Ledig et al., arXiv 1609.04802v5, section 3.2, whose values the preset `paper`
    has; ESRGAN is Wang et al., arXiv 1809.00219. docs/training.md says why the defaults differ.

    Raises
    ------
    InputError
        If a field is of the wrong type, beyond its range, or contradicts another.
    """

    # The card.
    name: str = _of("my-model", "name of the model, as in lists")
    purpose: str = _of("", "one line for the card: what it is for")
    trained_on: tuple[str, ...] = _of((), "for the card: the data, each with its terms")
    limits: str = _of(
        "Not validated for diagnosis. Fine detail is estimated, not measured.",
        "for the card: known failures, what it must not be used for",
    )

    # The generator.
    generator: str = _of(
        "srresnet",
        " or ".join(f"{name} ({known.title})" for name, known in ARCHITECTURES.items()),
        choices=tuple(ARCHITECTURES),
    )
    channels: int = _of(0, "1 for grayscale, 3 for RGB, 0: as the scans are", choices=(0, 1, 3))
    scale: int = _of(4, "how many times Y and X grow (X alone with --lateral)", choices=_SCALES)
    blocks: int = _of(16, "residual blocks (paper: 16, ESRGAN: 23)", least=1, most=1000)
    features: int = _of(64, "feature channels (paper: 64)", least=4, most=4096)
    growth: int = _of(
        32, "rrdb: feature channels that a dense layer adds (ESRGAN: 32)", least=1, most=4096
    )
    residual_scale: float = _of(
        1.0, "edsr: what residuals are multiplied by (large network: 0.1)", above=0, most=1
    )
    groups: int = _of(
        10, "rcan: groups of so many blocks each (paper: 10 of 20)", least=1, most=100
    )
    batch_norm: bool = _of(False, "srresnet: batch norm in the blocks (paper: yes)")
    activation: str = _of(
        "silu", "plain: after each convolution", choices=("silu", "relu", "prelu")
    )
    branches: bool = _of(True, "plain: train in branches that are folded into one convolution")
    lateral: bool = _of(False, "plain: only X grows, for OCT with fewer A-scans")
    initialisation: str = _of(
        "interpolate",
        "first weights: interpolate (start as an interpolation), he (He et al., and ICNR before "
        "pixel shuffles), or torch (its own)",
        choices=("interpolate", "he", "torch"),
    )
    init: str = _of("", "start from the weights of this model, a name or a file")

    # The discriminator.
    discriminator: str = _of(
        "pool",
        "dense (paper; for one crop size), pool (global average; for any), or unet (Real-ESRGAN: "
        "judges every pixel)",
        choices=("dense", "pool", "unet"),
    )
    discriminator_features: int = _of(
        64, "of its first convolution (paper: 64)", least=1, most=4096
    )

    # First phase: pixel loss only (SRResNet).
    pretrain_steps: int = _of(20_000, "steps on pixel loss (paper: 1e6)", least=0)
    pretrain_epochs: float = _of(
        0.0,
        "instead of steps: how many times crops cover all scans",
        least=0,
    )
    learning_rate: float = _of(2e-4, "of Adam on pixel loss (paper: 1e-4)", above=0)
    schedule: str = _of("cosine", "of that rate (paper: constant)", choices=_SCHEDULES)
    pixel_loss: str = _of("l1", "pixel loss of both phases (paper: mse)", choices=PIXEL_LOSSES)

    # Second phase: against a discriminator (SRGAN).
    adversarial_steps: int = _of(
        10_000, "steps against the discriminator (paper: 2e5); 0: a fidelity model", least=0
    )
    adversarial_epochs: float = _of(0.0, "instead of steps, as --pretrain-epochs", least=0)
    adversarial_learning_rate: float = _of(1e-4, "of both networks' Adam (paper: 1e-4)", above=0)
    adversarial_schedule: str = _of("step", "of that rate (paper: step)", choices=_SCHEDULES)
    generator_steps: int = _of(1, "generator steps per discriminator step (paper: 1)", least=1)
    content: str = _of(
        "vgg54",
        "content loss on VGG19 features (paper: vgg54), or none: pixel loss in its place",
        choices=("none", *CONTENT_LAYERS),
    )
    before_activation: bool = _of(False, "content on features before ReLU (ESRGAN: yes)")
    content_weight: float = _of(0.006, "of the content loss (paper: 0.006)", least=0)
    adversarial: str = _of(
        "bce",
        "bce (paper; with logits), relativistic (ESRGAN: average), hinge, or least-squares",
        choices=("bce", "relativistic", "hinge", "least-squares"),
    )
    adversarial_weight: float = _of(1e-3, "of the adversarial loss (paper: 1e-3)", least=0)
    pixel_weight: float = _of(0.0, "of the pixel loss in this phase (ESRGAN: 0.01)", least=0)
    tv_weight: float = _of(
        0.0, "of the total variation (first version of the paper: 2e-8)", least=0
    )

    gradient_weight: float = _of(
        0.0, "both phases: of the difference of gradients, beside the pixel loss", least=0
    )
    frequency_weight: float = _of(0.0, "both phases: of the focal frequency loss", least=0)
    structure_weight: float = _of(0.0, "both phases: of 1 - MS-SSIM", least=0)

    grid_weight: float = _of(
        0.0, "of the pattern repeated with every LR pixel (checkerboard)", least=0
    )

    # Both phases.
    batch: int = _of(16, "crops a step, over all processes (paper: 16)", least=1)
    accumulate: int = _of(
        1,
        "compute a batch in so many parts, one after another: less memory, the same step",
        least=1,
    )
    crop: tuple[int, ...] = _of(
        (96,),
        "side of HR crops, px (paper: 96); several are used one after another in each phase",
        above=0,
    )
    betas: tuple[float, ...] = _of((0.9, 0.999), "of Adam (paper: 0.9)", count=2, least=0)
    warmup: int = _of(200, "steps over which the rate rises from 0 (paper: 0)", least=0)
    drop_at: float = _of(0.5, "step schedule: share of the phase before the drop", least=0, most=1)
    drop_factor: float = _of(0.1, "step schedule: what the rate drops to", above=0, most=1)
    clip: float = _of(0.0, "largest norm of a gradient, 0: any", least=0)
    ema: float = _of(
        0.999,
        "decay, after a rise, of the averaged weights that are kept as the model; 0: none",
        least=0,
        most=1,
    )

    # Data.
    intensity: str = _of("auto", "range, as in `napari-srgan upscale --intensity`")
    transform: str = _of("none", "none, log or power:P, for scans linear in intensity")
    degradation: str = _of("bicubic", "how LR is made from HR", choices=DEGRADATIONS)
    blur: tuple[float, ...] = _of(
        BlurNoise().blur, "blur-noise: sigma of the PSF, HR px, from to", count=2
    )
    speckle: tuple[float, ...] = _of(
        BlurNoise().speckle, "blur-noise: contrast of speckle, from to", count=2
    )
    noise: tuple[float, ...] = _of(
        BlurNoise().noise, "blur-noise: sigma of read noise, range 1, from to", count=2
    )
    flips: str = _of(
        "auto",
        "none, lateral (OCT: depth has a direction), all eight symmetries, or auto: lateral for "
        "grayscale, all for RGB",
        choices=("auto", "none", "lateral", "all"),
    )
    rotation: float = _of(0.0, "rotate crops by up to so many degrees", least=0, most=5)
    affine: float = _of(0.0, "stretch and shear crops by up to this share", least=0, most=0.2)
    homography: float = _of(
        0.0, "move the corners of crops by up to this share of the side", least=0, most=0.2
    )
    brightness: float = _of(0.0, "add up to so much to a crop, range 1", least=0, most=0.5)
    contrast: float = _of(0.0, "multiply a crop by 1 plus or minus up to this", least=0, most=0.5)
    val_fraction: float = _of(
        0.1, "share of the volumes kept for validation without --val", above=0, below=1
    )
    folds: int = _of(
        0, "k-fold: divide the volumes into so many parts, one of which is validated on", least=0
    )
    fold: int = _of(1, "k-fold: which part, from 1", least=1)
    val_planes: int = _of(40, "planes a set is validated on, evenly spread; 0: all", least=0)

    # The run.
    validate_every: int = _of(1000, "steps between validations", least=1)
    best: str = _of(
        "psnr", "measure whose best model so far is kept beside the last one", choices=BEST_BY
    )
    patience: int = _of(
        0, "end after so many validations without a better score by that measure; 0: never", least=0
    )
    checkpoint_every: int = _of(500, "steps between checkpoints", least=1)
    log_every: int = _of(50, "steps between lines of the log", least=1)
    bad_steps: int = _of(20, "stop after so many steps in a row without a finite loss", least=1)
    seed: int = _of(0, "of weights, crops and whatever else is drawn", least=0, most=2**63 - 1)

    def __post_init__(self) -> None:
        for f in fields(self):
            _check(f.name, getattr(self, f.name), f.default, dict(f.metadata))
        scales = ARCHITECTURES[self.generator].scales
        if self.scale not in scales:
            raise InputError(
                f"A {self.generator} makes images {', '.join(map(str, scales))} times larger, not "
                f"{self.scale} times."
            )
        if self.lateral and "lateral" not in ARCHITECTURES[self.generator].parameters:
            raise InputError(
                f"A {self.generator} makes Y and X finer together; for X alone take "
                "--generator plain."
            )
        for side in self.crop:
            if side % self.scale or side < 8 * self.scale:
                raise InputError(
                    f"crop must be a multiple of the scale and at least {8 * self.scale} px at "
                    f"{self.scale}x, not {side}."
                )
        check_name(self.name)
        # Raises if a range is none, whether or not this recipe draws from it.
        BlurNoise(*(tuple(getattr(self, key)) for key in ("blur", "speckle", "noise")))
        if self.has_adversary and min(self.crop) < _SMALLEST_CROP:
            raise InputError(
                f"The discriminator halves crops four times, so they must have {_SMALLEST_CROP} "
                f"px a side, not {min(self.crop)}."
            )
        if self.batch % self.accumulate:
            raise InputError(
                f"A batch of {self.batch} cannot be computed in {self.accumulate} equal parts; "
                "give an --accumulate that divides it."
            )
        if self.patience and self.has_adversary:
            raise InputError(
                "Against a discriminator the measures fall by design, so --patience would end the "
                "phase at once; it is for trainings with --adversarial-steps 0."
            )
        if self.folds == 1 or (self.folds and self.fold > self.folds):
            raise InputError(
                f"--folds {self.folds} --fold {self.fold} makes no sense; give 2 folds or more, "
                "and one of them."
            )
        if max(self.betas) >= 1:
            raise InputError(f"betas must be below 1, not {max(self.betas)}.")
        if self.ema == 1:
            raise InputError(
                "ema must be below 1: with 1 the first weights would be kept for ever."
            )
        if not (self.pretrain_steps or self.pretrain_epochs or self.has_adversary):
            raise InputError("Both phases have 0 steps, so there is nothing to train.")
        if self.has_adversary and self.discriminator == "dense" and len(set(self.crop)) > 1:
            raise InputError(
                "A dense discriminator has one crop size; give --discriminator pool for "
                f"{' '.join(map(str, self.crop))}."
            )
        if self.needs_vgg and not (self.content_weight or self.pixel_weight):
            raise InputError(
                "content_weight and pixel_weight are both 0, so nothing would tie the result to "
                "the input; give one of them."
            )

    @property
    def has_adversary(self) -> bool:
        """Whether there is a second phase."""
        return bool(self.adversarial_steps or self.adversarial_epochs)

    @property
    def needs_vgg(self) -> bool:
        """Whether the second phase has a content loss on VGG19 features."""
        return self.has_adversary and self.content != "none"

    @property
    def factors(self) -> Scale:
        """How many times Y and X grow."""
        return (1 if self.lateral else self.scale), self.scale

    @property
    def network_parameters(self) -> dict[str, Any]:
        """Keyword arguments of the generator."""
        own = ARCHITECTURES[self.generator].parameters
        keys = ("channels", "blocks", "features", "scale", *own)
        return {key: getattr(self, key) for key in keys}

    @property
    def symmetries(self) -> str:
        """The flips with `auto` decided."""
        return {"auto": "lateral" if self.channels == 1 else "all"}.get(self.flips, self.flips)

    @property
    def operator(self) -> Degradation:
        """HR -> LR."""
        return operator_named(
            self.degradation, blur=self.blur, speckle=self.speckle, noise=self.noise
        )

    def to_dict(self) -> dict[str, Any]:
        """Return every field by name, ready for JSON."""
        return asdict(self)


def _check(name: str, value: Any, default: Any, rule: dict[str, Any]) -> None:
    """Hold a field to its type and to the rules that it was described with."""
    values = value if isinstance(default, tuple) else (value,)
    kind = _kind(name, default)
    allowed = (int, float) if kind is float else (kind,)
    if (type(value) is not tuple and isinstance(default, tuple)) or any(
        type(v) not in allowed for v in values
    ):
        wanted = f"list of {kind.__name__}" if isinstance(default, tuple) else kind.__name__
        raise InputError(f"{name} must be of the type {wanted}, not {schema.shown(value)}.")
    try:
        _ = [schema.prose(v) for v in values if kind is str]
    except ValueError as error:
        raise InputError(f"{name} {error}.") from None
    if isinstance(default, tuple) and default and not values:
        raise InputError(f"{name} must not be empty.")
    if not all(math.isfinite(v) for v in values if kind is float):
        raise InputError(f"{name} must be a finite number, not {value}.")
    if "count" in rule and len(values) != rule["count"]:
        raise InputError(f"{name} must be {rule['count']} numbers, not {len(values)}.")
    if "choices" in rule and value not in rule["choices"]:
        raise InputError(
            f"{name} must be one of {', '.join(map(str, rule['choices']))}, not "
            f"{schema.shown(value)}."
        )
    limits: tuple[tuple[str, str, Callable[[Any, Any], bool]], ...] = (
        ("least", "at least", operator.ge),
        ("most", "at most", operator.le),
        ("above", "above", operator.gt),
        ("below", "below", operator.lt),
    )
    for key, words, holds in limits:
        for v in values:
            if key in rule and not holds(v, rule[key]):
                raise InputError(f"{name} must be {words} {rule[key]}, not {schema.shown(v)}.")


def _kind(name: str, default: Any) -> type:
    """Return the type of a field, or of the items of one that is a list."""
    if isinstance(default, tuple):
        return type(default[0]) if default else str
    return type(default)


def field_kinds() -> dict[str, type]:
    """Return the type of every field by name, of its items where it is a list."""
    return {f.name: _kind(f.name, f.default) for f in fields(Recipe)}
