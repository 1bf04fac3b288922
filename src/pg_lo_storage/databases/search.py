"""Searches columns for the names of objects: in SQL, and only where that runs nobody's code but PostgreSQL's own."""

import logging
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Final, NamedTuple, TypeAlias, cast

from django.db import Error, connections

from pg_lo_storage.databases.atomic_blocks import apart
from pg_lo_storage.databases.columns import ExistingColumn, FileColumn, ask, existing_columns
from pg_lo_storage.databases.identity import is_same_database
from pg_lo_storage.databases.names_in_sql import FINDINGS, naming

__all__ = [
    "CLAIM_LOCK",
    "CLAIM_LOCKS",
    "Besides",
    "Cell",
    "Searched",
    "is_forbidden",
    "named_elsewhere",
    "named_on",
    "names_on",
]

logger: Final = logging.getLogger("pg_lo_storage")


CLAIM_LOCK: Final = 0x706C6F75
"""The first key of the advisory locks that a row's transaction has on files of another database: any number."""

CLAIM_LOCKS: Final = 1024
"""How many such locks there are; an object's is its oid's remainder."""

_CLAIMED: Final = (
    "array(select l.objid::int8 from pg_locks as l where l.locktype = 'advisory' and l.objsubid = 2::int2"  # noqa: S608 -- of constants
    f" and l.classid = {CLAIM_LOCK}::oid and coalesce(l.pid <> pg_backend_pid(), true)"
    " and l.database = (select oid from pg_database where datname = current_database()))"
)


class Cell(NamedTuple):
    """One row's value in a column; ``key`` has the row's primary key, by column, with the database's values."""

    column: FileColumn
    key: dict[str, object]


Besides: TypeAlias = Cell | Mapping[int, int] | None
"""What does not count: a row's value in a column, or so many rows of each object."""


class Searched:
    """The tables' columns that one search has come to, on any alias; the files are on ``files``."""

    def __init__(self, files: str) -> None:
        self.files = files
        self._columns: defaultdict[str, set[tuple[int, str]]] = defaultdict(set)

    def take(self, alias: str, columns: list[ExistingColumn]) -> list[ExistingColumn]:
        """Return those columns on ``alias`` that the search has not come to by another alias of the database.

        Over another connection rows would still be seen that this transaction has deleted.
        """
        named = {(int(found.more[0]), found.column.column): found for found in columns}
        for other, columns_there in self._columns.items():
            # Most databases have no table of the same oid: they need not be asked which they are.
            if (both := columns_there & named.keys()) and is_same_database(alias, other):
                named = {key: found for key, found in named.items() if key not in both}
        self._columns[alias] |= named.keys()
        return list(named.values())


def named_on(
    alias: str,
    wanted: list[FileColumn],
    oids: Collection[int],
    besides: Besides = None,
    searched: Searched | None = None,
) -> set[int]:
    """Return those objects that rows on ``alias`` name, or may name, in those columns that were not searched yet.

    Rows on a replica are those of its primary, as they were a while ago: they do not count.
    """
    if connections[alias].vendor != "postgresql":
        logger.warning("kept large objects %s: %s is not PostgreSQL, and rows there may name them", sorted(oids), alias)
        return set(oids)
    # Before the rows are looked for: those that are committed in between the next statement shows.
    claimed_there = _CLAIMED if searched and searched.files != alias else "null"
    found_there = existing_columns(
        alias, wanted, "r.oid::int8", claimed_there, "pg_is_in_recovery()", in_all_schemas=True
    )
    columns = [found for found in found_there if not found.more[2]]
    claimed = _claimed(columns, oids)
    if searched is not None:
        columns = searched.take(alias, columns)
    for reason, some in (
        ("row-level security may hide rows of", [found.column for found in columns if found.hides_rows]),
        (
            "to read this is not safe, since it is no plain table's column of text or numbers:",
            [found.column for found in columns if not found.is_readable],
        ),
    ):
        if some:
            logger.warning("kept large objects %s: %s %s", sorted(oids), reason, sorted(map(str, some)))
            return set(oids)
    defaults = {int(oid) for found in columns for oid in found.default_oids}
    going: Mapping[int, int] = besides if isinstance(besides, Mapping) else {}
    cell = besides if isinstance(besides, Cell) else None
    counts = _count(alias, columns, oids, cell, most=max(going.values(), default=0) + 1)
    named = {oid for oid, count in counts.items() if count > going.get(oid, 0)}
    return (named | defaults | claimed) & set(oids)


def named_elsewhere(alias: str, wanted: list[FileColumn], oids: Collection[int], searched: Searched) -> set[int]:
    """Return those objects of another database that rows on ``alias`` name, or may name, if there are such rows."""
    connection = connections[alias]
    try:
        with apart(alias):
            if connection.vendor != "postgresql":
                tables = connection.introspection.table_names()
                wanted = [column for column in wanted if column.table in tables]
            return named_on(alias, wanted, oids, searched=searched) if wanted else set()
    except (Error, AssertionError) as error:
        if is_forbidden(error):
            return set()
        logger.exception("kept large objects %s: rows on %r may name them, and it does not answer", sorted(oids), alias)
        return set(oids)


def _claimed(columns: list[ExistingColumn], oids: Collection[int]) -> set[int]:
    """Return those objects that rows of open transactions may come to name."""
    locked = set(cast("list[int]", columns[0].more[1] or [])) if columns else set[int]()
    return {oid for oid in oids if oid % CLAIM_LOCKS in locked}


def is_forbidden(error: Exception) -> bool:
    """Tell whether it is how Django's test cases refuse databases that they do not declare."""
    test_cases = sys.modules.get("django.test.testcases")
    return test_cases is not None and isinstance(error, test_cases.DatabaseOperationForbidden)


def names_on(alias: str, wanted: list[FileColumn], oid: int) -> set[str]:
    """Return the names of the object in those rows on ``alias`` that the role may see."""
    quote = connections[alias].ops.quote_name
    selects: list[str] = []
    params: list[object] = []
    for found in existing_columns(alias, wanted):
        if found.may_read and found.is_readable:
            name = found.text(alias)
            condition, values = naming(name, [oid])
            selects.append(f"select {name} from {quote(found.column.table)} where {condition}")  # noqa: S608 -- quoted
            params += values
    return {name for (name,) in ask(alias, " union ".join(selects), *params)} if selects else set()


def _count(
    alias: str, columns: list[ExistingColumn], oids: Collection[int], besides: Cell | None, *, most: int
) -> dict[int, int]:
    """Return how many rows name each object; more than ``most`` need not be counted."""
    if not columns:
        return {}
    quote = connections[alias].ops.quote_name
    selects: list[str] = []
    params: list[object] = []
    for found in columns:
        condition, values = "true", list[object]()
        if besides and besides.column == found.column:
            # array_position() finds the equality of the key's type in any schema; a qualified operator would not.
            others = (f"array_position(array[{quote(part)}], %s) is null" for part in besides.key)
            condition, values = f"({' or '.join(others)})", list(besides.key.values())
        select = FINDINGS[found.finding].format(
            table=quote(found.column.table),
            column=quote(found.column.column),
            collation=' collate pg_catalog."C"' if found.collates_loosely else "",
            oids="%s::text[]",
            condition=condition,
            most=most,
        )
        selects.append(select)
        params += [list(map(str, oids)), *values]
    named = " union all ".join(selects)
    counts = ask(alias, f"select stem, count(*) from ({named}) as named (stem) group by stem", *params)  # noqa: S608 -- of constants
    return {int(stem): int(count) for stem, count in counts if stem.isdecimal()}
