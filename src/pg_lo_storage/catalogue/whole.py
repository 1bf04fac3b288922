"""Small files that came whole with the statement that opened them: until when what is in memory is the file.

As by a descriptor, what was opened under a savepoint that was rolled back is over. After the transaction's end it is
read on: it needs none. But what the transaction had written itself must have been committed.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString, cast

from pg_lo_storage.databases import DatabaseDriver

__all__ = ["NOT_REMEMBERED", "REMEMBER", "WRITER", "Remembered", "is_open", "new_token", "remembered"]

# As a descriptor's guard does, what is appended here ends with the transaction, or with a savepoint rolled back.
_OPENED: Final = "current_setting('pg_lo_storage.read', true)"
_BEGAN: Final = "(extract(epoch from now()) * 1000000)::int8"
REMEMBER: Final = (
    "case when %s::text <> '' and coalesce(length(" + _OPENED + "), 0) < 4000"
    " then set_config('pg_lo_storage.read', ltrim(concat_ws(' ', " + _OPENED + ", %s::text)), true) end is not null,"
    " " + _BEGAN
)
"""Two columns of the statement that opens; parameters: the token, twice."""

WRITER: Final = "pg_current_xact_id_if_assigned()::text"
"""A third: the transaction, where it may have written what is read; else null."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What the server knows a file by that was read whole in an atomic block."""

    token: str
    began: int
    """The transaction's start, in microseconds: no other of the connection has the same."""
    writer: str | None


NOT_REMEMBERED: Final = Remembered("", 0, None)


def new_token(database: DatabaseDriver) -> str:
    """Return a token; outside an atomic block an empty one, as nothing ends there."""
    return secrets.token_hex(8) if database.is_in_atomic_block else ""


def remembered(token: str, columns: Sequence[object]) -> Remembered:
    """Make one of the columns that the statement gave; a driver without SQL gives none."""
    if not columns or not columns[0]:
        return NOT_REMEMBERED
    return Remembered(token, cast("int", columns[1]), cast("str | None", columns[2]))


def is_open(database: DatabaseDriver, loid: int, what: Remembered, version: str | None) -> bool | None:
    """Tell whether the file is open: ``None`` is that it is its transaction's no longer, and nothing can end it.

    ``version`` is that of its entry, without the catalogue ``None``.
    """
    if what.writer is None and not database.is_in_atomic_block:
        return None
    # Without an entry a change that only a savepoint took back does not show any more.
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
