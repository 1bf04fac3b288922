"""Files of any of Django's storages, asked for so that what a storage cannot tell is no error.

The Storage API leaves much to its classes: one has no ``size()``, another no dates, and one takes a name that it
cannot have for an error, where the others say that there is no such file.
"""

from datetime import datetime
from typing import TYPE_CHECKING, cast

from django.core.exceptions import SuspiciousOperation
from django.core.files.storage import Storage
from django.utils.timezone import is_naive, make_aware

if TYPE_CHECKING:
    from django.core.files import File

__all__ = ["created_at", "declared_type", "exists", "modified_at", "size_of"]

_CANNOT_BE: tuple[type[Exception], ...] = (SuspiciousOperation, ValueError)
"""What storages raise for names that none of their files can have."""


def exists(storage: Storage, name: str) -> bool:
    """Tell whether the storage has a file of that name; a folder is none, nor is any name that it refuses."""
    if not name or name.endswith("/"):
        return False
    try:
        return storage.exists(name)
    except _CANNOT_BE:
        return False


def size_of(storage: Storage, name: str) -> int:
    """Return the file's size in bytes; where the storage cannot tell, the file is opened."""
    try:
        return storage.size(name)
    except NotImplementedError:
        with storage.open(name) as file:
            return int(file.size)


def modified_at(storage: Storage, name: str) -> datetime | None:
    """Return when the file was last changed, with a time zone; ``None`` where the storage cannot tell."""
    return _aware(storage, "get_modified_time", name)


def created_at(storage: Storage, name: str) -> datetime | None:
    """Return when the file was made, and no later than it was changed; ``None`` where the storage cannot tell.

    A file system often has only the time at which the file's owner or mode was changed last.
    """
    created, modified = _aware(storage, "get_created_time", name), modified_at(storage, name)
    return min(filter(None, (created, modified)), default=None)


def declared_type(file: "File[bytes]") -> str | None:
    """Return the content type that an opened file declares, if any."""
    found = getattr(file, "content_type", None) or getattr(file, "mimetype", None)
    return found if isinstance(found, str) else None


def _aware(storage: Storage, method: str, name: str) -> datetime | None:
    try:
        moment = cast("datetime", getattr(storage, method)(name))
    except (NotImplementedError, OSError):
        return None
    return make_aware(moment) if is_naive(moment) else moment
