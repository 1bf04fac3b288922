"""The Django connection that serves an alias now, its driver, and Django's rules about both."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Final, Self

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from pg_lo_storage.databases.atomic_blocks import guarded
from pg_lo_storage.databases.backends import METHODS, ON_INSTANCE, is_changed, modules_of, prepare
from pg_lo_storage.drivers import DriverFactory, LargeObjectDriver
from pg_lo_storage.drivers.registry import factory_for, get_driver, load_factory
from pg_lo_storage.exceptions import StaleLargeObject

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["DatabaseConnection"]

# The attribute of Django's connection for the raw connection, the factory of its driver, and that driver. The three are
# one value, since threads may share Django's connection.
_SERVED: Final = "_pg_lo_storage_served"


class DatabaseConnection:
    """The connection that this thread has for an alias now, or the given ``wrapper``, in any thread."""

    def __init__(self, alias: str, wrapper: "BaseDatabaseWrapper | None" = None) -> None:
        self.alias = alias
        self.bound = wrapper

    @property
    def wrapper(self) -> "BaseDatabaseWrapper":
        """The Django connection in use now."""
        return self.bound or connections[self.alias]

    def of_transaction(self) -> Self:
        """Return the driver that opens files; it is bound to a connection that is in, or begins, a transaction."""
        if self.bound is not None or not self.is_in_or_begins_transaction:
            return self
        return type(self)(self.alias, connections[self.alias])

    @property
    def is_in_or_begins_transaction(self) -> bool:
        """Whether Django has a transaction open, or the next statement begins one."""
        wrapper = self.bound or connections[self.alias]
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
        wrapper = self.bound or connections[self.alias]
        return wrapper.run_on_commit if wrapper.in_atomic_block else object()

    @property
    def is_in_atomic_block(self) -> bool:
        """Whether an atomic block is open."""
        return (self.bound or connections[self.alias]).in_atomic_block

    @property
    def in_transaction(self) -> bool:
        """See :attr:`LargeObjectDriver.in_transaction`."""
        wrapper = self.bound or connections[self.alias]
        return wrapper.connection is not None and self._driver_of(wrapper).in_transaction

    def _driver_of(self, wrapper: "BaseDatabaseWrapper") -> LargeObjectDriver:
        """Return the driver of the raw connection; it is kept until that or the driver's factory changes."""
        raw: object = wrapper.connection
        kind: type = raw.__class__
        configured: str | dict[str, str] | None = getattr(settings, "PG_LO_STORAGE_DRIVER", None)
        name = configured.get(self.alias) if isinstance(configured, dict) else configured
        factory = factory_for(kind) if name is None else load_factory(name)
        served: tuple[object, DriverFactory, LargeObjectDriver] | None = vars(wrapper).get(_SERVED)
        if served is None or served[0] is not raw or served[1] != factory:
            vars(wrapper)[_SERVED] = served = (raw, factory, get_driver(raw, driver=factory))
        return served[2]

    def _session(self) -> AbstractContextManager[LargeObjectDriver]:
        """Return a context manager for using the connection, which yields its driver."""
        wrapper = self.bound or connections[self.alias]
        if wrapper.vendor != "postgresql":
            message = (
                f"the database {self.alias!r} is {wrapper.display_name}, and large objects need PostgreSQL: name"
                " another in PG_LO_STORAGE_DB_FOR_READ and PG_LO_STORAGE_DB_FOR_WRITE, or pass alias="
            )
            raise ImproperlyConfigured(message)
        is_foreign = wrapper is not connections[self.alias]
        # A library may read the file in a thread of its own, in the transaction of the thread that opened it.
        if is_foreign and wrapper.connection is None:
            message = "the connection that the file was opened on was closed, by the thread whose it is"
            raise StaleLargeObject(message)
        # As Django does before a query, check the health, the thread, and whether a test case has blocked cursor().
        # Asked anew each time, since instrumentation may come later; the answer for the same methods is kept.
        cursor = None
        on_instance = not ON_INSTANCE.isdisjoint(vars(wrapper)) and is_changed(wrapper)
        if on_instance or modules_of(METHODS(type(wrapper))):
            with guarded(wrapper, None):
                cursor = prepare(wrapper)
        elif not is_foreign:
            wrapper.close_if_health_check_failed()
            wrapper.ensure_connection()
            wrapper.validate_thread_sharing()
        return guarded(wrapper, self._driver_of(wrapper), cursor)
