"""The large-object statements: text, parameters and what the rows mean, for drivers of either kind.

Functions: https://www.postgresql.org/docs/current/lo-funcs.html. Each statement joins ``pg_largeobject_metadata``,
which every role may read. So a missing object gives no row; the function alone would abort the transaction.
"""

import operator
import secrets
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Generic, LiteralString, TypeAlias, TypeVar, cast

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import AccessMode
from pg_lo_storage.drivers.errors import translate
from pg_lo_storage.drivers.qualified import qualified
from pg_lo_storage.drivers.values import (
    BLOCK,
    as_bytes,
    byte_view,
    check_block,
    check_mode,
    check_offset,
    check_oid,
    integer,
)
from pg_lo_storage.exceptions import LargeObjectError, LargeObjectExists, LargeObjectNotFound, NoTransactionError
from pg_lo_storage.names import MAX_OID

__all__ = [
    "MAKE",
    "MAKE_FAST",
    "SETTINGS",
    "WARM_UP",
    "Rows",
    "Statement",
    "found",
    "require_transaction",
    "translated",
]

Rows: TypeAlias = list[tuple[object, ...]]
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

WARM_UP: Final = 4 * 1024 * 1024
"""Bytes that a new backend is made to allocate once: after that it keeps the memory of large blocks for the next."""

# The first key of the advisory locks on oids: any number, but always the same.
_APPEND_LOCK: Final = 0x706C6F73


@dataclass(frozen=True, slots=True)
class Statement(Generic[T_co]):
    """One statement with ``%s`` placeholders, and the function that makes a result of its rows, or raises.

    It is sent with its names qualified, see :func:`qualified`.
    """

    query: LiteralString
    params: tuple[object, ...]
    result: Callable[[Rows], T_co]
    oid: int | None = None
    writing: bool = False
    """Whether it changes an object: only then do some errors mean another writer."""
    descriptor: bool = False
    """Whether it uses a descriptor, which may be stale."""
    unlinks: Collection[int] = ()
    """The objects that it unlinks."""
    columns: tuple[type[bytes | int | str], ...] = ()
    """The types of its columns, where one is content of a small file: see :meth:`SQLDriver.rows_of`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "query", qualified(self.query))


def translated(sqlstate: str | None, error: Exception, statement: Statement[object]) -> LargeObjectError | None:
    """Return the package's error for what a statement raised; ``None`` if the driver's own is to pass."""
    return translate(
        sqlstate,
        statement.oid,
        str(error),
        writing=statement.writing,
        descriptor=statement.descriptor,
        unlinks=statement.unlinks,
    )


def is_oid(oid: int) -> bool:
    """Tell whether an object can have that oid; if not, there is nothing to ask the server."""
    return 0 < operator.index(oid) <= MAX_OID


def create(oid: int) -> Statement[int]:
    """Create an empty object; the result is its oid."""
    if not oid:
        return Statement("select lo_create(0)", (), integer, writing=True)

    oid = check_oid(oid)

    def result(rows: Rows) -> int:
        if not rows:
            message = f"large object {oid} exists already"
            raise LargeObjectExists(message, oid=oid)
        return integer(rows)

    return Statement(
        "select lo_create(%s::oid) where not exists (select from pg_largeobject_metadata where oid = %s::oid)",
        (oid, oid),
        result,
        oid,
        writing=True,
    )


def from_bytes(data: Buffer, make: LiteralString | None = None) -> Statement[int]:
    """Create an object with that content, by MAKE or MAKE_FAST; the result is its oid."""
    return Statement("select " + (make or MAKE), (byte_view(data),), integer, writing=True)


# The server is asked once in a session for its fastest way to compress an object's pages. Text of a megabyte warms the
# backend up at that moment: else a statement of more than 128 KB has it ask the system for memory, and give it back.
_FAST: Final = (
    "set_config('default_toast_compression',"
    " coalesce((select value from current_setting('pg_lo_storage.fastest', true) as value where value <> ''),"
    " set_config('pg_lo_storage.fastest', (select case when octet_length(repeat(repeat(setting, 256), 1024)) > 0"
    " and 'lz4' = any(enumvals) then 'lz4' else setting end"
    " from pg_settings where name = 'default_toast_compression'), false)), true)"
)
MAKE: Final = "lo_from_bytea(0, %s::bytea)"
"""Makes an object of its parameter."""

# The arguments of LEAST are evaluated in turn; the second is NULL, which does not count.
_BEFORE_FAST: Final = (
    "least(case when set_config('pg_lo_storage.before', current_setting('default_toast_compression'), true) <> '' and "
    + _FAST
    + " <> '' then "
)
_AFTER_FAST: Final = (
    " end, case when set_config('default_toast_compression', current_setting('pg_lo_storage.before'), true) = '' then "
)
MAKE_FAST: Final = _BEFORE_FAST + MAKE + _AFTER_FAST + "0::oid end)"
"""The same, compressed by lz4 if the server has it; afterwards the setting is what it was before."""

_PUT: Final = "lo_put(oid, %s::int8, %s::bytea)"
_OF_OBJECT: Final = " from pg_largeobject_metadata where oid = %s::oid"
_PUT_FAST: Final = _BEFORE_FAST + "length(" + _PUT + "::text)" + _AFTER_FAST + "0 end)"


def compress_fast() -> Statement[str]:
    """Have the transaction compress by lz4, if the server has it; the result is the method before."""
    query: LiteralString = (
        "select before, "  # noqa: S608 -- of constants
        + _FAST
        + " from (select current_setting('default_toast_compression') as before offset 0) as found"
    )
    return Statement(query, (), lambda rows: cast("str", rows[0][0]))


def compress_by(method: str) -> Statement[None]:
    """Have the transaction compress by ``method``."""
    return Statement("select set_config('default_toast_compression', %s::text, true)", (method,), lambda _rows: None)


# A session never frees the name of a setting, so there are few. Each has the tokens of the descriptors whose number has
# that remainder, one after another: a single setting would be copied whole each time that one of thousands is opened.
SETTINGS: Final = 256
"""How many settings ``pg_lo_storage.fd<n>`` have the tokens of open descriptors; ``pg_lo_storage.last`` is the last."""

_LAST: Final = (
    "(case when current_setting('pg_lo_storage.last', true) <> '' then current_setting('pg_lo_storage.last')::int4 end)"
)

# lo_unlink closes the session's own descriptors of the object: their tokens are to say so.
UNLINK: Final = (
    "lo_unlink(m.oid), (select count(set_config(name, replace(tokens, mark, '0000000000-'), true))"  # noqa: S608 -- of constants
    " from (select 'pg_lo_storage.fd' || n as name, current_setting('pg_lo_storage.fd' || n, true) as tokens,"
    " lpad(m.oid::text, 10, '0') || '-' as mark from generate_series(0, " + _LAST + ") as n) as opened"
    " where strpos(tokens, mark) > 0)"
)
"""Unlinks the object of "m"."""


def unlink(oid: int) -> Statement[bool]:
    """Delete an object; the result is whether there was one."""
    query: LiteralString = (
        "select " + UNLINK + " from pg_largeobject_metadata as m where m.oid = %s::oid"  # noqa: S608 -- of constants
    )
    return Statement(query, (check_oid(oid),), bool, oid, writing=True, unlinks=(oid,))


def exists(oid: int) -> Statement[bool]:
    """Look for an object."""
    return Statement("select 1 from pg_largeobject_metadata where oid = %s::oid", (check_oid(oid),), bool, oid)


def size(oid: int) -> Statement[int]:
    """Measure an object, in bytes."""
    query: LiteralString = (
        "select lo_lseek64(fd, 0, 2), lo_close(fd) from"
        " (select lo_open(oid, 262144) as fd from pg_largeobject_metadata where oid = %s::oid offset 0) as opened"
    )
    return Statement(query, (check_oid(oid),), found(oid, integer), oid)


def get(oid: int, offset: int, size: int) -> Statement[bytes]:
    """Read a part of an object."""
    query: LiteralString = "select lo_get(oid, %s::int8, %s::int4) from pg_largeobject_metadata where oid = %s::oid"
    params = (check_offset(offset, oid), check_block(size), check_oid(oid))
    return Statement(query, params, found(oid, lambda rows: as_bytes(rows[0][0])), oid)


def put(oid: int, offset: int, data: Buffer, *, is_fast: bool = False) -> Statement[None]:
    """Write a part of an object, ``is_fast`` compressed as by MAKE_FAST."""
    view = byte_view(data)
    check_offset(offset + len(view), oid)
    query: LiteralString = "select " + (_PUT_FAST if is_fast else _PUT) + _OF_OBJECT
    params = (check_offset(offset, oid), view, check_oid(oid))
    return Statement(query, params, found(oid, lambda _rows: None), oid, writing=True)


def open_descriptor(oid: int, mode: AccessMode) -> Statement[tuple[int, str]]:
    """Open a guarded descriptor; the result is its number and token."""
    oid = check_oid(oid)
    check_mode(mode)
    token = f"{oid:010}-{secrets.token_hex(8)}"
    query: LiteralString = (
        "select fd, set_config(name, overlay(rpad(tokens, greatest(length(tokens), place + length(token))), token,"  # noqa: S608 -- of constants
        " place + 1), true), set_config('pg_lo_storage.last', greatest(n, " + _LAST + ")::text, true),"
        " case when %s::int4 = 1 and (lo_lseek64(fd, 0, 2) > %s::int8 or %s::int4 = 1) then loread(fd, %s::int4) end,"
        " lo_lseek64(fd, 0, 0) from (select fd, n, token, (fd / %s::int4) * length(token) as place,"
        " 'pg_lo_storage.fd' || n as name, coalesce(current_setting('pg_lo_storage.fd' || n, true), '') as tokens"
        " from (select fd, mod(fd, %s::int4) as n, %s::text as token from"
        " (select lo_open(oid, %s::int4) as fd from pg_largeobject_metadata where oid = %s::oid offset 0)"
        " as opened offset 0) as numbered offset 0) as placed"
    )
    is_read, is_written = int(AccessMode.READ in mode), int(AccessMode.WRITE in mode)
    params = (is_read, BLOCK, is_written, WARM_UP, SETTINGS, SETTINGS, token, int(mode), oid)
    return Statement(query, params, found(oid, lambda rows: (integer(rows), token)), oid)


def wait_for_append(oid: int) -> Statement[None]:
    """Wait for the object's append lock, which is held until the transaction ends."""
    keys = (_APPEND_LOCK, oid - 2**31)
    return Statement("select pg_advisory_xact_lock(%s::int4, %s::int4)", keys, lambda _rows: None, oid)


def require_transaction(oid: int, *, autocommit: bool, in_transaction: bool) -> None:
    """Raise NoTransactionError if a descriptor would end with the statement that opens it."""
    if autocommit and not in_transaction:
        message = (
            f"large object {oid} is opened outside a transaction: turn autocommit off, or begin a transaction"
            " (in Django, wrap the code in transaction.atomic())"
        )
        raise NoTransactionError(message, oid=oid)


def found(oid: int, result: Callable[[Rows], T]) -> Callable[[Rows], T]:
    """Return ``result`` with a check before it: no rows raise LargeObjectNotFound."""

    def checked(rows: Rows) -> T:
        if not rows:
            message = f"large object {oid} does not exist"
            raise LargeObjectNotFound(message, oid=oid)
        return result(rows)

    return checked
