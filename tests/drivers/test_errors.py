"""What the server refuses, as the package's errors or, where none fits, as the driver's own."""

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import LiteralString

import pytest

from pg_lo_storage.drivers import LargeObject, LargeObjectDriver, SQLDriver, get_driver, queries
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.exceptions import (
    LargeObjectError,
    LargeObjectPermissionDenied,
    LargeObjectReadOnly,
    LargeObjectTooLarge,
)
from tests.drivers.support import (
    READ,
    WRITE,
    content,
    driver_error,
    execute,
    is_aborted,
    opened,
    server_version,
    waiting_for_a_lock,
)
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.proxy import Wire

Call = Callable[[LargeObjectDriver, int], object]

READS: dict[str, Call] = {
    "open": lambda driver, oid: driver.open(oid, READ),
    "size": lambda driver, oid: driver.size(oid),
    "get": lambda driver, oid: driver.get(oid, 0, 10),
}
WRITES: dict[str, Call] = {
    "open to write": lambda driver, oid: driver.open(oid, WRITE),
    "put": lambda driver, oid: driver.put(oid, 0, b"data"),
    "unlink": lambda driver, oid: driver.unlink(oid),
}
CREATES: dict[str, Call] = {
    "create": lambda driver, _: driver.create(),
    "create with an oid": lambda driver, _: driver.create(4_000_000_000),
    "from_bytes": lambda driver, _: driver.from_bytes(b"data"),
}


@pytest.fixture
def owner(connect: Connect) -> RawConnection:
    """The connection, in autocommit, of the role that owns the objects."""
    return connect(autocommit=True)


@pytest.fixture
def oid(owner: RawConnection) -> int:
    return get_driver(owner).from_bytes(b"content")


@pytest.fixture
def stranger(connect: Connect) -> RawConnection:
    """The connection of a role that has no right to anything."""
    return connect(user="stranger")


@pytest.mark.parametrize("call", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
def test_another_role_may_neither_read_nor_write(stranger: RawConnection, oid: int, call: Call) -> None:
    with pytest.raises(LargeObjectPermissionDenied, match=str(oid)) as caught:
        call(get_driver(stranger), oid)
    assert isinstance(caught.value, PermissionError)
    assert (caught.value.oid, caught.value.errno) == (oid, errno.EACCES)
    assert isinstance(caught.value.__cause__, driver_error(stranger))


@pytest.mark.parametrize("call", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
def test_what_the_error_of_a_missing_right_advises_helps(
    owner: RawConnection, stranger: RawConnection, connect: Connect, oid: int, call: Call
) -> None:
    unlinks = call is WRITES["unlink"]
    with pytest.raises(LargeObjectPermissionDenied) as caught:
        call(get_driver(stranger), oid)
    stranger.rollback()
    advice = str(caught.value)
    assert (f"ALTER LARGE OBJECT {oid} OWNER TO" in advice) is unlinks
    assert (f"GRANT SELECT, UPDATE ON LARGE OBJECT {oid} TO" in advice) is not unlinks
    if unlinks:
        execute(connect(user="postgres", autocommit=True), f"alter large object {oid} owner to stranger")
    else:
        execute(owner, f"grant select, update on large object {oid} to stranger")
    call(get_driver(stranger), oid)


@pytest.mark.parametrize("call", [*READS.values(), *WRITES.values()], ids=[*READS, *WRITES])
def test_with_lo_compat_privileges_another_role_may_read_write_and_unlink(
    connect: Connect, oid: int, call: Call
) -> None:
    superuser = connect(user="postgres", autocommit=True)
    execute(superuser, "alter role stranger set lo_compat_privileges = on")
    try:
        call(get_driver(connect(user="stranger")), oid)
    finally:
        execute(superuser, "alter role stranger reset lo_compat_privileges")


def test_a_right_that_is_missing_for_something_else_is_told_as_the_server_tells_it(
    stranger: RawConnection, owner: RawConnection, oid: int
) -> None:
    execute(owner, f"grant select on large object {oid} to stranger")
    execute(owner, "create table private_names (loid oid)")
    try:
        query: LiteralString = "select lo_unlink(loid) from private_names where loid = %s::oid"
        driver = get_driver(stranger)
        assert isinstance(driver, SQLDriver)
        with pytest.raises(LargeObjectPermissionDenied, match="table private_names") as caught:
            driver.perform(Statement(query, (oid,), len, oid, writing=True))
        assert caught.value.oid == oid
        assert "GRANT" not in str(caught.value)
    finally:
        stranger.rollback()
        execute(owner, "drop table private_names")


def test_any_role_may_ask_whether_an_object_exists(stranger: RawConnection, oid: int) -> None:
    assert get_driver(stranger).exists(oid)


def test_the_right_to_read_is_not_the_right_to_write(owner: RawConnection, stranger: RawConnection, oid: int) -> None:
    execute(owner, f"grant select on large object {oid} to stranger")
    driver = get_driver(stranger)
    assert driver.open(oid, READ).read(100) == content(driver, oid) == b"content"
    stranger.commit()
    for call in WRITES.values():
        with pytest.raises(LargeObjectPermissionDenied):
            call(driver, oid)
        stranger.rollback()


def test_a_granted_role_may_write_but_not_unlink(owner: RawConnection, stranger: RawConnection, oid: int) -> None:
    execute(owner, f"grant select, update on large object {oid} to stranger")
    driver = get_driver(stranger)
    driver.put(oid, 0, b"CON")
    descriptor = driver.open(oid, WRITE)
    descriptor.seek(3)
    descriptor.write(b"TENT")
    stranger.commit()
    assert content(get_driver(owner), oid) == b"CONTENT"
    with pytest.raises(LargeObjectPermissionDenied):
        driver.unlink(oid)


@pytest.mark.parametrize("call", [*WRITES.values(), *CREATES.values()], ids=[*WRITES, *CREATES])
def test_a_read_only_transaction_refuses_writes_since_postgresql_16(
    connection: RawConnection, oid: int, call: Call
) -> None:
    refused: AbstractContextManager[pytest.ExceptionInfo[LargeObjectReadOnly] | None]
    # Before 16 the server lets large objects be written whatever the transaction says.
    refused = pytest.raises(LargeObjectReadOnly) if server_version(connection) >= 16 else nullcontext()
    connection.rollback()
    execute(connection, "set transaction read only")
    with refused as caught:
        call(get_driver(connection), oid)
    if caught is not None:
        assert caught.value.errno == errno.EROFS
        assert isinstance(caught.value.__cause__, driver_error(connection))


@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_a_read_only_transaction_reads(connection: RawConnection, oid: int, call: Call) -> None:
    execute(connection, "set transaction read only")
    call(get_driver(connection), oid)
    assert not is_aborted(connection)


BEYOND_THE_LIMIT: dict[str, Callable[[LargeObject], object]] = {
    "from the end": lambda descriptor: descriptor.seek(1, 2),
    "from the position": lambda descriptor: (descriptor.seek(0, 2), descriptor.seek(1, 1)),
}


@pytest.mark.parametrize("move", BEYOND_THE_LIMIT.values(), ids=BEYOND_THE_LIMIT)
def test_a_move_beyond_the_limit_is_too_large(
    driver: LargeObjectDriver, connection: RawConnection, move: Callable[[LargeObject], object]
) -> None:
    descriptor = opened(driver, b"")
    descriptor.truncate((2**31 - 1) * 2048)
    with pytest.raises(LargeObjectTooLarge) as caught:
        move(descriptor)
    assert (caught.value.oid, caught.value.errno) == (descriptor.oid, errno.EFBIG)
    assert not is_aborted(connection)


READING = {"get": queries.get(1, 0, 10), "size": queries.size(1), "exists": queries.exists(1)}


@pytest.mark.parametrize("statement", READING.values(), ids=READING)
@pytest.mark.parametrize("sqlstate", ["XX000", "23505"])
def test_an_internal_error_while_reading_is_no_conflict(
    driver: LargeObjectDriver, connection: RawConnection, statement: Statement[object], sqlstate: str
) -> None:
    # As a damaged page would have it; only a superuser could damage one.
    body = f"begin raise exception using errcode = '{sqlstate}'; end"
    execute(connection, f"create function pg_temp.damaged() returns text language plpgsql as $$ {body} $$")
    assert isinstance(driver, SQLDriver)
    with pytest.raises(driver_error(connection)) as caught:
        driver.perform(replace(statement, query="select pg_temp.damaged()", params=()))
    assert not isinstance(caught.value, LargeObjectError)


BLOCKED: dict[str, Call] = {
    "put": lambda driver, oid: driver.put(oid, 0, b"data"),
    "write": lambda driver, oid: driver.open(oid, WRITE).write(b"data"),
    "truncate": lambda driver, oid: driver.open(oid, WRITE).truncate(1),
    "unlink": lambda driver, oid: driver.unlink(oid),
}


@pytest.mark.parametrize("call", BLOCKED.values(), ids=BLOCKED)
def test_a_statement_timeout_is_the_drivers_own_error(
    connection: RawConnection, connect: Connect, oid: int, call: Call
) -> None:
    # It waits for this until its time is over.
    get_driver(connect()).unlink(oid)
    execute(connection, "set local statement_timeout = '300ms'")
    with pytest.raises(driver_error(connection)) as caught:
        call(get_driver(connection), oid)
    assert not isinstance(caught.value, LargeObjectError)
    connection.rollback()
    assert get_driver(connection).exists(oid)


def test_a_cancelled_call_is_the_drivers_own_error(
    connection: RawConnection, connect: Connect, owner: RawConnection, oid: int
) -> None:
    get_driver(connect()).unlink(oid)
    driver = get_driver(connection)
    with waiting_for_a_lock(connection, owner, lambda: driver.unlink(oid)) as unlinking:
        [(pid,)] = run(owner, "select pid from pg_locks where not granted")
        run(owner, "select pg_cancel_backend(%s)", [pid])
        error = unlinking.exception()
    assert isinstance(error, driver_error(connection))
    assert not isinstance(error, LargeObjectError)


USES: dict[str, Callable[[LargeObjectDriver, LargeObject], object]] = {
    "read": lambda _, descriptor: descriptor.read(10),
    "write": lambda _, descriptor: descriptor.write(b"data"),
    "seek": lambda _, descriptor: descriptor.seek(1),
    "get": lambda driver, descriptor: driver.get(descriptor.oid, 0, 10),
    "unlink": lambda driver, descriptor: driver.unlink(descriptor.oid),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_lost_connection_is_the_drivers_own_error(
    connect: Connect, wire: Wire, oid: int, use: Callable[[LargeObjectDriver, LargeObject], object]
) -> None:
    connection = connect(dsn=wire.dsn)
    driver = get_driver(connection)
    descriptor = driver.open(oid, WRITE)
    wire.drop()
    with pytest.raises(driver_error(connection)) as caught:
        use(driver, descriptor)
    assert not isinstance(caught.value, LargeObjectError)
    assert not driver.in_transaction
    descriptor.close()
