"""Write on pictures: the one font that is always there, and what it can show."""

from __future__ import annotations

import unicodedata

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def load_font(size: float) -> Font:
    """Return Pillow's own font, which is the same on every machine. size: px."""
    return ImageFont.load_default(size)


def in_letters(text: str) -> str:
    """Return a text in what the font has: ASCII. Accents are left out, and all else is a question mark."""
    plain = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in plain)
