"""Plans: they travel, a plane of them is what a run writes, and they know what networks need."""

import pickle
import subprocess
import sys

import numpy as np
import pytest
import small_models
import tifffile
import torch
from small_models import restore_stack

from napari_srgan import open_stack
from napari_srgan.engine.plan import footprint, plan, preflight
from napari_srgan.engine.progress import drain
from napari_srgan.engine.restore import restore_plane
from napari_srgan.engine.run import Upscaler
from napari_srgan.engine.window import window_network
from napari_srgan.errors import InputError
from napari_srgan.image.stack import Stack
from napari_srgan.models.architectures.receptive_field import halo
from napari_srgan.models.catalogue import load_model
from napari_srgan.options import RestoreOptions

CPU = torch.device("cpu")
EXACT = {"device": "cpu", "precision": "float32", "backend": "torch"}


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    return small_models.save(tmp_path_factory.mktemp("m"), "gray", 1)


def texture(*shape, dtype=np.uint16):
    return (np.random.default_rng(0).random(shape) * 4095).astype(dtype)


def network_of(path):
    return window_network(load_model(path), CPU, "float32", "torch")


# --- another process -------------------------------------------------------------------------


ELSEWHERE = """
import pickle, sys
import numpy as np
from napari_srgan.engine.progress import drain
from napari_srgan.engine.run import Upscaler

planned = pickle.load(sys.stdin.buffer)
result = drain(Upscaler.of(planned).run(planned))
pickle.dump((np.asarray(result.data), result.metadata), sys.stdout.buffer)
"""


@pytest.mark.parametrize("source", ["memory", "file"])
def test_a_plan_travels_to_another_process_which_restores_the_same_bytes(gray, tmp_path, source):
    stack = Stack(texture(3, 30, 34), "ZYX", name="scan.tif")
    if source == "file":
        data, how = stack.data, {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}
        tifffile.imwrite(tmp_path / "scan.tif", data, **how)
        stack = open_stack(tmp_path / "scan.tif")
    region = {"Z": (1, 3), "Y": (2, 30)}
    planned = plan(
        stack,
        RestoreOptions(
            model=gray, device="cpu", backend="torch", precision="float32", tile=16, region=region
        ),
    )
    here = drain(Upscaler.of(planned).run(planned))
    command = [sys.executable, "-c", ELSEWHERE]
    sent = pickle.dumps(planned)
    done = subprocess.run(command, input=sent, stdout=subprocess.PIPE, check=True)
    data, metadata = pickle.loads(done.stdout)
    np.testing.assert_array_equal(data, here.data)
    facts, others = here.metadata["napari_srgan"], metadata["napari_srgan"]
    assert {**facts, "date": ""} == {**others, "date": ""}


def test_a_model_that_changed_since_the_plan_is_refused(tmp_path):
    path = small_models.save(tmp_path, "gray", 1)
    planned = plan(Stack(texture(20, 20)), RestoreOptions(model=path, device="cpu"))
    small_models.save(tmp_path, "gray", 1, features=8)
    with pytest.raises(InputError, match="has changed since; start again"):
        Upscaler.of(planned)


# --- one plane -------------------------------------------------------------------------------


@pytest.mark.parametrize("region", [{}, {"Z": (1, 2), "Y": (3, 30), "X": (0, 21)}])
def test_restoring_a_plane_gives_what_a_run_writes(gray, region):
    data = texture(2, 36, 40, dtype=np.float32)
    data[1, 5:7, 9] = np.nan
    stack = Stack(data, "ZYX")
    options = RestoreOptions(model=gray, device="cpu", tile=13, nan="fill", region=region)
    planned, network = plan(stack, options), network_of(gray)
    planes = [restore_plane(data[z], planned, network) for (z,) in planned.planes]
    np.testing.assert_array_equal(planes, drain(restore_stack(stack, options)).data)


def test_restoring_a_plane_takes_the_range_of_its_channel_and_shows_its_tiles(gray):
    data = texture(2, 20, 24)
    data[1] //= 16
    stack, seen = Stack(data, "CYX"), []

    class Observer:
        def see(self, tile, low, high):
            seen.append((tile, low.shape, high.shape))

    options = RestoreOptions(model=gray, device="cpu", tile=12)
    planned, network = plan(stack, options), network_of(gray)
    made = restore_plane(data[1], planned, network, channel=1, observers=[Observer()])
    np.testing.assert_array_equal(made, drain(restore_stack(stack, options)).data[1])
    assert tuple(tile for tile, *_ in seen) == planned.tiles
    for tile, low, high in seen:
        assert low == (tile.y1 - tile.y0, tile.x1 - tile.x0)
        assert high == (4 * low[0], 4 * low[1])


# --- what a network needs --------------------------------------------------------------------


def test_the_halo_and_the_memory_ahead_are_those_of_the_model_itself(tmp_path):
    stack, tile = Stack(texture(3, 400, 420), "ZYX"), 32
    found = []
    for blocks, features in ((1, 8), (2, 8), (1, 16)):
        growth = features // 2
        path = small_models.save_rrdb(tmp_path, blocks=blocks, features=features, growth=growth)
        needs, own = footprint(load_model(path)), halo(load_model(path).network)
        ahead = preflight(stack, RestoreOptions(model=path, device="cpu", tile=tile))
        _, tiles = ahead.tiles(CPU)
        whole = max(tiles, key=lambda t: t.read_pixels)
        assert needs.halo == own
        interior = whole.y1 - whole.y0, whole.x1 - whole.x0
        assert max(interior) <= tile
        assert whole.read_shape == (interior[0] + 2 * own, interior[1] + 2 * own)
        assert ahead.pixels(CPU) == 3 * sum(t.read_pixels for t in tiles)
        planned = plan(stack, ahead.options)
        assert (planned.halo, planned.tiles, planned.pixels) == (own, tiles, ahead.pixels(CPU))
        assert planned.memory >= whole.read_pixels * needs.bytes_per_pixel
        found.append((needs, ahead.pixels(CPU)))
    (small, few), (deep, more), (wide, same) = found
    assert deep.halo > small.halo == wide.halo
    assert more > few == same
    assert wide.bytes_per_pixel == 2 * small.bytes_per_pixel == 2 * deep.bytes_per_pixel


COMPILER = """
import sys
import numpy as np
from napari_srgan.engine.progress import drain
from napari_srgan.image.stack import Stack
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.restore import restore

stack = Stack(np.random.default_rng(0).random((16, 18)).astype(np.float32))
for model in sys.argv[1:]:
    drain(restore(stack, RestoreOptions(model=model, device="cpu")))
found = {"torch._dynamo", "triton"} & set(sys.modules)
assert not found, found
"""


def test_no_run_loads_the_compiler_of_torch(gray, tmp_path):
    """Its LLVM and that of Mesa in one process end napari with a segmentation fault."""
    command = [sys.executable, "-c", COMPILER, str(gray), str(small_models.save_rrdb(tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_tiles_that_take_more_memory_than_is_free_are_refused_before_work(gray, monkeypatch):
    """Linux promises memory that it does not have, and then ends the program."""
    stack = Stack(np.broadcast_to(np.uint8(5), (40_000, 40_000)), name="scan")
    monkeypatch.setattr("napari_srgan.engine.plan.free_memory", lambda device: 10**9)
    options = {"model": gray, "device": "cpu", "intensity": "0:255"}
    for tile in (10**9, 20_000):
        with pytest.raises(InputError, match=rf"Tiles of {tile} px would take .* 1 GB are free"):
            plan(stack, RestoreOptions(**options, tile=tile))
    assert plan(stack, RestoreOptions(**options, tile=256)).tile == 256
    assert plan(stack, RestoreOptions(**options)).tile < 20_000
