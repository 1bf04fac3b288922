"""The response for Starlette: what it holds while a client reads, and what it does when the client has left."""

import asyncio
import importlib
import sys
from collections.abc import AsyncGenerator, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

import pg_lo_storage
from example.cluster import Server
from example.web import INSERT, TABLE
from pg_lo_storage.contrib.starlette import LargeObjectResponse
from pg_lo_storage.http import FileFacts, Presentation
from tests.without_django.senders import ask_asgi, scope

SIZE: Final = 5_000_000


class Pool:
    """Connections for each ``async with``, and how many are and were open."""

    def __init__(self, dsn: str) -> None:
        self.open = self.opened = 0
        self._dsn = dsn

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[psycopg.AsyncConnection]:
        self.open += 1
        self.opened += 1
        try:
            async with await psycopg.AsyncConnection.connect(self._dsn) as connection:
                yield connection
        finally:
            self.open -= 1


@pytest.fixture
def pool(server: Server) -> Pool:
    return Pool(server.dsn())


@pytest.fixture
def facts(server: Server) -> Iterator[FileFacts]:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        oid = pg_lo_storage.save(connection, bytes(SIZE))
        yield FileFacts(oid, SIZE, "a.pdf", version="1")
        connection.execute("select lo_unlink(oid) from pg_largeobject_metadata")


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError


def is_whole(pool: AsyncConnectionPool[Any]) -> bool:
    """Tell whether none of the pool's connections is taken, or asked for."""
    stats = pool.get_stats()
    is_reading = any("_read_awaited" in repr(task.get_coro()) for task in asyncio.all_tasks())
    return stats["pool_available"] == stats["pool_size"] and not is_reading


async def asked(app: ASGIApp, of: Scope, receive: Receive, send: Send) -> None:
    await app(of, receive, send)


class SlowClient:
    """Takes a block when it is let to, and leaves when it wants to, as a server of either version tells it."""

    def __init__(self, app: ASGIApp, spec_version: str, path: str = "/") -> None:
        self._scope = scope("GET", path, [], spec_version)
        self._tells_by_error = spec_version >= "2.4"
        self._asked = False
        self._may_take = asyncio.Semaphore(0)
        self._taken = asyncio.Semaphore(0)
        self._left = asyncio.Event()
        self.received = 0
        self.task = asyncio.ensure_future(asked(app, self._scope, self._receive, self._send))

    async def take(self) -> None:
        self._may_take.release()
        await self._taken.acquire()

    def leave(self) -> None:
        self._left.set()
        self._may_take.release()

    async def _receive(self) -> dict[str, Any]:
        if self._asked:
            await self._left.wait()
            return {"type": "http.disconnect"}
        self._asked = True
        return {"type": "http.request", "body": b""}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            return
        await self._may_take.acquire()
        if self._left.is_set() and self._tells_by_error:
            raise OSError
        self.received += len(message["body"])
        self._taken.release()


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_nothing_is_open_while_a_client_reads_and_none_is_read_for_one_that_left(
    pool: Pool, facts: FileFacts, spec_version: str
) -> None:
    async def main() -> None:
        client = SlowClient(LargeObjectResponse(pool.connection, facts), spec_version)
        await client.take()
        await client.take()
        await until(lambda: pool.opened == 3 and not pool.open)  # the third block waits to be taken
        assert 0 < client.received < SIZE
        client.leave()
        await asyncio.wait([client.task])
        await until(lambda: not pool.open)
        assert pool.opened <= 4  # of seven: one may have been under way

    asyncio.run(main())


def test_a_client_that_leaves_while_a_block_is_read_leaves_no_connection(pool: Pool, facts: FileFacts) -> None:
    async def main() -> None:
        @asynccontextmanager
        async def leaving() -> AsyncGenerator[psycopg.AsyncConnection, None]:
            async with pool.connection() as connection:
                if client.received:
                    client.leave()
                yield connection

        client = SlowClient(LargeObjectResponse(leaving, facts), "2.3")
        await client.take()
        await asyncio.wait([client.task])
        await until(lambda: not pool.open)

    asyncio.run(main())


def test_the_plain_application_stops_as_well(facts: FileFacts, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSN", server.dsn())
    monkeypatch.delitem(sys.modules, "example.web.asgi_files", raising=False)
    module = importlib.import_module("example.web.asgi_files")
    with psycopg.connect(server.dsn()) as connection:
        connection.execute(TABLE)
        connection.execute(INSERT, [facts.oid, SIZE, "ab" * 32, "a.pdf"])

    async def main() -> None:
        await module.pool.open(wait=True)
        client = SlowClient(module.app, "2.3", f"/files/{facts.oid}")
        await client.take()
        client.leave()
        await asyncio.wait([client.task])
        assert client.task.exception() is None
        assert client.received < SIZE
        await until(lambda: is_whole(module.pool))
        await module.pool.close()

    asyncio.run(main())
    with psycopg.connect(server.dsn()) as connection:
        connection.execute("drop table file")


def test_clients_that_leave_while_blocks_are_read_take_no_connection_from_a_pool(
    facts: FileFacts, server: Server
) -> None:
    async def main() -> None:
        async with AsyncConnectionPool(server.dsn(), min_size=1, max_size=1, timeout=5) as pool:

            async def backend() -> int:
                async with pool.connection() as connection:
                    return connection.info.backend_pid

            @asynccontextmanager
            async def leaving() -> AsyncGenerator[psycopg.AsyncConnection, None]:
                async with pool.connection() as connection:
                    if client.received:
                        client.leave()
                    yield connection

            before = await backend()
            for _ in range(5):
                client = SlowClient(LargeObjectResponse(leaving, facts), "2.3")
                await client.take()
                await asyncio.wait([client.task])
                await until(lambda: is_whole(pool))
            assert await backend() == before

    asyncio.run(main())


def test_what_is_set_on_the_response_goes_along(pool: Pool, facts: FileFacts) -> None:
    done = list[bool]()
    background = BackgroundTask(done.append, True)
    presentation = Presentation(as_attachment=True, headers={"X-Own": "1"})
    response = LargeObjectResponse(pool.connection, facts, presentation, vary="Cookie", background=background)
    response.set_cookie("seen", "yes")
    response.headers["Cache-Control"] = "no-store"
    sent = asyncio.run(ask_asgi(response, "HEAD", "/"))
    assert sent.headers["Set-Cookie"].startswith("seen=yes")
    assert sent.headers["Cache-Control"] == "no-store"
    assert (sent.headers["Vary"], sent.headers["X-Own"]) == ("Cookie", "1")
    assert sent.headers["Content-Disposition"] == 'attachment; filename="a.pdf"'
    assert sent.headers["Content-Length"] == str(SIZE)
    assert done == [True]
    assert pool.opened == 0


def test_it_may_be_sent_again(pool: Pool, facts: FileFacts) -> None:
    response = LargeObjectResponse(pool.connection, facts)
    part = asyncio.run(ask_asgi(response, "GET", "/", {"range": "bytes=0-9"}))
    whole = asyncio.run(ask_asgi(response, "GET", "/"))
    assert (part.status, len(part.body)) == (206, 10)
    assert (whole.status, len(whole.body)) == (200, SIZE)
    assert "Content-Range" not in whole.headers


def test_headers_that_come_twice_are_one_list(pool: Pool, facts: FileFacts) -> None:
    messages = list[Any]()

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    etag = f'"{facts.oid}-1"'.encode()
    twice = [(b"if-none-match", b'"other"'), (b"if-none-match", etag)]
    asyncio.run(LargeObjectResponse(pool.connection, facts)(scope("GET", "/", twice), receive, send))
    assert messages[0]["status"] == 304


@pytest.mark.parametrize(("size", "status"), [(SIZE, 404), (SIZE + 1, 503)])
def test_what_is_not_as_the_facts_say_is_no_success(
    pool: Pool, facts: FileFacts, server: Server, size: int, status: int
) -> None:
    said = FileFacts(facts.oid, size, "a.pdf")
    if status == 404:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("select lo_unlink(%s)", [facts.oid])
    with pytest.raises(HTTPException) as caught:
        asyncio.run(ask_asgi(LargeObjectResponse(pool.connection, said), "GET", "/", {"range": "bytes=-5"}))
    assert caught.value.status_code == status
    assert caught.value.headers
    assert caught.value.headers["Cache-Control"] == "no-store"
