import pytest
import torch
from torch import nn

from napari_srgan.networks.receptive_field import halo
from napari_srgan.networks.rewrite import (
    RowStrips,
    fold_batch_norm,
    for_inference,
    tail_before_shuffle,
)
from napari_srgan.networks.srresnet import SRResNet


def trained_looking(*args, **kwargs):
    """A network whose batch norm and PReLU are not the identity, as after a training."""
    torch.manual_seed(1)
    network = SRResNet(*args, **kwargs).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
        if isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, -0.5, 0.5)
    return network.requires_grad_(False)


def assert_same(one, two, x, tolerance=1e-5):
    expected = one(x)
    assert expected.std() > 0
    torch.testing.assert_close(two(x), expected, rtol=tolerance, atol=tolerance * expected.std())


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_output_is_scale_times_larger(scale, channels):
    network = SRResNet(channels, 1, 4, scale)
    assert network(torch.rand(2, channels, 9, 11)).shape == (2, channels, 9 * scale, 11 * scale)


@pytest.mark.parametrize("scale", [1, 3, 16])
def test_other_scales_are_refused(scale):
    with pytest.raises(ValueError, match="scale"):
        SRResNet(scale=scale)


def test_the_paper_s_generator_has_the_paper_s_size():
    # 16 blocks of two 3x3x64x64 convolutions, the skip's, two of 64 -> 256, 9x9 head and tail.
    weights = 33 * 9 * 64 * 64 + 2 * 9 * 64 * 256 + 2 * 81 * 3 * 64
    network = SRResNet(3)
    assert sum(p.numel() for p in network.parameters() if p.ndim == 4) == weights


def test_folded_batch_norm_computes_the_same_in_float64():
    network, folded = (trained_looking(1, 3, 8).double() for _ in range(2))
    fold_batch_norm(folded)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    assert_same(network, folded, torch.rand(2, 1, 13, 17, dtype=torch.float64), 1e-12)


@pytest.mark.parametrize("kernel", [5, 9])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_rewritten_tail_computes_the_same_in_float64(kernel, channels):
    torch.manual_seed(0)
    tail = nn.Conv2d(6, channels, kernel, padding=kernel // 2).double().requires_grad_(False)
    shuffle = nn.PixelShuffle(2)
    early = tail_before_shuffle(tail).double().requires_grad_(False)
    # The float32 weights of `early` are copies, so only summation order may differ.
    early.weight.copy_(tail_before_shuffle(tail.float()).weight)
    tail = tail.float().double()
    x = torch.rand(2, 24, 7, 10, dtype=torch.float64)
    assert_same(nn.Sequential(shuffle, tail), nn.Sequential(early, shuffle), x, 1e-12)


def test_a_tail_that_does_not_fit_the_rewrite_is_refused():
    with pytest.raises(TypeError, match="tail"):
        tail_before_shuffle(nn.Conv2d(4, 1, 7, padding=3))


@pytest.mark.parametrize("slopes", [1, 8])
def test_prelu_commutes_with_the_shuffle(slopes):
    network = trained_looking(1, 1, 8)
    network.upsample[-1][2] = nn.PReLU(slopes).requires_grad_(False)
    nn.init.uniform_(network.upsample[-1][2].weight, -0.5, 0.5)
    assert_same(network, for_inference(network), torch.rand(1, 1, 12, 9))


@pytest.mark.parametrize("height", [8, 95, 96, 97, 103, 200])
def test_strips_equal_the_whole(height):
    torch.manual_seed(0)
    stage = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.PReLU(),
        nn.Conv2d(8, 4, 5, padding=2),
        nn.PixelShuffle(2),
    ).requires_grad_(False)
    x = torch.rand(1, 3, height, 20)
    torch.testing.assert_close(RowStrips(stage, rows=16)(x), stage(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_network_for_inference_computes_the_same(scale, batch_norm, channels):
    network = trained_looking(channels, 2, 8, scale, batch_norm)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    rewritten = for_inference(network)
    assert_same(network, rewritten, torch.rand(1, channels, 70, 19))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize(("blocks", "scale", "expected"), [(16, 4, 40), (2, 4, 12), (2, 2, 12)])
def test_halo(blocks, scale, expected):
    network = SRResNet(1, blocks, 4, scale)
    assert halo(network) == expected
    assert halo(for_inference(network)) == expected


def test_the_halo_is_just_large_enough():
    """A change of one LR pixel is seen exactly within the halo, and no farther."""
    network = trained_looking(1, 1, 4)
    reach = halo(network)
    size = 2 * reach + 9
    x = torch.rand(1, 1, size, size, dtype=torch.float64)
    network = network.double()
    changed = x.clone()
    middle = reach + 4
    changed[0, 0, middle, middle] += 1
    rows = (network(changed) - network(x)).abs().amax(dim=(0, 1, 3)).view(size, 4).amax(dim=1)
    touched = torch.nonzero(rows).flatten()
    assert touched.min() == middle - reach
    assert touched.max() == middle + reach


def test_a_module_of_unknown_reach_is_refused():
    with pytest.raises(TypeError, match="halo"):
        halo(nn.Sequential(nn.Conv2d(1, 1, 3), nn.AdaptiveAvgPool2d(1)))
