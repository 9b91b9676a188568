"""Synthetic images with known truth: OCT by its physics, and a stained tissue section."""
