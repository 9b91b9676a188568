"""What the bundled weights must do with the simplest images: nothing is to be invented there."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from skimage.draw import disk

from napari_srgan import upscale
from napari_srgan.image.resampling import bicubic_enlarge, bicubic_shrink
from napari_srgan.models.catalogue import find_model, list_models

BUNDLED = [info for info in list_models() if info.bundled]
WITHIN = 0.02  # of the range


def restored(info, lr):
    """Restore a plane (Y, X) in [0, 1], as gray or with three equal samples."""
    if info.card.channels == 3:
        lr = np.repeat(lr[..., None], 3, axis=2)
    axes = "YXS"[: lr.ndim]
    data = np.asarray(upscale(lr.astype(np.float32), info.path, axes=axes, intensity="0:1").data)
    return data.reshape(*data.shape[:2], -1)


@pytest.fixture(params=BUNDLED, ids=lambda info: info.card.name)
def info(request):
    return request.param


@pytest.mark.parametrize("level", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_a_flat_ground_up_to_the_border_stays_flat(info, level):
    # One pixel differs, because a plane that is constant throughout never meets the network.
    lr = np.full((40, 48), level)
    lr[20, 24] += 0.1 if level < 0.5 else -0.1
    sy, sx = info.card.scale
    far = np.ones((40 * sy, 48 * sx), dtype=bool)
    far[15 * sy : 27 * sy, 19 * sx : 31 * sx] = False
    assert np.abs(restored(info, lr)[far] - level).max() <= WITHIN


@pytest.mark.parametrize("across", [True, False], ids=["lateral", "axial"])
def test_a_ramp_stays_a_ramp(info, across):
    lr = np.broadcast_to(np.linspace(0.05, 0.95, 48), (40, 48))
    lr = lr if across else lr.T
    expected = bicubic_enlarge(lr, info.card.scale)[..., None]
    assert np.abs(restored(info, lr) - expected).max() <= WITHIN


def test_a_white_background_stays_white(info):
    hr = np.ones((192, 224))
    for at, radius in (((60, 70), 22), ((120, 150), 30), ((40, 180), 9), ((150, 40), 14)):
        hr[disk(at, radius)] = 0.35
    sy, sx = info.card.scale
    lr = bicubic_shrink(hr, (sy, sx)).clip(0, 1)
    # Nearer than the network's first filters reach, 4 LR px, a ground has the halo of its object.
    ground = distance_transform_edt(hr == 1, sampling=(4 / sy, 4 / sx)) > 16
    assert np.abs(restored(info, lr)[ground] - 1).max() <= WITHIN


def test_what_a_bundled_model_is_for_is_plain_wherever_it_is_read(capsys, tmp_path, monkeypatch):
    from napari_srgan.cli import main

    monkeypatch.setenv("NAPARI_SRGAN_MODELS", str(tmp_path))
    for info in BUNDLED:
        assert info.card.purpose and "that are to" not in info.card.purpose
        assert find_model(info.card.name).card == info.card  # of plans, and so of reports
    main(["models"])
    read = " ".join(capsys.readouterr().out.split())
    assert all(f"{info.card.name}: {info.card.purpose}" in read for info in BUNDLED)
