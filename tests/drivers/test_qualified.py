"""How the names in the package's SQL are qualified."""

from typing import LiteralString

import pytest

from pg_lo_storage.drivers.qualified import qualified

QUERIES: dict[LiteralString, LiteralString] = {
    "select lo_get(oid, 0, %s::int4)": "select pg_catalog.lo_get(oid, 0, %s::pg_catalog.int4)",
    "select a - (b * 2)": "select a operator(pg_catalog.-) (b operator(pg_catalog.*) 2)",
    "where a = any(%s::text::oid[])": "where a operator(pg_catalog.=) any(%s::pg_catalog.text::pg_catalog.oid[])",
    "where a like ('%%-' || b)": "where a operator(pg_catalog.~~) ('%%-' operator(pg_catalog.||) b)",
    "from pg_roles, pg_lo_storage_file": "from pg_catalog.pg_roles, pg_lo_storage_file",
    "select coalesce(greatest(a, 1), 2)": "select coalesce(greatest(a, 1), 2)",
    "update t set a = null, b = now() where a = 1": (
        "update t set a = null, b = pg_catalog.now() where a operator(pg_catalog.=) 1"
    ),
    "select 'a = now()', \"b = now()\"": "select 'a = now()', \"b = now()\"",
    "select pg_temp.mine(1), count(*)": "select pg_temp.mine(1), pg_catalog.count(*)",
    "with a as materialized (select 1)": "with a as materialized (select 1)",
}


@pytest.mark.parametrize(("query", "sent"), QUERIES.items())
def test_functions_operators_and_types_are_qualified_once(query: LiteralString, sent: LiteralString) -> None:
    assert qualified(query) == sent
    assert qualified(sent) == sent
