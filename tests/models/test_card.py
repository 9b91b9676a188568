"""The card: roles and scales of old and new files, and pixels unlike those of the training."""

import json

import numpy as np
import pytest

from napari_srgan.image.stack import Stack
from napari_srgan.models.card import Card, micrometres, pixel_size_warning

REQUIRED = {"name": "m", "architecture": "srresnet", "parameters": {}, "channels": 1}


def stated(**values):
    return Card.from_json(json.dumps({**REQUIRED, "scale": 4, **values}))


@pytest.mark.parametrize(
    ("values", "role"),
    [
        ({}, "fidelity"),
        ({"training": {"phase": "pixel"}}, "fidelity"),
        ({"training": {"phase": "adversarial"}}, "perceptual"),
        ({"degradation": "measured", "training": {"phase": "adversarial"}}, "restoration"),
        ({"training": {"phase": "adversarial"}, "role": "fidelity"}, "fidelity"),
    ],
)
def test_an_old_card_tells_its_role_and_a_new_one_states_it(values, role):
    card = stated(**values)
    assert card.role == role
    assert Card.from_json(card.to_json()) == card
    # What an old file would imply is not written, so that older versions write the same.
    assert ("role" in card.to_dict()) == ("role" in values)


@pytest.mark.parametrize(("written", "read"), [(4, (4, 4)), ([2, 2], (2, 2)), ([1, 4], (1, 4))])
def test_a_scale_is_a_number_or_a_pair_on_file(written, read):
    card = stated(scale=written, pixel_size=[3.9, 11.6])
    assert (card.scale, card.pixel_size) == (read, (3.9, 11.6))
    assert Card.from_json(card.to_json()) == card
    assert card.to_dict()["scale"] == (written if written != [2, 2] else 2)


@pytest.mark.parametrize(
    "wrong", [{"scale": 0}, {"scale": [4]}, {"role": "poet"}, {"pixel_size": [1]}, {"scale": "4"}]
)
def test_a_card_that_states_nonsense_is_refused(wrong):
    with pytest.raises(ValueError):
        stated(**wrong)


@pytest.mark.parametrize(
    ("pixels", "unit", "warns"),
    [
        ((4.0, 12.0), "micrometer", False),
        ((0.0077, 0.0116), "millimeter", False),  # nearly twice as large is still alike
        ((8.0, 11.6), "micrometer", True),
        ((3.9, 5.7), "micrometer", True),
        ((80.0, 11.6), "pixel", False),
    ],
)
def test_pixels_unlike_those_of_the_training_are_told(pixels, unit, warns):
    image = Stack(np.zeros((9, 9), np.uint8), name="eye", scale=pixels, units=(unit,) * 2)
    told = pixel_size_warning(stated(pixel_size=[3.9, 11.6]), image)
    assert bool(told) is warns
    assert not warns or ("eye" in told and "3.9 x 11.6 µm" in told)
    assert pixel_size_warning(stated(), image) == ""


def test_a_pixel_size_is_a_length_along_y_and_x():
    units = ("micrometer", "millimeter", "micrometer")
    volume = Stack(np.zeros((2, 9, 9), np.uint8), scale=(5, -0.002, 3), units=units)
    assert micrometres(volume) == pytest.approx((2, 3))
