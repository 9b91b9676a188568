"""Slices that were looked at: kept within a bound, and taken over by a run to the same bytes."""

import numpy as np
import pytest

from napari_srgan.engine import run as engine_run
from napari_srgan.engine.record import Record
from napari_srgan.image.stack import Stack
from napari_srgan.io.open import open_stack
from napari_srgan.options import RestoreOptions
from napari_srgan.tasks.look import KeptLooks, look
from napari_srgan.tasks.restore import restore
from napari_srgan.tasks.steps import drain

RNG = np.random.default_rng(7)

pytestmark = pytest.mark.usefixtures("tiny_models")

OPTIONS = RestoreOptions(model="tiny-gray")


def a_look(stack, options, region):
    return next(filter(None, look(stack, options, region)))


def looked_at(stack, options, *indices):
    """Look at some slices; return what a run takes over."""
    regions = [{a: (i, i + 1) for a, i in zip(stack.plane_axes, at, strict=True)} for at in indices]
    return {
        at: a_look(stack, options, region).plane
        for at, region in zip(indices, regions, strict=True)
    }


@pytest.fixture
def computed(monkeypatch):
    """The planes that a run computes."""
    planes, opened = [], engine_run._Run._open

    def noted(run, index):
        planes.append(index)
        return opened(run, index)

    monkeypatch.setattr(engine_run._Run, "_open", noted)
    return planes


def facts(metadata):
    record = Record.of(metadata).to_dict()
    return {k: v for k, v in record.items() if k != "date"}


@pytest.mark.parametrize(
    ("pixels", "axes", "options", "at"),
    [
        (RNG.integers(0, 255, (4, 20, 24)).astype(np.uint8), "ZYX", OPTIONS, [(0,), (3,)]),
        (RNG.random((2, 3, 20, 24)).astype(np.float32), "TZYX", OPTIONS, [(1, 2)]),
        (
            RNG.integers(0, 255, (3, 20, 24, 3)).astype(np.uint8),
            "ZYXS",
            RestoreOptions(model="tiny-rgb"),
            [(1,)],
        ),
        (RNG.integers(0, 255, (20, 2, 24)).astype(np.uint16), "YZX", OPTIONS, [(1,)]),
    ],
    ids=["gray", "time", "colours", "Y first"],
)
def test_a_run_takes_over_what_was_looked_at_to_the_byte(pixels, axes, options, at, computed):
    stack = Stack(pixels, axes)
    plain = drain(restore(stack, options))
    ready = looked_at(stack, options, *at)
    computed.clear()
    again = drain(restore(Stack(pixels, axes), options, ready=ready))
    np.testing.assert_array_equal(again.result.data, plain.result.data)
    assert facts(again.result.metadata) == facts(plain.result.metadata)
    assert len(computed) == len(plain.plan.planes) - len(at) and not set(computed) & set(at)


def test_a_file_is_the_same_to_the_byte(tmp_path, computed):
    stack = Stack(RNG.integers(0, 255, (3, 20, 24)).astype(np.uint8), "ZYX")
    drain(restore(stack, OPTIONS, tmp_path / "plain.npy"))
    ready = looked_at(stack, OPTIONS, (1,))
    computed.clear()
    drain(restore(stack, OPTIONS, tmp_path / "again.npy", ready=ready))
    assert computed == [(0,), (2,)]
    assert (tmp_path / "again.npy").read_bytes() == (tmp_path / "plain.npy").read_bytes()


@pytest.mark.parametrize(
    "other",
    [
        {"intensity": "10:99"},
        {"transform": "power:0.5"},
        {"tile": 16},
        {"region": {"Y": (0, 16)}},
        {"outscale": 2},
        {"back_project": True},
    ],
    ids=lambda o: next(iter(o)),
)
def test_what_would_come_out_otherwise_is_computed(other, computed):
    stack = Stack(RNG.integers(0, 255, (3, 20, 24)).astype(np.uint8), "ZYX")
    ready = looked_at(stack, OPTIONS, (1,))
    wanted = RestoreOptions(model="tiny-gray", **other)
    plain = drain(restore(stack, wanted))
    computed.clear()
    again = drain(restore(stack, wanted, ready=ready))
    assert computed == [(0,), (1,), (2,)]
    np.testing.assert_array_equal(again.result.data, plain.result.data)


def test_pixels_that_were_changed_where_they_are_are_computed_again(computed):
    pixels = RNG.integers(0, 255, (3, 20, 24)).astype(np.uint8)
    stack = Stack(pixels, "ZYX")
    ready = looked_at(stack, OPTIONS, (0,), (1,))
    pixels[1, 5, 5] ^= 1
    computed.clear()
    drain(restore(Stack(pixels, "ZYX"), OPTIONS, ready=ready))
    assert computed == [(1,), (2,)]


def test_slices_of_a_file_are_taken_over_in_a_part_of_it(tmp_path, computed):
    np.save(tmp_path / "a.npy", RNG.integers(0, 255, (5, 20, 24)).astype(np.uint8))
    ready = looked_at(open_stack(tmp_path / "a.npy"), OPTIONS, (1,), (3,))
    computed.clear()
    part = RestoreOptions(model="tiny-gray", region={"Z": (2, 5)})
    made = drain(restore(open_stack(tmp_path / "a.npy"), part, ready=ready))
    assert computed == [(2,), (4,)]
    plain = drain(restore(open_stack(tmp_path / "a.npy"), part))
    np.testing.assert_array_equal(made.result.data, plain.result.data)


def test_a_look_at_a_part_of_a_slice_is_no_ready_plane():
    stack = Stack(RNG.integers(0, 255, (3, 20, 24)).astype(np.uint8), "ZYX")
    found = a_look(stack, OPTIONS, {"Z": (1, 2), "Y": (2, 12), "X": (0, 10)})
    assert found.plane is None and found.restored.result.data.shape == (1, 40, 40)


def test_the_last_looks_are_kept_within_the_bound():
    stack = Stack(RNG.integers(0, 255, (4, 20, 24)).astype(np.uint8), "ZYX")
    found = a_look(stack, OPTIONS, {"Z": (0, 1)})
    kept = KeptLooks(2 * found.nbytes + 10)
    for key in "abca":
        kept.put(key, found)
        kept.get("a")
        assert kept.nbytes <= kept.most
    assert kept.held() == ["c", "a"] and kept.get("b") is None and "a" in kept
    small = KeptLooks(found.nbytes - 1)
    small.put("a", found)
    assert not small.held() and small.nbytes == 0
    kept.clear()
    assert not kept.held() and kept.nbytes == 0
