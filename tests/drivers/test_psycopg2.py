"""What is particular to psycopg2: native lobjects where they serve, SQL where they cannot."""

import gc
import importlib
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from functools import partial
from typing import Any, LiteralString

import pytest

from example.cluster import Server
from pg_lo_storage.drivers import MAX_SIZE, LargeObject, LargeObjectDriver, get_driver, reading
from pg_lo_storage.drivers.bulk import blocks_of
from pg_lo_storage.drivers.watching import WATCHING
from pg_lo_storage.exceptions import (
    DriverNotFound,
    LargeObjectConflict,
    LargeObjectError,
    LargeObjectTooLarge,
    StaleLargeObject,
)
from tests.drivers.support import (
    ALL_BYTES,
    READ,
    READ_WRITE,
    WRITE,
    abort,
    content,
    execute,
    is_aborted,
    waiting_for_a_lock,
)
from tests.fixtures.connections import run
from tests.fixtures.proxy import Wire

psycopg2: Any = pytest.importorskip("psycopg2")
extensions: Any = importlib.import_module("psycopg2.extensions")
extras: Any = importlib.import_module("psycopg2.extras")
rows_in: Any = importlib.import_module("pg_lo_storage.drivers.psycopg2_copy").rows_in
quotable: Any = importlib.import_module("pg_lo_storage.drivers.psycopg2_values").quotable

Connect = Callable[..., Any]


class Native(extensions.lobject):  # type: ignore[misc]  # psycopg2 is Any here
    """A lobject that can be referred to weakly."""


class Recording(extensions.connection):  # type: ignore[misc]  # psycopg2 is Any here
    """A connection that remembers which native large objects were asked of it."""

    lobjects: list[tuple[int, str]]
    alive: weakref.WeakSet[Any]

    def lobject(self, oid: int, mode: str) -> Any:
        self.lobjects.append((oid, mode))
        native = extensions.connection.lobject(self, oid, mode, lobject_factory=Native)
        self.alive.add(native)
        return native


@pytest.fixture
def connect(server: Server) -> Iterator[Connect]:
    """Open a recording connection with parameters of psycopg2's own."""
    with ExitStack() as stack:

        def connect(*, autocommit: bool = False, **kwargs: Any) -> Any:
            made = psycopg2.connect(server.dsn(), connection_factory=Recording, **kwargs)
            made.autocommit = autocommit
            made.lobjects, made.alive = [], weakref.WeakSet()
            return stack.enter_context(closing(made))

        yield connect


@pytest.fixture
def wait_callback() -> Iterator[None]:
    """Have psycopg2 wait as it does under gevent: cooperatively, and without native lobjects."""
    before = extensions.get_wait_callback()
    extensions.set_wait_callback(extras.wait_select)
    yield
    extensions.set_wait_callback(before)


MUCH = bytes(range(250)) * 400


def use_descriptor(driver: LargeObjectDriver) -> int:
    oid = driver.from_bytes(ALL_BYTES)
    descriptor = driver.open(oid, READ_WRITE)
    assert descriptor.read(100) == ALL_BYTES[:100]
    assert list(descriptor.chunks(100)) == [ALL_BYTES[100:200], ALL_BYTES[200:]]
    assert descriptor.write(b"more") == 4
    assert descriptor.seek(-2, 2) == descriptor.tell() == 258
    assert descriptor.write(MUCH) == len(MUCH)
    assert descriptor.tell() == 258 + len(MUCH)
    descriptor.truncate(300)
    descriptor.close()
    assert content(driver, oid) == ALL_BYTES + b"mo" + MUCH[:42]
    return oid


@pytest.mark.parametrize("mode", [WRITE, READ_WRITE])
def test_what_is_large_is_written_by_a_native_lobject(connect: Connect, mode: Any) -> None:
    connection = connect()
    driver = get_driver(connection)
    descriptor = driver.open(driver.from_bytes(b"content"), mode)
    assert descriptor.write(b"small") == 5
    assert connection.lobjects == []
    assert descriptor.write(MUCH) == len(MUCH)
    assert connection.lobjects == [(descriptor.oid, "wb")]
    assert content(driver, descriptor.oid) == b"small" + MUCH


def test_a_descriptor_that_reads_and_writes_is_in_one_place(connect: Connect) -> None:
    connection = connect()
    oid = use_descriptor(get_driver(connection))
    assert connection.lobjects == [(oid, "wb")]


@pytest.mark.parametrize("made_of", [bytes, bytearray, memoryview])
def test_content_in_a_statement_takes_a_third_more(connect: Connect, made_of: Callable[[bytes], Any]) -> None:
    connection, data = connect(), ALL_BYTES * 350
    [quoted] = quotable(connection, [made_of(data)])
    assert len(extensions.adapt(quoted).getquoted()) < 1.34 * len(data) + 100
    driver = get_driver(connection)
    assert driver.get(driver.from_bytes(made_of(data)), 0, len(data)) == data


def test_an_asynchronous_connection_has_no_driver(server: Server) -> None:
    with closing(psycopg2.connect(server.dsn(), async_=1)) as connection:
        extras.wait_select(connection)
        with pytest.raises(DriverNotFound, match="AsyncConnection"):
            get_driver(connection)


def test_an_explicit_begin_under_autocommit_is_served_by_sql(connect: Connect) -> None:
    connection = connect(autocommit=True)
    driver = get_driver(connection)
    execute(connection, "begin")
    oid = use_descriptor(driver)
    execute(connection, "commit")
    assert driver.size(oid) == 300
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


@pytest.mark.usefixtures("wait_callback")
def test_a_small_file_is_read_under_a_wait_callback(connect: Connect) -> None:
    driver: Any = get_driver(connect())
    small = reading.get_start(driver.from_bytes(ALL_BYTES), MAX_SIZE, 0, "1", params=(), columns=(int,))
    assert driver.sql.perform(small) == (256, ALL_BYTES, (1,))


def test_who_watches_sees_the_select_that_reads_a_small_file(connect: Connect) -> None:
    seen: list[str] = []

    class Seeing:
        def show(self, _connection: object, query: Any, params: Any, send: Callable[..., Any]) -> Any:
            seen.append(query)
            WATCHING.watcher = None
            try:
                return send(query, params)
            finally:
                WATCHING.watcher = self

    driver: Any = get_driver(connect())
    small = reading.get_start(driver.from_bytes(ALL_BYTES), MAX_SIZE, 0, "1", params=(), columns=(int,))
    WATCHING.watcher = Seeing()
    try:
        assert driver.sql.perform(small) == (256, ALL_BYTES, (1,))
    finally:
        WATCHING.watcher = None
    assert [query.partition(" ")[0] for query in seen] == ["select"]


def test_text_that_is_wrong_in_the_connections_encoding_is_an_error(connect: Connect) -> None:
    wrong = memoryview(b"PGCOPY\n\xff\r\n\0" + bytes(8) + b"\0\1\0\0\0\1\xff\xff\xff")
    with pytest.raises(UnicodeDecodeError):
        rows_in(wrong, [str], connect(client_encoding="UTF8"))


@pytest.mark.parametrize("name", ["DictCursor", "RealDictCursor", "NamedTupleCursor", "LoggingCursor"])
def test_the_connections_cursor_factory_does_not_matter(connect: Connect, name: str) -> None:
    driver = get_driver(connect(cursor_factory=getattr(extras, name)))
    oid = use_descriptor(driver)
    assert driver.size(oid) == 300
    assert driver.unlink(oid)


@pytest.mark.parametrize("autocommit", [False, True])
def test_the_server_sees_one_text_for_all_that_is_read_by_copy(connect: Connect, autocommit: bool) -> None:
    reader, observer = connect(autocommit=autocommit), connect(autocommit=True)
    driver: Any = get_driver(reader)
    statements: set[str] = set()
    for n in range(2):
        oid = driver.from_bytes(bytes(600_000 + n))
        small = reading.get_start(oid, MAX_SIZE, 0, "%s::text", params=(f"{n}'",), columns=(str,))
        assert driver.sql.perform(small) == (600_000 + n, bytes(600_000 + n), (f"{n}'",))
        for _ in range(2):
            query = "select query from pg_stat_activity where pid = %s"
            [(sent,)] = run(observer, query, [reader.info.backend_pid])
            statements.add(sent.partition("; ")[2])
            assert blocks_of(driver, oid, 100 + n, 1000, 600) == [bytes(1000)] * 599 + [bytes(900)]
        execute(reader, "set pg_lo_storage.param_a = ''")
    assert len(statements) == 2
    assert all(each.startswith("copy (select ") for each in statements)
    assert run(reader, "select current_setting('pg_lo_storage.param_a')") == [("",)]


def test_a_driver_with_an_execute_of_its_own_runs_by_that_what_is_small(connect: Connect) -> None:
    executed: list[str] = []

    kind: Any = type(get_driver(connect()))

    class Own(kind):  # type: ignore[misc]  # Any, where psycopg2 may be missing
        def execute(self, query: LiteralString, params: Sequence[object] = ()) -> Any:
            executed.append(query)
            return kind.execute(self, query, params)

    driver: Any = Own(connect())
    oid = driver.from_bytes(ALL_BYTES)
    statement = reading.get_start(oid, 1000, 0, "1", params=(), columns=(int,))
    assert driver.perform(statement) == (256, ALL_BYTES, (1,))
    assert executed[-1] == statement.query


def test_the_text_of_a_concurrent_write_is_a_conflict(connect: Connect) -> None:
    first, second, observer = connect(), connect(), connect(autocommit=True)
    oid = get_driver(observer).from_bytes(b"content")
    get_driver(first).put(oid, 0, b"first")
    descriptor = get_driver(second).open(oid, WRITE)
    with waiting_for_a_lock(second, observer, lambda: descriptor.write(MUCH)) as waiting:
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
    with waiting_for_a_lock(second, observer, lambda: descriptor.write(MUCH)) as waiting:
        [(pid,)] = run(observer, "select pid from pg_locks where not granted")
        run(observer, "select pg_cancel_backend(%s)", [pid])
        error = waiting.exception()
    assert isinstance(error, psycopg2.OperationalError)
    assert not isinstance(error, LargeObjectError)


def test_an_unlink_between_the_two_steps_of_a_write_is_a_conflict(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, others = connect(), get_driver(connect(autocommit=True))
    oid = others.from_bytes(b"content")
    native_lobject = Recording.lobject

    def unlinked_meanwhile(self: Any, oid: int, mode: str) -> Any:
        others.unlink(oid)
        return native_lobject(self, oid, mode)

    monkeypatch.setattr(Recording, "lobject", unlinked_meanwhile)
    descriptor = get_driver(connection).open(oid, WRITE)
    with pytest.raises(LargeObjectConflict) as caught:
        descriptor.write(MUCH)
    assert caught.value.oid == oid


def test_writing_much_to_what_another_session_unlinked_is_a_conflict_and_aborts_nothing(connect: Connect) -> None:
    connection, others = connect(), get_driver(connect(autocommit=True))
    oid = others.from_bytes(b"content")
    descriptor = get_driver(connection).open(oid, WRITE)
    others.unlink(oid)
    with pytest.raises(LargeObjectConflict) as caught:
        descriptor.write(MUCH)
    assert caught.value.oid == oid
    assert not is_aborted(connection)


def test_writing_much_by_a_stale_descriptor_reaches_no_other_object(connect: Connect) -> None:
    connection = connect()
    driver = get_driver(connection)
    oid, other = driver.from_bytes(b"content"), driver.from_bytes(b"another object")
    execute(connection, "savepoint here")
    stale = driver.open(oid, READ_WRITE)
    execute(connection, "rollback to here")
    current = driver.open(other, READ_WRITE)
    with pytest.raises(StaleLargeObject):
        stale.write(MUCH)
    assert current.read(100) == b"another object"
    assert content(driver, oid) == b"content"


def test_what_a_failed_transaction_left_makes_no_thread_wait(connect: Connect) -> None:
    first, second, observer = connect(), connect(), connect(autocommit=True)
    execute(observer, "create table row_of_two (id int primary key)")
    try:
        execute(observer, "insert into row_of_two values (1)")
        left = get_driver(second).open(get_driver(second).from_bytes(MUCH), READ_WRITE)
        assert left.read(10) == MUCH[:10]
        left.write(MUCH)
        abort(second)
        left.close()
        del left
        second.rollback()
        execute(first, "update row_of_two set id = 1")
        with waiting_for_a_lock(second, observer, lambda: execute(second, "update row_of_two set id = 1")):
            # The connection of the other thread is in a query, which only this one's commit will end.
            with ThreadPoolExecutor(1) as pool:
                opening = pool.submit(lambda: use_descriptor(get_driver(first)))
                done, _ = wait([opening], timeout=20)
                if not done:
                    run(observer, "select pg_cancel_backend(pid) from pg_locks where not granted")
            assert done, "open() waits for the other thread's query"
            opening.result()
            first.commit()
        second.rollback()
    finally:
        for connection in (first, second):
            connection.rollback()
        execute(observer, "drop table row_of_two")


def test_threads_that_leave_and_open_descriptors_do_not_meet(connect: Connect, request: pytest.FixtureRequest) -> None:
    request.addfinalizer(partial(sys.setswitchinterval, sys.getswitchinterval()))
    sys.setswitchinterval(1e-6)
    barrier = threading.Barrier(4)

    def leave_and_open(connection: Any) -> None:
        driver = get_driver(connection)
        for _ in range(4):
            oid = driver.from_bytes(b"content")
            left = [driver.open(oid, READ_WRITE) for _ in range(60)]
            abort(connection)
            for descriptor in left:
                descriptor.close()
            connection.rollback()
            oid = driver.from_bytes(b"content")
            barrier.wait(20)
            assert driver.open(oid, READ).read(10) == b"content"
            connection.rollback()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(leave_and_open, connect()) for _ in range(4)]:
            done.result()


def test_no_lobject_outlives_the_call_that_needs_it(connect: Connect) -> None:
    connection = connect()
    driver = get_driver(connection)
    descriptors = [driver.open(driver.create(), WRITE) for _ in range(3)]
    for descriptor in descriptors:
        descriptor.write(MUCH)
    assert len(connection.lobjects) == 3
    assert not connection.alive


def write_when_it_is_lost(descriptor: LargeObject, data: bytes, wire: Wire) -> None:
    wire.drop()
    descriptor.write(data)


def lose_it_between_blocks(descriptor: LargeObject, data: bytes, wire: Wire) -> None:
    def blocks() -> Iterator[bytes]:
        yield data
        wire.drop()
        yield data

    descriptor.write_all(blocks())


def lose_it_before_it_writes(descriptor: LargeObject, data: bytes, wire: Wire) -> None:
    class Losing:
        def show(self, _connection: object, query: Any, params: Any, send: Callable[..., Any]) -> Any:
            WATCHING.watcher = None
            if "lowrite" in query:
                wire.drop()
            try:
                return send(query, params)
            finally:
                WATCHING.watcher = self

    WATCHING.watcher = Losing()
    try:
        descriptor.write(data)
    finally:
        WATCHING.watcher = None


@pytest.mark.parametrize("use", [write_when_it_is_lost, lose_it_between_blocks, lose_it_before_it_writes])
@pytest.mark.parametrize("data", [b"lost", MUCH], ids=["small", "large"])
def test_a_descriptor_of_a_lost_connection_leaves_quietly(
    server: Server,
    wire: Wire,
    capsys: pytest.CaptureFixture[str],
    data: bytes,
    use: Callable[[LargeObject, bytes, Wire], None],
) -> None:
    lost = psycopg2.connect(wire.dsn)
    driver = get_driver(lost)
    descriptor = driver.open(driver.create(), WRITE)
    with pytest.raises(psycopg2.OperationalError):
        use(descriptor, data, wire)
    descriptor.close()
    del driver, descriptor, lost
    # A lobject that psycopg2 finds on a broken connection when it is collected prints an error.
    with closing(psycopg2.connect(server.dsn())) as other:
        use_descriptor(get_driver(other))
    gc.collect()
    assert capsys.readouterr().err == ""


def test_what_is_large_and_has_no_room_is_refused_before_anything_is_written(connect: Connect) -> None:
    connection = connect()
    driver = get_driver(connection)
    descriptor = driver.open(driver.create(), WRITE)
    descriptor.seek(MAX_SIZE - 10)
    with pytest.raises(LargeObjectTooLarge):
        descriptor.write(MUCH)
    assert (descriptor.tell(), driver.size(descriptor.oid)) == (MAX_SIZE - 10, 0)
