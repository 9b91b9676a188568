"""How each format is read, one file a format."""
