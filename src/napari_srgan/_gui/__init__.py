"""Everything that knows napari or Qt: panels, reader, writer, samples."""

import os
import sys

if "torch" not in sys.modules:
    # As for the commands (`cli.main`): torch reads it when it is loaded, which the panels do later.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
