"""A database with damage of every kind, planted by SQL; what a check has to find there, and all that is there."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, cast

from django.db import connections

from pg_lo_storage import triggers
from tests.fixtures.connections import RawConnection, run

BOOK: Final = '"Shelf Book"'
DATA: Final = '"Data File"'
CATALOGUE: Final = "pg_lo_storage_file"
OLD: Final = "now() - interval '30 days'"
TABLES: Final = ("Shelf Book", "shelf_volume", "shelf_contract", "shelf_sheet", "shelf_remote", "shelf_version")
_MORE: Final = ("shelf_scan", "shelf_picture", "shelf_photo", "pg_lo_storage_file", "shelf_copy.pg_lo_storage_file")


class Found(NamedTuple):
    """A finding, as the tests compare it."""

    kind: str
    table: str
    column: str
    key: tuple[tuple[str, str], ...]
    name: str


def sql(query: str, *params: object, using: str = "default") -> list[tuple[Any, ...]]:
    """Run SQL as the ordinary role."""
    with connections[using].cursor() as cursor:
        cursor.execute(query, cast("tuple[str, ...]", params) or None)
        return cursor.fetchall() if cursor.description else []


class Damage:
    """Plants ``count`` files with their rows, and damages a part of each kind; ``found`` is what a check finds."""

    def __init__(self, count: int, superuser: RawConnection) -> None:
        self.count = count
        self.each = max(2, count // 50)
        self.superuser = superuser
        self.found = set[Found]()
        self.by_kind: defaultdict[str, set[Found]] = defaultdict(set)
        self._rows: list[tuple[int, int]] = []

    def plant(self) -> None:
        """Make all of it."""
        self._make_tables()
        self._rows = self.files(self.count)
        self._plant_objects()
        self._plant_rows()
        self._plant_strangers()

    def clear(self) -> None:
        """Drop the tables that no model has, and empty the others; the objects stay."""
        sql("drop table if exists shelf_scan, shelf_picture, shelf_photo")
        sql("drop schema if exists shelf_copy cascade")
        sql("drop domain if exists lo")
        for using in ("default", "other"):
            for table in TABLES:
                sql(f'truncate "{table}" cascade', using=using)
            sql("truncate pg_lo_storage_file", using=using)
        for (signature,) in sql("select oid::regprocedure from pg_proc where starts_with(proname, 'pg_lo_storage')"):
            sql(f"drop function {signature}")

    def files(self, count: int) -> list[tuple[int, int]]:
        """Make files that are named by new books, one each; return the rows' keys and the oids."""
        return sql(
            "with made as materialized (select g, convert_to('content ' || g, 'utf8') as data,"
            f" lo_from_bytea(0, convert_to('content ' || g, 'utf8')) as loid from generate_series(1, {count}) as g),"
            " entered as (insert into pg_lo_storage_file (loid, extension, original_name, content_type, size, sha256,"
            " created_at, modified_at) select loid, '.txt', 'a.txt', 'text/plain', length(data),"
            f" encode(sha256(data), 'hex'), {OLD}, {OLD} from made)"
            f" insert into {BOOK} ({DATA}, cover) select loid || '.txt', '' from made"
            f" returning id::int8, split_part({DATA}, '.', 1)::int8"
        )

    def unlink(self, oids: Sequence[int], using: str = "default") -> None:
        """Unlink objects behind the catalogue's back."""
        for n in range(0, len(oids), 500):
            sql("select lo_unlink(oid) from unnest(%s::oid[]) as oid", list(oids[n : n + 500]), using=using)

    def leave(self, oids: Sequence[int]) -> None:
        """Delete entries."""
        sql("delete from pg_lo_storage_file where loid = any(%s::oid[])", list(oids))

    def expect(self, kind: str, table: str, column: str, key: int | dict[str, object], name: str) -> None:
        """Say that this is to be found."""
        pairs = key if isinstance(key, dict) else {"id": key}
        found = Found(kind, table, column, tuple((part, str(value)) for part, value in pairs.items()), name)
        self.found.add(found)
        self.by_kind[kind].add(found)

    def expect_file(self, kind: str, oid: int, extension: str = ".txt") -> None:
        """Say that this is to be found of an entry."""
        self.expect(kind, "pg_lo_storage_file", "loid", {"loid": oid}, f"{oid}{extension}")

    def oids(self, kind: str, *others: str) -> set[int]:
        """Return the oids of the findings of a kind, without those of other kinds."""
        rest = {found.name for other in others for found in self.by_kind[other]}
        return {int(found.name.partition(".")[0]) for found in self.by_kind[kind] if found.name not in rest}

    def take(self) -> list[tuple[int, int]]:
        """Return rows, with their files, that nothing has happened to yet."""
        taken, self._rows = self._rows[: self.each], self._rows[self.each :]
        return taken

    def _expect_rows(self, kind: str, rows: Iterable[tuple[int, int]], extension: str = ".txt") -> None:
        for key, oid in rows:
            self.expect(kind, "Shelf Book", "Data File", key, f"{oid}{extension}")

    def _make_tables(self) -> None:
        sql("create table shelf_scan (id serial primary key, scan text not null)")
        sql("create table shelf_picture (id serial primary key, image oid)")
        sql("create domain lo as oid")
        sql("create table shelf_photo (photo lo)")
        sql("create schema shelf_copy")
        sql("create table shelf_copy.pg_lo_storage_file (like pg_lo_storage_file including all)")
        connection = connections["default"]
        connection.ensure_connection()
        triggers.install(connection.connection, "shelf_scan", "scan")

    def _plant_objects(self) -> None:
        """Damage files that rows of books name."""
        rows = self.take()  # neither object nor entry
        oids = [oid for _, oid in rows]
        self.unlink(oids)
        self.leave(oids)
        self._expect_rows("dangling", rows)
        rows = self.take()  # no object
        self.unlink([oid for _, oid in rows])
        self._expect_rows("dangling", rows)
        for _, oid in rows:
            self.expect_file("entry", oid)
        rows = self.take()  # neither object nor row
        self.unlink([oid for _, oid in rows])
        self._delete(rows)
        for _, oid in rows:
            self.expect_file("entry", oid)
        rows = self.take()  # no entry
        self.leave([oid for _, oid in rows])
        self._expect_rows("uncatalogued", rows)
        rows = self.take()  # another extension
        self._change("extension = '.pdf'", rows)
        self._expect_rows("extension", rows)
        rows = self.take()  # no row
        self._delete(rows)
        for _, oid in rows:
            self.expect_file("orphan", oid)
        rows = self.take()
        self._change("size = size + 1", rows)
        for _, oid in rows:
            self.expect_file("size", oid)
        rows = self.take()
        self._change("sha256 = repeat('0', 64)", rows)
        for _, oid in rows:
            self.expect_file("digest", oid)
        rows = self.take()  # of another role, and named
        self._give([oid for _, oid in rows])
        self._expect_rows("role", rows)
        rows = self.take()  # of another role, and not named
        self._give([oid for _, oid in rows])
        self._delete(rows)
        for _, oid in rows:
            self.expect_file("role", oid)
            self.expect_file("orphan", oid)
        rows = self.take()  # in another schema's catalogue
        copy = "insert into shelf_copy.pg_lo_storage_file select * from pg_lo_storage_file where loid = any(%s::oid[])"
        sql(copy, [oid for _, oid in rows])
        self._expect_rows("shared", rows)

    def _plant_rows(self) -> None:
        """Make rows of every table with names of files that are gone, or were never there."""
        rows = sql(f"insert into {BOOK} ({DATA}, cover) values ('scans/a %%s.pdf', '') returning id, 0" % ())
        for key, _ in rows:
            self.expect("name", "Shelf Book", "Data File", key, "scans/a %s.pdf")
        [(kept, oid)] = self.files(1)
        gone = [oid for _, oid in self.files(6)]
        self._delete([(0, oid) for oid in gone], by_name=True)
        self.unlink(gone)
        self.leave(gone)
        cover, index, contract, sheet, version, scan = (f"{oid}.txt" for oid in gone)
        [(key,)] = sql(f"insert into {BOOK} ({DATA}, cover) values (%s, %s) returning id", f"{oid}.txt", cover)
        self.expect("dangling", "Shelf Book", "cover", key, cover)
        sql("insert into shelf_volume (book_ptr_id, index) values (%s, %s)", kept, index)
        self.expect("dangling", "shelf_volume", "index", {"book_ptr_id": kept}, index)
        [(key,)] = sql("insert into shelf_contract (data) values (%s) returning id", contract)
        self.expect("dangling", "shelf_contract", "data", key, contract)
        sql("insert into shelf_sheet (book, page, data) values (7, 'ä %%', %s)", sheet)
        self.expect("dangling", "shelf_sheet", "data", {"page": "ä %", "book": 7}, sheet)
        [(key,)] = sql("insert into shelf_version (data) values (%s), ('not a file') returning id", version)[:1]
        self.expect("dangling", "shelf_version", "data", key, version)
        [(key,)] = sql("insert into shelf_scan (scan) values (%s) returning id", scan)
        self.expect("dangling", "public.shelf_scan", "scan", key, scan)

    def _plant_strangers(self) -> None:
        """Make what nothing is wrong with, or nobody's but a stranger's."""
        rows = self.files(4)
        self._delete(rows)
        listed, scanned, pictured, photographed = (oid for _, oid in rows)
        sql("insert into shelf_version (data) values (%s)", f"{listed}.txt")
        sql("insert into shelf_scan (scan) values (%s)", f"{scanned}.txt")
        sql("insert into shelf_picture (image) values (%s)", pictured)
        sql("insert into shelf_photo (photo) values (%s)", photographed)
        sql(f"select lo_from_bytea(0, 'ours, and no file') from generate_series(1, {self.each})")
        run(self.superuser, f"select lo_from_bytea(0, 'a stranger''s') from generate_series(1, {self.each})")
        # Two rows share a file, which is no fault.
        sql(f"insert into {BOOK} ({DATA}, cover) select {DATA}, {DATA} from {BOOK} where id = %s", self._rows[0][0])

    def _delete(self, rows: Sequence[tuple[int, int]], *, by_name: bool = False) -> None:
        condition = f"split_part({DATA}, '.', 1) = any(%s)" if by_name else "id = any(%s)"
        values: list[Any] = [str(oid) for _, oid in rows] if by_name else [key for key, _ in rows]
        sql(f"delete from {BOOK} where {condition}", values)

    def _change(self, change: str, rows: Sequence[tuple[int, int]]) -> None:
        sql(f"update pg_lo_storage_file set {change} where loid = any(%s::oid[])", [oid for _, oid in rows])

    def _give(self, oids: Sequence[int]) -> None:
        for oid in oids:
            cursor = self.superuser.cursor()
            cursor.execute(f"alter large object {oid} owner to stranger")
            cursor.close()


Row = dict[str, Any]


class State(NamedTuple):
    """All that a database has: the rows of each table, and the owner and digest of each object."""

    tables: dict[str, list[Row]]
    objects: dict[int, tuple[str, str]]

    def rounded(self, before: "State") -> "State":
        """Return it without the times at which entries were made, or changed, since then."""
        times = {row["loid"]: row["created_at"] for row in before.tables[CATALOGUE]}
        entries: list[Row] = [
            row | {"modified_at": None, "created_at": times.get(row["loid"])} for row in self.tables[CATALOGUE]
        ]
        entries.sort(key=lambda row: int(row["loid"]))
        return State(self.tables | {CATALOGUE: entries}, self.objects)


def state(superuser: RawConnection, tables: Sequence[str] = (*TABLES, *_MORE)) -> State:
    """Return the state as the superuser sees it."""
    rows: dict[str, list[Row]] = {}
    for table in tables:
        quoted = ".".join(f'"{part}"' for part in table.split("."))
        texts = sorted(text for (text,) in run(superuser, f"select row_to_json(t)::text from {quoted} as t"))
        rows[table] = [json.loads(text) for text in texts]
    query = (
        "select oid::int8, pg_get_userbyid(lomowner)::text, encode(sha256(lo_get(oid)), 'hex')"
        " from pg_largeobject_metadata"
    )
    return State(rows, {oid: (owner, digest) for oid, owner, digest in run(superuser, query)})
