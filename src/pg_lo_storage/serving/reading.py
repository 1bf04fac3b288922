"""Reads a batch of a file; where the connection was lost, over a new one."""

from django.db import Error
from typing_extensions import Protocol

from pg_lo_storage.catalogue import Found
from pg_lo_storage.serving.readers import needs_own_connection

__all__ = ["read"]


class _Pool(Protocol):
    def check(self) -> None: ...


def read(found: Found, wanted: range) -> list[bytes]:
    """Return what :meth:`Found.read` does; where this thread's connection is lost, ask again over a new one, once.

    Whoever read the batches before cannot tell: each is one statement, of the version that was found. Without the
    catalogue nothing tells that a new connection, to a restored server for example, finds the same file: the error is
    raised, as it is where only the lost connection saw the file.
    """
    try:
        return found.read(wanted)
    except Error:
        if found.entry is None or not _is_lost(found):
            raise
    return found.read(wanted)


def _is_lost(found: Found) -> bool:
    """Tell whether the connection is lost, and another one may read the file; have the next use make that one."""
    wrapper = found.database.wrapper
    # No connection at all: it could not be made.
    if wrapper.connection is None or needs_own_connection(wrapper.alias, found.role) or wrapper.is_usable():
        return False
    wrapper.close()
    pool: _Pool | None = getattr(wrapper, "pool", None)
    if pool is not None:
        # What ended this connection may have ended those that wait there.
        pool.check()
    return True
