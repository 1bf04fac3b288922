"""What is particular to psycopg2: native lobjects where they serve, SQL where they cannot."""

import gc
import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest

from example.cluster import Server
from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectError, StaleLargeObject
from tests.drivers.support import ALL_BYTES, READ, READ_WRITE, WRITE, content, execute, waiting_for_a_lock
from tests.fixtures.connections import run
from tests.fixtures.proxy import Wire

psycopg2: Any = pytest.importorskip("psycopg2")
extensions: Any = importlib.import_module("psycopg2.extensions")
extras: Any = importlib.import_module("psycopg2.extras")

Connect = Callable[..., Any]


class Recording(extensions.connection):  # type: ignore[misc]  # psycopg2 is Any here
    """A connection that remembers which native large objects were asked of it."""

    lobjects: list[tuple[int, str]]

    def lobject(self, oid: int, mode: str, *args: Any) -> Any:
        self.lobjects.append((oid, mode))
        return extensions.connection.lobject(self, oid, mode, *args)


@pytest.fixture
def connect(server: Server) -> Iterator[Connect]:
    """Open a recording connection with parameters of psycopg2's own."""
    with ExitStack() as stack:

        def connect(*, autocommit: bool = False, **kwargs: Any) -> Any:
            made = psycopg2.connect(server.dsn(), connection_factory=Recording, **kwargs)
            made.autocommit = autocommit
            made.lobjects = []
            return stack.enter_context(closing(made))

        yield connect


@pytest.fixture
def wait_callback() -> Iterator[None]:
    """Have psycopg2 wait as it does under gevent: cooperatively, and without native lobjects."""
    before = extensions.get_wait_callback()
    extensions.set_wait_callback(extras.wait_select)
    yield
    extensions.set_wait_callback(before)


def use_descriptor(driver: LargeObjectDriver) -> int:
    oid = driver.from_bytes(ALL_BYTES)
    descriptor = driver.open(oid, READ_WRITE)
    assert descriptor.read(100) == ALL_BYTES[:100]
    assert list(descriptor.chunks(100)) == [ALL_BYTES[100:200], ALL_BYTES[200:]]
    assert descriptor.write(b"more") == 4
    assert descriptor.seek(-4, 2) == descriptor.tell() == 256
    descriptor.truncate(258)
    descriptor.close()
    assert content(driver, oid) == ALL_BYTES + b"mo"
    return oid


@pytest.mark.parametrize(("mode", "native"), [(READ, "rb"), (WRITE, "rwb"), (READ_WRITE, "rwb")])
def test_a_descriptor_is_a_native_lobject(connect: Connect, mode: Any, native: str) -> None:
    connection = connect()
    driver = get_driver(connection)
    oid = driver.from_bytes(b"content")
    assert driver.open(oid, mode).oid == oid
    assert connection.lobjects == [(oid, native)]


def test_a_native_lobject_does_all_that_a_descriptor_does(connect: Connect) -> None:
    connection = connect()
    oid = use_descriptor(get_driver(connection))
    assert connection.lobjects == [(oid, "rwb")]


def test_an_explicit_begin_under_autocommit_is_served_by_sql(connect: Connect) -> None:
    connection = connect(autocommit=True)
    driver = get_driver(connection)
    execute(connection, "begin")
    oid = use_descriptor(driver)
    execute(connection, "commit")
    assert content(driver, oid) == ALL_BYTES + b"mo"
    assert connection.lobjects == []


@pytest.mark.usefixtures("wait_callback")
@pytest.mark.parametrize("autocommit", [False, True])
def test_a_wait_callback_is_served_by_sql(connect: Connect, autocommit: bool) -> None:
    connection = connect(autocommit=autocommit)
    execute(connection, "begin" if autocommit else "select 1")
    use_descriptor(get_driver(connection))
    assert connection.lobjects == []


@pytest.mark.usefixtures("wait_callback")
def test_autocommit_calls_work_under_a_wait_callback(connect: Connect) -> None:
    driver = get_driver(connect(autocommit=True))
    oid = driver.from_bytes(ALL_BYTES)
    driver.put(oid, 256, b"more")
    assert content(driver, oid) == ALL_BYTES + b"more"


@pytest.mark.parametrize("name", ["DictCursor", "RealDictCursor", "NamedTupleCursor", "LoggingCursor"])
def test_the_connections_cursor_factory_does_not_matter(connect: Connect, name: str) -> None:
    driver = get_driver(connect(cursor_factory=getattr(extras, name)))
    oid = use_descriptor(driver)
    assert driver.size(oid) == 258
    assert driver.unlink(oid)


def test_the_text_of_a_concurrent_write_is_a_conflict(connect: Connect) -> None:
    first, second, observer = connect(), connect(), connect(autocommit=True)
    oid = get_driver(observer).from_bytes(b"content")
    get_driver(first).put(oid, 0, b"first")
    descriptor = get_driver(second).open(oid, WRITE)
    with waiting_for_a_lock(second, observer, lambda: descriptor.write(b"second")) as waiting:
        first.commit()
        error = waiting.exception()
    assert isinstance(error, LargeObjectConflict)
    cause: Any = error.__cause__
    assert isinstance(cause, psycopg2.OperationalError)
    # The reason for looking at the text.
    assert cause.pgcode is None


def test_any_other_error_of_a_native_call_is_psycopg2s_own(connect: Connect) -> None:
    first, second, observer = connect(), connect(), connect(autocommit=True)
    oid = get_driver(observer).from_bytes(b"content")
    get_driver(first).put(oid, 0, b"first")
    descriptor = get_driver(second).open(oid, WRITE)
    with waiting_for_a_lock(second, observer, lambda: descriptor.write(b"second")) as waiting:
        [(pid,)] = run(observer, "select pid from pg_locks where not granted")
        run(observer, "select pg_cancel_backend(%s)", [pid])
        error = waiting.exception()
    assert isinstance(error, psycopg2.OperationalError)
    assert not isinstance(error, LargeObjectError)


def test_an_unlink_between_the_two_steps_of_opening_is_a_conflict(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, others = connect(), get_driver(connect(autocommit=True))
    oid = others.from_bytes(b"content")
    native_lobject = Recording.lobject

    def unlinked_meanwhile(self: Any, *args: Any) -> Any:
        others.unlink(oid)
        return native_lobject(self, *args)

    monkeypatch.setattr(Recording, "lobject", unlinked_meanwhile)
    with pytest.raises(LargeObjectConflict) as caught:
        get_driver(connection).open(oid, READ)
    assert caught.value.oid == oid


def test_a_native_lobject_does_not_outlive_its_savepoint(connect: Connect) -> None:
    connection = connect()
    driver = get_driver(connection)
    oid, other = driver.from_bytes(b"content"), driver.from_bytes(b"another object")
    execute(connection, "savepoint here")
    stale = driver.open(oid, READ_WRITE)
    execute(connection, "rollback to here")
    # psycopg2 goes on with the number it knows, which is this one's now.
    current = connection.lobject(other, "rwb")
    with pytest.raises(StaleLargeObject):
        stale.read(100)
    with pytest.raises(StaleLargeObject):
        stale.write(b"X")
    stale.close()
    assert current.read() == b"another object"


def test_a_descriptor_of_a_lost_connection_leaves_quietly(
    server: Server, wire: Wire, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = psycopg2.connect(wire.dsn)
    driver = get_driver(lost)
    descriptor = driver.open(driver.create(), WRITE)
    wire.drop()
    with pytest.raises(psycopg2.OperationalError):
        descriptor.write(b"lost")
    descriptor.close()
    del driver, descriptor, lost
    # A lobject that psycopg2 finds on a broken connection when it is collected prints an error.
    with closing(psycopg2.connect(server.dsn())) as other:
        use_descriptor(get_driver(other))
    gc.collect()
    assert capsys.readouterr().err == ""
