"""napari-srgan: 4x super-resolution of OCT and microscopy stacks."""

__version__ = "0.1.0"
