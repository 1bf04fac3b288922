"""The driver's own SQL, which lets a statement carry more than the object."""

from typing import LiteralString, cast

import pytest
from typing_extensions import Buffer

from pg_lo_storage.drivers import LargeObjectDriver, SQLExecutor
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectError
from tests.drivers.support import ALL_BYTES, driver_error
from tests.fixtures.connections import RawConnection


@pytest.fixture
def sql(driver: LargeObjectDriver) -> SQLExecutor:
    assert driver.sql is not None
    return driver.sql


def test_it_returns_all_rows_as_tuples(sql: SQLExecutor) -> None:
    assert sql.execute("select n, n > 1 from generate_series(1, 3) as n") == [
        (1, False),
        (2, True),
        (3, True),
    ]
    assert sql.execute("select 1 where false") == []


def test_it_takes_parameters(sql: SQLExecutor) -> None:
    params = (2**40, "text with ' and %s", None, True)
    query: LiteralString = "select %s::int8, %s::text, %s::text, %s::bool"
    assert sql.execute(query, params) == [params]
    assert sql.execute(query, list(params)) == [params]


def test_a_per_cent_sign_is_doubled_whether_there_are_parameters_or_not(sql: SQLExecutor) -> None:
    assert sql.execute("select 7 %% %s::int4", (4,)) == [(3,)]
    assert sql.execute("select 7 %% 4") == [(3,)]


@pytest.mark.parametrize(
    "value",
    [ALL_BYTES, memoryview(ALL_BYTES), bytearray(ALL_BYTES), b""],
    ids=lambda value: type(value).__name__,
)
def test_bytes_go_and_come_unchanged(sql: SQLExecutor, value: Buffer) -> None:
    [(returned, length)] = sql.execute("select %s::bytea, octet_length(%s::bytea)", (value, value))
    assert isinstance(returned, Buffer)
    assert bytes(returned) == bytes(value)
    assert length == len(bytes(value))


HOSTILE = "a'b\"c\\'d%s%%\n--$1 /* ;"
SESSIONS: dict[str, LiteralString] = {
    "as it comes": "select 1",
    "latin1": "set client_encoding = latin1",
    "backslashes escape": "set standard_conforming_strings = off; set escape_string_warning = off",
    "read only": "set default_transaction_read_only = on; commit",
}


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
@pytest.mark.parametrize("columns", [(), (bytes, bytes, str, str, int, int)], ids=["untold", "told"])
def test_a_row_is_the_same_whether_its_types_are_told_or_not(
    driver: LargeObjectDriver, session: LiteralString, columns: tuple[type[bytes | int | str], ...]
) -> None:
    sql = driver.sql
    assert isinstance(sql, SQLDriver)
    for setting in session.split("; "):
        sql.execute(setting)
    query: LiteralString = "select %s::bytea, ''::bytea, %s::text, %s::text, 7 %% -4, %s::int8 where %s::text = ''"
    params = (memoryview(ALL_BYTES), None, HOSTILE, 2**40, "")
    [(data, empty, *rest)] = sql.perform(Statement(query, params, list, columns=columns))
    assert (bytes(cast("Buffer", data)), bytes(cast("Buffer", empty))) == (ALL_BYTES, b"")
    assert rest == [None, HOSTILE, 3, 2**40]
    assert sql.perform(Statement("select ''::bytea where false", (), list, columns=(bytes,))) == []


def test_a_statement_without_a_result_gives_no_rows(sql: SQLExecutor) -> None:
    assert sql.execute("create temporary table notes (n int)") == []
    assert sql.execute("insert into notes values (%s)", (1,)) == []
    assert sql.execute("select n from notes") == [(1,)]


def test_it_runs_in_the_transaction_of_the_connection(
    sql: SQLExecutor, driver: LargeObjectDriver, connection: RawConnection
) -> None:
    sql.execute("select 1")
    assert driver.in_transaction
    connection.rollback()
    assert not driver.in_transaction


def test_an_object_and_a_row_are_made_in_one_statement(sql: SQLExecutor, driver: LargeObjectDriver) -> None:
    sql.execute("create temporary table files (loid oid, size int)")
    query: LiteralString = (
        "insert into files select lo_from_bytea(0, %s::bytea), octet_length(%s::bytea) returning loid, size"
    )
    [(oid, size)] = sql.execute(query, (ALL_BYTES, ALL_BYTES))
    assert isinstance(oid, int)
    assert driver.get(oid, 0, 1000) == ALL_BYTES
    assert size == 256


def test_errors_are_the_drivers_own(sql: SQLExecutor, connection: RawConnection) -> None:
    sql.execute("create temporary table notes (n int primary key)")
    sql.execute("insert into notes values (1)")
    # Both are conflicts where a large object is written, see test_errors.py.
    for statement in ("insert into notes values (1)", "select lo_unlink(1)"):
        sql.execute("savepoint before")
        with pytest.raises(driver_error(connection)) as caught:
            sql.execute(statement)
        assert not isinstance(caught.value, LargeObjectError)
        sql.execute("rollback to before")


def test_of_several_statements_the_errors_are_those_of_one(driver: LargeObjectDriver) -> None:
    sql = driver.sql
    assert isinstance(sql, SQLDriver)
    missing = Statement("select lo_get(%s::oid)", (12_345,), list, 12_345)
    with pytest.raises(LargeObjectConflict) as caught:
        sql.perform_all([missing])
    assert caught.value.oid == 12_345
