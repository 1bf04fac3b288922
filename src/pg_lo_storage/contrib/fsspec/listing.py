"""The SQL of listing large objects, and of their rows in the catalogue if the database has one.

The database is asked each time whether it has: a filesystem does not know a project's settings.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final, LiteralString, NamedTuple, cast

from pg_lo_storage.catalogued import MEASURED
from pg_lo_storage.contrib.fsspec.sessions import sql_of
from pg_lo_storage.drivers.base import LargeObjectDriver, SQLExecutor
from pg_lo_storage.drivers.errors import sqlstate_of, translate
from pg_lo_storage.drivers.qualified import qualified
from pg_lo_storage.drivers.values import as_bytes

__all__ = ["Listed", "forget", "list_objects", "remove", "times"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_UNKNOWN: Final = ", ''::bytea from pg_largeobject_metadata as m"
# As bytes: the client's encoding may not have the letters of the text.
_CATALOGUED: Final = (
    ", convert_to(coalesce(f.extension, ''), case when getdatabaseencoding() = 'SQL_ASCII'::name then 'SQL_ASCII'::name"
    " else 'UTF8'::name end)"
    " from pg_largeobject_metadata as m left join pg_lo_storage_file as f on f.loid = m.oid"
)


class Listed(NamedTuple):
    """A large object; ``extension`` is the catalogue's, ``size`` in bytes, ``None`` without the right to read it."""

    oid: int
    extension: str
    size: int | None


def list_objects(driver: LargeObjectDriver, *, sizes: bool) -> Iterator[Listed]:
    """Yield all large objects of the database in the order of their oids, with ``sizes`` or without."""
    sql = sql_of(driver)
    [(catalogued,)] = sql.execute(qualified("select has_table_privilege(to_regclass('pg_lo_storage_file'), 'SELECT')"))
    size: LiteralString = MEASURED if sizes else "null::int8"
    columns: LiteralString = _CATALOGUED if catalogued else _UNKNOWN
    query: LiteralString = "select m.oid::int8, " + size + columns + " order by m.oid"
    for oid, length, extension in sql.execute(qualified(query)):
        yield Listed(cast("int", oid), as_bytes(extension).decode(errors="replace"), cast("int | None", length))


def times(driver: LargeObjectDriver, oid: int) -> tuple[datetime, datetime] | None:
    """Return when a catalogued object was created and modified."""
    if not is_catalogue_there(sql := sql_of(driver)):
        return None
    query: LiteralString = (
        "select (extract(epoch from created_at) * 1000000)::int8, (extract(epoch from modified_at) * 1000000)::int8"
        " from pg_lo_storage_file where loid = %s::oid"
    )
    rows = sql.execute(qualified(query), (oid,))
    if not rows:
        return None
    created, modified = (_EPOCH + timedelta(microseconds=cast("int", value)) for value in rows[0])
    return created, modified


def forget(sql: SQLExecutor | None, oid: int) -> None:
    """Tell the catalogue, if there is one, that the content has changed."""
    _change(
        sql,
        "update pg_lo_storage_file set size = null, sha256 = null, modified_at = clock_timestamp()"
        " where loid = %s::oid",
        oid,
    )


def remove(sql: SQLExecutor | None, oid: int) -> None:
    """Take the object out of the catalogue, if there is one."""
    _change(sql, "delete from pg_lo_storage_file where loid = %s::oid", oid)


def _change(sql: SQLExecutor | None, query: LiteralString, oid: int) -> None:
    if sql is None or not is_catalogue_there(sql):
        return
    try:
        sql.execute(qualified(query), (oid,))
    except Exception as error:
        cause = error.__cause__ or error  # Django's errors have the driver's for their cause
        if (found := translate(sqlstate_of(cause), oid, str(cause), writing=True)) is None:
            raise
        raise found from cause


def is_catalogue_there(sql: SQLExecutor) -> bool:
    """Tell whether the database has the catalogue's table."""
    return sql.execute(qualified("select to_regclass('pg_lo_storage_file') is not null")) == [(True,)]
