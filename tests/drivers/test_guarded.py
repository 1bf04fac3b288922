"""What the statements on a descriptor say, and how a transaction is begun; without a database."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, LiteralString, cast

import pytest

from pg_lo_storage.drivers import MAX_SIZE
from pg_lo_storage.drivers.base import LargeObjectDriver
from pg_lo_storage.drivers.guarded import GuardedDescriptor
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.drivers.transactions import begins_by_itself, cannot_begin, transaction
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.exceptions import (
    LargeObjectConflict,
    LargeObjectTooLarge,
    NoTransactionError,
    StaleLargeObject,
)
from pg_lo_storage.testing import InMemoryConnection, InMemoryDriver, InMemoryServer

pytestmark = pytest.mark.once

GUARD = ("pg_lo_storage.fd2", "token")


# Statements are made when a test asks for them, so that a change of what makes them is seen.
def opened() -> GuardedDescriptor:
    return GuardedDescriptor(12, 258, "token")


@pytest.mark.parametrize(
    ("make", "params", "writing", "rows", "result"),
    [
        (lambda: opened().read(10, 3), (258, 10, 3), False, [(memoryview(b"ab"),), (b"",)], [b"ab", b""]),
        (lambda: opened().read_rows(10, 3), (258, 10, 3), False, [(2,)], 2),
        (lambda: opened().stream(10), (258, BLOCK, 10), False, [(2,)], 2),
        (lambda: opened().stream(MAX_SIZE + 1), (258, BLOCK, MAX_SIZE), False, [(2,)], 2),
        (lambda: opened().write(b"ab"), (258, MAX_SIZE - 2, 258, b"ab"), True, [(2,)], None),
        (lambda: opened().write(memoryview(b"ab"), 3), (258, MAX_SIZE - 5, 258, b"ab"), True, [(2,)], None),
        (lambda: opened().pass_over(5), (258, MAX_SIZE - 5, 258, 5, 131072, 12), True, [(8, 0)], 3),
        (lambda: opened().seek(5, 1), (258, 5, 1), False, [(8,)], 8),
        (lambda: opened().tell(), (258,), False, [(8,)], 8),
        (lambda: opened().truncate(5), (258, 5), True, [(0,)], 0),
        (lambda: opened().close(), (258,), False, [(0,)], True),
    ],
)
def test_a_statement_asks_for_the_token_beside_the_descriptor(
    make: Callable[[], Statement[object]],
    params: tuple[object, ...],
    writing: bool,
    rows: list[tuple[object, ...]],
    result: object,
) -> None:
    statement = make()
    assert statement.params == (*params, *GUARD)
    assert statement.query.count("%s") == len(statement.params)
    assert (statement.oid, statement.writing, statement.descriptor) == (12, writing, True)
    assert statement.result(rows) == result


@pytest.mark.parametrize(
    "make",
    [
        lambda: opened().read(1, 1),
        lambda: opened().write(b"a"),
        lambda: opened().pass_over(1),
        lambda: opened().tell(),
        lambda: opened().truncate(0),
    ],
)
def test_no_row_means_that_it_is_stale(make: Callable[[], Statement[object]]) -> None:
    with pytest.raises(StaleLargeObject) as caught:
        make().result([])
    said = "large object 12 was closed, or opened in a transaction or savepoint that is over: open it again in this one"
    assert (caught.value.oid, caught.value.strerror) == (12, said)


def test_closing_what_is_stale_is_told() -> None:
    assert opened().close().result([]) is False


@pytest.mark.parametrize(("make", "size"), [(lambda: opened().write(b"ab", 3), 5), (lambda: opened().pass_over(7), 7)])
def test_what_has_no_room_is_too_large(make: Callable[[], Statement[object]], size: int) -> None:
    with pytest.raises(LargeObjectTooLarge) as caught:
        make().result([(None, 0)])
    said = f"{size} bytes more exceed what large object 12 can hold, {MAX_SIZE} bytes"
    assert (caught.value.oid, caught.value.strerror) == (12, said)


def test_to_pass_over_what_is_gone_is_a_conflict() -> None:
    with pytest.raises(LargeObjectConflict) as caught:
        opened().pass_over(5).result([(8, None)])
    said = "another session unlinked large object 12 at the same time; try again"
    assert (caught.value.oid, caught.value.strerror) == (12, said)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: opened().truncate(-1), ValueError),
        (lambda: opened().truncate(MAX_SIZE + 1), LargeObjectTooLarge),
        (lambda: opened().read(-1, 1), ValueError),
        (lambda: opened().read_rows((1 << 28) + 1, 1), ValueError),
    ],
)
def test_what_the_server_would_refuse_is_not_sent(call: Callable[[], object], error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_what_is_open_for_reading_says_so() -> None:
    assert str(opened().not_writable()) == "large object 12 is not open for writing"


class OnlySQL:
    """A driver with SQL and no method to begin a transaction."""

    def __init__(self, failing: LiteralString | None = None) -> None:
        self.said = list[LiteralString]()
        self.failing = failing

    @property
    def sql(self) -> "OnlySQL":
        return self

    def execute(self, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        assert not params
        self.said.append(query)
        if query == self.failing:
            raise OSError(query)
        return []


def begun(driver: OnlySQL) -> Any:
    return transaction(cast("LargeObjectDriver", driver))


def test_a_transaction_by_sql_is_committed() -> None:
    driver = OnlySQL()
    with begun(driver):
        assert driver.said == ["begin"]
    assert driver.said == ["begin", "commit"]


@pytest.mark.parametrize("failing", [None, "rollback"])
def test_a_transaction_by_sql_is_rolled_back_and_the_error_raised(failing: LiteralString | None) -> None:
    driver = OnlySQL(failing)
    with pytest.raises(KeyboardInterrupt), begun(driver):
        raise KeyboardInterrupt
    assert driver.said == ["begin", "rollback"]


def test_a_commit_that_fails_is_told() -> None:
    with pytest.raises(OSError, match="commit"), begun(OnlySQL("commit")):
        pass


def test_a_drivers_own_transaction_is_taken_first() -> None:
    connection = InMemoryConnection(InMemoryServer(), autocommit=True)
    driver = InMemoryDriver(connection)
    with transaction(driver):
        assert connection.in_transaction
    assert not connection.in_transaction


def test_where_there_is_neither_it_is_said_what_to_do() -> None:
    driver = SimpleNamespace(sql=None)
    with pytest.raises(NoTransactionError) as caught:
        transaction(cast("LargeObjectDriver", driver))
    said = (
        "this takes a transaction, and SimpleNamespace has neither SQL nor a method transaction() to begin one: turn"
        " the connection's autocommit off, or begin a transaction yourself"
    )
    assert caught.value.strerror == said == cannot_begin(driver).strerror


@pytest.mark.parametrize("autocommit", [False, True])
def test_with_autocommit_off_any_statement_begins(*, autocommit: bool) -> None:
    connection = InMemoryConnection(InMemoryServer(), autocommit=autocommit)
    driver = InMemoryDriver(connection)
    assert begins_by_itself(driver) is not autocommit
    assert connection.in_transaction is not autocommit
    if autocommit:
        connection.begin()
    assert begins_by_itself(driver)
