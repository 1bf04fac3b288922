"""How far a file reaches; raised before the server would abort the transaction."""

import errno
import os

from pg_lo_storage.drivers.base import MAX_SIZE
from pg_lo_storage.exceptions import LargeObjectTooLarge

__all__ = ["check_position", "no_room"]


def check_position(position: int, oid: int) -> None:
    """Raise OSError (EINVAL) where ``position`` is negative, LargeObjectTooLarge where no object reaches it."""
    if position < 0:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    if position > MAX_SIZE:
        message = f"position {position} exceeds what a large object can hold, {MAX_SIZE} bytes"
        raise LargeObjectTooLarge(message, oid=oid)


def no_room(size: int, position: int, oid: int) -> LargeObjectTooLarge:
    """Return the error of writing ``size`` bytes at ``position``."""
    message = f"{size} bytes at {position} exceed what a large object can hold, {MAX_SIZE} bytes"
    return LargeObjectTooLarge(message, oid=oid)
