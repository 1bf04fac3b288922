"""A file's entry in the catalogue's table, and the statements that find it and read that version, without Django.

Statements join ``pg_largeobject_metadata``: an object that somebody unlinked behind the catalogue's back is a missing
file, and aborts no transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString, NamedTuple, Self, TypeVar, cast

from pg_lo_storage.drivers.queries import Rows, Statement
from pg_lo_storage.drivers.reading import streamed
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.names import extension_of

__all__ = [
    "COLUMNS",
    "COLUMN_TYPES",
    "FILES",
    "IDENTITY",
    "MEASURED",
    "NAMED",
    "ROLE",
    "SEEN_BY",
    "TABLE",
    "Entry",
    "Located",
    "as_number",
    "as_table",
    "located",
    "missing",
    "streamed_version",
]

T = TypeVar("T")

# Drivers give and take integers, strings and bytea. xmin is the version: every change of the row changes it, whoever
# makes it.
COLUMNS: Final = (
    "f.loid::int8, f.extension, f.original_name, f.content_type, f.size, f.sha256,"
    " (extract(epoch from f.created_at) * 1000000)::int8, (extract(epoch from f.modified_at) * 1000000)::int8,"
    " f.xmin::text"
)
"""What :meth:`Entry.of` makes an entry of; none of it is bytes, which drivers may change as content."""

COLUMN_TYPES: Final = (int, str, str, str, int, str, int, int, str)

ROLE: Final = "current_setting('role')"
"""The role that the session has taken, or ``none``."""

IDENTITY: Final = "(pg_identify_object('pg_catalog.pg_class'::regclass::oid, f.tableoid, 0)).identity"
"""Where the entry is, whatever another session's search path is."""

# None where row security decides.
SEEN_BY: Final = "case when not row_security_active(f.tableoid) then " + ROLE + " end"
"""The role that has seen the entry, if another session of the same sees it, too."""

TABLE: Final = "pg_lo_storage_file"
_JOINED: Final = " as f join pg_largeobject_metadata as m on m.oid = f.loid"
FILES: Final = " from " + TABLE + _JOINED
NAMED: Final = " where f.loid = %s::oid and coalesce(f.extension = %s::text, true)"
"""The file with that oid and extension."""

_SIZE: Final = (
    "(select lo_lseek64(fd, 0, 2) + lo_close(fd) from (select lo_open(m.oid, 262144) as fd offset 0) as opened)"
)
MEASURED: Final = (
    "case when 'on' = any(array[current_setting('is_superuser'), current_setting('lo_compat_privileges', true)])"
    " or exists (select from aclexplode(coalesce(m.lomacl, acldefault('L', m.lomowner))) as granted"
    " where privilege_type = 'SELECT' and (grantee = 0 or pg_has_role(grantee, 'USAGE'))) then " + _SIZE + " end"
)
"""The size of object ``m``, null where the role may not read it: to measure it would abort the statement."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """A file's entry in the catalogue.

    ``size`` is in bytes, ``sha256`` in hexadecimal; both are ``None`` after a write in place. Every committed change
    gives the entry another ``version``.
    """

    __module__ = "pg_lo_storage.storage"

    loid: int
    extension: str | None
    original_name: str
    content_type: str
    size: int | None
    sha256: str | None
    created_at: datetime
    modified_at: datetime
    version: str

    def is_named(self, name: str) -> bool:
        """Tell whether the file has that name."""
        return name == f"{self.loid}{extension_of(name) if self.extension is None else self.extension}"

    @classmethod
    def of(cls, row: tuple[object, ...]) -> Self:
        """Make an entry of a row that has the :data:`COLUMNS`."""
        loid, extension, original_name, content_type, size, sha256, created, modified, version = row
        return cls(
            cast("int", loid),
            cast("str | None", extension),
            cast("str", original_name),
            cast("str", content_type),
            cast("int | None", size),
            cast("str | None", sha256),
            _EPOCH + timedelta(microseconds=cast("int", created)),
            _EPOCH + timedelta(microseconds=cast("int", modified)),
            cast("str", version),
        )


def missing(name: object, loid: int | None = None) -> LargeObjectNotFound:
    """Return the error that no file has that name."""
    return LargeObjectNotFound(f"no stored file is named {name!r}", oid=loid)


class Located(NamedTuple):
    """A file's entry and size; where it was found, :data:`IDENTITY`, and by whom, :data:`SEEN_BY`."""

    entry: Entry
    size: int
    table: LiteralString = TABLE
    role: str | None = ""


def located(loid: int, extension: str) -> Statement[Located]:
    """Find the file with this oid and extension; where there is none, the result is an error.

    Its object is measured: what is promised of the size must come, though somebody changed it behind the catalogue.
    """

    def result(rows: Rows) -> Located:
        if not rows:
            raise missing(f"{loid}{extension}", loid)
        *columns, size, table, role = rows[0]
        return Located(Entry.of(tuple(columns)), cast("int", size), as_table(table), cast("str | None", role))

    query: LiteralString = "select " + COLUMNS + ", " + _SIZE + ", " + IDENTITY + ", " + SEEN_BY + FILES + NAMED
    return Statement(query, (loid, extension), result, loid)


def as_table(value: object) -> LiteralString:
    """Return the table's name, which the server has quoted, for a query that has parameters."""
    return cast("LiteralString", value).replace("%", "%%")


def as_number(value: object) -> LiteralString:
    """Return an integer for a query."""
    number: object = str(value)
    return cast("LiteralString", number)


def streamed_version(
    loid: int, version: str, offset: int, size: int, result: Callable[[Rows], T], *, table: LiteralString
) -> Statement[T]:
    """Read a part of a file as :func:`streamed` does; there are no rows where its version is another one."""
    files: LiteralString = " from " + table + _JOINED
    is_version = " where f.loid = %s::oid and f.xmin::text = %s::text"
    return streamed(files, is_version, (loid, version), result, oid=loid, offset=offset, size=size, block=BLOCK)
