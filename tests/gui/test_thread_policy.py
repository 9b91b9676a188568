"""Torch's threads sleep while they wait, in napari as in the commands (docs/reliability.md)."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("napari")


@pytest.mark.parametrize(
    ("own", "before", "used"),
    [(None, "", "passive"), ("active", "", "active"), (None, "import torch", "None")],
)
def test_it_is_set_before_torch_is_loaded_unless_the_user_says_otherwise(own, before, used):
    """Once torch is there it is too late, and what others start is not to be changed."""
    env = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    env |= {"OMP_WAIT_POLICY": own} if own else {}
    code = (
        f"import os, sys\n{before}\nfound = 'torch' in sys.modules\n"
        "import napari_srgan._gui.super_resolve.panel\n"
        "assert found == ('torch' in sys.modules)\nprint(os.environ.get('OMP_WAIT_POLICY'))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.stdout.split() == [used], done.stderr
