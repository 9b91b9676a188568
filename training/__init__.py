"""Training of SRGAN generators on one's own high-resolution scans."""
