"""Training of SRGAN generators on one's own high-resolution scans."""

from training.api import resume, train

__all__ = ["resume", "train"]
