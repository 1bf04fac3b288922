"""What is particular to psycopg 3."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from functools import partial
from typing import Any

import pytest

from example.cluster import Server
from pg_lo_storage.drivers import DriverNotFound, LargeObjectDriver, get_driver
from tests.drivers.support import ALL_BYTES, READ_WRITE, content

psycopg: Any = pytest.importorskip("psycopg")

Connect = Callable[..., Any]


@pytest.fixture
def connect(server: Server) -> Iterator[Connect]:
    """Open a connection with parameters of psycopg's own."""
    with ExitStack() as stack:

        def connect(**kwargs: Any) -> Any:
            return stack.enter_context(closing(psycopg.connect(server.dsn(), **kwargs)))

        yield connect


def use_all(driver: LargeObjectDriver) -> None:
    """Have every kind of statement run, with a result that tells."""
    oid = driver.from_bytes(ALL_BYTES)
    descriptor = driver.open(oid, READ_WRITE)
    assert descriptor.read(100) == ALL_BYTES[:100]
    assert list(descriptor.chunks(100)) == [ALL_BYTES[100:200], ALL_BYTES[200:]]
    assert descriptor.write(b"more") == 4
    assert descriptor.seek(-4, 2) == descriptor.tell() == 256
    descriptor.truncate(258)
    descriptor.close()
    driver.put(oid, 258, b"st")
    assert driver.size(oid) == 260
    assert driver.get(oid, 250, 100) == ALL_BYTES[250:] + b"most"
    assert driver.exists(oid)
    assert driver.unlink(oid)
    assert not driver.exists(oid)


def prepared(connection: Any) -> list[str]:
    """Return the driver's statements that the server keeps prepared for the session."""
    query = "select statement from pg_prepared_statements where statement like %s"
    # Not prepared itself.
    return [row[0] for row in connection.execute(query, ["%lo_get%"], prepare=False)]


def read_often(connection: Any, times: int) -> None:
    driver = get_driver(connection)
    oid = driver.from_bytes(ALL_BYTES)
    for n in range(times):
        assert driver.get(oid, n, 10) == ALL_BYTES[n : n + 10]


def test_statements_are_prepared_after_the_connections_threshold(connect: Connect) -> None:
    connection = connect(prepare_threshold=3)
    read_often(connection, 3)
    assert prepared(connection) == []
    read_often(connection, 1)
    assert len(prepared(connection)) == 1


def test_a_threshold_of_zero_prepares_at_once(connect: Connect) -> None:
    connection = connect(prepare_threshold=0)
    read_often(connection, 1)
    assert len(prepared(connection)) == 1


def test_no_threshold_prepares_nothing_as_poolers_need_it(connect: Connect) -> None:
    connection = connect(prepare_threshold=None)
    read_often(connection, 20)
    assert prepared(connection) == []


def test_values_of_any_size_share_one_prepared_statement(connect: Connect) -> None:
    connection = connect(prepare_threshold=0)
    driver = get_driver(connection)
    oid = driver.create()
    for offset in (1, 1 << 15, 1 << 31, 1 << 40):
        driver.get(oid, offset, 10)
    assert len(prepared(connection)) == 1


@pytest.mark.parametrize("rows", ["dict_row", "namedtuple_row", "kwargs_row", "scalar_row"])
def test_the_connections_row_factory_does_not_matter(connect: Connect, rows: str) -> None:
    factory = getattr(psycopg.rows, rows)
    connection = connect(row_factory=factory(dict) if rows == "kwargs_row" else factory)
    use_all(get_driver(connection))


@pytest.mark.parametrize("name", ["ClientCursor", "RawCursor", "ServerCursor"])
def test_the_connections_cursor_factory_does_not_matter(connect: Connect, name: str) -> None:
    use_all(get_driver(connect(cursor_factory=getattr(psycopg, name))))


def test_values_are_bound_by_the_server_past_a_loggers_cursor(connect: Connect) -> None:
    class Logger(psycopg.ClientCursor):  # type: ignore[misc]  # psycopg is Any here
        def execute(self, *_args: Any, **_kwargs: Any) -> Any:
            raise AssertionError("the driver's statements are not for it")

    use_all(get_driver(connect(cursor_factory=Logger)))


Contexts = Callable[[Any], list[AbstractContextManager[object]]]
WITHIN: dict[str, Contexts] = {
    "transaction": lambda connection: [connection.transaction()],
    "nested transaction": lambda connection: [connection.transaction(), connection.transaction()],
    "pipeline, transaction": lambda connection: [connection.pipeline(), connection.transaction()],
    "transaction, pipeline": lambda connection: [connection.transaction(), connection.pipeline()],
}


@pytest.mark.parametrize("autocommit", [False, True])
@pytest.mark.parametrize("within", WITHIN.values(), ids=WITHIN)
def test_it_works_within_transactions_and_pipelines(connect: Connect, autocommit: bool, within: Contexts) -> None:
    connection = connect(autocommit=autocommit)
    driver = get_driver(connection)
    with ExitStack() as stack:
        for context in within(connection):
            stack.enter_context(context)
        use_all(driver)
        oid = driver.from_bytes(b"committed")
    assert not driver.in_transaction
    assert content(driver, oid) == b"committed"


def test_it_works_within_a_pipeline(connect: Connect) -> None:
    connection = connect()
    with connection.pipeline():
        use_all(get_driver(connection))


@pytest.mark.parametrize("autocommit", [False, True])
def test_large_values_go_through_a_pipeline(connect: Connect, autocommit: bool) -> None:
    connection = connect(autocommit=autocommit)
    driver = get_driver(connection)
    data = b"0123456789" * 300_000
    with connection.pipeline():
        oid = driver.from_bytes(data)
        assert driver.get(oid, 0, len(data)) == data


def test_a_pipeline_works_in_autocommit(connect: Connect) -> None:
    connection = connect(autocommit=True)
    driver = get_driver(connection)
    with connection.pipeline():
        oid = driver.from_bytes(ALL_BYTES)
        driver.put(oid, 256, b"more")
        assert driver.get(oid, 250, 100) == ALL_BYTES[250:] + b"more"


@pytest.mark.parametrize("autocommit", [False, True])
def test_other_statements_may_be_under_way_in_the_pipeline(connect: Connect, autocommit: bool) -> None:
    connection = connect(autocommit=autocommit)
    driver = get_driver(connection)
    oid = driver.from_bytes(ALL_BYTES)
    with connection.pipeline(), connection.transaction():
        connection.execute("select 1")
        assert driver.in_transaction
        connection.execute("select 2")
        descriptor = driver.open(oid, READ_WRITE)
        under_way = connection.execute("select 3")
        assert descriptor.read(1000) == ALL_BYTES
        assert under_way.fetchone() == (3,)


def test_an_asynchronous_connection_is_told_from_an_ordinary_one() -> None:
    class Unconnected(psycopg.AsyncConnection):  # type: ignore[misc]  # psycopg is Any here
        def __init__(self) -> None: ...

        def __del__(self) -> None: ...

    with pytest.raises(DriverNotFound, match=r"asynchronous.*psycopg\.Connection"):
        get_driver(Unconnected())


def whatever(connection: Any) -> None:
    connection.execute("select 1").fetchall()


def by_a_cursor(connection: Any) -> None:
    connection.cursor().execute("select 1")


def by_the_driver(connection: Any) -> None:
    get_driver(connection).from_bytes(b"content")


def commit(connection: Any) -> None:
    connection.commit()


@pytest.mark.parametrize("use", [whatever, by_a_cursor, by_the_driver, commit])
def test_who_is_called_while_his_thread_is_in_a_query_is_refused(
    connect: Connect, monkeypatch: pytest.MonkeyPatch, use: Callable[[Any], None]
) -> None:
    """Signal handlers are, finalisers, and handlers of notices: the statement would wait for itself."""
    connection, other = connect(), connect()
    whatever(connection)
    waits: Callable[..., Any] = psycopg.Connection.wait
    refused: list[str] = []

    def call() -> None:
        with pytest.raises(RuntimeError) as caught:
            get_driver(connection).create()
        refused.append(str(caught.value))
        assert content(get_driver(other), get_driver(other).from_bytes(b"content")) == b"content"

    def calling(self: Any, *arguments: Any, **keywords: Any) -> Any:
        if self is connection and not refused:
            # In frames of no module, and of a function of psycopg's that is no method.
            exec("call()", {"call": partial(exec, "call()", {"call": call, "__name__": "psycopg.waiting"})})
        return waits(self, *arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Connection, "wait", calling)
        use(connection)
    [message] = refused
    assert message.startswith("a large object cannot be used while this thread is in a query on its connection: in")
    assert message.endswith(
        " handler, or in a finaliser that the garbage collector calls, of a forgotten ZipFile for example"
    )
    whatever(connection)
