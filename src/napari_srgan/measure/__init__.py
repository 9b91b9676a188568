"""How close an image comes to a reference."""
