"""Contents of files that tell which version they are, and whether they are whole."""

import hashlib
import random

__all__ = ["content_of", "version_of"]

_DIGEST = hashlib.sha256().digest_size
_LENGTH = 32  # of a version


def content_of(version: str, size: int) -> bytes:
    """Return the content of that version: its name, bytes made of it, and a digest of both."""
    head = version.ljust(_LENGTH).encode()
    body = head + random.Random(version).randbytes(size - _LENGTH - _DIGEST)
    return body + hashlib.sha256(body).digest()


def version_of(content: bytes) -> str | None:
    """Return the version; ``None`` of what is not wholly of one."""
    body, digest = content[:-_DIGEST], content[-_DIGEST:]
    return body[:_LENGTH].decode().strip() if hashlib.sha256(body).digest() == digest else None
