"""The measurement of a model's speed."""

import pytest
import small_models

from napari_srgan.engine.progress import drain
from napari_srgan.engine.speed import SIDE, measure_speed
from napari_srgan.engine.window import WindowNetwork
from napari_srgan.errors import InputError
from napari_srgan.options import RestoreOptions


def speed_of(path, **options):
    return drain(measure_speed(path, RestoreOptions(device="cpu", **options)))


@pytest.mark.parametrize("channels", [1, 3])
def test_it_is_that_of_the_second_tile_in_the_backend_and_format_asked_for(
    tmp_path, monkeypatch, channels
):
    path = small_models.save(tmp_path, "m", channels)
    computed, clock = [], iter([10.0, 10.5])

    def call(self, unit):
        computed.append((self.backend, self.precision, unit.shape[:2]))
        return unit, False

    monkeypatch.setattr(WindowNetwork, "__call__", call)
    monkeypatch.setattr("napari_srgan.engine.speed.time.perf_counter", lambda: next(clock))
    speed = speed_of(path, precision="bfloat16", backend="torch")
    assert computed == [("torch", "bfloat16", (SIDE, SIDE))] * 2
    assert speed == SIDE**2 / 0.5


def test_a_real_network_has_a_speed(tmp_path):
    assert speed_of(small_models.save(tmp_path, "m", 1)) > 0


def test_what_cannot_be_used_is_named(tmp_path):
    path = small_models.save(tmp_path, "m", 1)
    with pytest.raises(InputError, match="cuda:99"):
        drain(measure_speed(path, RestoreOptions(device="cuda:99")))
