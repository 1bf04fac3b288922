"""The SQL of uploads that are no files yet: each has a row, from its first byte until it becomes a file."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final, LiteralString, NamedTuple, cast

from pg_lo_storage.catalogue import unlinking
from pg_lo_storage.catalogue.entries import Upload
from pg_lo_storage.catalogue.queries import enter_from
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.atomic_blocks import atomic
from pg_lo_storage.drivers.queries import Rows, Statement

__all__ = ["Announced", "Resumable", "Unfinished", "begin", "discard", "expired", "find", "hold", "owned", "take_over"]

# The server's lock table holds some thousands of objects.
_TOGETHER: Final = 1_000
_EXPIRES: Final = "statement_timestamp() + (%s::int8::float8 * '1 second'::interval)"


class Unfinished(NamedTuple):
    """An upload that is no file yet; ``schema`` is that of its row, as the server quotes it."""

    alias: str
    schema: str
    loid: int


class Announced(NamedTuple):
    """What a client says of an upload before its first byte; of a form's nothing. The server makes a missing key."""

    key: str | None = None
    owner: str = ""
    original_name: str = ""
    content_type: str = ""
    length: int | None = None


class Resumable(NamedTuple):
    """An upload that its owner goes on with: how long it is to be, and when it expires, in seconds since 1970."""

    loid: int
    length: int
    original_name: str
    content_type: str
    expires_at: int
    has_expired: bool


def begin(
    database: DatabaseDriver,
    data: bytes | memoryview,
    expires: timedelta,
    announced: Announced,
    *,
    make: LiteralString,
) -> Unfinished:
    """Make an object of its first bytes, and its row, in one statement."""

    def result(rows: Rows) -> Unfinished:
        [(schema, loid)] = rows
        return Unfinished(database.alias, cast("str", schema), cast("int", loid))

    def inserted(made: LiteralString, value: object) -> Statement[Unfinished]:
        query: LiteralString = (
            "insert into pg_lo_storage_upload"  # noqa: S608 -- of constants
            " (loid, key, owner, original_name, content_type, length, created_at, expires_at) values (" + made + ","
            " coalesce(%s::text::uuid, gen_random_uuid()), %s::text, %s::text, %s::text, %s::int8,"
            " statement_timestamp(), " + _EXPIRES + ")"
            # An older row with that oid is about an object that somebody else has unlinked.
            " on conflict (loid) do update set key = excluded.key, owner = excluded.owner,"
            " original_name = excluded.original_name, content_type = excluded.content_type, length = excluded.length,"
            " created_at = excluded.created_at, expires_at = excluded.expires_at returning"
            # Until the end of the request the session may have got another search path.
            " (select quote_ident(n.nspname::text) from pg_class as c join pg_namespace as n on n.oid = c.relnamespace"
            " where c.oid = 'pg_lo_storage_upload'::regclass::oid), loid::int8"
        )
        return Statement(query, (value, *announced, _seconds(expires)), result, writing=True)

    def without_sql() -> Unfinished:
        with atomic(database.alias):
            return database.perform(inserted("%s::oid", database.from_bytes(data)))

    return database.perform(inserted(make, memoryview(data)), without_sql)


def find(database: DatabaseDriver, key: str, owner: str) -> Resumable | None:
    """Return the owner's upload that has the key, a UUID; ``None`` where there is none."""
    rows = database.run(
        "select loid::int8, coalesce(length, 0), original_name, content_type, extract(epoch from expires_at)::int8,"
        " case when expires_at > statement_timestamp() then 0 else 1 end"
        " from pg_lo_storage_upload where key = %s::text::uuid and owner = %s::text",
        (key, owner),
    )
    if not rows:
        return None
    [(*known, has_expired)] = rows
    return Resumable(*cast("tuple[int, int, str, str, int]", tuple(known)), bool(has_expired))


def hold(database: DatabaseDriver, loid: int, key: str, expires: timedelta) -> bool:
    """Lock the upload for the transaction, and have it expire later; ``False`` where another has it, or it is gone."""
    query: LiteralString = (
        "update pg_lo_storage_upload set expires_at = " + _EXPIRES + " where loid = ("  # noqa: S608 -- of constants
        "select loid from pg_lo_storage_upload where loid = %s::oid and key = %s::text::uuid"
        " and expires_at > statement_timestamp() for update skip locked) returning 1"
    )
    return bool(database.run(query, (_seconds(expires), loid, key), oid=loid, writing=True))


def owned(database: DatabaseDriver, owner: str) -> tuple[list[int], list[int]]:
    """Return the oids of the owner's uploads: of those that may go on, and of those that have expired."""
    rows = database.run(
        "select loid::int8, case when expires_at > statement_timestamp() then 0 else 1 end"
        " from pg_lo_storage_upload where owner = %s::text",
        (owner,),
    )
    found = cast("list[tuple[int, int]]", rows)
    return [loid for loid, has_expired in found if not has_expired], [loid for loid, expired in found if expired]


def take_over(database: DatabaseDriver, loid: int, upload: Upload, *, size: int, sha256: str) -> tuple[int, str] | None:
    """Make a file of the upload in the transaction; return its oid and extension, ``None`` where there is none."""
    gone: LiteralString = (
        "with gone as (delete from pg_lo_storage_upload where loid = %s::oid returning loid),"
        " made as (select loid from gone join pg_largeobject_metadata as m on m.oid = loid) "
    )
    return enter_from(database, gone, (loid,), upload, size=size, sha256=sha256)


def discard(database: DatabaseDriver, loids: Iterable[int], schema: str = "", *, only_expired: bool = False) -> int:
    """Unlink those objects that are uploads still, 1,000 in a transaction; return how many there were.

    Without the ``schema`` of their rows it is the session's own.
    """
    left, found = sorted(loids), 0
    while left:
        batch, left = left[:_TOGETHER], left[_TOGETHER:]
        found += unlinking.discard(database, batch, schema, only_expired=only_expired)
    return found


def expired(database: DatabaseDriver) -> list[int]:
    """Return the oids of the uploads that have expired; none where there is no table of uploads."""
    if database.run("select 1 from pg_class where oid = to_regclass('pg_lo_storage_upload')::oid", ()):
        return [
            cast("int", loid)
            for (loid,) in database.run(
                "select loid::int8 from pg_lo_storage_upload where expires_at < statement_timestamp()", ()
            )
        ]
    return []


def _seconds(expires: timedelta) -> int:
    return int(expires.total_seconds())
