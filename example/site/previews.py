"""What a page shows of a file."""

import io

from django.http import Http404
from PIL import Image

from pg_lo_storage.fields import DbFieldFile

SIDE = 320
# What a small file can make a decoder fill.
MAX_PIXELS = 50_000_000
FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def kind(data: DbFieldFile) -> str:
    """Return how the browser shows the file: "image", "audio", "video", "pdf", "text", or "" for not at all."""
    content_type = data.content_type or ""
    if content_type in IMAGES:
        return "image"
    if content_type in {"application/pdf", "text/plain"}:
        return content_type.rpartition("/")[2].replace("plain", "text")
    family = content_type.partition("/")[0]
    return family if family in {"audio", "video"} else ""


def thumbnail(data: DbFieldFile) -> bytes:
    """Return the image in small, as a PNG; anything that is none is a 404."""
    try:
        with data.open() as file, Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Http404
            image.thumbnail((SIDE, SIDE))
            small = io.BytesIO()
            image.convert("RGBA").save(small, "PNG")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Http404 from error
    return small.getvalue()
