"""How long a small file stays open that came whole with the statement that opened it.

A rollback to an earlier savepoint closes it, as it closes a descriptor. After the transaction's end the file can still
be read, from memory; but what the transaction itself wrote to it must have been committed.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, LiteralString, NamedTuple, cast

from pg_lo_storage.databases import DatabaseDriver

__all__ = ["NOT_REMEMBERED", "Marks", "Remembered", "is_open", "marks_for", "remembered"]

# What is appended to this setting goes with the transaction, or with a savepoint that is rolled back, as a descriptor's
# guard does.
_OPENED: Final = "current_setting('pg_lo_storage.read', true)"
_BEGAN: Final = "(extract(epoch from now()) * 1000000)::int8"
_REMEMBER: Final = (
    "(case when coalesce(length(" + _OPENED + "), 0) < 4000"
    " then set_config('pg_lo_storage.read', ltrim(concat_ws(' ', "
    + _OPENED
    + ", %s::text)), true) end is not null)::int4,"
    " " + _BEGAN + ", "
)
_WRITER: Final = "pg_current_xact_id_if_assigned()::text"


@dataclass(frozen=True, slots=True)
class Remembered:
    """The marks by which the server knows a file that was read whole in an atomic block."""

    token: str
    began: int
    """The transaction's start, in microseconds: no other transaction of the connection has the same."""
    writer: str | None


NOT_REMEMBERED: Final = Remembered("", 0, None)


class Marks(NamedTuple):
    """What has the server remember a file by the token; by an empty one there is nothing to remember.

    ``sql`` has columns of the statement that opens the file, each with a comma after it.
    """

    token: str = ""
    sql: LiteralString = ""
    params: tuple[str, ...] = ()
    types: tuple[type[int | str], ...] = ()


_NO_MARKS: Final = Marks()


def marks_for(database: DatabaseDriver, *, may_have_written: LiteralString = "true") -> Marks:
    """Return the marks for a file that is opened now; none outside an atomic block, since nothing ends there.

    ``may_have_written`` is the condition under which the transaction may have written the file.
    """
    if not database.is_in_atomic_block:
        return _NO_MARKS
    token = secrets.token_hex(8)
    writer: LiteralString = "case when " + may_have_written + " then " + _WRITER + " end, "
    return Marks(token, _REMEMBER + writer, (token,), (int, int, str))


def remembered(marks: Marks, columns: Sequence[object]) -> Remembered:
    """Make a :class:`Remembered` of values that begin with those of the marks; without SQL there are none."""
    if not marks.token or not columns or not columns[0]:
        return NOT_REMEMBERED
    return Remembered(marks.token, cast("int", columns[1]), cast("str | None", columns[2]))


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
