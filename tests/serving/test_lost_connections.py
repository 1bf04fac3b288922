"""A download whose connection is lost goes on over a new one, where that surely sees the same file."""

import asyncio
import gc
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

import pytest
from django.core.files.base import ContentFile
from django.core.wsgi import get_wsgi_application
from django.db import Error, OperationalError, connections, transaction
from django.http import StreamingHttpResponse
from django.test import Client, RequestFactory, override_settings

from example.cluster import Server
from pg_lo_storage.catalogue import Found
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound
from pg_lo_storage.http.answer import Answer
from pg_lo_storage.serving import readers
from pg_lo_storage.serving.readers import READERS
from pg_lo_storage.serving.responses import DbFileResponse, response_of
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from pg_lo_storage.views import db_serve
from tests.fixtures.catalogue import without_catalogue
from tests.fixtures.connections import INSTALLED, open_connection
from tests.fixtures.losing import Lose
from tests.serving.asgi import SlowClient, get, wait_for_readers
from tests.storage.support import body, content

if TYPE_CHECKING:
    from django.db.backends.postgresql.base import DatabaseWrapper

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "replica"])

CATALOGUE = [True]
SIZE = 2_500_000
DATA = content(SIZE)


@pytest.fixture
def name() -> str:
    return db_file_storage.save("a.pdf", ContentFile(DATA))


def blocks_of(name: str, headers: dict[str, str] | None = None) -> Iterator[bytes]:
    response = Client().get(f"/files/{name}", headers=headers)
    assert isinstance(response, StreamingHttpResponse)
    return (bytes(block) for block in response)


@contextmanager
def cut() -> Generator[None]:
    with pytest.raises(Error):
        yield


RANGES: dict[str, tuple[str | None, Callable[[bytes], bytes]]] = {
    "the whole": (None, lambda data: data),
    "a part": ("bytes=100000-", lambda data: data[100_000:]),
}


@pytest.mark.parametrize("asked", RANGES)
def test_each_batch_may_be_over_another_connection(asked: str, name: str, lose: Lose) -> None:
    header, part = RANGES[asked]
    blocks = blocks_of(name, {"range": header} if header else None)
    received = next(blocks)
    lost = 0
    for block in blocks:
        lose()
        lost += 1
        received += block
    assert received == part(DATA)
    assert lost > 2


def test_several_ranges_go_on_as_well(name: str, lose: Lose) -> None:
    header = {"range": f"bytes=0-99999,{SIZE - 300_000}-"}
    whole = b"".join(blocks_of(name, header))
    blocks = blocks_of(name, header)
    received = next(blocks)
    lose()
    boundary, other = (each.split(b"\r\n", 1)[0] for each in (received, whole))
    assert (received + b"".join(blocks)).replace(boundary, other) == whole


def test_without_the_catalogue_it_is_cut(name: str, lose: Lose) -> None:
    """Nothing tells that it is the same file which a new connection finds."""
    with without_catalogue():
        blocks = blocks_of(name)
        received = next(blocks)
        lose()
        with cut():
            received += b"".join(blocks)
        assert DATA.startswith(received)
        connections["default"].close()
        assert b"".join(blocks_of(name)) == DATA


def test_so_may_be_the_first_block(name: str, lose: Lose) -> None:
    found = db_file_storage.locate(name)
    lose()
    assert body(response_of(Answer(206, pieces=[range(10, 3 * BLOCK)]), found)) == DATA[10 : 3 * BLOCK]


def test_what_the_new_connection_finds_is_the_version_that_was_promised(name: str, lose: Lose) -> None:
    blocks = blocks_of(name)
    received = next(blocks)
    with transaction.atomic(), db_file_storage.open(name, "rb+") as file:
        file.write(b"other")
    lose()
    with pytest.raises(LargeObjectConflict):
        received += b"".join(blocks)
    assert DATA.startswith(received)


def test_a_file_of_which_the_new_connection_finds_nothing_is_cut(name: str, lose: Lose) -> None:
    blocks = blocks_of(name)
    next(blocks)
    db_file_storage.delete(name)
    lose()
    with pytest.raises((LargeObjectConflict, LargeObjectNotFound)):
        b"".join(blocks)


@pytest.mark.parametrize("awaited", [False, True])
def test_in_a_transaction_it_is_cut(awaited: bool, name: str, lose: Lose) -> None:
    """What only the transaction saw is gone with it."""

    def wholly() -> None:
        response = db_serve(RequestFactory().get("/"), name)
        assert isinstance(response, DbFileResponse)
        blocks = iter(response)
        next(blocks)
        lose()
        if awaited:
            asyncio.run(collected(response))
        else:
            b"".join(map(bytes, blocks))

    with cut(), transaction.atomic():
        wholly()
    assert body(db_serve(RequestFactory().get("/"), name)) == DATA


async def collected(response: DbFileResponse) -> bytes:
    return b"".join([block async for block in response])


def test_where_the_session_had_taken_another_role_it_is_cut(name: str, lose: Lose) -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("set role app")
    blocks = blocks_of(name)
    next(blocks)
    lose()
    with cut():
        b"".join(blocks)


def test_a_statement_that_fails_on_a_sound_connection_is_not_tried_again(
    name: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = connections["default"]
    asked: list[range] = []
    reads = Found.read

    def asking(found: Found, wanted: range) -> list[bytes]:
        asked.append(wanted)
        return reads(found, wanted)

    with monkeypatch.context() as patched:
        patched.setattr(Found, "read", asking)
        # Of a new connection too, so that it would not wait for ever.
        limited = wrapper.settings_dict["OPTIONS"] | {"options": "-c lock_timeout=100"}
        patched.setitem(wrapper.settings_dict, "OPTIONS", limited)
        wrapper.close()
        blocks = blocks_of(name)
        next(blocks)
        raw = wrapper.connection
        with closing(open_connection(INSTALLED[0], server.dsn())) as other:
            other.cursor().execute("lock table pg_lo_storage_file in access exclusive mode")
            with pytest.raises(OperationalError, match="timeout"):
                b"".join(blocks)
        assert wrapper.connection is raw
        assert asked.count(asked[-1]) == 1
        wrapper.close()


def test_a_server_that_is_not_there_any_more_is_the_error(
    name: str, lose: Lose, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = blocks_of(name)
    next(blocks)
    lose()
    monkeypatch.setitem(connections["default"].settings_dict, "HOST", "/nowhere")
    with cut():
        b"".join(blocks)
    # No thread waits, and nothing is left of it.
    monkeypatch.undo()
    connections["default"].close()
    assert b"".join(blocks_of(name)) == DATA


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # Django closes no request that ends in an error
@override_settings(PG_LO_STORAGE_READ_THREADS=1)
@pytest.mark.parametrize("goes_on", [True, False], ids=["catalogue", "bare"])
def test_an_asynchronous_download_goes_on_as_well(
    goes_on: bool, name: str, lose: Lose, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "_LINGER", 600)

    async def live() -> bytes:
        client = SlowClient(f"/files/{name}")
        await client.has_begun.wait()
        await asyncio.to_thread(lose, None)
        client.read_all()
        if goes_on:
            await client.task
        else:
            with cut():
                await client.task
        return client.body

    with nullcontext() if goes_on else without_catalogue(), READERS.download():
        # Its thread has read something, so that there is a connection to lose.
        READERS.submit(lambda: db_file_storage.size(name)).result(10)
        received = asyncio.run(live())
        assert received == DATA if goes_on else DATA.startswith(received)
        assert asyncio.run(get(f"/files/{name}")).body == DATA
    wait_for_readers()
    gc.collect()


def test_the_next_request_works_after_one_that_lost_its_connection(
    name: str, lose: Lose, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a server calls it: Django's signals of requests tell the connections."""
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", None)
    connections.close_all()
    assert requested(name) == (200, DATA)
    raw = connections["default"].connection
    lose()
    assert requested(name)[0] == 500
    assert requested(name) == (200, DATA)
    assert connections["default"].connection is not raw


def test_with_health_checks_no_request_fails(name: str, lose: Lose, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_MAX_AGE", None)
    monkeypatch.setitem(connections["default"].settings_dict, "CONN_HEALTH_CHECKS", True)
    connections.close_all()
    assert requested(name) == (200, DATA)
    raw = connections["default"].connection
    lose()
    assert requested(name) == (200, DATA)
    assert connections["default"].connection is not raw


def _started(*_: object) -> Callable[[bytes], object]:
    return bytes


def requested(name: str) -> tuple[int, bytes]:
    environ = RequestFactory().get(f"/files/{name}").environ
    response = get_wsgi_application()(environ, _started)
    try:
        return response.status_code, body(response)
    finally:
        response.close()


@pytest.mark.skipif(not (find_spec("psycopg") and find_spec("psycopg_pool")), reason="the pool is psycopg 3's")
def test_a_pool_of_lost_connections_is_no_obstacle(name: str, lose: Lose, monkeypatch: pytest.MonkeyPatch) -> None:
    wrapper = cast("DatabaseWrapper", connections["replica"])
    wrapper.close()
    options = wrapper.settings_dict["OPTIONS"] | {"pool": {"min_size": 3, "max_size": 3, "timeout": 10}}
    monkeypatch.setitem(wrapper.settings_dict, "OPTIONS", options)
    try:
        response = db_serve(RequestFactory().get("/"), name, storage=DbFileStorage(alias="replica"))
        assert isinstance(response, DbFileResponse)
        blocks = iter(response)
        received = bytes(next(blocks))
        wrapper.pool.wait()
        lose(None)
        assert received + b"".join(map(bytes, blocks)) == DATA
    finally:
        wrapper.close()
        wrapper.close_pool()
