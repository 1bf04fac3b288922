"""psycopg's pipelines and the library on one connection: neither is in the other's way."""

import importlib
import io
from collections.abc import Generator
from contextlib import ExitStack
from typing import Any

import pytest

from pg_lo_storage.drivers import AccessMode, LargeObjectDriver, get_driver
from pg_lo_storage.drivers.bulk import stream
from tests.drivers.support import is_aborted
from tests.fixtures.connections import Connect
from tests.fixtures.proxy import Wire

psycopg: Any = pytest.importorskip("psycopg")
pytestmark = pytest.mark.parametrize("driver_name", ["psycopg"], indirect=True)

DATA = bytes(range(256)) * 16_384  # 4 MB


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_pipeline_may_follow_a_large_read(connect: Connect, *, autocommit: bool) -> None:
    connection: Any = connect(autocommit=autocommit)
    driver = get_driver(connection)
    oid = driver.from_bytes(DATA)
    content = io.BytesIO()
    stream(driver, oid, 0, len(DATA), content.write)
    assert content.getvalue() == DATA
    with connection.pipeline():
        first, second = connection.execute("select 1"), connection.execute("select generate_series(1, 3)")
        assert first.fetchall() == [(1,)]
        assert len(second.fetchall()) == 3
    assert list(connection.cursor().stream("select generate_series(1, 3)")) == [(1,), (2,), (3,)]


def test_a_large_read_within_a_pipeline(connect: Connect) -> None:
    connection: Any = connect()
    driver = get_driver(connection)
    oid = driver.from_bytes(DATA)
    content = io.BytesIO()
    with connection.pipeline():
        before = connection.execute("select 1")
        stream(driver, oid, 0, len(DATA), content.write)
        assert before.fetchall() == [(1,)]
    assert content.getvalue() == DATA


def test_an_error_in_the_middle_of_a_large_read_leaves_the_connection_usable(
    driver: LargeObjectDriver, connection: Any
) -> None:
    oid = driver.from_bytes(DATA)
    connection.commit()
    connection.execute("set local statement_timeout = 1")
    with pytest.raises(psycopg.errors.QueryCanceled):
        stream(driver, oid, 0, len(DATA), io.BytesIO().write)
    assert is_aborted(connection)
    connection.rollback()
    assert driver.get(oid, 0, 4) == DATA[:4]


def test_an_error_in_the_middle_of_a_large_write_is_the_first_one(driver: LargeObjectDriver, connection: Any) -> None:
    oid = driver.create()
    descriptor = driver.open(oid, AccessMode.WRITE)
    connection.execute("set local statement_timeout = 1")
    with pytest.raises(psycopg.errors.QueryCanceled):
        descriptor.write(DATA * 4)
    assert is_aborted(connection)
    connection.rollback()
    assert not driver.exists(oid)


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize("state", ["sent", "received in part"])
def test_what_interrupts_a_large_read_is_raised_and_leaves_the_connection_usable(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, state: str, *, autocommit: bool
) -> None:
    connection: Any = connect(autocommit=autocommit)
    driver = get_driver(connection)
    oid = driver.from_bytes(DATA * 4)
    connection.commit()
    driver.exists(oid)  # where psycopg begins transactions, this does
    waits = psycopg.Connection.wait

    def interrupted(self: Any, generator: Generator[object, object, object], *arguments: Any) -> Any:
        def stopping() -> Generator[object, object, None]:
            # As a signal's handler may raise anywhere in the generator.
            ready = yield next(generator)
            for _ in range(3 if state == "received in part" else 0):
                ready = yield generator.send(ready)
            raise KeyboardInterrupt

        return waits(self, stopping(), *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Connection, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            stream(driver, oid, 0, len(DATA) * 4, io.BytesIO().write)
    connection.rollback()
    assert connection.execute("select 1").fetchall() == [(1,)]
    assert driver.get(oid, 0, 4) == DATA[:4]


@pytest.mark.skipif(psycopg.pq.version() < 170000, reason="older versions of libpq wait to cancel as long as TCP does")
def test_what_interrupts_a_large_read_on_a_network_that_hangs_is_raised_and_closes_the_connection(
    connect: Connect, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection: Any = connect(autocommit=True, dsn=wire.dsn)
    driver: Any = get_driver(connection)
    monkeypatch.setattr(importlib.import_module("pg_lo_storage.drivers.psycopg3_pipeline"), "_PATIENCE", 0.2)
    with ExitStack() as network:

        def interrupt(_row: object) -> None:
            network.enter_context(wire.held())
            raise TimeoutError

        with pytest.raises(TimeoutError):
            driver.execute_streaming(
                "select lo_get(%s) from generate_series(1, 9)", [driver.from_bytes(DATA)], interrupt
            )
        assert connection.closed


@pytest.mark.parametrize("moment", ["while the pipeline ends", "while the server cancels"])
def test_a_second_interrupt_is_raised_at_once_and_closes_the_connection(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    connection: Any = connect(autocommit=True)
    driver: Any = get_driver(connection)

    def interrupt(*_: object, **_options: object) -> None:
        raise KeyboardInterrupt

    def interrupt_first(_row: object) -> None:
        # As a signal's handler may raise anywhere.
        if moment == "while the server cancels":
            monkeypatch.setattr(psycopg.Connection, "cancel_safe", interrupt)
        else:
            status: Any = type("", (), {"BAD": property(interrupt)})()
            monkeypatch.setattr("pg_lo_storage.drivers.psycopg3_pipeline.ConnStatus", status)
        raise TimeoutError

    with pytest.raises(KeyboardInterrupt):
        driver.execute_streaming(
            "select lo_get(%s) from generate_series(1, 9)", [driver.from_bytes(DATA)], interrupt_first
        )
    assert connection.closed
