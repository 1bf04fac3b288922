"""What a path names: an existing object, one to be written, or nothing."""

import errno
import os
from typing import TypeAlias

from pg_lo_storage.names import parse_name

__all__ = ["Info", "details", "existing", "writable"]

Info: TypeAlias = dict[str, object]


def existing(name: str) -> int:
    """Return the oid that is named; raises FileNotFoundError where none can be."""
    if (oid := parse_name(name)) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return oid


def writable(name: str) -> int:
    """Return the oid to write to, 0 for a new one; raises OSError for any other name."""
    if (oid := parse_name(name)) is not None:
        return oid
    if name.partition(".")[0] == "new" and "/" not in name:
        return 0
    message = (
        "a large object is named by its oid: write to 'pglo://new' or 'pglo://new.<extension>' to be given one, not to"
    )
    raise OSError(errno.EINVAL, message, name)


def details(name: str, oid: int, size: int | None) -> Info:
    """Return what fsspec tells of a file."""
    return {"name": name, "size": size, "type": "file", "oid": oid}
