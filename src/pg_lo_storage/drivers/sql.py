"""A driver on the server's SQL functions, for any connection that can run a statement.

Functions: https://www.postgresql.org/docs/current/lo-funcs.html. Each statement joins
``pg_largeobject_metadata``, readable by every role, so that a missing object gives no row where the function
alone would raise and abort the transaction.
"""

import abc
import operator
import secrets
from collections.abc import Sequence
from typing import LiteralString

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import AccessMode
from pg_lo_storage.drivers.descriptor import SQLLargeObject
from pg_lo_storage.drivers.errors import translate
from pg_lo_storage.drivers.values import (
    as_bytes,
    byte_view,
    check_block,
    check_mode,
    check_offset,
    check_oid,
    integer,
)
from pg_lo_storage.exceptions import LargeObjectExists, LargeObjectNotFound, NoTransactionError
from pg_lo_storage.names import MAX_OID

__all__ = ["SQLDriver"]


class SQLDriver(abc.ABC):
    """All of :class:`LargeObjectDriver`, given a way to run SQL.

    A subclass says how to run a statement, what the transaction's state is, and where its exceptions keep
    the SQLSTATE. Parameters are ``int``, ``str`` and ``memoryview`` (bytea); a row is a tuple of the same, bytea as
    any buffer. ``in_transaction`` is ``False`` on a connection that is closed or lost.
    """

    @abc.abstractmethod
    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Run one statement with ``%s`` placeholders, all its rows as the result; exceptions untranslated."""

    @abc.abstractmethod
    def sqlstate(self, error: Exception) -> str | None:
        """Return the SQLSTATE that ``error`` carries, ``None`` where it is no error of the server."""

    @property
    @abc.abstractmethod
    def in_transaction(self) -> bool:
        """Whether the server is in a transaction now."""

    @property
    @abc.abstractmethod
    def autocommit(self) -> bool:
        """Whether the connection leaves it to the user to begin a transaction."""

    @property
    def sql(self) -> "SQLDriver":
        """The driver itself: see :meth:`execute`."""
        return self

    def run(
        self,
        query: LiteralString,
        params: Sequence[object],
        *,
        oid: int | None,
        writing: bool = False,
        descriptor: bool = False,
    ) -> list[tuple[object, ...]]:
        """Run a large-object statement; raises the package's errors, with the driver's as the cause."""
        try:
            return self.execute(query, params)
        except Exception as error:
            translated = translate(self.sqlstate(error), oid, writing=writing, descriptor=descriptor)
            if translated is not None:
                raise translated from error
            raise

    def create(self, oid: int = 0) -> int:
        """See :meth:`LargeObjectDriver.create`."""
        if not oid:
            return integer(self.run("select lo_create(0)", (), oid=None))
        rows = self.run(
            "select lo_create(%s::oid) where not exists (select from pg_largeobject_metadata where oid = %s::oid)",
            (check_oid(oid), oid),
            oid=oid,
            writing=True,
        )
        if not rows:
            message = f"large object {oid} exists already"
            raise LargeObjectExists(message, oid=oid)
        return integer(rows)

    def from_bytes(self, data: Buffer) -> int:
        """See :meth:`LargeObjectDriver.from_bytes`."""
        return integer(self.run("select lo_from_bytea(0, %s::bytea)", (byte_view(data),), oid=None, writing=True))

    def unlink(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.unlink`."""
        if not 0 < operator.index(oid) <= MAX_OID:
            return False
        # lo_unlink closes the session's own descriptors of the object: their guards are to say so.
        query: LiteralString = (
            "select lo_unlink(oid), (select count(set_config('pg_lo_storage.fd' || fd, '', true))"
            " from string_to_table(current_setting('pg_lo_storage.of' || oid, true), ' ') as fd"
            " where current_setting('pg_lo_storage.fd' || fd, true) like '%%-' || oid)"
            " from pg_largeobject_metadata where oid = %s::oid"
        )
        return bool(self.run(query, (oid,), oid=oid, writing=True))

    def exists(self, oid: int) -> bool:
        """See :meth:`LargeObjectDriver.exists`."""
        if not 0 < operator.index(oid) <= MAX_OID:
            return False
        return bool(self.run("select 1 from pg_largeobject_metadata where oid = %s::oid", (oid,), oid=oid))

    def size(self, oid: int) -> int:
        """See :meth:`LargeObjectDriver.size`."""
        query: LiteralString = (
            "select lo_lseek64(fd, 0, 2), lo_close(fd) from"
            " (select lo_open(oid, 262144) as fd from pg_largeobject_metadata where oid = %s::oid offset 0) as opened"
        )
        return integer(self._found(self.run(query, (check_oid(oid),), oid=oid), oid))

    def get(self, oid: int, offset: int, size: int) -> bytes:
        """See :meth:`LargeObjectDriver.get`."""
        query: LiteralString = "select lo_get(oid, %s::int8, %s::int4) from pg_largeobject_metadata where oid = %s::oid"
        params = (check_offset(offset, oid), check_block(size), check_oid(oid))
        return as_bytes(self._found(self.run(query, params, oid=oid), oid)[0][0])

    def put(self, oid: int, offset: int, data: Buffer) -> None:
        """See :meth:`LargeObjectDriver.put`."""
        view = byte_view(data)
        check_offset(offset + len(view), oid)
        query: LiteralString = (
            "select lo_put(oid, %s::int8, %s::bytea) from pg_largeobject_metadata where oid = %s::oid"
        )
        params = (check_offset(offset, oid), view, check_oid(oid))
        self._found(self.run(query, params, oid=oid, writing=True), oid)

    def open(self, oid: int, mode: AccessMode) -> SQLLargeObject:
        """See :meth:`LargeObjectDriver.open`."""
        return SQLLargeObject(self, oid, mode, self.open_descriptor(oid, mode, keep=True))

    def open_descriptor(self, oid: int, mode: AccessMode, *, keep: bool) -> tuple[int, str]:
        """Open a guarded descriptor and return its number and token; ``keep=False`` closes it again.

        Closed again, its number is the lowest free one, which the next open in this session is given.
        """
        check_oid(oid)
        check_mode(mode)
        if self.autocommit and not self.in_transaction:
            message = (
                f"large object {oid} is opened outside a transaction: turn autocommit off, or begin a transaction"
                " (in Django, wrap the code in transaction.atomic())"
            )
            raise NoTransactionError(message, oid=oid)
        token = f"{secrets.token_hex(8)}-{oid}"
        query: LiteralString = (
            "select fd, set_config('pg_lo_storage.fd' || fd, %s::text, true), set_config('pg_lo_storage.of' || oid,"
            " concat_ws(' ', nullif(current_setting('pg_lo_storage.of' || oid, true), ''), fd), true),"
            " case when %s::int4 = 0 then lo_close(fd) end from"
            " (select oid, lo_open(oid, %s::int4) as fd from pg_largeobject_metadata where oid = %s::oid offset 0)"
            " as opened"
        )
        rows = self.run(query, (token, int(keep), int(mode), oid), oid=oid)
        return integer(self._found(rows, oid)), token

    def _found(self, rows: list[tuple[object, ...]], oid: int) -> list[tuple[object, ...]]:
        if not rows:
            message = f"large object {oid} does not exist"
            raise LargeObjectNotFound(message, oid=oid)
        return rows
