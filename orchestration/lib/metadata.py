"""Shapes of metadata that the UI shows.

What does not belong here: drawing (ml/).
"""

import base64


def png_markdown(title: str, png: bytes) -> str:
    """A picture inside Markdown, so that the UI needs no file server."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"
