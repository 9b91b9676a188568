import copy

import pytest
import torch
from torch import nn

from napari_srgan.models.architectures import build
from napari_srgan.models.architectures.edsr import EDSR
from napari_srgan.models.architectures.plain import BranchedConv2d, Plain
from napari_srgan.models.architectures.rcan import RCAN
from napari_srgan.models.architectures.receptive_field import halo
from napari_srgan.models.architectures.rewrite import (
    RowStrips,
    fold_batch_norm,
    for_inference,
    for_training,
    tail_before_shuffle,
)
from napari_srgan.models.architectures.rrdb import RRDBNet
from napari_srgan.models.architectures.srresnet import SRResNet

SIZES = {
    "srresnet": {"features": 4},
    "rrdb": {"features": 6, "growth": 3},
    "plain": {"features": 4, "activation": "prelu"},
    "edsr": {"features": 4, "residual_scale": 0.5},
    "rcan": {"features": 48, "groups": 2},
}


def small(architecture, channels=1, scale=4, blocks=1):
    torch.manual_seed(1)
    sizes = SIZES[architecture]
    return build(architecture, {"channels": channels, "blocks": blocks, "scale": scale, **sizes})


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


@pytest.mark.parametrize("architecture", SIZES)
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("channels", [1, 3])
def test_output_is_scale_times_larger(architecture, scale, channels):
    network = small(architecture, channels, scale)
    assert (network.channels, network.scale) == (channels, (scale, scale))
    x = torch.rand(2, channels, 9, 11)
    assert network(x).shape == (2, channels, 9 * scale, 11 * scale)


@pytest.mark.parametrize("network", [SRResNet, RRDBNet, Plain, EDSR, RCAN])
@pytest.mark.parametrize("scale", [1, 5, 16])
def test_other_scales_are_refused(network, scale):
    with pytest.raises(ValueError, match="scale"):
        network(scale=scale)


@pytest.mark.parametrize("network", [SRResNet, RRDBNet, Plain, EDSR, RCAN])
@pytest.mark.parametrize("size", ["channels", "blocks", "features"])
def test_sizes_that_are_not_positive_are_refused(network, size):
    with pytest.raises(ValueError, match=f"(?i){size}.*positive"):
        network(**{size: 0})


def test_an_unknown_architecture_is_refused_with_the_known():
    with pytest.raises(ValueError, match="srresnet, plain, rrdb, edsr, rcan, not swin"):
        build("swin", {})


def test_the_paper_s_generator_has_the_paper_s_size():
    # 16 blocks of two 3x3x64x64 convolutions, the skip's, two of 64 -> 256, 9x9 head and tail.
    weights = 33 * 9 * 64 * 64 + 2 * 9 * 64 * 256 + 2 * 81 * 3 * 64
    network = SRResNet(3)
    assert sum(p.numel() for p in network.parameters() if p.ndim == 4) == weights


def test_esrgan_s_generator_has_its_size():
    # A dense block: 64 .. 160 -> 32, then 192 -> 64. Three in a block of 23. Head, the skip's,
    # one for each doubling, two of the tail.
    dense = 9 * (32 * (64 + 96 + 128 + 160) + 64 * 192)
    weights = 69 * dense + 9 * (3 * 64 + 64 * 64 + 2 * 64 * 64 + 64 * 64 + 64 * 3)
    network = RRDBNet(3)
    assert sum(p.numel() for p in network.parameters() if p.ndim == 4) == weights


def test_edsr_has_the_size_of_the_authors_networks():
    # Table 1 of arXiv 1707.02921: 1.5 and 43 million weights at 2x, without the mean shifts.
    for sizes, millions in (((16, 64), 1.37), ((32, 256), 40.7)):
        network = EDSR(3, *sizes, 2)
        assert sum(p.numel() for p in network.parameters()) == pytest.approx(millions * 1e6, 0.01)


def test_rcan_has_the_size_of_the_authors_network():
    # Table 7 of arXiv 1807.02758: 16 million weights.
    assert sum(p.numel() for p in RCAN(3).parameters()) == pytest.approx(15.6e6, 0.01)


def test_a_pixel_of_rcan_depends_on_the_whole_image():
    network = small("rcan").eval()
    assert network.halo is None
    x = torch.rand(1, 1, 40, 40)
    other = x.clone()
    other[..., -1, -1] += 1
    with torch.no_grad():
        assert (network(x) != network(other))[..., 0, 0].all()


def test_a_dense_block_starts_near_the_identity():
    """So that a deep network learns (ESRGAN, section 3.1)."""
    x = torch.rand(1, 6, 20, 20)
    block = small("rrdb").body[0].body[0]
    assert 0 < (block(x) - x).abs().max() < 0.05


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
    early = tail_before_shuffle(tail)
    assert early.kernel_size == (kernel // 2 + 1,) * 2 and early.weight.dtype == torch.float64
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


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_network_for_inference_computes_the_same(scale, batch_norm, channels):
    network = trained_looking(channels, 2, 8, scale, batch_norm)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    rewritten = for_inference(network)
    assert_same(network, rewritten, torch.rand(1, channels, 70, 19))
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize("architecture", ["rrdb", "plain", "edsr", "rcan"])
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("height", [20, 70])
def test_another_network_for_inference_computes_the_same(architecture, scale, height):
    network = small(architecture, 3, scale, blocks=2)
    rewritten = for_inference(network)
    assert not any(p.requires_grad for p in rewritten.parameters())
    assert all(p.requires_grad for p in network.parameters())
    with torch.no_grad():
        assert_same(network, rewritten, torch.rand(1, 3, height, 19))


def assert_trains_the_same(plain, x):
    """Outputs, gradients and what batch norm remembers, in float64 and training mode."""
    shared = copy.deepcopy(plain)
    faster = for_training(shared)
    assert faster.network is shared
    assert {id(p) for p in faster.parameters()} == {id(p) for p in shared.parameters()}
    expected, got = plain(x), faster(x)
    weights = torch.rand_like(expected)
    for out in (expected, got):
        (out * weights).sum().backward()
    near = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(got, expected, **near)
    for (name, p), q in zip(plain.named_parameters(), shared.parameters(), strict=True):
        assert p.grad.abs().max() > 0, name
        torch.testing.assert_close(q.grad, p.grad, **near)
    for p, q in zip(plain.buffers(), shared.buffers(), strict=True):
        torch.testing.assert_close(q, p, **near)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_network_for_training_has_the_same_gradients(scale, batch_norm, channels):
    plain = trained_looking(channels, 2, 6, scale, batch_norm)
    plain = plain.double().requires_grad_(True).train()
    assert_trains_the_same(plain, torch.rand(2, channels, 8, 11, dtype=torch.float64))


@pytest.mark.parametrize("architecture", ["rrdb", "plain", "edsr", "rcan"])
def test_another_network_for_training_has_the_same_gradients(architecture):
    plain = small(architecture, 3).double()
    assert_trains_the_same(plain, torch.rand(2, 3, 8, 11, dtype=torch.float64))


def test_branches_are_the_sum_that_one_kernel_computes():
    """In float64, borders included, against the branches one by one."""
    torch.manual_seed(0)
    layer = BranchedConv2d(6).double()
    x = torch.randn(2, 6, 7, 9, dtype=torch.float64)
    chain = nn.functional.conv2d(x, layer.enter[..., None, None])
    chain = nn.functional.conv2d(chain, layer.between, padding=1)
    chain = nn.functional.conv2d(chain, layer.leave[..., None, None])
    own = nn.functional.conv2d(x, layer.weight, layer.bias, padding=1)
    expected = own + chain + nn.functional.conv2d(x, layer.point[..., None, None]) + x
    near = {"rtol": 0, "atol": 1e-12}
    torch.testing.assert_close(layer(x), expected, **near)
    torch.testing.assert_close(layer.folded()(x), expected, **near)
    assert type(layer.folded()) is nn.Conv2d
    layer(x).square().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in layer.parameters())


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_plain_starts_as_an_interpolation_and_has_convolutions_only(scale):
    network = Plain(1, 3, 8, scale)
    network.initialise("interpolate")
    y, x = torch.meshgrid(torch.arange(12.0), torch.arange(14.0), indexing="ij")
    centre = (torch.arange(14 * scale) + 0.5) / scale - 0.5
    ramp = (0.03 * y + 0.02 * x)[None, None]
    fine = (0.03 * centre[: 12 * scale, None] + 0.02 * centre)[None, None]
    inner = (..., slice(scale, -scale), slice(scale, -scale))  # beyond the border are zeros
    with torch.no_grad():
        torch.testing.assert_close(network(ramp)[inner], fine[inner], rtol=0, atol=1e-6)
    kinds = {type(m) for m in for_inference(network).modules() if not list(m.children())}
    assert kinds - {nn.Sequential} == {nn.Conv2d, nn.SiLU, nn.PixelShuffle}
    assert halo(for_inference(network)) == 5


def test_plain_takes_a_fifth_of_the_arithmetic():
    def per_pixel(network):
        """Multiply-adds per LR pixel."""
        finer, total = 1, 0
        for module in for_inference(network).modules():
            if isinstance(module, nn.Conv2d):
                total += finer**2 * module.weight.numel()
            if isinstance(module, nn.PixelShuffle):
                finer *= module.upscale_factor
        return total

    assert per_pixel(Plain()) / per_pixel(SRResNet(batch_norm=False)) < 0.19


def test_an_unknown_activation_is_refused_with_the_known():
    with pytest.raises(ValueError, match="silu, relu, prelu, not tanh"):
        Plain(activation="tanh")


def test_a_step_on_the_network_for_training_is_a_step_of_the_generator():
    network = small("srresnet")
    faster = for_training(network)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    before = network.tail.weight.detach().clone()
    faster(torch.rand(1, 1, 8, 8)).square().mean().backward()
    optimiser.step()
    assert not torch.equal(network.tail.weight, before)
    x = torch.rand(1, 1, 9, 8)
    assert not faster.eval().network.training
    torch.testing.assert_close(faster(x), network(x))


@pytest.mark.parametrize(("blocks", "scale", "expected"), [(16, 4, 40), (2, 4, 12), (2, 2, 12)])
def test_halo(blocks, scale, expected):
    network = small("srresnet", 1, scale, blocks)
    assert halo(network) == expected
    assert halo(for_inference(network)) == expected


@pytest.mark.parametrize(("blocks", "scale", "expected"), [(23, 4, 349), (2, 4, 34), (2, 2, 34)])
def test_halo_of_rrdb(blocks, scale, expected):
    network = small("rrdb", 1, scale, blocks)
    assert halo(network) == expected
    assert halo(for_inference(network)) == expected


@pytest.mark.parametrize("architecture", [name for name in SIZES if name != "rcan"])
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_the_halo_is_just_large_enough(architecture, scale):
    """The pixels of one LR position depend on those within the halo, and on none farther."""
    network = small(architecture, 1, scale).double().eval()
    reach = halo(network)
    middle = reach + 4
    size = 2 * middle + 1
    # A gradient, unlike a difference of outputs, does not drown in their rounding.
    x = torch.rand(1, 1, size, size, dtype=torch.float64, requires_grad=True)
    block = slice(scale * middle, scale * (middle + 1))
    network(x)[..., block, block].sum().backward()
    for axis in (2, 3):
        touched = torch.nonzero(x.grad.abs().amax(dim=(0, 1, 5 - axis))).flatten()
        assert touched.min() == middle - reach
        assert touched.max() == middle + reach


@pytest.mark.parametrize(
    "upsample",
    [
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Upsample(scale_factor=1.5),
        nn.Upsample(size=40),
        nn.Upsample(scale_factor=(2, 1.5)),
    ],
    ids=repr,
)
def test_an_up_sampling_of_unknown_reach_is_refused(upsample):
    with pytest.raises(TypeError, match=r"halo.*(scale_factor|size)"):
        halo(nn.Sequential(upsample, nn.Conv2d(1, 1, 3)))


def test_a_module_of_unknown_reach_is_refused():
    with pytest.raises(TypeError, match="halo"):
        halo(nn.Sequential(nn.Conv2d(1, 1, 3), nn.AdaptiveAvgPool2d(1)))


@pytest.mark.parametrize("architecture", ["srresnet", "rrdb", "edsr", "rcan"])
def test_mixed_precision_leaves_the_last_convolution_in_float32(architecture):
    """bfloat16 has 8 bits: an image in it would be quantised to less than 256 grey levels."""
    torch.manual_seed(0)
    network = build(architecture, {"channels": 1, "blocks": 1, "features": 4})
    lr = torch.rand(1, 1, 12, 12)
    with torch.autocast("cpu", torch.bfloat16):
        sr = for_training(network)(lr)
    assert sr.dtype == torch.float32
    assert not torch.equal(sr, sr.bfloat16().float())
    sr.mean().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", [2, 3, 4, 8])
def test_a_lateral_network_makes_only_x_finer_and_starts_as_an_interpolation(channels, factor):
    sizes = {"channels": channels, "blocks": 2, "features": 6, "scale": factor, "lateral": True}
    network = build("plain", sizes).eval()
    network.initialise("interpolate")
    network.requires_grad_(False)
    y = torch.linspace(0.2, 0.4, 16)[:, None]
    x = torch.linspace(-0.1, 0.1, 20)
    made = network((y + x).expand(2, channels, 16, 20).contiguous())
    assert network.scale == (1, factor) and made.shape == (2, channels, 16, 20 * factor)
    # Where finer pixels lie between those of the input; a ramp stays one.
    at = (torch.arange(20 * factor) + 0.5) / factor - 0.5
    expected = y + x[0] + at * (x[1] - x[0])
    inside = (slice(None), slice(None), slice(4, -4), slice(4 * factor, -4 * factor))
    torch.testing.assert_close(made[inside], expected.expand_as(made)[inside])
    assert_same(network, for_inference(network), torch.rand(1, channels, 9, 11))


def test_the_halo_of_a_lateral_network_is_that_of_its_rows():
    sizes = {"blocks": 3, "features": 4, "scale": 8}
    assert halo(Plain(**sizes, lateral=True)) == halo(Plain(**sizes)) == 5
