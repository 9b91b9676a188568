"""Pictures that stand in a page itself instead of in a file beside it."""

from __future__ import annotations

import base64
import io

from PIL import Image


def png_uri(image: Image.Image) -> str:
    """Return a picture as the ``data:`` address that HTML and SVG take, as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
