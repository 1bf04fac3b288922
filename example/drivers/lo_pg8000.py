"""A driver for pg8000, a PostgreSQL client in pure Python: https://github.com/tlocke/pg8000.

``pyproject.toml`` beside this file makes it known by an entry point. Without installing that::

    register_driver("pg8000.dbapi.Connection", "lo_pg8000.Pg8000Driver")
"""

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, LiteralString, Protocol

from typing_extensions import override

from pg_lo_storage.drivers import SQLDriver

if TYPE_CHECKING:
    from pg_lo_storage.drivers import LargeObjectDriver

__all__ = ["Pg8000Driver"]


class Cursor(Protocol):
    """What the driver uses of a ``pg8000.dbapi.Cursor``; pg8000 itself has no annotations."""

    @property
    def description(self) -> Sequence[object] | None: ...
    def execute(self, operation: str, args: Sequence[object] = ()) -> object: ...
    def fetchall(self) -> Sequence[Sequence[object]]: ...
    def close(self) -> None: ...


class Connection(Protocol):
    """What the driver uses of a ``pg8000.dbapi.Connection``."""

    autocommit: bool

    def cursor(self) -> Cursor: ...
    def close(self) -> None: ...


class Pg8000Driver(SQLDriver):
    """Large objects over a ``pg8000.dbapi.Connection``, whose parameters are bound by the server."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @override
    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        # pg8000 takes a memoryview for a text, and a query without parameters as it stands.
        values = [value.tobytes() if isinstance(value, memoryview) else value for value in params]
        cursor = self._connection.cursor()
        try:
            cursor.execute(query if values else query.replace("%%", "%"), values)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        except Exception as error:
            if error.args == ("network error",):
                # pg8000 would go on using a dead socket, and take its transaction for open.
                with contextlib.suppress(type(error)):
                    self._connection.close()
            raise
        finally:
            cursor.close()

    @override
    def sqlstate(self, error: Exception) -> str | None:
        # The server's errors carry its message as a dict of one-letter fields:
        # https://www.postgresql.org/docs/current/protocol-error-fields.html
        match error.args:
            case ({"C": str(code)}, *_) if type(error).__module__.startswith("pg8000."):
                return code
            case _:
                return None

    @property
    @override
    def in_transaction(self) -> bool:
        # pg8000 has no public way to ask; a connection that was closed keeps its last status.
        status = ("_usock", "_in_transaction")
        return all(getattr(self._connection, name) for name in status)

    @property
    @override
    def autocommit(self) -> bool:
        return self._connection.autocommit


if TYPE_CHECKING:
    # A driver that does not fit the protocol is an error of the type checker, here.
    def _(driver: Pg8000Driver) -> LargeObjectDriver:
        return driver
