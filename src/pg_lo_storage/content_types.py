"""The content type of a file, by its name."""

import mimetypes
import re
from typing import Final

__all__ = ["UNKNOWN", "content_type_of"]

UNKNOWN: Final = "application/octet-stream"
_COMPRESSED: Final = {"gzip": "application/gzip", "bzip2": "application/x-bzip2", "xz": "application/x-xz"}
# RFC 9110, 8.3.1. Parameters are left out: an uploader's charset must not decide how text is shown.
_MEDIA_TYPE: Final = re.compile(r"([a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127})[ \t]*(?:;.*)?", re.DOTALL)


def content_type_of(filename: str, declared: object = None) -> str:
    """Return the content type that the extension of ``filename`` means, else ``declared`` where it is well formed."""
    # Not the whole name: guess_type would take one like "data:text/html,x" for a URL.
    _, dot, extension = filename.rpartition(".")
    guessed, encoding = mimetypes.guess_type(f"file.{extension}") if dot else (None, None)
    if encoding:
        return _COMPRESSED.get(encoding, UNKNOWN)
    match = _MEDIA_TYPE.fullmatch(declared.lower()) if isinstance(declared, str) else None
    return guessed or (match[1] if match else UNKNOWN)
