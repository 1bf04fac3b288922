"""What the statements on objects say, and what their rows mean; without a database."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from pg_lo_storage.drivers import MAX_SIZE, AccessMode
from pg_lo_storage.drivers import queries as q
from pg_lo_storage.drivers.guarded import GuardedDescriptor
from pg_lo_storage.drivers.queries import Rows, Statement
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.exceptions import (
    LargeObjectConflict,
    LargeObjectExists,
    LargeObjectNotFound,
    LargeObjectPermissionDenied,
    LargeObjectTooLarge,
    NoTransactionError,
    StaleLargeObject,
)
from pg_lo_storage.names import MAX_OID

pytestmark = pytest.mark.once


class Said(NamedTuple):
    """What a statement is to say, and an answer with what it means."""

    params: tuple[object, ...]
    oid: int | None
    writing: bool
    rows: Rows
    result: object


# Made when they are asked for, so that a change of what makes them is seen by a test.
STATEMENTS: dict[str, tuple[Callable[[], Statement[object]], Said]] = {
    "create": (lambda: q.create(0), Said((), None, True, [(12,)], 12)),
    "create with an oid": (lambda: q.create(12), Said((12, 12), 12, True, [(12,)], 12)),
    "from_bytes": (lambda: q.from_bytes(b"ab"), Said((b"ab",), None, True, [(12,)], 12)),
    "from_bytes, fast": (lambda: q.from_bytes(b"ab", q.MAKE_FAST), Said((b"ab",), None, True, [(12,)], 12)),
    "exists": (lambda: q.exists(12), Said((12,), 12, False, [(1,)], True)),
    "exists not": (lambda: q.exists(12), Said((12,), 12, False, [], False)),
    "size": (lambda: q.size(12), Said((12,), 12, False, [(7, 0)], 7)),
    "get": (lambda: q.get(12, 5, 10), Said((5, 10, 12), 12, False, [(memoryview(b"ab"),)], b"ab")),
    "put": (lambda: q.put(12, 5, b"ab"), Said((5, b"ab", 12), 12, True, [("",)], None)),
    "put, fast": (lambda: q.put(12, 5, b"ab", is_fast=True), Said((5, b"ab", 12), 12, True, [(0,)], None)),
    "unlink": (lambda: q.unlink(12), Said((12,), 12, True, [(1, 0)], True)),
    "unlink none": (lambda: q.unlink(12), Said((12,), 12, True, [], False)),
    "compress_fast": (q.compress_fast, Said((), None, False, [("pglz", "lz4")], "pglz")),
    "compress_by": (lambda: q.compress_by("pglz"), Said(("pglz",), None, False, [("pglz",)], None)),
    "wait_for_append": (lambda: q.wait_for_append(12), Said((0x706C6F73, 12 - 2**31), 12, False, [("",)], None)),
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_says_what_it_changes(name: str) -> None:
    make, said = STATEMENTS[name]
    statement = make()
    assert (statement.params, statement.oid, statement.writing) == (said.params, said.oid, said.writing)
    assert statement.query.count("%s") == len(said.params)
    assert statement.descriptor is False
    assert tuple(statement.unlinks) == ((12,) if name.startswith("unlink") else ())
    assert statement.result(said.rows) == said.result


@pytest.mark.parametrize("mode", AccessMode)
def test_a_descriptor_is_opened_with_a_token_of_its_own(mode: AccessMode) -> None:
    first, second = q.open_descriptor(12, mode), q.open_descriptor(12, mode)
    (number, token), (_, another) = first.result([(258, "")]), second.result([(258, "")])
    assert (number, token[:11], len(token)) == (258, "0000000012-", 27)
    assert token != another
    is_read, is_written = mode is not AccessMode.WRITE, mode is not AccessMode.READ
    assert first.params == (is_read, BLOCK, is_written, q.WARM_UP, 256, 256, token, mode, 12)
    assert (first.query.count("%s"), first.oid, first.writing) == (9, 12, False)


OF_AN_OBJECT: list[Callable[[], Statement[object]]] = [
    *(STATEMENTS[name][0] for name in ("size", "get", "put", "put, fast")),
    lambda: q.open_descriptor(12, AccessMode.READ),
]


@pytest.mark.parametrize("make", OF_AN_OBJECT)
def test_no_row_means_that_there_is_no_such_object(make: Callable[[], Statement[object]]) -> None:
    with pytest.raises(LargeObjectNotFound) as caught:
        make().result([])
    assert (caught.value.oid, caught.value.strerror) == (12, "large object 12 does not exist")


def test_no_row_of_a_creation_means_that_there_is_one() -> None:
    with pytest.raises(LargeObjectExists) as caught:
        q.create(12).result([])
    assert (caught.value.oid, caught.value.strerror) == (12, "large object 12 exists already")


@pytest.mark.parametrize("name", STATEMENTS)
def test_what_is_fast_leaves_the_setting_as_it_was(name: str) -> None:
    query = STATEMENTS[name][0]().query
    assert query.count("pg_lo_storage.before") == (2 if name.endswith("fast") and "," in name else 0)


def test_what_the_server_says_is_about_the_statement() -> None:
    torn, denied = Exception("tuple concurrently updated"), Exception("permission denied for large object 12")
    assert isinstance(q.translated("XX000", torn, q.put(12, 0, b"")), LargeObjectConflict)
    assert q.translated("XX000", torn, q.get(12, 0, 1)) is None
    for statement, right in ((q.unlink(12), "only its owner"), (q.get(12, 0, 1), "be granted SELECT on it")):
        error = q.translated("42501", denied, statement)
        assert isinstance(error, LargeObjectPermissionDenied)
        assert (error.oid, right in str(error)) == (12, True)
    gone = Statement("select 1", (), bool, 12, descriptor=True)
    assert isinstance(q.translated("42704", Exception(), gone), StaleLargeObject)


@pytest.mark.parametrize(
    "make",
    [
        lambda: q.get(12, MAX_SIZE + 1, 1),
        lambda: q.put(12, MAX_SIZE + 1, b""),
        lambda: q.put(12, MAX_SIZE - 1, b"ab"),
        lambda: GuardedDescriptor(12, 258, "token").truncate(MAX_SIZE + 1),
    ],
)
def test_what_has_no_room_in_the_object_is_not_sent(make: Callable[[], Statement[object]]) -> None:
    with pytest.raises(LargeObjectTooLarge) as caught:
        make()
    assert caught.value.oid == 12


def test_what_fills_the_object_is_sent() -> None:
    assert q.put(12, MAX_SIZE - 2, b"ab").params == (MAX_SIZE - 2, b"ab", 12)


@pytest.mark.parametrize(
    ("oid", "expected"), [(-1, False), (0, False), (1, True), (True, True), (MAX_OID, True), (MAX_OID + 1, False)]
)
def test_which_numbers_are_oids(oid: int, expected: bool) -> None:
    assert q.is_oid(oid) is expected


@pytest.mark.parametrize(("autocommit", "in_transaction"), [(False, False), (False, True), (True, True)])
def test_a_descriptor_may_be_opened_in_a_transaction(autocommit: bool, in_transaction: bool) -> None:
    q.require_transaction(12, autocommit=autocommit, in_transaction=in_transaction)


def test_a_descriptor_needs_a_transaction() -> None:
    with pytest.raises(NoTransactionError) as caught:
        q.require_transaction(12, autocommit=True, in_transaction=False)
    said = (
        "large object 12 is opened outside a transaction: turn autocommit off, or begin a transaction"
        " (in Django, wrap the code in transaction.atomic())"
    )
    assert (caught.value.oid, caught.value.strerror) == (12, said)
