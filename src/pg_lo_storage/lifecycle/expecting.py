"""Files that a transaction moves from one row to another: triggers are told to keep them meanwhile."""

from collections.abc import Iterable
from typing import Final, LiteralString, cast

from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.names import parse_name

__all__ = ["EXPECTED", "expect", "expect_again"]

EXPECTED: Final = "pg_lo_storage.expected"
"""A setting of the transaction: the oids of such files, with spaces between them.

A trigger that sees a row name a file removes its oid. Anybody may change the setting, but can only have files kept.
"""


def expect(alias: str, names: Iterable[str]) -> str:
    """Have triggers keep these files until a row comes to name them, or the transaction on ``alias`` ends.

    It is for an instance in several tables, whose rows are written one after the other: the first statement may take
    a name from a row that the next one writes. Return what was expected before, for :func:`expect_again`.
    """
    query: LiteralString = (
        "select before, pg_catalog.set_config('pg_lo_storage.expected', pg_catalog.ltrim("
        "before operator(pg_catalog.||) %s::pg_catalog.text), true)"
        " from (select coalesce(pg_catalog.current_setting('pg_lo_storage.expected', true), '') as before"
        " offset 0) as b"
    )
    loids = sorted({loid for name in names if (loid := parse_name(name)) is not None})
    [(before, _)] = DatabaseDriver(alias).run(query, ("".join(f" {loid}" for loid in loids),))
    return cast("str", before)


def expect_again(alias: str, before: str) -> None:
    """Have triggers keep only what they kept before."""
    query: LiteralString = "select pg_catalog.set_config('pg_lo_storage.expected', %s::pg_catalog.text, true)"
    DatabaseDriver(alias).run(query, (before,))
