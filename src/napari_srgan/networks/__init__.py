"""Pure torch modules: networks that map images in [0, 1] to images in [0, 1], and nothing else."""
