"""Statements that a signal interrupts: its exception is raised, and the connection is fit for use, or closed."""

import os
import signal
import threading
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

import pytest

from pg_lo_storage.drivers import get_driver
from tests.drivers.support import content, is_aborted
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.proxy import Wire

LARGE = bytes(range(256)) * 2**16
SLEEP = "select pg_sleep(1)"
EVERY_KIND = pytest.mark.parametrize("kind", [TimeoutError, KeyboardInterrupt])
EITHER_WAY = pytest.mark.parametrize("autocommit", [True, False])


class Bell:
    """Interrupts the main thread once, when the server sees the statement; the signal is not pytest-timeout's."""

    def __init__(self, connect: Connect, connection: RawConnection) -> None:
        self._other = connect(autocommit=True)
        [(self._pid,)] = run(connection, "select pg_backend_pid()")
        connection.rollback()

    def wait_for_the_statement(self) -> None:
        asleep = "select from pg_stat_activity where pid = %s and wait_event = 'PgSleep'"
        while not run(self._other, asleep, [self._pid]):
            pass

    def end_the_backend(self) -> None:
        run(self._other, "select pg_terminate_backend(%s)", [self._pid])

    @contextmanager
    def ringing(self, kind: type[BaseException]) -> Generator[None]:
        def ring(_number: int, _frame: FrameType | None) -> None:
            raise kind

        def send() -> None:
            self.wait_for_the_statement()
            os.kill(os.getpid(), signal.SIGUSR1)

        before = signal.signal(signal.SIGUSR1, ring)
        thread = threading.Thread(target=send)
        thread.start()
        try:
            yield
        finally:
            thread.join()
            signal.signal(signal.SIGUSR1, before)


@EVERY_KIND
@EITHER_WAY
def test_the_connection_is_fit_for_use(connect: Connect, kind: type[BaseException], *, autocommit: bool) -> None:
    connection = connect(autocommit=autocommit)
    driver: Any = get_driver(connection)
    oid = driver.from_bytes(b"content")
    connection.commit()
    bell = Bell(connect, connection)
    with pytest.raises(kind), bell.ringing(kind):
        driver.execute(SLEEP)
    assert not connection.closed
    connection.rollback()
    assert content(driver, oid) == b"content"


def test_who_waits_for_another_thread_s_statement_is_interrupted_and_disturbs_nothing(connect: Connect) -> None:
    connection = connect()
    driver: Any = get_driver(connection)
    bell = Bell(connect, connection)
    with ThreadPoolExecutor(1) as threads:
        started = threads.submit(driver.execute, "select pg_sleep(1)::text")
        bell.wait_for_the_statement()
        with pytest.raises(TimeoutError), bell.ringing(TimeoutError):
            driver.from_bytes(b"content")
        assert started.result() == [("",)]
    assert not is_aborted(connection)


@EITHER_WAY
def test_what_is_half_sent_is_sent_and_cancelled(
    connect: Connect, driver_name: str, monkeypatch: pytest.MonkeyPatch, *, autocommit: bool
) -> None:
    if driver_name != "psycopg":
        pytest.skip("psycopg2 looks at no signal while it waits for a statement")
    connection: Any = connect(autocommit=autocommit)
    driver: Any = get_driver(connection)
    oid = driver.create()
    connection.commit()
    driver.exists(oid)  # where psycopg begins transactions, this does
    kind: Any = import_module("psycopg").Connection
    waits: Callable[..., Any] = kind.wait

    def interrupted(self: Any, generator: Generator[object, object, object], *arguments: Any) -> Any:
        def stopping() -> Generator[object, object, None]:
            generator.send((yield next(generator)))
            raise TimeoutError

        return waits(self, stopping(), *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(kind, "wait", interrupted)
        with pytest.raises(TimeoutError):
            driver.put(oid, 0, LARGE)
    connection.rollback()
    assert content(driver, oid) in {b"", LARGE} if autocommit else content(driver, oid) == b""


def test_where_the_statement_goes_on_though_it_is_cancelled_the_connection_is_closed(
    connect: Connect, driver_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if driver_name != "psycopg":
        pytest.skip("psycopg2 looks at no signal while it waits for a statement")
    connection: Any = connect(autocommit=True)
    driver: Any = get_driver(connection)
    monkeypatch.setattr(import_module("pg_lo_storage.drivers.psycopg3_pipeline"), "_PATIENCE", 0.5)
    bell = Bell(connect, connection)
    # For one request the server signals its backend twice, once with its process group: each may cancel something.
    stubborn = "loop begin perform pg_sleep(60); exception when query_canceled then null; end; end loop"
    with pytest.raises(TimeoutError), bell.ringing(TimeoutError):
        driver.execute(f"do $$begin {stubborn}; end$$")
    assert connection.closed
    bell.end_the_backend()


def test_on_a_network_that_hangs_the_connection_is_closed(
    connect: Connect, driver_name: str, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    if driver_name != "psycopg" or import_module("psycopg").pq.version() < 170000:
        return  # older versions of libpq wait to cancel as long as TCP does
    connection: Any = connect(autocommit=True, dsn=wire.dsn)
    driver: Any = get_driver(connection)
    monkeypatch.setattr(import_module("pg_lo_storage.drivers.psycopg3_pipeline"), "_PATIENCE", 0.2)
    bell = Bell(connect, connection)
    with ExitStack() as network:
        waits = bell.wait_for_the_statement

        def hang() -> None:
            waits()
            network.enter_context(wire.held())

        monkeypatch.setattr(bell, "wait_for_the_statement", hang)
        with pytest.raises(TimeoutError), bell.ringing(TimeoutError):
            driver.execute("select pg_sleep(1)")
        assert connection.closed
