"""What a path names: an existing object, one to be written, or nothing."""

import errno
import os
from typing import Final, TypeAlias

from pg_lo_storage.names import is_made, parse_name

__all__ = ["Info", "details", "existing", "removable", "writable"]

Info: TypeAlias = dict[str, object]

_NOT_ITS_OWN: Final = "to write or remove a large object name it by its oid, with one extension at most, not by"


def existing(name: str) -> int:
    """Return the oid in a name.

    :raises FileNotFoundError: there is none.
    """
    if (oid := parse_name(name)) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    return oid


def removable(name: str) -> int:
    """Return the oid of an object that is to be removed.

    :raises FileNotFoundError: there is none in the name.
    :raises OSError: the name is another file's, as for :func:`writable`.
    """
    oid = existing(name)
    if not is_made(name):
        raise OSError(errno.EINVAL, _NOT_ITS_OWN, name)
    return oid


def writable(name: str) -> int:
    """Return the oid to write to, 0 for a new one.

    :raises OSError: it is any other name, as ``12.csv.tmp``: programs that derive it from ``12.csv`` mean another file.
    """
    if is_made(name):
        return existing(name)
    if name.partition(".")[0] == "new" and "/" not in name:
        return 0
    message = (
        "a large object is named by its oid: write to 'pglo://new' or 'pglo://new.<extension>' to be given one, not to"
    )
    raise OSError(errno.EINVAL, _NOT_ITS_OWN if parse_name(name) else message, name)


def details(name: str, oid: int, size: int | None) -> Info:
    """Return fsspec's description of a file."""
    return {"name": name, "size": size, "type": "file", "oid": oid}
