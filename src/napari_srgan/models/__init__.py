"""Model files, their catalogue, and the networks in them."""
