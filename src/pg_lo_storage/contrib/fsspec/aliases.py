"""A session on one of Django's databases."""

import threading
from typing import TYPE_CHECKING

from django.db import transaction
from typing_extensions import override

from pg_lo_storage.contrib.fsspec.sessions import End, Session
from pg_lo_storage.databases import DatabaseDriver, db_for_write

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObjectDriver, SQLExecutor

__all__ = ["DjangoSession"]


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.lock = threading.RLock()


class DjangoSession(Session):
    """The connection that each thread has for an alias, and its ``transaction.atomic()``."""

    def __init__(self, alias: str) -> None:
        self._alias = db_for_write(alias)
        self._of_thread = _OfThread()

    @property
    @override
    def lock(self) -> "threading.RLock":
        # Each thread has a connection of its own, so with one lock for all two threads could wait for each other.
        return self._of_thread.lock

    @property
    @override
    def driver(self) -> "LargeObjectDriver":
        return DatabaseDriver(self._alias).of_transaction()

    @property
    @override
    def rows(self) -> "SQLExecutor":
        return DatabaseDriver(self._alias).of_transaction().rows

    @property
    @override
    def in_transaction(self) -> bool:
        return DatabaseDriver(self._alias).is_in_or_begins_transaction

    @override
    def begin(self, *, whole: bool = False) -> End:
        atomic = transaction.atomic(using=self._alias)
        atomic.__enter__()

        def end(keep: bool) -> None:
            if not keep:
                transaction.set_rollback(rollback=True, using=self._alias)
            atomic.__exit__(None, None, None)

        return end

    @override
    def close(self) -> None:
        """Leave the connection to Django."""
