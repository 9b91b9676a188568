"""File formats: what TIFF, PNG and JPEG files say about their pixels, and writing it back."""
