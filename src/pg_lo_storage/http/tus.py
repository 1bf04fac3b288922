"""The header fields of the tus resumable upload protocol, 1.0: https://tus.io/protocols/resumable-upload.

They are read and written without request, database or Django. What a client got wrong raises :class:`Refused`, whose
status is the answer.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, NamedTuple

from pg_lo_storage.drivers.base import MAX_SIZE

__all__ = [
    "CHUNK_TYPE",
    "EXTENSIONS",
    "VERSION",
    "Checksum",
    "Refused",
    "capabilities",
    "format_expires",
    "format_metadata",
    "parse_checksum",
    "parse_length",
    "parse_metadata",
    "require_chunk",
    "require_version",
]

VERSION: Final = "1.0.0"
EXTENSIONS: Final = ("creation", "creation-with-upload", "termination", "checksum", "expiration")
CHUNK_TYPE: Final = "application/offset+octet-stream"

_ALGORITHMS: Final = ("sha1", "sha256")
_NUMBER: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_METADATA_KEY: Final = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
_MISMATCH: Final = 460
_REASONS: Final = {_MISMATCH: "Checksum Mismatch"}


class Refused(Exception):
    """A request that is answered by an error: its status, and the header fields that go with it."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status: int = status
        self.headers: Mapping[str, str] = headers or {}

    @property
    def reason(self) -> str:
        """What the status line says."""
        return _REASONS.get(self.status) or HTTPStatus(self.status).phrase


class Checksum(NamedTuple):
    """What the bytes of a request are to have: ``algorithm`` is a name that :mod:`hashlib` knows."""

    algorithm: str
    digest: bytes

    def verify(self, digest: bytes) -> None:
        """Compare it with that of the bytes that came.

        :raises Refused: 460, they differ.
        """
        if digest != self.digest:
            raise Refused(_MISMATCH, f"the {self.algorithm} of the bytes that came is another one: none was kept")


def capabilities(max_size: int | None) -> dict[str, str]:
    """Return what OPTIONS tells of the server."""
    told = {
        "Tus-Version": VERSION,
        "Tus-Extension": ",".join(EXTENSIONS),
        "Tus-Checksum-Algorithm": ",".join(_ALGORITHMS),
    }
    return told if max_size is None else told | {"Tus-Max-Size": str(max_size)}


def require_version(value: str | None) -> None:
    """Take only the version of the protocol that is spoken here.

    :raises Refused: 412, ``Tus-Resumable`` has another one, or is missing.
    """
    if value != VERSION:
        raise Refused(412, f"Tus-Resumable has to be {VERSION}", {"Tus-Version": VERSION})


def require_chunk(content_type: str | None) -> None:
    """Take only a body that is a part of an upload.

    :raises Refused: 415, it is of another type.
    """
    if content_type != CHUNK_TYPE:
        raise Refused(415, f"the body has to be {CHUNK_TYPE}")


def parse_length(field: str, value: str | None) -> int:
    """Return the bytes that ``Upload-Length``, ``Upload-Offset`` or ``Content-Length`` says.

    :raises Refused: 400, it is missing, or no number; 413, no large object has so many.
    """
    if value is None or not _NUMBER.fullmatch(value):
        raise Refused(400, f"{field} has to be a number of bytes")
    if (length := int(value)) > MAX_SIZE:
        raise Refused(413, f"{field} is more than a large object holds, {MAX_SIZE:,} bytes")
    return length


def parse_metadata(value: str) -> dict[str, str]:
    """Return the keys and values of ``Upload-Metadata``; what is no UTF-8, or a NUL, is replaced.

    :raises Refused: 400, it is none, or has a key twice.
    """
    metadata = dict[str, str]()
    for pair in value.split(",") if value.strip() else ():
        key, _, encoded = pair.strip().partition(" ")
        if not _METADATA_KEY.fullmatch(key) or key in metadata:
            raise Refused(400, "Upload-Metadata has keys that are empty, twice there, or not ASCII")
        metadata[key] = _decoded("Upload-Metadata", encoded.strip()).decode(errors="replace").replace("\0", "\ufffd")
    return metadata


def format_metadata(metadata: Mapping[str, str]) -> str:
    """Return the value of ``Upload-Metadata`` that has these, those alone that are not empty."""
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in metadata.items() if value}
    return ",".join(f"{key} {value}" for key, value in encoded.items())


def parse_checksum(value: str | None) -> Checksum | None:
    """Return what ``Upload-Checksum`` says, ``None`` where it is missing.

    :raises Refused: 400, it is malformed, or of an algorithm that is not known here.
    """
    if value is None:
        return None
    algorithm, _, encoded = value.partition(" ")
    if algorithm not in _ALGORITHMS:
        raise Refused(400, f"Upload-Checksum has to be of {' or '.join(_ALGORITHMS)}")
    digest = _decoded("Upload-Checksum", encoded)
    if len(digest) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise Refused(400, f"Upload-Checksum has no {algorithm}")
    return Checksum(algorithm, digest)


def format_expires(moment: int) -> str:
    """Return the value of ``Upload-Expires`` for a moment in seconds since 1970."""
    return formatdate(moment, usegmt=True)


def _decoded(field: str, encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, f"{field} has a value that is no base64") from None
