"""The values that go to the server and come from it: bytes, oids, positions, modes."""

import operator
from typing import Final, cast

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import MAX_SIZE, AccessMode
from pg_lo_storage.exceptions import LargeObjectNotFound, LargeObjectTooLarge
from pg_lo_storage.names import MAX_OID

__all__ = [
    "BATCH",
    "BLOCK",
    "as_bytes",
    "byte_view",
    "check_block",
    "check_mode",
    "check_offset",
    "check_oid",
    "integer",
]

BLOCK: Final = 256 * 1024
"""Bytes of a row when an object is read in bulk: larger blocks gain nothing, smaller ones cost the server calls."""

BATCH: Final = 4 * 1024 * 1024
"""Bytes that are read ahead, or sent, without a wait between blocks: a transfer takes so much memory."""

# The server can send so much in its 1 GB even as text, two characters a byte.
_LARGEST_BLOCK: Final = 1 << 28


def check_oid(oid: int) -> int:
    """Return ``oid`` as a plain int.

    :raises LargeObjectNotFound: no object can have it; the server would abort the transaction.
    """
    oid = int(operator.index(oid))  # of a bool too, which drivers would pass as a boolean
    if not 0 < oid <= MAX_OID:
        message = f"no large object has oid {oid}: it is between 1 and {MAX_OID}"
        raise LargeObjectNotFound(message, oid=oid)
    return oid


def check_mode(mode: AccessMode) -> AccessMode:
    """Return ``mode``.

    :raises ValueError: it is none of the three.
    """
    if mode not in {AccessMode.READ, AccessMode.WRITE, AccessMode.READ_WRITE}:
        message = f"a descriptor is opened for READ, WRITE or READ_WRITE, not {mode!r}"
        raise ValueError(message)
    return mode


def check_offset(offset: int, oid: int) -> int:
    """Return ``offset``.

    :raises ValueError: it is negative.
    :raises LargeObjectTooLarge: it is past :data:`MAX_SIZE`.
    """
    offset = operator.index(offset)
    if offset < 0:
        message = f"negative position {offset}"
        raise ValueError(message)
    if offset > MAX_SIZE:
        message = f"position {offset} is beyond what large object {oid} can hold, {MAX_SIZE} bytes"
        raise LargeObjectTooLarge(message, oid=oid)
    return offset


def byte_view(data: Buffer) -> memoryview:
    """Return ``data`` as a flat view of its bytes.

    :raises TypeError: it is no buffer, such as a str.
    :raises BufferError: it has gaps.
    """
    view = memoryview(data)
    if not view.c_contiguous:
        message = "memoryview: underlying buffer is not C-contiguous"
        raise BufferError(message)
    return view.cast("B") if view.nbytes else memoryview(b"")


def kept(block: Buffer) -> bytes | memoryview:
    """Return the block, or a copy if others could change it while it is kept."""
    if isinstance(block, bytes):
        return block
    view = byte_view(block)
    if not isinstance(view.obj, bytes):
        return bytes(view)
    return view.obj if len(view.obj) == len(view) else view


def as_bytes(value: object) -> bytes:
    """Return a bytea value as bytes, whatever the driver made of it; bytes are not copied."""
    return bytes(cast("Buffer", value))


def integer(rows: list[tuple[object, ...]]) -> int:
    """Return the first column of the first row."""
    return cast("int", rows[0][0])


def check_block(size: int) -> int:
    """Return ``size``.

    :raises ValueError: one row cannot hold so many bytes.
    """
    size = operator.index(size)
    if not 0 <= size <= _LARGEST_BLOCK:
        message = f"a block is between 0 and {_LARGEST_BLOCK} bytes, not {size}"
        raise ValueError(message)
    return size
