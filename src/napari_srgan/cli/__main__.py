"""`python -m napari_srgan.cli` is `napari-srgan`."""

import sys

from napari_srgan.cli import main

sys.exit(main())
