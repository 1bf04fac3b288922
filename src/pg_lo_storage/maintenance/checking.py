"""What is amiss between rows, catalogue and objects of one database, found and not changed.

The server compares in one pass, and sends what is amiss alone, through a server-side cursor. Names of rows on other
databases are asked for in batches.
"""

from collections.abc import Collection, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final, NamedTuple, cast

from django.db import connections

from pg_lo_storage import catalogue
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.columns import ask, has_catalogue
from pg_lo_storage.databases.references import referenced
from pg_lo_storage.drivers.qualified import qualified
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.maintenance.findings import KINDS, Finding, Kind
from pg_lo_storage.maintenance.passes import GIVEN, compare, entries_without_object, missized, names_of, sized
from pg_lo_storage.maintenance.schemas import other_catalogues
from pg_lo_storage.maintenance.sources import Source, Sources, find_sources
from pg_lo_storage.storage import elsewhere

__all__ = ["BATCH", "Check"]

BATCH: Final = 1_000
"""How many rows are fetched at a time."""


class _Row(NamedTuple):
    """A row of :func:`.compare`."""

    kind: Kind | None
    is_alien: bool
    is_shared: bool
    n: int | None
    key: Sequence[str]
    name: str
    oid: int | None
    entry: str
    owner: str
    may_read: bool
    places: str
    since: int | None


class Check:
    """Looks through the files of one database; ``unknown`` says what could not be found out, and why."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.sources: Sources = find_sources(alias)
        self.has_catalogue: bool = catalogue.is_installed() and has_catalogue(alias)
        self.unknown: list[str] = []
        if not self.has_catalogue:
            self.unknown.append(
                f"{alias}: there is no catalogue: nothing tells files that no row names from other applications'"
                " objects, and sizes and digests are not known"
            )
        if self.sources.unread:
            self.unknown.append(
                f"{alias}: files that no row names cannot be told, since rows may be missed:"
                f" {'; '.join(self.sources.unread)}"
            )

    def counts(self) -> tuple[int, int]:
        """Return how many objects and how many entries the database has."""
        entries = "(select count(*) from pg_lo_storage_file)" if self.has_catalogue else "0"
        [(objects, files)] = ask(self.alias, f"select (select count(*) from pg_largeobject_metadata), {entries}")  # noqa: S608
        return int(objects), int(files)

    def findings(self, *kinds: Kind) -> Generator[Finding]:
        """Yield what is amiss, by default of any kind but ``digest``, which :mod:`.digests` finds."""
        wanted = set(kinds or KINDS)
        if not wanted.issubset({"entry", "size", "digest"}):
            for found in (
                self._compared(),
                *(self._compared_elsewhere(*item) for item in self.sources.elsewhere.items()),
            ):
                yield from (finding for finding in found if finding.kind in wanted)
        if self.has_catalogue and "entry" in wanted:
            yield from self._entries()
        if self.has_catalogue and "size" in wanted:
            yield from self._sizes()

    def _compared(self) -> Generator[Finding]:
        sources = self.sources.here
        query = compare(sources, names_of(sources), self._elsewhere(), has_catalogue=self.has_catalogue, whole=True)
        unnamed: list[Finding] = []
        with closing(stream(self.alias, query)) as rows:
            for row in rows:
                for finding in self._found(sources, _Row._make(row)):
                    if finding.kind != "orphan":
                        yield finding
                    elif not self.sources.unread:
                        unnamed.append(finding)
                if len(unnamed) >= BATCH:
                    yield from self._orphans(unnamed)
                    unnamed = []
        yield from self._orphans(unnamed)

    def _compared_elsewhere(self, alias: str, sources: Sequence[Source]) -> Generator[Finding]:
        elsewhere = self._elsewhere().replace("%", "%%")
        query = compare(sources, GIVEN, elsewhere, has_catalogue=self.has_catalogue, whole=False)
        with closing(stream(alias, names_of(sources))) as rows:
            while batch := list(islice(rows, BATCH)):
                given = [row[0] for row in batch], list(range(len(batch))), [row[2] for row in batch]
                for row in map(_Row._make, ask(self.alias, query, *given)):
                    yield from self._found(sources, row._replace(key=batch[int(row.key[0])][1]))

    def _found(self, sources: Sequence[Source], row: "_Row") -> Generator[Finding]:
        """Yield the findings of a row of the comparison."""
        if row.n is None:
            found = Finding("orphan", self.alias, row.entry, row.oid, key=(("loid", str(row.oid)),))
        else:
            source = sources[row.n]
            # Its file is where it was: no object is meant, whatever oid the name begins with.
            if source.legacies and (
                row.kind == "name" or any(elsewhere.exists(old, row.name) for old in source.legacies)
            ):
                return
            columns = [column for column, _ in source.key] or ["ctid"]
            key = tuple(zip(columns, row.key, strict=True))
            found = Finding("name", source.alias, row.name, row.oid, source.shown, source.column, key)
            found = replace(found, may_be_old=bool(source.legacies))
        if row.kind == "extension":
            yield replace(found, kind=row.kind, detail=f"is {row.entry!r} in the catalogue")
        elif row.kind == "orphan" and row.since is not None:
            since = datetime.fromtimestamp(row.since / 1_000_000, UTC)
            yield replace(found, since=since, detail=f"was last changed at {since:%Y-%m-%d %H:%M:%S} UTC")
        elif row.kind is not None:
            yield replace(found, kind=row.kind)
        if row.is_alien:
            detail = f"is the role {row.owner!r}'s: it cannot be unlinked{'' if row.may_read else ', nor read'}"
            yield replace(found, kind="role", detail=detail)
        if row.is_shared:
            yield replace(found, kind="shared", detail=f"is in {row.places}, too")

    def _orphans(self, unnamed: Sequence[Finding]) -> Generator[Finding]:
        """Yield those that no row on another database names, and no default."""
        kept = referenced(self.alias, {finding.oid for finding in unnamed if finding.oid is not None})
        yield from (finding for finding in unnamed if finding.oid not in kept)

    def _entries(self) -> Generator[Finding]:
        with closing(stream(self.alias, entries_without_object())) as rows:
            for oid, name in rows:
                yield Finding("entry", self.alias, name, oid, key=(("loid", str(oid)),))

    def _sizes(self) -> Generator[Finding]:
        for oid, name, size, measured in self.sizes():
            detail = f"has {measured} bytes, and {size} in the catalogue"
            yield Finding("size", self.alias, name, oid, key=(("loid", str(oid)),), detail=detail)

    def sizes(self, oids: Collection[int] | None = None) -> Generator[tuple[int, str, int, int]]:
        """Yield the files, of these objects or all, of another size than their entry says: oid, name, both sizes."""
        database = DatabaseDriver(self.alias)
        if database.sql is not None:
            with closing(stream(self.alias, missized(oids))) as rows:
                yield from cast("Generator[tuple[int, str, int, int]]", rows)
            return
        # What such a driver stores may be other bytes than the file's.
        with closing(stream(self.alias, sized(oids))) as rows:
            for oid, name, size in rows:
                with suppress(LargeObjectNotFound):
                    if (measured := database.size(int(oid))) != size:
                        yield int(oid), name, size, measured

    def _elsewhere(self) -> str:
        """Return a query for the objects that other schemas have, and where."""
        selects = [
            f"select loid, {_literal(name)} from {name}"  # noqa: S608 -- quoted by the server
            for name, is_open in (other_catalogues(self.alias) if self.has_catalogue else [])
            if is_open
        ]
        twins = [source for source in self.sources.here if source.use == "twin"]
        if twins:
            places = "array[" + ", ".join(_literal(str(twin)) for twin in twins) + "]"
            named = names_of(twins)
            selects.append(
                f"select loid, ({places})[n + 1] from ({named}) as t (n, key, name, loid)"  # noqa: S608 -- quoted
                " where loid is not null"
            )
        return " union all ".join(selects) or "select null::oid, null::text where false"


def stream(alias: str, query: str) -> Generator[tuple[Any, ...]]:
    """Yield the rows of a query without parameters, and hold few of them in memory."""
    connection = connections[alias]
    # A cursor outside a transaction survives those that mend what it finds. Where a pooler forbids such cursors, what
    # is found is held in memory.
    if connection.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS"):
        yield from ask(alias, query)
        return
    with connection.chunked_cursor() as cursor:
        cursor.execute(qualified(query))
        while rows := cursor.fetchmany(BATCH):
            yield from rows


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
