"""First weights: an interpolation, or random ones that draw no checkerboard."""

import numpy as np
import pytest
import torch

from napari_srgan.image.degradation import degradation
from napari_srgan.models.architectures import build
from napari_srgan.models.architectures.edsr import EDSR
from napari_srgan.models.architectures.rcan import RCAN
from napari_srgan.models.architectures.rrdb import RRDBNet
from napari_srgan.models.architectures.srresnet import SRResNet


def networks(channels=1, scale=4, features=8):
    return [
        SRResNet(channels, 2, features, scale, batch_norm=True),
        SRResNet(channels, 2, features, scale, batch_norm=False),
        RRDBNet(channels, 1, features, 4, scale),
        EDSR(channels, 2, features, scale),
        RCAN(channels, 1, 8 * features, scale, 2),
    ]


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("which", range(5))
def test_a_training_starts_from_interpolation(scale, channels, which):
    """Away from the border the untrained network puts a smooth image where it belongs."""
    torch.manual_seed(0)
    network = networks(channels, scale)[which].eval()
    network.initialise("interpolate")
    y, x = torch.meshgrid(*[torch.arange(32 * scale) / scale] * 2, indexing="ij")
    hr = torch.stack([0.5 + 0.3 * torch.sin((y + x + c) / 4) for c in range(channels)])[None]
    with torch.inference_mode():
        sr = network(degradation("bicubic")(hr, (scale, scale), np.random.default_rng(0))[0])
    inner = (..., slice(8 * scale, -8 * scale), slice(8 * scale, -8 * scale))
    # Linear interpolation flattens the crests of a wave, quadratic does not.
    torch.testing.assert_close(sr[inner], hr[inner], rtol=0, atol=0.02 if which == 2 else 0.01)


@pytest.mark.parametrize("which", range(5))
def test_every_feature_learns_from_the_second_step_on(which):
    torch.manual_seed(0)
    network = networks()[which]
    network.initialise("interpolate")
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        (network(torch.rand(2, 1, 12, 12)) - torch.rand(2, 1, 48, 48)).square().mean().backward()
        optimiser.step()
    still = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # A bias right before batch norm would be removed by it; there is none in this network.
    assert still == []


def test_icnr_draws_no_checkerboard():
    torch.manual_seed(0)
    network = SRResNet(1, 1, 8, 4, batch_norm=False).eval()
    lr = torch.rand(1, 1, 16, 16)
    features = {}
    network.upsample.register_forward_hook(lambda *a: features.update(out=a[2]))
    for how, rough in (("torch", True), ("he", False)):
        network.initialise(how)
        network(lr)
        blocks = features["out"].unfold(2, 2, 2).unfold(3, 2, 2)
        assert bool((blocks.amax((4, 5)) - blocks.amin((4, 5))).max() > 1e-5) is rough


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("architecture", "own"),
    [
        ("srresnet", {"blocks": 16, "features": 64, "batch_norm": False}),
        ("srresnet", {"blocks": 16, "features": 64, "batch_norm": True}),
        ("rrdb", {"blocks": 4, "features": 64}),
    ],
)
def test_an_untrained_network_gives_images_of_the_size_of_images(architecture, own, channels):
    """At full size, residual branches without batch norm gave 7000 for an image in [0, 1]."""
    torch.manual_seed(0)
    network = build(architecture, {"channels": channels, **own})
    network.initialise("he")
    with torch.inference_mode():
        sr = network(torch.rand(2, channels, 16, 16))
    assert 0.01 < sr.std().item() < 20


def test_he_weights_keep_the_size_of_the_signal():
    torch.manual_seed(0)
    network = build("srresnet", {"channels": 1, "blocks": 1, "features": 64, "batch_norm": False})
    network.initialise("he")
    convolution = network.body[0].body[0]
    expected = 0.1 * (2 / (64 * 9)) ** 0.5  # a residual branch without batch norm
    assert convolution.weight.std().item() == pytest.approx(expected, rel=0.03)
    assert not convolution.bias.any()
