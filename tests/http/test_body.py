"""The bytes of an answer: each batch on a connection of its own, called and awaited, with every driver."""

import asyncio
import threading
import tracemalloc
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from contextlib import (
    asynccontextmanager,
    closing,
    contextmanager,
    nullcontext,
)
from importlib.util import find_spec
from typing import Any, Final
from urllib.parse import urlencode

import pytest

from example.cluster import Server
from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound
from pg_lo_storage.http import Answer, FileFacts, abody, answer, body, find
from pg_lo_storage.testing import InMemoryConnection
from tests.fixtures.connections import INSTALLED, Connect, open_connection
from tests.io.files import numbered_lines

LINES: Final = numbered_lines(3_000_000)
SMALL: Final = 256 * 1024

Read = Callable[[FileFacts, Answer], Iterator[bytes]]


class Pool:
    """Connections that are open from ``with`` until its block ends, and how many there were."""

    def __init__(self, driver_name: str, dsn: str) -> None:
        self.opened = 0
        self.open = 0
        self._driver_name = driver_name
        self._dsn = dsn

    @contextmanager
    def connection(self) -> Generator[object]:
        with closing(open_connection(self._driver_name, self._dsn)) as connection, self._counted():
            yield connection

    @asynccontextmanager
    async def awaited(self) -> AsyncGenerator[object]:
        import psycopg

        async with await psycopg.AsyncConnection.connect(self._dsn) as connection:
            with self._counted():
                yield connection

    @contextmanager
    def _counted(self) -> Generator[None]:
        self.opened += 1
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1


IN_THREADS: Final = [f"{name}, in threads" for name in INSTALLED]
KINDS: Final = [*INSTALLED, *IN_THREADS, *(["async"] if find_spec("psycopg") else [])]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def pool(kind: str, server: Server) -> Pool:
    return Pool(kind.partition(",")[0], server.dsn())


@pytest.fixture
def read(kind: str, pool: Pool) -> Iterator[Read]:
    """What reads a body, block by block; nothing is open in between."""
    if kind in INSTALLED:
        yield lambda facts, made: body(pool.connection, facts, made)
        return
    with asyncio.Runner() as runner:

        async def begun(facts: FileFacts, made: Answer) -> Any:
            return await abody(pool.awaited if kind == "async" else pool.connection, facts, made)

        def blocks(facts: FileFacts, made: Answer) -> Iterator[bytes]:
            iterator = runner.run(begun(facts, made))

            async def following() -> bytes | None:
                return await anext(iterator, None)

            return iter(lambda: runner.run(following()), None)

        yield blocks


@pytest.fixture
def driver(server: Server) -> Iterator[LargeObjectDriver]:
    """What makes the objects."""
    with closing(open_connection(INSTALLED[0], server.dsn(), autocommit=True)) as connection:
        yield get_driver(connection)


@pytest.mark.parametrize("size", [0, 10, SMALL, len(LINES)])
@pytest.mark.parametrize("wanted", [None, "bytes=5-9", f"bytes=-{SMALL + 9},0-1,3-4"])
def test_it_is_the_answers_pieces(
    driver: LargeObjectDriver, pool: Pool, read: Read, size: int, wanted: str | None
) -> None:
    data = LINES[:size]
    facts = FileFacts(driver.from_bytes(data), size, "a.txt")
    made = answer("GET", {} if wanted is None else {"Range": wanted}, facts)
    received = list[bytes]()
    for block in read(facts, made):
        assert pool.open == 0
        assert len(block) <= 1 << 20
        received.append(block)
    expected = [piece if isinstance(piece, bytes) else data[piece.start : piece.stop] for piece in made.pieces]
    assert b"".join(received) == b"".join(expected)
    assert pool.opened <= sum(1 + len(piece) // SMALL for piece in made.pieces)


def test_a_head_reads_nothing(driver: LargeObjectDriver, pool: Pool, read: Read) -> None:
    facts = FileFacts(driver.from_bytes(LINES), len(LINES), "a.txt")
    made = answer("HEAD", {}, facts)
    assert made.headers["Content-Length"] == str(len(LINES))
    assert b"".join(read(facts, made)) == b""
    assert pool.opened == 0


@pytest.mark.once
def test_an_answer_without_a_body_is_bytes_too() -> None:
    facts = FileFacts(7, 10)
    made = answer("HEAD", {}, facts)

    def connect() -> nullcontext[object]:
        raise AssertionError

    async def awaited() -> list[bytes]:
        return [block async for block in await abody(connect, facts, made)]

    assert list(body(connect, facts, made)) == asyncio.run(awaited()) == [b""]


def test_what_is_not_there_is_known_before_anything_is_promised(driver: LargeObjectDriver, read: Read) -> None:
    oid = driver.from_bytes(b"0123456789")
    longer = FileFacts(oid, 11)
    with pytest.raises(LargeObjectConflict):
        read(longer, answer("GET", {}, longer))
    driver.unlink(oid)
    gone = FileFacts(oid, 10)
    with pytest.raises(LargeObjectNotFound):
        read(gone, answer("GET", {}, gone))


@pytest.mark.parametrize("is_gone", [False, True], ids=["shorter", "gone"])
def test_a_file_that_becomes_shorter_or_goes_ends_with_an_error(
    driver: LargeObjectDriver, pool: Pool, read: Read, *, is_gone: bool
) -> None:
    facts = FileFacts(driver.from_bytes(LINES), len(LINES))
    blocks = read(facts, answer("GET", {}, facts))
    assert next(blocks) == LINES[:SMALL]
    if is_gone:
        driver.unlink(facts.oid)
    else:
        assert driver.sql is not None
        driver.sql.execute("select lo_truncate64(lo_open(%s::oid, 131072), %s::int8)", (facts.oid, len(LINES) - 1))
    with pytest.raises(LargeObjectNotFound if is_gone else LargeObjectConflict, match=str(facts.oid)) as caught:
        b"".join(blocks)
    assert caught.value.oid == facts.oid
    assert pool.open == 0


def test_one_connection_may_be_kept(connect: Connect) -> None:
    connection = connect(autocommit=True)

    def kept() -> nullcontext[object]:
        return nullcontext(connection)

    async def awaited() -> bytes:
        return b"".join([block async for block in await abody(kept, facts, answer("GET", {}, facts))])

    facts = find(connection, get_driver(connection).from_bytes(LINES), "a.txt")
    assert b"".join(body(kept, facts, answer("GET", {}, facts))) == LINES
    assert asyncio.run(awaited()) == LINES


def test_connections_are_asked_for_in_one_way_and_what_is_awaited_has_the_event_loop(
    driver: LargeObjectDriver, pool: Pool, kind: str
) -> None:
    facts = FileFacts(driver.from_bytes(LINES), len(LINES))
    asked, threads = list[int](), list[int]()

    def connect() -> Any:
        asked.append(threading.get_ident())
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        return entered() if kind == "async" else pool.connection()

    @asynccontextmanager
    async def entered() -> AsyncGenerator[object]:
        asyncio.get_running_loop()
        threads.append(threading.get_ident())
        async with pool.awaited() as connection:
            yield connection

    async def read() -> bytes:
        return b"".join([block async for block in await abody(connect, facts, answer("GET", {}, facts))])

    assert asyncio.run(read()) == LINES
    assert len(asked) == pool.opened > 1
    assert threading.get_ident() not in asked
    assert threads == [threading.get_ident()] * (pool.opened if kind == "async" else 0)


@pytest.mark.once
def test_a_driver_without_sql_gives_the_bytes_and_has_no_catalogue() -> None:
    connection = InMemoryConnection()
    oid = get_driver(connection).from_bytes(LINES)
    facts = find(connection, oid)
    assert b"".join(body(lambda: nullcontext(connection), facts, answer("GET", {}, facts))) == LINES
    catalogued = FileFacts(oid, len(LINES), version="1", catalogue="pg_lo_storage_file")
    with pytest.raises(ValueError, match="no SQL"):
        body(lambda: nullcontext(connection), catalogued, answer("GET", {}, catalogued))


@pytest.mark.once
def test_an_engine_of_sqlalchemy_gives_the_connections(driver: LargeObjectDriver, server: Server) -> None:
    from sqlalchemy import create_engine
    from sqlalchemy.ext.asyncio import create_async_engine

    facts = FileFacts(driver.from_bytes(LINES), len(LINES), "a.txt")
    made = answer("GET", {}, facts)
    url = f"postgresql+psycopg://?{urlencode(server.parameters())}"

    async def awaited() -> bytes:
        engine = create_async_engine(url)
        data = b"".join([block async for block in await abody(engine.connect, facts, made)])
        await engine.dispose()
        return data

    engine = create_engine(url)
    assert b"".join(body(engine.connect, facts, made)) == LINES
    engine.dispose()
    assert asyncio.run(awaited()) == LINES


def test_it_takes_little_memory(driver: LargeObjectDriver, read: Read) -> None:
    size = 30_000_000
    oid = driver.create()
    driver.put(oid, size - 1, b"\n")
    facts = FileFacts(oid, size)
    tracemalloc.start()
    try:
        assert sum(map(len, read(facts, answer("GET", {}, facts)))) == size
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
