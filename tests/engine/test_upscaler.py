"""The engine end to end: exact tiles, regions, dtypes, cancelling, memory, NaN, precision."""

import dataclasses
import threading

import numpy as np
import pytest
import small_models
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import restore_stack

from napari_srgan.engine import run as engine_run
from napari_srgan.engine.plan import footprint, plan
from napari_srgan.engine.progress import counting, drain
from napari_srgan.engine.run import Upscaler
from napari_srgan.engine.tiles import BORDER, auto_tile, plan_tiles
from napari_srgan.engine.window import WindowNetwork, window_network
from napari_srgan.errors import InputError
from napari_srgan.image.intensity import measure
from napari_srgan.image.resampling import bicubic_enlarge
from napari_srgan.image.stack import Stack
from napari_srgan.io.sinks import FileSink, MemorySink
from napari_srgan.models.architectures.rewrite import for_inference
from napari_srgan.models.catalogue import load_model
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.steps import whole_steps


@pytest.fixture(scope="module")
def gray(tmp_path_factory):
    return small_models.save(tmp_path_factory.mktemp("m"), "gray", 1, blocks=2, features=8)


@pytest.fixture(scope="module")
def rgb(tmp_path_factory):
    return small_models.save(tmp_path_factory.mktemp("m"), "rgb", 3, blocks=2, features=8)


@pytest.fixture(scope="module")
def rrdb(tmp_path_factory):
    return small_models.save_rrdb(tmp_path_factory.mktemp("m"))


def texture(shape, dtype=np.uint16, seed=0, top=4095):
    return (np.random.default_rng(seed).random(shape) * top).astype(dtype)


def run(stack, model, sink=None, **options):
    asked = RestoreOptions(model=model, **{"device": "cpu"} | options)
    return drain(restore_stack(stack, asked, sink))


class RecordingSink(MemorySink):
    """Remembers how it ended."""

    def __init__(self):
        super().__init__()
        self.ended = ""

    def commit(self, metadata=None):
        self.ended = "committed"
        return super().commit(metadata)

    def abort(self, keep=False):
        self.ended = "aborted"
        super().abort(keep)


class Diary(MemorySink):
    """Remembers the blocks and the ends of planes in their order."""

    def __init__(self):
        super().__init__()
        self.told = []

    def write(self, index, y, x, block):
        self.told.append(("block", index))
        super().write(index, y, x, block)

    def plane_done(self, index, found=None):
        self.told.append(("done", index))


# --- exactness -------------------------------------------------------------------------------


@st.composite
def windows(draw):
    """A plane of 8..64 px a side (at times 150 px long), and a tile size for it."""
    sides = [draw(st.integers(8, 64)), draw(st.integers(8, 64))]
    if draw(st.integers(0, 9)) == 0:  # longer than two halos, so that interiors see no border
        sides = [draw(st.integers(8, 24)), draw(st.integers(90, 130))]
        sides = sides[:: draw(st.sampled_from([1, -1]))]
    return *sides, draw(st.integers(8, 64)), draw(st.integers(0, 2**16)), draw(st.booleans())


@pytest.fixture(scope="module")
def full_size(tmp_path_factory):
    """The two networks of the bundled models' size, 16 blocks of 64 features, as they are run."""
    folder = tmp_path_factory.mktemp("full")
    found = []
    for channels in (1, 3):
        path = small_models.save(folder, f"full{channels}", channels, blocks=16, features=64)
        network = WindowNetwork(load_model(path).network, torch.device("cpu"))
        found.append(network)
    return found


@pytest.fixture
def two_threads():
    """Let torch divide the work, as it does for a user, however many threads the tests have."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.timeout(900)
@settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(windows())
def test_tiles_of_the_16x64_networks_equal_the_untiled_plane_bit_for_bit(full_size, example):
    height, width, side, seed, colour = example
    torch.set_num_threads(1 if seed % 8 else 2)  # two are slow where tests share the cores
    network = full_size[colour]
    unit = np.random.default_rng(seed).random((height, width, 3), np.float32)
    unit = unit if colour else unit[..., 0]
    whole, _ = network(unit)
    tiles = plan_tiles(height, width, side, 40)
    # One tile an example, another at each: all positions come up, at a bearable cost.
    tile = tiles[seed % len(tiles)]
    got = network(unit[tile.ry0 : tile.ry1, tile.rx0 : tile.rx1])[0][tile.crop((4, 4))]
    expected = whole[tile.y0 * 4 : tile.y1 * 4, tile.x0 * 4 : tile.x1 * 4]
    assert np.array_equal(got, expected)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("height", "width"), [(97, 8), (97, 32), (145, 12)])
def test_tall_planes_leave_no_thin_strip_to_another_algorithm(tmp_path, height, width):
    path = small_models.save(tmp_path, "wide", 1, blocks=1, features=64)
    network = WindowNetwork(load_model(path).network, torch.device("cpu"))
    unit = np.random.default_rng(height).random((height, width), np.float32)
    whole, _ = network(unit)
    for tile in plan_tiles(height, width, 30, 10):
        got = network(unit[tile.ry0 : tile.ry1, tile.rx0 : tile.rx1])[0][tile.crop((4, 4))]
        expected = whole[tile.y0 * 4 : tile.y1 * 4, tile.x0 * 4 : tile.x1 * 4]
        assert np.array_equal(got, expected)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 70), (20, 31), (64, 40)])
def test_a_window_gives_what_the_network_alone_gives(gray, height, width):
    model = load_model(gray)
    unit = np.random.default_rng(0).random((height, width), np.float32)
    with torch.inference_mode():
        alone = for_inference(model.network)(torch.from_numpy(unit)[None, None])[0, 0].numpy()
    got, _ = WindowNetwork(model.network, torch.device("cpu"))(unit)
    if min(height, width) < 32:  # another algorithm of torch: equal up to rounding
        np.testing.assert_allclose(got, alone, atol=1e-6)
    else:
        assert np.array_equal(got, alone)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(windows())
def test_a_tiled_stack_equals_the_untiled_one_within_1e_6_for_small_networks(gray, example):
    height, width, side, seed, _ = example
    data = np.random.default_rng(seed).random((1, height, width), np.float32)
    stack = Stack(data)
    tiled = run(stack, gray, tile=side, intensity="0:1").data
    whole = run(stack, gray, tile=1000, intensity="0:1").data
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-6)


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(windows())
def test_a_tiled_stack_equals_the_untiled_one_for_rrdb(rrdb, example):
    height, width, side, seed, _ = example
    stack = Stack(np.random.default_rng(seed).random((1, height, width), np.float32))
    tiled = run(stack, rrdb, tile=side, intensity="0:1").data
    whole = run(stack, rrdb, tile=1000, intensity="0:1").data
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 70), (20, 31), (36, 9), (37, 9)])
def test_a_window_gives_what_the_rrdb_network_alone_gives(tmp_path, scale, height, width):
    model = load_model(small_models.save_rrdb(tmp_path, scale))
    unit = np.random.default_rng(0).random((height, width), np.float32)
    with torch.inference_mode():
        alone = model.network(torch.from_numpy(unit)[None, None])[0, 0].numpy()
    got, _ = WindowNetwork(model.network, torch.device("cpu"))(unit)
    np.testing.assert_allclose(got, alone, rtol=0, atol=1e-6)


def test_the_memory_of_rrdb_counts_what_its_dense_blocks_take_in(rrdb):
    features, growth, bytes_each = 8, 4, 4
    needs = footprint(load_model(rrdb))
    assert (needs.halo, needs.bytes_per_pixel) == (19, 4 * bytes_each * (features + 4 * growth))


def test_tiles_of_a_network_that_looks_far_are_not_nearly_all_halo(monkeypatch):
    cpu, gib = torch.device("cpu"), 2**30
    monkeypatch.setattr("napari_srgan.engine.tiles.free_memory", lambda device: 64 * gib)
    assert auto_tile(cpu, 3072, 349, 5000, 5000) == 2 * 349
    monkeypatch.setattr("napari_srgan.engine.tiles.free_memory", lambda device: 8 * gib)
    side = auto_tile(cpu, 3072, 349, 5000, 5000)
    assert 100 < side < 349 and (side + 2 * 349) ** 2 * 3072 <= 2 * gib


def test_a_region_is_the_crop_of_the_whole(gray):
    stack = Stack(texture((3, 60, 70)), scale=(5, 2, 2), translate=(1, 10, 20))
    region = {"Z": (1, 3), "Y": (13, 50), "X": (20, 41)}
    whole = run(stack, gray, tile=24)
    part = run(stack, gray, region=region, tile=17)
    assert np.array_equal(part.data, whole.data[1:3, 52:200, 80:164])
    assert part.axes == "ZYX" and part.scale == (5, 0.5, 0.5)
    assert part.translate == (6.0, 10 + 2 * (13 - 0.375), 20 + 2 * (20 - 0.375))
    assert part.metadata["napari_srgan"]["region"]["Y"] == [13, 50]
    assert whole.metadata["napari_srgan"]["region"] is None


def test_blocks_are_where_they_belong(gray, monkeypatch):
    """With replication for a network, every HR block must hold the value of its LR pixel."""
    monkeypatch.setattr(
        WindowNetwork, "__call__", lambda self, unit: (unit.repeat(4, 0).repeat(4, 1), False)
    )
    data = np.arange(2 * 3 * 50 * 40, dtype=np.uint16).reshape(2, 3, 50, 40)
    whole = run(Stack(data, "TCYX"), gray, tile=16).data
    assert np.array_equal(whole, data.repeat(4, 2).repeat(4, 3))
    region = {"T": (1, 2), "C": (1, 3), "Y": (3, 47), "X": (11, 40)}
    part = run(Stack(data, "TCYX"), gray, tile=9, region=region).data
    assert np.array_equal(part, whole[1:2, 1:3, 12:188, 44:160])


# --- values ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float16", "float32", "f8"])
def test_dtype_is_kept_and_values_stay_in_range(gray, dtype):
    top = 255 if dtype == "uint8" else 1000 if dtype == "float16" else 4095
    data = texture((2, 24, 26), dtype, top=top)
    out = run(Stack(data), gray).data
    assert out.dtype == data.dtype and out.shape == (2, 96, 104)
    assert np.isfinite(out).all()


def test_slices_share_the_range_of_the_stack(gray):
    data = texture((4, 30, 30))
    data[1] //= 16
    stack = Stack(data)
    whole = run(stack, gray).data
    for z in range(4):
        assert np.array_equal(run(stack, gray, region={"Z": (z, z + 1)}).data[0], whole[z])
    alone = run(Stack(data[1:2]), gray).data[0]
    assert not np.array_equal(alone, whole[1]), "a stack of that slice alone has another range"


def test_the_result_is_the_network_of_the_unit_image(gray):
    data = texture((40, 44))
    stack, model = Stack(data), load_model(gray)
    found = measure(stack)
    with torch.inference_mode():
        # The plane goes on beyond its border, so that the network draws no frame there.
        unit = torch.from_numpy(np.pad(found.to_unit(data), BORDER, mode="edge"))[None, None]
        sr = for_inference(model.network)(unit)[0, 0].numpy()
    sr = sr[4 * BORDER : -4 * BORDER, 4 * BORDER : -4 * BORDER]
    lo, hi = np.percentile(data, (0.1, 99.9))
    by_hand = np.clip(np.rint(sr.astype(float) * (hi - lo) + lo), 0, 65535).astype(np.uint16)
    assert np.abs(run(stack, gray).data.astype(int) - by_hand).max() <= 1


def test_a_constant_plane_comes_back_exactly_and_its_neighbour_does_not(gray):
    data = texture((3, 40, 40))
    data[1] = 777
    out = run(Stack(data), gray, tile=16).data
    assert (out[1] == 777).all()
    assert len(np.unique(out[0])) > 10


def test_a_constant_corner_of_a_plane_is_not_a_constant_plane(gray):
    data = texture((90, 90))
    data[:50, :50] = 100
    whole = run(Stack(data), gray).data
    part = run(Stack(data), gray, region={"Y": (0, 10), "X": (0, 10)}).data
    assert np.array_equal(part, whole[:40, :40])


def test_rgb_goes_to_the_rgb_model_and_alpha_is_bicubic(rgb):
    data = texture((2, 30, 33, 4), np.uint8, top=255)
    out = run(Stack(data), rgb, tile=16)
    assert out.axes == "ZYXS" and out.data.shape == (2, 120, 132, 4)
    assert np.array_equal(out.data[..., :3], run(Stack(data[..., :3]), rgb).data)
    alpha = np.clip(np.rint(bicubic_enlarge(data[0, ..., 3], 4)), 0, 255)
    assert np.abs(out.data[0, ..., 3] - alpha).max() <= 1


def test_the_kind_of_image_must_fit_the_model(gray, rgb):
    with pytest.raises(InputError, match=r"RGB.*models that fit"):
        plan(Stack(texture((20, 20, 3), np.uint8, top=255)), RestoreOptions(model=gray))
    with pytest.raises(InputError, match=r"grayscale.*models that fit"):
        plan(Stack(texture((20, 20))), RestoreOptions(model=rgb))


def test_axes_may_come_in_any_order(gray):
    data = texture((30, 3, 34))
    out = run(Stack(data, "YCX"), gray)
    assert out.axes == "YCX" and out.data.shape == (120, 3, 136)
    swapped = run(Stack(np.ascontiguousarray(data.transpose(1, 0, 2)), "CYX"), gray)
    assert np.array_equal(out.data.transpose(1, 0, 2), swapped.data)


# --- invalid values --------------------------------------------------------------------------


def holed():
    data = texture((3, 30, 32), np.float32)
    data[1, 4:6, 7] = np.nan
    data[1, 20, 20] = np.inf
    return data


def test_nan_is_refused_before_work_with_slice_and_count(gray):
    with pytest.raises(InputError, match=r"3 NaN or infinite values in slice Z=1;.*--nan fill"):
        plan(Stack(holed()), RestoreOptions(model=gray))


def test_nan_that_is_only_met_on_the_way_is_refused_and_the_sink_aborted(gray, monkeypatch):
    monkeypatch.setattr("napari_srgan.engine.plan.SCANNED", 0)
    sink = RecordingSink()
    with pytest.raises(InputError, match="slice Z=1"):
        run(Stack(holed()), gray, sink)
    assert sink.ended == "aborted"


def test_nan_outside_of_what_a_region_needs_does_no_harm(gray):
    run(Stack(holed()), gray, region={"Z": (0, 1)})


def test_nan_is_filled_and_put_back_over_its_blocks(gray):
    data = holed()
    out = run(Stack(data), gray, nan="fill", tile=16).data
    expected = ~np.isfinite(data).repeat(4, 1).repeat(4, 2)
    assert np.array_equal(~np.isfinite(out), expected)
    assert np.isposinf(out[1, 80:84, 80:84]).all() and np.isnan(out[1, 16:24, 28:32]).all()
    clean = np.where(np.isfinite(data), data, 0)
    assert np.array_equal(out[0], run(Stack(data), gray, nan="fill", region={"Z": (0, 1)}).data[0])
    assert np.abs(out[1][~expected[1]]).max() < 20 * clean.max()


def test_a_plane_of_nan_comes_back_as_it_was(gray):
    data = texture((2, 20, 20), np.float32)
    data[1] = np.nan
    out = run(Stack(data), gray, nan="fill").data
    assert np.isnan(out[1]).all() and np.isfinite(out[0]).all()


# --- the course of the work ------------------------------------------------------------------


def test_progress_counts_every_tile(gray):
    stack = Stack(texture((2, 40, 40)))
    planned = plan(stack, RestoreOptions(model=gray, device="cpu", tile=20))
    steps = list(Upscaler(load_model(planned.model_path), "cpu").run(planned))
    assert [s.done for s in steps] == list(range(1, 9)) and planned.n_tiles == 8
    assert {s.total for s in steps} == {8}
    assert all(s.eta is not None and s.eta >= 0 for s in steps) and steps[-1].eta == 0


def test_closing_the_generator_aborts_the_sink(gray):
    sink = RecordingSink()
    steps = restore_stack(
        Stack(texture((40, 40))), RestoreOptions(model=gray, device="cpu", tile=20), sink
    )
    next(steps)
    assert sink.ended == ""
    steps.close()
    assert sink.ended == "aborted"


def test_an_error_on_the_way_aborts_the_sink(gray):
    class Broken:
        shape, dtype = (3, 30, 30), np.dtype("uint8")

        def __getitem__(self, key):
            if key[0] == 2:
                raise OSError("the disk is gone")
            return texture((30, 30), np.uint8, top=255)[key[1:]]

    sink = RecordingSink()
    with pytest.raises(OSError, match="gone"):
        run(Stack(Broken()), gray, sink, transform="power:1")
    assert sink.ended == "aborted"


def test_a_finished_run_is_committed_with_its_provenance(gray):
    sink = RecordingSink()
    out = run(Stack(texture((20, 20)), name="eye.tif"), gray, sink)
    record = out.metadata["napari_srgan"]
    assert sink.ended == "committed"
    assert record["model"] == "gray" and record["input"] == "eye.tif"
    assert record["precision"] == "float32" and record["device"] == "cpu"


@pytest.mark.parametrize("back_project", [False, True])
def test_the_sink_learns_of_every_plane_after_its_last_block(gray, back_project):
    sink = Diary()
    region = {"Z": (1, 3)}
    run(Stack(texture((4, 40, 40))), gray, sink, tile=20, region=region, back_project=back_project)
    blocks = 1 if back_project else 4
    one, two = ([("block", (z,))] * blocks + [("done", (z,))] for z in (0, 1))
    assert sink.told == one + two


def test_planes_are_read_one_by_one_and_only_those_asked_for(gray):
    class Watched:
        shape, dtype = (50, 20, 20), np.dtype("uint8")
        reads: tuple = ()

        def __getitem__(self, key):
            self.reads += (key[0],)
            return texture((20, 20), np.uint8, seed=key[0], top=255)[key[1:]]

    data = Watched()
    run(Stack(data), gray, region={"Z": (7, 9)}, transform="power:1", tile=10)
    assert data.reads == (7, 8)


def test_a_plan_says_what_will_come_out(gray):
    stack = Stack(texture((5, 30, 40)), name="scan", units=("um",) * 3, scale=(4, 2, 2))
    planned = plan(stack, RestoreOptions(model=gray, device="cpu"))
    assert planned.output.shape == (5, 120, 160) and planned.output.dtype == np.uint16
    assert planned.output.nbytes == 5 * 120 * 160 * 2
    assert planned.output.name == "scan [gray 4x]" and planned.output.units == ("um",) * 3
    assert planned.n_tiles == 5 and planned.pixels == 5 * 1200 and planned.memory > 0
    assert planned.warnings == ()


def test_anonymised_results_do_not_name_their_input(gray):
    stack = Stack(texture((20, 20)), name="Jane Doe.tif", metadata={"file": "Jane Doe.tif"})
    planned = plan(stack, RestoreOptions(model=gray, device="cpu", anonymise=True))
    out = drain(Upscaler(load_model(planned.model_path), "cpu").run(planned))
    assert "Jane" not in str(out.metadata) + planned.output.name
    assert out.metadata["napari_srgan"]["input"].startswith("scan-")


def test_a_result_that_is_upscaled_again_and_linear_data_warn(gray):
    stack = Stack(texture((20, 20)), metadata={"napari_srgan": {"model": "gray"}})
    (warning,) = plan(stack, RestoreOptions(model=gray)).warnings
    assert "already a super-resolved result of gray" in warning
    dark = Stack((10 ** (np.random.default_rng(0).random((40, 40)) ** 4 * 5)).astype("f4"))
    assert any("linear" in w for w in plan(dark, RestoreOptions(model=gray)).warnings)
    assert not any(
        "linear" in w for w in plan(dark, RestoreOptions(model=gray, transform="log")).warnings
    )


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"tile": 3}, "tile"),
        ({"tile": "big"}, "tile"),
        ({"nan": "ignore"}, "NaN"),
        ({"precision": "int8"}, "precision"),
        ({"device": "cuda:99"}, "device"),
        ({"intensity": "x"}, "intensity"),
        ({"transform": "x"}, "transform"),
        ({"region": {"Z": (0, 1)}}, "axis Z"),
    ],
)
def test_what_cannot_be_done_is_refused_before_work(gray, wrong, word):
    with pytest.raises(InputError, match=word):
        plan(Stack(texture((20, 20))), RestoreOptions(model=gray, **wrong))


# --- what goes on at once ----------------------------------------------------------------------


class Planes:
    """Planes that note when they are read."""

    def __init__(self, data, reading=lambda k: None):
        self.data, self.reading = data, reading
        self.shape, self.dtype, self.ndim = data.shape, data.dtype, data.ndim

    def __getitem__(self, key):
        self.reading(key[0])
        return self.data[key]


def test_reading_and_writing_go_on_while_the_network_computes(gray, monkeypatch):
    """Each waits for the other here, which would end in a timeout if they took turns."""
    data = texture((3, 20, 24), np.uint8, top=255)
    expected = run(Stack(data, "ZYX"), gray, intensity="0:255").data
    second_is_read, second_is_computed = threading.Event(), threading.Event()
    honest, computed = WindowNetwork.__call__, []

    def enlarge(self, unit):
        computed.append(second_is_read.wait(20))
        if len(computed) == 3:
            second_is_computed.set()
        return honest(self, unit)

    class Slow(MemorySink):
        def write(self, place, y, x, pixels):
            assert place[0] != 1 or second_is_computed.wait(20), "the third waits for the second"
            super().write(place, y, x, pixels)

    monkeypatch.setattr(WindowNetwork, "__call__", enlarge)
    planes = Planes(data, lambda k: second_is_read.set() if k == 1 else None)
    options = RestoreOptions(model=gray, device="cpu", intensity="0:255")
    done = []
    steps = restore_stack(Stack(planes, "ZYX"), options, Slow())
    result = drain(steps, lambda step: done.append(step.done))
    assert computed == [True] * 3 and done == [1, 2, 3]
    assert np.array_equal(result.data, expected)


def ours():
    return [t.name for t in threading.enumerate() if t.name.startswith("napari-srgan")]


def test_an_error_while_a_tile_is_written_ends_the_run(gray):
    class Full(RecordingSink):
        def write(self, place, y, x, pixels):
            raise InputError("The disk is full.")

    sink = Full()
    with pytest.raises(InputError, match="disk is full"):
        run(Stack(texture((3, 20, 24))), gray, sink)
    assert sink.ended == "aborted" and not ours()


def test_an_error_in_a_later_plane_comes_after_the_planes_before_it(gray):
    planned = []

    def fail(k):
        if planned and k == 2:
            raise InputError("the third plane cannot be read.")

    done = []
    stack = Stack(Planes(texture((3, 20, 24)), fail), "ZYX")
    planned.append(plan(stack, RestoreOptions(model=gray, device="cpu")))
    with pytest.raises(InputError, match="third"):
        steps = Upscaler.of(planned[0]).run(planned[0])
        drain(steps, lambda step: done.append(step.done))
    assert done[0] == 1 and not ours()


def test_a_run_that_is_closed_gives_up_the_tile_in_progress(gray, monkeypatch):
    reached, go_on, counted = threading.Event(), threading.Event(), []
    count = engine_run._Run._count

    def slow(run, multiplications):
        if len(counted) == 2:
            reached.set()
            assert go_on.wait(60)
        count(run, multiplications)
        counted.append(multiplications)

    monkeypatch.setattr(engine_run, "_PATIENCE", 0.01)
    monkeypatch.setattr(engine_run._Run, "_count", slow)
    stack = Stack(np.zeros((16, 16), np.uint8) + np.arange(16, dtype=np.uint8))
    planned = plan(stack, RestoreOptions(model=gray, device="cpu", backend="torch"))
    steps = Upscaler.of(planned).run(planned)
    while not reached.is_set():
        next(steps)
    threading.Timer(0.1, go_on.set).start()
    steps.close()
    assert len(counted) == 2  # none of the other convolutions


def test_a_run_that_is_closed_leaves_no_thread(gray):
    steps = restore_stack(Stack(texture((9, 20, 24))), RestoreOptions(model=gray, device="cpu"))
    assert next(steps).done == 1 and ours()
    steps.close()
    assert not ours()


# --- memory and precision --------------------------------------------------------------------


def out_of_memory_above(monkeypatch, pixels, error):
    """Let windows of more than so many pixels fail as a full memory does; return their sizes."""
    seen, honest = [], WindowNetwork.__call__

    def enlarge(self, unit):
        seen.append(unit.shape[0] * unit.shape[1])
        if seen[-1] > pixels:
            raise error
        return honest(self, unit)

    monkeypatch.setattr(WindowNetwork, "__call__", enlarge)
    return seen


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_tiles_that_do_not_fit_are_split_and_the_result_is_the_same(gray, monkeypatch, error):
    stack = Stack(texture((2, 90, 80)))
    expected = run(stack, gray).data
    seen = out_of_memory_above(monkeypatch, 4500, error)
    notes = []
    steps = restore_stack(stack, RestoreOptions(model=gray, device="cpu"))
    out = drain(steps, lambda step: notes.append((step.done, step.total, step.note)))
    assert np.array_equal(out.data, expected)
    assert sum(n > 4500 for n in seen) <= 2, "later tiles are smaller from the start"
    assert next(n for *_, n in notes if n).startswith("Memory of cpu ran out")
    assert notes[-1][:2] == (2, 2)
    assert out.metadata["napari_srgan"]["tile"] < 80


def test_too_little_memory_for_any_tile_is_a_sentence(gray, monkeypatch):
    out_of_memory_above(monkeypatch, 0, MemoryError())
    sink = RecordingSink()
    with pytest.raises(InputError, match=r"not enough memory even for tiles of 1\d px"):
        run(Stack(texture((40, 40))), gray, sink)
    assert sink.ended == "aborted"


def test_any_other_error_is_not_taken_for_a_full_memory(gray, monkeypatch):
    out_of_memory_above(monkeypatch, 0, RuntimeError("shape mismatch"))
    with pytest.raises(RuntimeError, match="mismatch"):
        run(Stack(texture((40, 40))), gray)


def test_a_device_too_small_for_any_tile_hands_over_to_the_cpu(gray, monkeypatch):
    """The "meta" device stands for a GPU whose memory is full."""
    stack = Stack(texture((40, 40)))
    expected = run(stack, gray).data
    honest = WindowNetwork.__call__

    def call(self, unit):
        if self.device.type == "meta":
            raise torch.OutOfMemoryError("out of memory")
        return honest(self, unit)

    monkeypatch.setattr(WindowNetwork, "__call__", call)
    planned = plan(stack, RestoreOptions(model=gray, device="cpu"))
    upscaler = Upscaler(load_model(planned.model_path), "cpu", "float32")
    upscaler.device = torch.device("meta")
    notes = []
    out = drain(upscaler.run(planned), lambda step: notes.append(step.note))
    assert np.array_equal(out.data, expected)
    assert any("going on with the CPU" in note for note in notes)
    assert out.metadata["napari_srgan"]["device"] == "cpu"


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("model", ["gray", "rrdb"])
def test_a_16_bit_format_that_is_asked_for_is_used_and_close(request, model, precision):
    model = request.getfixturevalue(model)
    stack = Stack(texture((30, 40), np.uint8, top=255))
    exact = run(stack, model, precision="float32").data.astype(int)
    out = run(stack, model, precision=precision)
    assert out.metadata["napari_srgan"]["precision"] == precision
    assert not np.array_equal(out.data, exact) or precision == "float16"
    assert np.abs(out.data - exact).mean() < 2


@pytest.mark.parametrize("far", [1.6, -0.6, 1e7])
def test_values_far_from_the_range_are_computed_in_float32(gray, far):
    """16 bits are off in proportion to a value, and float16 ends at 65504."""
    data = texture((30, 40), np.float32, top=1)
    data[10, 10] = far
    stack = Stack(data)
    notes = []
    steps = restore_stack(
        stack, RestoreOptions(model=gray, device="cpu", precision="float16", intensity="0:1")
    )
    out = drain(steps, lambda step: notes.append(step.note)).data
    assert any("does not hold the values" in note for note in notes)
    assert np.array_equal(out, run(stack, gray, intensity="0:1").data)


def test_what_overflows_inside_the_network_is_computed_in_float32(tmp_path):
    """The window lies in [0, 1]; float16 ends at 65504 in the features."""
    path = small_models.save(tmp_path, "hot", 1)
    model = load_model(path)
    with torch.no_grad():
        model.network.body[-2].weight *= 1e6
    network = WindowNetwork(model.network, torch.device("cpu"), "float16")
    unit = texture((30, 40), np.float32, top=1)
    got, in_float32 = network(unit)
    exact, _ = WindowNetwork(model.network, torch.device("cpu"))(unit)
    assert in_float32 and np.array_equal(got, exact)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_the_cpu(gray):
    stack = Stack(texture((2, 60, 70)))
    on_gpu = run(stack, gray, device="cuda", precision="float32").data.astype(int)
    assert np.abs(on_gpu - run(stack, gray).data).max() <= 1


def test_options_are_frozen(gray):
    with pytest.raises(dataclasses.FrozenInstanceError):
        RestoreOptions().model = "other"


def test_a_progress_that_fails_leaves_nothing_half_made(gray, tmp_path):
    def fail(step):
        raise RuntimeError("the caller's own")

    steps = restore_stack(
        Stack(texture((2, 20, 20))),
        RestoreOptions(model=gray, device="cpu"),
        FileSink(tmp_path / "out.tif"),
    )
    with pytest.raises(RuntimeError, match="own"):
        drain(steps, fail)
    with pytest.raises(StopIteration):
        next(steps)
    assert list(tmp_path.glob("out.tif*")) == []


def test_a_slow_tile_tells_how_far_it_is_and_how_long_it_takes(gray, monkeypatch):
    monkeypatch.setattr(engine_run, "_PATIENCE", 0.0)
    planned = plan(Stack(texture((400, 400))), RestoreOptions(model=gray, device="cpu", tile=400))
    steps = list(Upscaler(load_model(planned.model_path), "cpu").run(planned))
    assert planned.n_tiles == 1 and [s.done for s in steps[-1:]] == [1]
    inside = [s for s in steps if s.done == 0]
    assert len({s.part for s in inside}) > 2
    assert [s.part for s in inside] == sorted(s.part for s in inside)
    assert all(0 < s.part <= 1 and s.eta is not None and s.eta >= 0 for s in inside)


@pytest.mark.parametrize("side", [20, 32, 75, 300])
def test_the_work_of_a_window_is_known_before(gray, side):
    network = window_network(load_model(gray), torch.device("cpu"), "float32", "torch")
    counted = []
    with counting(counted.append):
        network(np.random.default_rng(0).random((side, side), np.float32))
    expected = network.work_per_pixel * max(side, 32) ** 2  # a smaller one gets a frame
    assert expected <= sum(counted) < 1.2 * expected  # strips of rows overlap


def test_steps_that_are_counted_are_whole_ones(gray, monkeypatch):
    monkeypatch.setattr(engine_run, "_PATIENCE", 0.0)
    planned = plan(Stack(texture((2, 300, 300))), RestoreOptions(model=gray, device="cpu"))
    steps = whole_steps(Upscaler(load_model(planned.model_path), "cpu").run(planned))
    assert [s.done for s in steps] == [1, 2]
