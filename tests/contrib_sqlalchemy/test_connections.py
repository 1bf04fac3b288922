"""Connections and sessions of SQLAlchemy are taken where a connection is; SQLAlchemy knows of their transactions."""

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, InvalidRequestError, OperationalError, PendingRollbackError
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from typing_extensions import Buffer

import pg_lo_storage
from pg_lo_storage.drivers import AccessMode, LargeObjectDriver, SQLDriver, get_driver, register_driver, registry
from pg_lo_storage.exceptions import DriverNotFound, LargeObjectNotFound, NoTransactionError, StaleLargeObject
from pg_lo_storage.io import LargeObjectIO
from tests.contrib_sqlalchemy.support import LARGE, Target, is_committed

TARGETS: dict[str, Callable[[Engine], Target]] = {
    "Connection": Engine.connect,
    "Session": Session,
    "scoped_session": lambda engine: scoped_session(sessionmaker(engine)),
}


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest, engine: Engine) -> Iterator[Target]:
    """A connection or a session, of each kind."""
    target: Target = TARGETS[request.param](engine)
    yield target
    target.close()


def execute(target: Target, query: str) -> Any:
    return target.execute(text(query))


@pytest.mark.parametrize("content", [b"content", LARGE], ids=["small", "large"])
def test_sqlalchemy_commits_and_rolls_back_what_is_saved(target: Target, engine: Engine, content: bytes) -> None:
    oid = pg_lo_storage.save(target, content)
    assert not is_committed(engine, oid)
    target.commit()
    assert is_committed(engine, oid)
    assert pg_lo_storage.load(target, oid) == content
    second = pg_lo_storage.copy(target, oid)
    target.rollback()
    assert not is_committed(engine, second)


def test_every_function_takes_it(target: Target, tmp_path: Path) -> None:
    source, copied = tmp_path / "source", tmp_path / "copied"
    source.write_bytes(LARGE)
    oid = pg_lo_storage.lo_import(target, source)
    assert pg_lo_storage.lo_export(target, pg_lo_storage.copy(target, oid), copied) == len(LARGE)
    assert copied.read_bytes() == LARGE
    with pg_lo_storage.open(target, oid) as file, LargeObjectIO(get_driver(target), oid, "rb+") as same:
        same.write(b"changed")
        assert file.read(7) == LARGE[:7]
        assert same.read(3) == LARGE[7:10]


def test_a_copy_stays_in_the_server(target: Target) -> None:
    driver = get_driver(target)
    assert isinstance(driver.sql, SQLDriver)


def test_the_sql_of_a_driver_is_one_itself(target: Target, engine: Engine) -> None:
    sql = get_driver(target).sql
    assert isinstance(sql, SQLDriver)
    oid = sql.create()
    with contextlib.closing(sql.open(oid, AccessMode.READ_WRITE)) as descriptor:
        assert descriptor.write_all([LARGE, LARGE]) == 2 * len(LARGE)
        second = io.BytesIO()
        assert descriptor.seek(len(LARGE)) == len(LARGE)
        assert descriptor.stream(2 * len(LARGE), second.write) == len(LARGE)
        assert second.getvalue() == LARGE
    both = io.BytesIO()
    assert sql.stream(oid, 0, 3 * len(LARGE), both.write, 65_536) == 2 * len(LARGE)
    assert both.getvalue() == 2 * LARGE
    with pytest.raises(DBAPIError) as caught:
        sql.execute("select 1/0")
    assert sql.sqlstate(caught.value) == "22012"
    target.rollback()
    assert not is_committed(engine, oid)


def test_statements_and_objects_are_of_one_transaction(target: Target, engine: Engine) -> None:
    execute(target, "create temporary table paper (data oid)")
    oid = pg_lo_storage.save(target, b"content")
    execute(target, f"insert into paper values ({oid})")
    target.rollback()
    assert not is_committed(engine, oid)
    assert pg_lo_storage.save(target, b"another") != 0


def test_a_savepoint_that_is_rolled_back_takes_its_objects_along(target: Target) -> None:
    kept = pg_lo_storage.save(target, b"kept")
    outer = pg_lo_storage.open(target, kept)
    nested = target.begin_nested()
    gone = pg_lo_storage.save(target, b"gone")
    inner = pg_lo_storage.open(target, gone)
    nested.rollback()
    with pytest.raises(StaleLargeObject):
        inner.read()
    assert outer.read() == b"kept"
    with pytest.raises(LargeObjectNotFound):
        pg_lo_storage.load(target, gone)
    for file in (inner, outer):
        file.close()


def test_a_driver_begins_nothing_until_it_is_used(engine: Engine) -> None:
    with engine.connect() as connection:
        driver = get_driver(connection)
        assert not driver.in_transaction
        assert not connection.in_transaction()
        with connection.begin():
            oid = driver.from_bytes(b"content")
        assert is_committed(engine, oid)
        driver.unlink(oid)
        connection.commit()
        assert not is_committed(engine, oid)


def test_a_driver_knows_of_a_transaction_that_others_began(target: Target) -> None:
    execute(target, "select 1")
    assert get_driver(target).in_transaction
    target.rollback()
    assert not get_driver(target).in_transaction


def test_after_a_commit_a_file_is_stale_and_a_driver_goes_on(target: Target) -> None:
    driver = get_driver(target)
    file = pg_lo_storage.open(target, 0, "wb+")
    descriptor = driver.open(file.oid, AccessMode.READ_WRITE)
    file.write(b"content")
    target.commit()
    for use in (file.tell, descriptor.tell, lambda: descriptor.write(b"lost"), lambda: list(descriptor.chunks(1))):
        with pytest.raises(StaleLargeObject):
            use()
    assert driver.get(file.oid, 0, 10) == b"content"
    file.close()
    descriptor.close()


def test_a_file_is_stale_when_its_connection_is_back_in_the_pool(target: Target, engine: Engine) -> None:
    oid = pg_lo_storage.save(target, LARGE)
    file = pg_lo_storage.open(target, oid, "rb+")
    blocks = file.chunks(1000)
    next(blocks)
    descriptor = get_driver(target).open(oid, AccessMode.WRITE)
    target.close()
    with engine.connect() as other:
        pid = other.scalar(text("select pg_backend_pid()"))
        unrelated = pg_lo_storage.open(other, pg_lo_storage.save(other, b"unrelated"), "rb+")
        for use in (file.read, lambda: file.write(b"!"), lambda: list(blocks), lambda: descriptor.write(b"!")):
            with pytest.raises(StaleLargeObject):
                use()
        file.close()
        descriptor.close()
        assert unrelated.read() == b"unrelated"
        assert other.scalar(text("select pg_backend_pid()")) == pid
        unrelated.close()


def test_in_autocommit_each_call_is_committed_at_once(engine: Engine) -> None:
    with engine.connect() as connection:
        autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
        small, large = pg_lo_storage.save(autocommit, b"small"), pg_lo_storage.save(autocommit, LARGE)
        assert is_committed(engine, small)
        assert is_committed(engine, large)
        with pytest.raises(NoTransactionError):
            pg_lo_storage.open(autocommit, 0, "wb")
        with pg_lo_storage.open(autocommit, large) as file:
            assert file.read() == LARGE
        assert not get_driver(autocommit).in_transaction

        def failing() -> Iterator[bytes]:
            yield LARGE
            raise LookupError

        before = autocommit.scalar(text("select count(*) from pg_largeobject_metadata"))
        with pytest.raises(LookupError):
            pg_lo_storage.save(autocommit, failing())
        assert autocommit.scalar(text("select count(*) from pg_largeobject_metadata")) == before


def test_a_missing_object_leaves_the_transaction_as_it_is(target: Target) -> None:
    oid = pg_lo_storage.save(target, b"content")
    with pytest.raises(LargeObjectNotFound):
        pg_lo_storage.load(target, 4_000_000_000)
    assert pg_lo_storage.load(target, oid) == b"content"


def test_other_errors_of_the_driver_are_sqlalchemys(target: Target) -> None:
    execute(target, "set local statement_timeout = '10ms'")
    driver = get_driver(target)
    assert driver.sql
    with pytest.raises(OperationalError) as caught:
        driver.sql.execute("select pg_sleep(10)")
    assert not caught.value.connection_invalidated
    assert isinstance(caught.value.__cause__, type(caught.value.orig))
    assert driver.in_transaction
    target.rollback()
    assert pg_lo_storage.save(target, b"content")


LOSING: dict[str, Callable[[LargeObjectIO, Target], object]] = {
    "a file's read": lambda file, _: file.read(),
    "a file's write": lambda file, _: file.write(LARGE),
    "a call": lambda _, target: pg_lo_storage.save(target, b"content"),
    "a large call": lambda _, target: pg_lo_storage.save(target, LARGE),
}


@pytest.mark.parametrize("lose", LOSING.values(), ids=LOSING)
def test_a_lost_connection_is_invalidated(
    target: Target, engine: Engine, lose: Callable[[LargeObjectIO, Target], object]
) -> None:
    handled: list[ExceptionContext] = []
    event.listen(engine, "handle_error", handled.append)
    file = pg_lo_storage.open(target, pg_lo_storage.save(target, LARGE), "rb+")
    pid = execute(target, "select pg_backend_pid()").scalar()
    with engine.connect() as other:
        execute(other, f"select pg_terminate_backend({pid}, 10000)")
    with pytest.raises(OperationalError) as caught:
        lose(file, target)
    assert caught.value.connection_invalidated
    assert [context.is_disconnect for context in handled] == [True]
    assert not get_driver(target).in_transaction
    with pytest.raises(StaleLargeObject):
        file.tell()
    file.close()
    with pytest.raises(PendingRollbackError):
        pg_lo_storage.save(target, b"content")
    target.rollback()
    assert is_committed(engine, _committed(target))


def _committed(target: Target) -> int:
    oid = pg_lo_storage.save(target, b"content")
    target.commit()
    return oid


def test_what_sqlalchemy_refuses_is_refused(engine: Engine) -> None:
    with engine.connect() as connection, connection.begin() as transaction:
        pg_lo_storage.save(connection, b"content")
        transaction.rollback()
        with pytest.raises(InvalidRequestError):
            pg_lo_storage.save(connection, b"content")
    with pytest.raises(InvalidRequestError):
        pg_lo_storage.save(connection, b"content")
    with Session(engine, autobegin=False) as session, pytest.raises(InvalidRequestError):
        pg_lo_storage.save(session, b"content")


def test_after_a_savepoint_that_could_not_be_released_nothing_is_sent_before_the_rollback(engine: Engine) -> None:
    with engine.connect() as connection:
        savepoint = connection.begin_nested()
        connection.execute(text("release savepoint sa_savepoint_1"))
        with pytest.raises(DBAPIError):
            savepoint.commit()
        with pytest.raises(PendingRollbackError):
            connection.execute(text("select 1"))
        with pytest.raises(PendingRollbackError, match="roll it back"):
            pg_lo_storage.save(connection, b"content")
        connection.rollback()
        assert pg_lo_storage.load(connection, pg_lo_storage.save(connection, b"content")) == b"content"


def test_what_sqlalchemy_would_not_know_of_is_refused(engine: Engine) -> None:
    with engine.connect() as connection:
        for other in (connection.connection, engine, sessionmaker(engine)):
            with pytest.raises(DriverNotFound, match=r"Pass SQLAlchemy's Connection.* itself"):
                get_driver(other)
        with pytest.raises(DriverNotFound, match=r"Pass SQLAlchemy's Connection.* itself"):
            pg_lo_storage.save(connection.connection, b"content")


def reversing(connection: object) -> LargeObjectDriver:
    """Make a driver that changes bytes, and so has no SQL."""
    driver = get_driver(connection)

    class Reversing:
        sql = None
        create, open, unlink, exists, size = driver.create, driver.open, driver.unlink, driver.exists, driver.size
        put = driver.put

        @property
        def in_transaction(self) -> bool:
            return driver.in_transaction

        def from_bytes(self, data: Buffer) -> int:
            return driver.from_bytes(bytes(data)[::-1])

        def get(self, oid: int, offset: int, size: int) -> bytes:
            return driver.get(oid, offset, size)[::-1]

    return Reversing()


def test_a_driver_that_is_registered_for_the_drivers_connection_serves_it(
    target: Target, driver_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registered", dict[str, Any]())
    names = {"psycopg": "psycopg.Connection", "psycopg2": "psycopg2.extensions.connection"}
    register_driver(names[driver_name], reversing)
    try:
        oid = pg_lo_storage.save(target, b"content")
        assert pg_lo_storage.load(target, oid) == b"content"
        with pg_lo_storage.open(target, oid) as file:
            assert file.read() == b"content"[::-1]  # its descriptors do not reverse
    finally:
        registry.factory_for.cache_clear()
    raw = execute(target, f"select convert_from(lo_get({oid}), 'UTF8')").scalar()
    assert raw == "tnetnoc"
