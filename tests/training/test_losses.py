"""Losses against their formulas, and which network a gradient reaches in whose step."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from napari_srgan.models.architectures import build
from training.discriminator import Discriminator, UNetDiscriminator
from training.hardware import Hardware, settled, start
from training.losses import (
    adversarial_loss,
    content_loss,
    discriminator_loss,
    focal_frequency_loss,
    gradient_loss,
    grid_loss,
    pixel_loss,
    structure_loss,
    total_variation,
)
from training.players import Players, discriminator_for
from training.recipe import Recipe

SMALL = {
    "channels": 1,
    "blocks": 1,
    "features": 4,
    "growth": 2,
    "crop": (32,),
    "discriminator_features": 2,
    "content": "vgg22",
    "ema": 0.9,
}


TERMS = ["pixel", "tv", "grid", "gradient", "frequency", "structure"]


class Features(nn.Module):
    """Stands in for VGG19, whose weights are not at hand: any frozen network will do."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 5, 3).requires_grad_(False)

    def forward(self, images):
        return self.layer(images).relu()


@pytest.fixture(scope="module")
def fabric():
    return start(Hardware(device="cpu", precision="float32"))


def players(fabric, **values):
    recipe = Recipe(**{**SMALL, **values})
    torch.manual_seed(0)
    generator = build(recipe.generator, recipe.network_parameters)
    features = Features() if recipe.needs_vgg else None
    return Players(recipe, fabric, generator, features, discriminator_for(recipe))


def batch(seed=0):
    torch.manual_seed(seed)
    return torch.rand(2, 1, 8, 8), torch.rand(2, 1, 32, 32)


def test_pixel_losses_follow_their_formulas():
    sr, hr = torch.rand(2, 1, 5, 5), torch.rand(2, 1, 5, 5)
    d = (sr - hr).numpy()
    assert pixel_loss("mse")(sr, hr).item() == pytest.approx((d**2).mean(), rel=1e-5)
    assert pixel_loss("l1")(sr, hr).item() == pytest.approx(np.abs(d).mean(), rel=1e-5)
    expected = np.sqrt(d**2 + 1e-6).mean()
    assert pixel_loss("charbonnier")(sr, hr).item() == pytest.approx(expected, rel=1e-5)


def test_the_gradient_loss_is_of_differences_between_neighbours():
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    hr = torch.rand(2, 1, 8, 8)
    assert gradient_loss(hr + 0.3 * y + 0.4 * x, hr).item() == pytest.approx(0.7, rel=1e-4)
    assert gradient_loss(hr + 0.5, hr).item() == pytest.approx(0, abs=1e-6)


def test_the_focal_frequency_loss_is_a_cosine_s_own_energy():
    """All of it is at two frequencies, which weigh 1; the transform keeps energy."""
    hr = torch.rand(1, 1, 16, 32)
    wave = 0.1 * torch.cos(2 * math.pi * 3 * torch.arange(32) / 32)
    assert focal_frequency_loss(hr + wave, hr).item() == pytest.approx(0.1**2 / 2, rel=1e-3)
    # A second wave of half the size weighs half.
    other = 0.05 * torch.cos(2 * math.pi * 5 * torch.arange(32) / 32)
    expected = 0.1**2 / 2 + 0.5 * 0.05**2 / 2
    assert focal_frequency_loss(hr + wave + other, hr).item() == pytest.approx(expected, rel=1e-3)
    assert focal_frequency_loss(hr, hr).item() == 0


@pytest.mark.parametrize("side", [32, 64, 96, 192])
def test_the_structure_loss_fits_every_crop_and_is_0_for_equal_images(side):
    hr = torch.rand(2, 1, side, side)
    assert structure_loss(hr, hr).item() == pytest.approx(0, abs=1e-6)
    sr = (0.5 * hr + 0.25).requires_grad_(True)
    loss = structure_loss(sr, hr)
    loss.backward()
    assert 0.01 < loss.item() < 1 and torch.isfinite(sr.grad).all() and sr.grad.any()


def test_total_variation_is_the_mean_length_of_the_gradient():
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    assert total_variation((0.3 * y + 0.4 * x)[None, None]).item() == pytest.approx(0.5, rel=1e-4)
    flat = torch.zeros(1, 1, 4, 4, requires_grad=True)
    total_variation(flat).backward()
    assert torch.isfinite(flat.grad).all()


def test_the_grid_loss_is_of_what_repeats_with_every_lr_pixel():
    hr = torch.rand(2, 1, 96, 96)
    y = torch.arange(96) % 4
    checkerboard = 0.1 * ((y[:, None] + y) % 2 - 0.5)
    assert grid_loss(hr + checkerboard, hr, (4, 4)).item() == pytest.approx(0.05**2, rel=1e-4)
    # An error in brightness is the pixel loss's business, noise is the discriminator's.
    assert grid_loss(hr + 0.1, hr, (4, 4)).item() == pytest.approx(0, abs=1e-12)
    noise = torch.randn(2, 1, 96, 96, generator=torch.manual_seed(0))
    assert grid_loss(hr + 0.1 * noise, hr, (4, 4)).item() < 0.01 * 0.1**2
    # Where only X grows, rows do not repeat with LR pixels.
    columns = 0.1 * (y % 2 - 0.5)
    assert grid_loss(hr + columns, hr, (1, 4)).item() == pytest.approx(0.05**2, rel=1e-4)
    assert grid_loss(hr + columns[:, None], hr, (1, 4)).item() == pytest.approx(0, abs=1e-12)
    # A pattern in one part of the image does not cancel with its opposite in another.
    checkerboard[:, 48:] *= -1
    assert grid_loss(hr + checkerboard, hr, (4, 4)).item() == pytest.approx(0.05**2, rel=1e-4)


def test_bce_losses_follow_the_papers_equations():
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [-3.0]])
    p, q = 1 / (1 + np.exp(-real.numpy())), 1 / (1 + np.exp(-fake.numpy()))
    expected = -np.log(p).mean() - np.log(1 - q).mean()
    assert discriminator_loss("bce", real, fake).item() == pytest.approx(expected, rel=1e-5)
    expected = -np.log(q).mean()
    assert adversarial_loss("bce", None, fake).item() == pytest.approx(expected, rel=1e-5)


def test_relativistic_losses_follow_esrgans_equations():
    real, fake = torch.tensor([[2.0], [-1.0]]), torch.tensor([[0.5], [-3.0]])

    def sigmoid(v):
        return 1 / (1 + np.exp(-v.numpy()))

    r, f = sigmoid(real - fake.mean()), sigmoid(fake - real.mean())
    expected = -np.log(r).mean() - np.log(1 - f).mean()
    assert discriminator_loss("relativistic", real, fake).item() == pytest.approx(
        expected, rel=1e-5
    )
    expected = -np.log(1 - r).mean() - np.log(f).mean()
    assert adversarial_loss("relativistic", real, fake).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "of_d", "of_g"),
    [
        ("hinge", lambda r, f: np.maximum(0, 1 - r).mean() + np.maximum(0, 1 + f).mean(),
         lambda f: -f.mean()),
        ("least-squares", lambda r, f: ((r - 1) ** 2).mean() + (f**2).mean(),
         lambda f: ((f - 1) ** 2).mean()),
    ],
)  # fmt: skip
def test_hinge_and_least_squares(kind, of_d, of_g):
    real, fake = torch.randn(4, 1, 6, 6), torch.randn(4, 1, 6, 6)
    r, f = real.numpy(), fake.numpy()
    assert discriminator_loss(kind, real, fake).item() == pytest.approx(of_d(r, f), rel=1e-5)
    assert adversarial_loss(kind, None, fake).item() == pytest.approx(of_g(f), rel=1e-4)


def test_pixel_steps_learn_from_the_losses_of_images_too(fabric):
    p = players(fabric, frequency_weight=0.5, gradient_weight=2.0)
    losses = p.pixel_step(*batch(), 1e-3)
    expected = losses["pixel"] + 0.5 * losses["frequency"] + 2 * losses["gradient"]
    assert losses["generator"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert set(losses) == {"pixel", "gradient", "frequency", "generator"}


def test_a_sure_discriminator_still_gives_a_gradient():
    """With a sigmoid before the loss it would be zero."""
    fake = torch.tensor([[-60.0]], requires_grad=True)
    adversarial_loss("bce", None, fake).backward()
    assert fake.grad.item() == pytest.approx(-1.0)


def test_content_loss_sends_a_gradient_to_the_result_and_none_to_the_features():
    features, sr, hr = Features(), torch.rand(1, 1, 16, 16, requires_grad=True), batch()[1][:1]
    content_loss(features, sr, hr[..., :16, :16]).backward()
    assert sr.grad.abs().sum() > 0
    assert all(p.grad is None for p in features.parameters())


@pytest.mark.parametrize("generator", ["srresnet", "rrdb", "plain", "edsr", "rcan"])
@pytest.mark.parametrize("adversarial", ["bce", "relativistic", "hinge", "least-squares"])
@pytest.mark.parametrize("term", [*TERMS, "content", "adversarial"])
def test_a_gradient_reaches_the_generator_from_each_term(fabric, generator, adversarial, term):
    weights = {f"{name}_weight": 1.0 for name in TERMS}
    p = players(fabric, generator=generator, adversarial=adversarial, **weights)
    p.generator.initialise("interpolate")  # noise would have no structure at all
    with torch.no_grad():
        for w in p.generator.parameters():
            w += 0.02 * torch.randn_like(w)
    lr, hr = batch()
    terms = p.terms(p._restore(lr), hr)
    assert set(terms) == {*TERMS, "content", "adversarial"}
    terms[term].backward()
    assert all(
        w.grad is not None and w.grad.abs().sum() > 0
        for name, w in p.generator.named_parameters()
        if name.startswith("tail") and w.ndim > 1  # brightness is no gradient of the image
    )
    first = next(p.generator.head.parameters())
    assert first.grad is not None
    assert first.grad.abs().sum() > 0
    assert all(w.grad is None for w in p.discriminator.parameters())
    assert all(w.grad is None for w in p.features.parameters())


def test_the_discriminators_step_leaves_the_generator_alone(fabric):
    """With next to no weight on its own loss, whatever reaches the generator came from there."""
    p = players(fabric, content="none", pixel_weight=1e-30, adversarial_weight=0.0)
    before = {k: v.clone() for k, v in p.discriminator.named_parameters()}
    seen = []
    for w in p.generator.parameters():
        w.register_hook(lambda g: seen.append(g.abs().max().item()))
    p.adversarial_step(*batch(), 1e-3, discriminator_learns=True)
    assert seen
    assert max(seen) < 1e-25
    assert any(not torch.equal(before[k], v) for k, v in p.discriminator.named_parameters())


def test_the_generators_step_leaves_the_discriminators_weights_alone(fabric):
    p = players(fabric)
    before = {k: v.clone() for k, v in p.discriminator.named_parameters()}
    p.adversarial_step(*batch(), 1e-3, discriminator_learns=False)
    assert all(torch.equal(before[k], v) for k, v in p.discriminator.named_parameters())
    assert all(v.requires_grad for v in p.discriminator.parameters())
    p.adversarial_step(*batch(), 1e-3, discriminator_learns=True)
    assert any(not torch.equal(before[k], v) for k, v in p.discriminator.named_parameters())


def test_the_sum_is_weighted_as_the_recipe_says(fabric):
    p = players(fabric, content_weight=0.006, adversarial_weight=1e-3, tv_weight=2e-8)
    losses = p.adversarial_step(*batch(), 1e-3, discriminator_learns=False)
    expected = 0.006 * losses["content"] + 1e-3 * losses["adversarial"] + 2e-8 * losses["tv"]
    assert losses["generator"].item() == pytest.approx(expected.item(), rel=1e-5)
    without = players(fabric, content="none", pixel_loss="mse").weights
    assert without["pixel"] == 4.0  # the paper's SRGAN-MSE, on [-1, 1]


@pytest.mark.parametrize("generator", ["srresnet", "rrdb", "plain", "edsr", "rcan"])
def test_a_gradient_in_bfloat16_points_where_that_in_float32_does(generator):
    """Of weights that have not converged, whose gradients are more than rounding.

    Measured over 5 seeds and 3 losses: a cosine of 0.9999 or more, on CPUs with and without it.
    """
    gradients = []
    for precision in ("float32", "bfloat16"):
        p = players(start(Hardware("cpu", precision)), generator=generator, content="none")
        p.pixel_step(*batch(), 0.0)
        gradients.append(torch.cat([w.grad.flatten() for w in p.generator.parameters()]))
    one, other = gradients
    assert not torch.equal(one, other), "bfloat16 was not used"
    assert torch.cosine_similarity(one, other, dim=0).item() > 0.99
    assert other.norm().item() == pytest.approx(one.norm().item(), rel=0.05)


@pytest.mark.parametrize("native", [True, False])
def test_auto_precision_is_bfloat16_where_it_is_native(monkeypatch, native):
    monkeypatch.setattr("napari_srgan.engine.devices._cpu_has_bfloat16", lambda: native)
    assert settled(start(Hardware("cpu", "auto"))) == {
        "device": "cpu",
        "precision": "bfloat16" if native else "float32",
    }


def test_steps_without_a_finite_loss_change_nothing(fabric):
    p = players(fabric, batch_norm=True)
    p.pixel_step(*batch(), 1e-3)
    before = {k: v.clone() for k, v in p.generator.state_dict().items()}
    others = {k: v.clone() for k, v in p.discriminator.state_dict().items()}
    lr, hr = batch()
    p.adversarial_step(lr, torch.full_like(hr, math.nan), 1e-3, discriminator_learns=True)
    p.pixel_step(torch.full_like(lr, math.inf), hr, 1e-3)
    assert p.skipped == {"generator": 2, "discriminator": 1}
    assert all(torch.equal(before[k], v) for k, v in p.generator.state_dict().items())
    assert all(torch.equal(others[k], v) for k, v in p.discriminator.state_dict().items())


def test_an_infinite_loss_with_a_finite_gradient_changes_nothing(fabric):
    """The gradient of L1 is a sign, whatever the size of the loss."""
    p = players(fabric, pixel_loss="l1")
    with torch.no_grad():
        p.generator.tail.bias.fill_(3e38)
    before = {k: v.clone() for k, v in p.generator.state_dict().items()}
    lr, hr = batch()
    losses = p.pixel_step(lr, torch.full_like(hr, -3e38), 1e-3)
    assert torch.isinf(losses["pixel"])
    assert p.skipped["generator"] == 1
    assert all(torch.equal(before[k], v) for k, v in p.generator.state_dict().items())


def test_a_relativistic_discriminator_is_told_by_differences(fabric):
    """Its training leaves the offset of the logits open."""
    p = players(fabric, adversarial="relativistic")
    with torch.no_grad():
        p.discriminator.head[-1].bias.fill_(-50.0)
    shares = [p.adversarial_step(*batch(s), 1e-3, discriminator_learns=True) for s in range(20)]
    assert sum(s["real"].item() + s["fake"].item() for s in shares) > 1


def test_the_average_follows_weights_and_buffers(fabric):
    p = players(fabric, batch_norm=True, ema=0.5)
    for seed in range(30):
        p.pixel_step(*batch(seed), 1e-2)
    average, now = p.kept(), p.generator.state_dict()
    assert average.keys() == now.keys()
    weights = [k for k in now if now[k].is_floating_point()]
    assert any("running_mean" in k for k in weights)
    assert all(not torch.equal(average[k], now[k]) for k in weights if "running" in k)
    assert all((average[k] - now[k]).abs().max() < 0.2 for k in weights)


def test_a_gradient_is_clipped_to_its_norm(fabric):
    p = players(fabric, clip=1e-3)
    taken = []
    p._adam.optimizer.register_step_pre_hook(
        lambda *_: taken.append(
            torch.nn.utils.get_total_norm([w.grad for w in p.generator.parameters()]).item()
        )
    )
    p.pixel_step(*batch(), 1e-3)
    assert taken == [pytest.approx(1e-3, rel=1e-3)]


@pytest.mark.parametrize("crop", [None, 32, 96])
def test_the_discriminator_halves_four_times_and_gives_a_logit(crop):
    network = Discriminator(3, 2, crop)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [2, 2, 4, 4, 8, 8, 16, 16]
    assert [c.stride[0] for c in convolutions] == [1, 2] * 4
    for side in [32, 40, 96] if crop is None else [crop]:
        assert network(torch.rand(2, 3, side, side)).shape == (2, 1)


def test_the_u_net_judges_every_pixel_and_is_bounded():
    torch.manual_seed(0)
    network = UNetDiscriminator(3, 4)
    for side in (32, 44):
        assert network(torch.rand(2, 3, side, side)).shape == (2, 1, side, side)
    for _ in range(20):  # the power iteration goes on with every step
        network(torch.rand(1, 3, 32, 32))
    layer = network.down[0]
    assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1, 0.02)


@pytest.mark.parametrize("kind", ["bce", "relativistic", "hinge", "least-squares"])
def test_a_u_net_learns_to_tell_sharp_from_blurred(kind):
    torch.manual_seed(0)
    network = UNetDiscriminator(1, 8)
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    real = torch.rand(2, 1, 32, 32)
    fake = nn.functional.avg_pool2d(real, 3, 1, 1)
    losses = []
    for _ in range(40):
        loss = discriminator_loss(kind, network(real), network(fake))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]
    assert network(real).mean() > network(fake).mean()


def test_a_step_against_the_u_net(fabric):
    p = players(fabric, discriminator="unet", adversarial="least-squares", content="none")
    losses = p.adversarial_step(*batch(), 1e-3, discriminator_learns=True)
    assert all(0 <= losses[key] <= 1 for key in ("real", "fake"))
    assert math.isfinite(losses["generator"])
