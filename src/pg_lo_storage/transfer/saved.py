"""What is known of an object once it is saved."""

from typing import NamedTuple

__all__ = ["Saved"]


class Saved(NamedTuple):
    """An object that was saved: its oid, its size in bytes, and the SHA-256 of its content, in hexadecimal."""

    oid: int
    size: int
    sha256: str


Saved.__module__ = "pg_lo_storage.transfer"
