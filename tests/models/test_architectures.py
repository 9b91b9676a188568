"""The list of generators: it says without torch what their files do."""

import inspect
import subprocess
import sys

import pytest

from napari_srgan.models.architectures import ARCHITECTURES, build
from training.recipe import Recipe


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_line_of_the_list_agrees_with_the_file(name):
    known = ARCHITECTURES[name]
    common = ["channels", "blocks", "features", "scale"]
    network = build(name, {"blocks": 1, "features": 4})
    parameters = list(inspect.signature(type(network)).parameters)
    assert sorted(parameters) == sorted([*common, *known.parameters])
    for scale in known.scales:
        recipe = Recipe(generator=name, channels=1, blocks=1, features=4, scale=scale)
        made = build(name, recipe.network_parameters)
        assert made.scale == recipe.factors == (scale, scale)


def test_the_list_and_the_recipe_import_no_torch():
    program = "import sys, training.recipe, napari_srgan.models.file; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr
