"""Under an asynchronous server: many slow clients, few threads, and no connection that waits for them."""

import asyncio
import gc
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.files.base import ContentFile
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper
from django.http import HttpResponseBase
from django.test import RequestFactory, override_settings

from pg_lo_storage.exceptions import LargeObjectError
from pg_lo_storage.serving.readers import DEFAULT_THREADS, needs_own_connection
from pg_lo_storage.serving.responses import DbFileResponse
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from pg_lo_storage.views import adb_serve, db_serve
from tests.fixtures.connections import Connect, run
from tests.serving.asgi import SlowClient, get, wait_for_readers
from tests.storage.support import LARGE, content

CLIENTS = 20


@pytest.fixture
def name() -> str:
    return db_file_storage.save("a.pdf", ContentFile(content(LARGE)))


@pytest.fixture
def sessions(connect: Connect) -> Callable[[], list[str]]:
    """What the other sessions of the database do: their states."""
    connection = connect(autocommit=True)
    query = (
        # One that is only starting has no state of its own, or, since PostgreSQL 18, that.
        "select coalesce(nullif(state, 'starting'), 'active') from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
        " and backend_type = 'client backend' and application_name = ''"
    )
    before = run(connection, "select pid from pg_stat_activity")

    def states() -> list[str]:
        pids = ",".join(str(pid) for (pid,) in before)
        return [state for (state,) in run(connection, f"{query} and pid not in ({pids})")]

    return states


def wait_until_none(sessions: Callable[[], list[str]]) -> None:
    """Wait until the server has noticed that all sessions were closed."""
    wait_for_readers()
    deadline = time.monotonic() + 10
    while left := sessions():
        assert time.monotonic() < deadline, left


@pytest.fixture(params=["files", "awaited"])
def path(request: pytest.FixtureRequest, name: str) -> str:
    return f"/{request.param}/{name}"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("header", "first"), [("", 0), ("bytes=1000-", 1000)])
def test_a_file_arrives_whole(path: str, header: str, first: int) -> None:
    client = asyncio.run(get(path, range=header))
    assert client.status == (206 if header else 200)
    assert client.body == content(LARGE)[first:]


class Looking:
    """Sees statements."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def look(self, execute: Callable[..., Any], sql: str, params: object, *rest: Any) -> Any:
        self.seen += [f"{sql} {params!r}"]
        return execute(sql, params, *rest)

    def debug(self, message: str, *values: object, **_: object) -> None:
        """Stand in the place of the logger of Django's database backends."""
        self.seen += [message % values]


EXECUTE = CursorWrapper.execute


@pytest.fixture(params=["each connection", "class", "DEBUG"])
def looking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Looking]:
    """Somebody who looks at the statements of every connection, in whichever thread that is made."""
    looking = Looking()
    connections.close_all()

    def begin(connection: BaseDatabaseWrapper, **_: object) -> None:
        connection.execute_wrappers.append(looking.look)

    match request.param:
        case "class":

            def execute(cursor: CursorWrapper, sql: str, params: object = None) -> Any:
                return looking.look(partial(EXECUTE, cursor), sql, params)

            monkeypatch.setattr(CursorWrapper, "execute", execute)
            yield looking
        case "DEBUG":
            # The handler of Django configures the logger itself.
            monkeypatch.setattr("django.db.backends.utils.logger", looking)
            with override_settings(DEBUG=True):
                yield looking
        case _:
            connection_created.connect(begin)
            yield looking
            connection_created.disconnect(begin)
            connections.close_all()
            connections["default"].execute_wrappers.clear()


@pytest.mark.django_db(transaction=True)
def test_who_looks_at_statements_sees_those_of_a_download_and_no_bytes(path: str, looking: Looking) -> None:
    looking.seen.clear()
    client = asyncio.run(get(path))
    wait_for_readers()
    assert client.body == content(LARGE)
    assert sum("lo_get" in text or "loread" in text for text in looking.seen) > 1
    some = content(LARGE)[-100:-80]
    assert not [text for text in looking.seen if some.hex() in text or repr(some)[2:-1] in text]


@pytest.mark.django_db(transaction=True)
def test_slow_clients_keep_neither_connections_nor_transactions(path: str, sessions: Callable[[], list[str]]) -> None:
    async def live() -> list[str]:
        clients = [SlowClient(path) for _ in range(CLIENTS)]
        await asyncio.gather(*(client.has_begun.wait() for client in clients))
        other = await get("/empty/")
        assert other.status == 200
        held = await asyncio.to_thread(sessions)
        # The backends of connections that were closed end in their own time.
        for _ in range(100):
            if len(held) <= DEFAULT_THREADS:
                break
            await asyncio.sleep(0.1)
            held = await asyncio.to_thread(sessions)
        for client in clients:
            client.read_all()
        await asyncio.gather(*(client.task for client in clients))
        assert all(client.body == content(LARGE) for client in clients)
        return held

    held = asyncio.run(live())
    assert len(held) <= DEFAULT_THREADS
    assert set(held) <= {"idle", "active"}
    wait_until_none(sessions)


@pytest.mark.django_db(transaction=True)
def test_a_client_that_leaves_is_forgotten(path: str, sessions: Callable[[], list[str]]) -> None:
    async def live() -> None:
        clients = [SlowClient(path) for _ in range(3)]
        for client in clients:
            await client.has_begun.wait()
            client.leave()
        await asyncio.gather(*(client.task for client in clients))

    asyncio.run(live())
    wait_until_none(sessions)


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # Django closes no request that ends in an error
@pytest.mark.django_db(transaction=True)
def test_a_file_that_is_gone_meanwhile_cuts_the_connection(path: str, name: str) -> None:
    async def live() -> SlowClient:
        client = SlowClient(path)
        await client.has_begun.wait()
        await sync_to_async(db_file_storage.delete)(name)
        client.read_all()
        with pytest.raises(LargeObjectError):
            await client.task
        return client

    client = asyncio.run(live())
    assert content(LARGE).startswith(client.body)
    assert len(client.body) < LARGE
    # First the thread, which holds the error, and by its traceback the request, a moment longer.
    wait_for_readers()
    del client
    gc.collect()


async def body_of(response: HttpResponseBase) -> bytes:
    assert isinstance(response, DbFileResponse)
    return b"".join([block async for block in response])


@pytest.mark.django_db
def test_in_a_transaction_what_is_not_committed_is_sent() -> None:
    name = db_file_storage.save("a.pdf", ContentFile(content(LARGE)))
    assert needs_own_connection("default")

    async def ask() -> bytes:
        return await body_of(await adb_serve(RequestFactory().get("/"), name))

    assert async_to_sync(ask)() == content(LARGE)
    assert b"".join(block for block in db_serve(RequestFactory().get("/"), name)) == content(LARGE)


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_commits_nothing_by_itself_is_the_requests_own() -> None:
    connections["default"].set_autocommit(False)
    try:
        name = db_file_storage.save("a.pdf", ContentFile(content(LARGE)))
        response = db_serve(RequestFactory().get("/"), name)
        assert async_to_sync(body_of)(response) == content(LARGE)
    finally:
        connections["default"].rollback()
        connections["default"].set_autocommit(True)


@pytest.mark.django_db(transaction=True)
@override_settings(MIDDLEWARE=["django.middleware.gzip.GZipMiddleware"])
def test_what_a_middleware_makes_of_the_body_is_sent(name: str) -> None:
    client = asyncio.run(get(f"/files/{name}", accept_encoding="gzip"))
    assert client.body[:2] == b"\x1f\x8b"
    part = asyncio.run(get(f"/files/{name}", accept_encoding="gzip", range="bytes=5-999"))
    assert part.body == content(LARGE)[5:1000]


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
def test_files_of_another_database_are_sent_too() -> None:
    name = DbFileStorage(alias="other").save("a.pdf", ContentFile(content(LARGE)))
    assert asyncio.run(get(f"/others/{name}")).body == content(LARGE)
    wait_for_readers()
