"""What the file formats hold and how it is read, one file a format."""
