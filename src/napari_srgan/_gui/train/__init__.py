"""The dock widget Train."""
