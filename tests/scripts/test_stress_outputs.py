"""Small versions of `scripts/stress_outputs.py`; the real ones take minutes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "stress_outputs.py"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on Windows")
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["race", "--minutes", "0.03", "--processes", "6"], "done: "),
        (["kill", "--kills", "4"], "killed: 4"),
        (["resume", "--kills", "6"], "the same bytes: "),
    ],
)
def test_outputs_stay_whole_whatever_runs_do(typed, said):
    """Runs side by side into the same outputs, and runs that are killed at any moment."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *typed], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout
