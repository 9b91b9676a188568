"""Widgets and views that the panels share."""
