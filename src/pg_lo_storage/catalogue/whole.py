"""How long a small file stays open that came whole with the statement that opened it.

A rollback to an earlier savepoint closes it, as it closes a descriptor. After the transaction's end the file can still
be read, from memory; but what the transaction itself wrote to it must have been committed.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString, cast

from pg_lo_storage.databases import DatabaseDriver

__all__ = ["NOT_REMEMBERED", "REMEMBER", "WRITER", "Remembered", "is_open", "new_token", "remembered"]

# What is appended to this setting goes with the transaction, or with a savepoint that is rolled back, as a descriptor's
# guard does.
_OPENED: Final = "current_setting('pg_lo_storage.read', true)"
_BEGAN: Final = "(extract(epoch from now()) * 1000000)::int8"
REMEMBER: Final = (
    "case when %s::text <> '' and coalesce(length(" + _OPENED + "), 0) < 4000"
    " then set_config('pg_lo_storage.read', ltrim(concat_ws(' ', " + _OPENED + ", %s::text)), true) end is not null,"
    " " + _BEGAN
)
"""Two columns of the statement that opens a file; parameters: the token, twice."""

WRITER: Final = "pg_current_xact_id_if_assigned()::text"
"""A third column: the transaction, where it may have written the file; else null."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """The marks by which the server knows a file that was read whole in an atomic block."""

    token: str
    began: int
    """The transaction's start, in microseconds: no other transaction of the connection has the same."""
    writer: str | None


NOT_REMEMBERED: Final = Remembered("", 0, None)


def new_token(database: DatabaseDriver) -> str:
    """Return a token; outside an atomic block an empty one, since nothing ends there."""
    return secrets.token_hex(8) if database.is_in_atomic_block else ""


def remembered(token: str, columns: Sequence[object]) -> Remembered:
    """Make a :class:`Remembered` of the statement's columns; a driver without SQL gives none."""
    if not columns or not columns[0]:
        return NOT_REMEMBERED
    return Remembered(token, cast("int", columns[1]), cast("str | None", columns[2]))


def is_open(database: DatabaseDriver, loid: int, what: Remembered, version: str | None) -> bool | None:
    """Tell whether the file is open; ``None`` says that its transaction is over, and nothing can close it any more.

    ``version`` is its entry's; without the catalogue it is ``None``.
    """
    if what.writer is None and not database.is_in_atomic_block:
        return None
    # Without an entry, nothing shows any more that a savepoint rolled the change back.
    standing: LiteralString = (
        "exists (select from pg_largeobject_metadata where oid = %s::oid) and pg_xact_status(%s::xid8) = 'committed'"
        if version is None
        else "exists (select from pg_lo_storage_file where loid = %s::oid and xmin::text = %s::text)"
    )
    query: LiteralString = (
        "select case when %s::text = any(string_to_array(" + _OPENED + ", ' ')) then 1"
        " when " + _BEGAN + " <> %s::int8 and (%s::text is null or " + standing + ") then 2 end"
    )
    params = (what.token, what.began, what.writer, loid, what.writer if version is None else version)
    [(state,)] = database.run(query, params, oid=loid)
    return None if state == 2 else bool(state)
