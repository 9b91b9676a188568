"""The panel Super-resolve."""
