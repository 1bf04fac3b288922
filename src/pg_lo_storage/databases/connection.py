"""The Django connection that serves an alias now, its driver, and Django's rules about both."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Self, TypeAlias

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from pg_lo_storage.databases.atomic_blocks import guarded
from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.exceptions import StaleLargeObject

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["DatabaseConnection"]


# A raw connection and its driver, which is looked up once for each connection. The two are one value, since threads
# that share a DatabaseDriver have different connections.
_Served: TypeAlias = tuple[object, LargeObjectDriver]


class DatabaseConnection:
    """The connection that this thread has for an alias now, or the given ``wrapper``, in any thread."""

    def __init__(self, alias: str, wrapper: "BaseDatabaseWrapper | None" = None, served: _Served | None = None) -> None:
        self.alias = alias
        self._bound = wrapper
        self._served = served

    @property
    def wrapper(self) -> "BaseDatabaseWrapper":
        """The Django connection in use now."""
        return self._bound or connections[self.alias]

    def of_transaction(self) -> Self:
        """Return the driver that opens files; it stays on a connection that is in, or begins, a transaction."""
        if self._bound is not None or not self.is_in_or_begins_transaction:
            return self
        return type(self)(self.alias, connections[self.alias], self._served)

    @property
    def is_in_or_begins_transaction(self) -> bool:
        """Whether Django has a transaction open, or the next statement begins one."""
        wrapper = self._bound or connections[self.alias]
        if wrapper.in_atomic_block:
            return True
        return not (wrapper.settings_dict["AUTOCOMMIT"] if wrapper.connection is None else wrapper.get_autocommit())

    @property
    def is_of_another_thread(self) -> bool:
        """Whether a transaction is open on the connection, which is another thread's."""
        return self.wrapper is not connections[self.alias] and self.in_transaction

    @property
    def transaction_marker(self) -> object:
        """An object that is replaced whenever Django ends a transaction or rolls a savepoint back."""
        wrapper = self._bound or connections[self.alias]
        return wrapper.run_on_commit if wrapper.in_atomic_block else object()

    @property
    def is_in_atomic_block(self) -> bool:
        """Whether an atomic block is open."""
        return (self._bound or connections[self.alias]).in_atomic_block

    @property
    def in_transaction(self) -> bool:
        """See :attr:`LargeObjectDriver.in_transaction`."""
        raw = (self._bound or connections[self.alias]).connection
        return raw is not None and self._driver_of(raw).in_transaction

    def _driver_of(self, raw: object) -> LargeObjectDriver:
        if (served := self._served) is None or served[0] is not raw:
            configured: str | dict[str, str] | None = getattr(settings, "PG_LO_STORAGE_DRIVER", None)
            name = configured.get(self.alias) if isinstance(configured, dict) else configured
            self._served = served = (raw, get_driver(raw, driver=name))
        return served[1]

    def _session(self) -> AbstractContextManager[LargeObjectDriver]:
        """Return a context manager for using the connection, which yields its driver."""
        wrapper = self._bound or connections[self.alias]
        if wrapper.vendor != "postgresql":
            message = (
                f"the database {self.alias!r} is {wrapper.display_name}, and large objects need PostgreSQL: name"
                " another in PG_LO_STORAGE_DB_FOR_READ and PG_LO_STORAGE_DB_FOR_WRITE, or pass alias="
            )
            raise ImproperlyConfigured(message)
        # As Django does before a query, check the health, the thread, and whether a test case has blocked cursor().
        if wrapper is not connections[self.alias]:
            # A library may read the file in a thread of its own, in the transaction of the thread that opened it.
            if wrapper.connection is None:
                message = "the connection that the file was opened on was closed, by the thread whose it is"
                raise StaleLargeObject(message)
        elif "cursor" in vars(wrapper):
            wrapper.cursor().close()
        else:
            wrapper.close_if_health_check_failed()
            wrapper.ensure_connection()
            wrapper.validate_thread_sharing()
        return guarded(wrapper, self._driver_of(wrapper.connection))
