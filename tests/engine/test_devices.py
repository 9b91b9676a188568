"""Devices and number formats: what is present is used, what is absent is refused by name."""

import pytest
import torch

from napari_srgan.engine import devices
from napari_srgan.engine.tiles import auto_tile
from napari_srgan.errors import InputError
from napari_srgan.options import checked_tile

GIB = 2**30


@pytest.fixture
def machine(monkeypatch):
    """Pretend to have so many CUDA devices and MPS or not."""

    def pretend(cuda=0, mps=False):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return pretend


def test_auto_prefers_the_gpu(machine):
    machine(cuda=2)
    assert devices.resolve_device("auto") == torch.device("cuda:0")
    machine(mps=True)
    assert devices.resolve_device("auto") == torch.device("mps")
    machine()
    assert devices.resolve_device("auto") == torch.device("cpu")


def test_a_device_is_found_by_its_name(machine):
    machine(cuda=2)
    assert devices.available_devices() == ["cuda:0", "cuda:1", "cpu"]
    assert devices.resolve_device("cuda") == torch.device("cuda:0")
    assert devices.resolve_device("CUDA:1") == torch.device("cuda:1")
    assert devices.resolve_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:2", "mps", "cuda:x", "tpu", ""])
def test_an_absent_device_is_refused_and_those_present_are_listed(machine, name):
    machine(cuda=1)
    with pytest.raises(InputError, match=r"it has cuda:0, cpu, or give auto"):
        devices.resolve_device(name)


def test_only_native_16_bit_formats_count(monkeypatch, cpu_without_bfloat16):
    monkeypatch.setattr(devices, "_cpu_has_bfloat16", cpu_without_bfloat16)
    cpu, gpu = torch.device("cpu"), torch.device("cuda:0")
    for capabilities, expected in (
        ({"avx512_f": True}, ()),
        ({"avx512_bf16": True}, ("bfloat16",)),
        ({"amx_bf16": True}, ("bfloat16",)),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda c=capabilities: c, raising=False)
        assert devices.native_16_bits(cpu) == expected
    both = ("float16", "bfloat16")
    for version, expected in (((9, 0), both), ((7, 5), ("float16",)), ((6, 1), ())):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda d, v=version: v)
        assert devices.native_16_bits(gpu) == expected
    assert devices.native_16_bits(torch.device("mps")) == ()


def test_precisions():
    assert devices.check_precision("BFloat16") == "bfloat16"
    with pytest.raises(InputError, match="float64"):
        devices.check_precision("float64")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("x"), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("expected 3 channels"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors(error, expected):
    assert devices.is_out_of_memory(error) is expected


def test_a_real_failure_of_the_cpu_allocator_is_recognised():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert devices.is_out_of_memory(caught.value)


def test_the_tile_is_the_whole_plane_if_that_fits_and_bounded_if_not(monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr("napari_srgan.engine.tiles.free_memory", lambda device: 16 * GIB)
    assert auto_tile(cpu, 3072, 40, 256, 200) == 256
    large = auto_tile(cpu, 3072, 40, 20_000, 20_000)
    assert 256 <= large <= 512, "a tile must be quick enough to cancel"
    assert auto_tile(cpu, 3072, 40, 20_000, 20_000, {"Y": (0, 90), "X": (5, 50)}) == 90
    monkeypatch.setattr("napari_srgan.engine.tiles.free_memory", lambda device: GIB // 4)
    assert auto_tile(cpu, 3072, 40, 20_000, 20_000) < 100
    monkeypatch.setattr("napari_srgan.engine.tiles.free_memory", lambda device: 0)
    assert auto_tile(cpu, 3072, 40, 20_000, 20_000) == 16


def test_the_memory_of_a_tile_stays_within_the_share(monkeypatch):
    gpu = torch.device("cuda:0")
    for free in (GIB // 2, 2 * GIB, 6 * GIB):
        monkeypatch.setattr("napari_srgan.engine.tiles.free_memory", lambda device, f=free: f)
        side = auto_tile(gpu, 3072, 40, 5000, 5000)
        assert (side + 80) ** 2 * 3072 <= 0.6 * free


def test_a_tile_that_is_asked_for():
    assert checked_tile("auto") is None
    assert checked_tile("64") == checked_tile(64) == 64
    for wrong in (7, 0, -8, "1.5", "huge"):
        with pytest.raises(InputError, match="tile"):
            checked_tile(wrong)
