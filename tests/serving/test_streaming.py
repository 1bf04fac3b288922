"""The body of a large file: block by block, holding nothing in between, under WSGI and ASGI alike."""

import gzip
import io
import itertools
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.files.base import ContentFile
from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import AsyncClient, AsyncRequestFactory, Client, override_settings

from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectError
from pg_lo_storage.serving.responses import DbFileResponse
from pg_lo_storage.storage import DbFileIO, DbFileStorage, db_file_storage
from pg_lo_storage.storage.saving import SMALL
from pg_lo_storage.views import db_serve
from tests.fixtures.proxy import Wire
from tests.storage.support import LARGE, body, content, loid_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "replica", "wired"])

HUGE = 5_000_000
WIRED = DbFileStorage(alias="wired")
GZIP = override_settings(MIDDLEWARE=["django.middleware.gzip.GZipMiddleware"])


@pytest.fixture
def data() -> bytes:
    return content(HUGE)


@pytest.fixture
def name(data: bytes) -> str:
    return db_file_storage.save("a.pdf", ContentFile(data))


@pytest.fixture(params=[False, True], ids=["autocommit", "ATOMIC_REQUESTS"])
def _atomic_requests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections["default"].settings_dict, "ATOMIC_REQUESTS", request.param)


def state_of_our_backend() -> str:
    """Return what another session sees of Django's default connection."""
    raw = connections["default"].connection
    with connections["replica"].cursor() as cursor:
        cursor.execute("select state from pg_stat_activity where pid = %s", [raw.info.backend_pid])
        [state] = cursor.fetchone()
        return str(state)


def blocks_of(response: object) -> Iterator[bytes]:
    assert isinstance(response, StreamingHttpResponse)
    return (bytes(block) for block in response)


@pytest.mark.usefixtures("_atomic_requests")
@pytest.mark.parametrize(("header", "start"), [(None, 0), ("bytes=0-", 0), ("bytes=1000-", 1000)])
def test_no_transaction_is_held_while_a_client_reads(header: str | None, start: int, name: str, data: bytes) -> None:
    response = Client().get(f"/files/{name}", headers={"range": header} if header else {})
    received: list[bytes] = []
    for block in blocks_of(response):
        received.append(block)
        assert not connections["default"].in_atomic_block
        assert state_of_our_backend() == "idle"
    response.close()
    assert b"".join(received) == data[start:]
    assert len(received) > 10
    assert max(map(len, received)) <= SMALL + 1


def test_other_queries_may_run_between_blocks(name: str, data: bytes) -> None:
    received = b""
    for block in blocks_of(Client().get(f"/files/{name}")):
        received += block
        with transaction.atomic():
            assert db_file_storage.exists(name)
    assert received == data


def truncate(name: str) -> None:
    with transaction.atomic(), DbFileIO(loid_of(name), "wb") as file:
        file.truncate(SMALL + 10)


def delete(name: str) -> None:
    db_file_storage.delete(name)


def truncate_behind_the_catalogue(name: str) -> None:
    with connections["replica"].cursor() as cursor:
        cursor.execute(f"select lo_truncate64(lo_open({loid_of(name)}, 131072), {SMALL + 10})")


@pytest.mark.usefixtures("_atomic_requests")
@pytest.mark.parametrize("harm", [truncate, truncate_behind_the_catalogue, delete])
def test_a_file_that_becomes_shorter_while_it_is_served_ends_in_an_error(
    harm: Callable[[str], None], name: str, data: bytes
) -> None:
    response = Client().get(f"/files/{name}")
    blocks = blocks_of(response)
    received = next(blocks)
    harm(name)
    # More blocks than this there never were: it would be an endless loop.
    with pytest.raises(LargeObjectError):
        received += b"".join(itertools.islice(blocks, 100))
    assert data.startswith(received)
    assert not connections["default"].in_atomic_block
    response.close()


def grow(name: str) -> None:
    with transaction.atomic(), db_file_storage.open(name, "ab") as file:
        file.write(b"more")


def overwrite(name: str) -> None:
    with transaction.atomic(), DbFileIO(loid_of(name), "rb+") as file:
        file.seek(SMALL + 10)
        file.write(b"other")


@pytest.mark.parametrize("change", [grow, overwrite])
def test_with_the_catalogue_not_a_byte_of_another_version_is_sent(
    change: Callable[[str], None], name: str, data: bytes, catalogue: bool
) -> None:
    blocks = blocks_of(Client().get(f"/files/{name}"))
    received = next(blocks)
    change(name)
    if catalogue:
        with pytest.raises(LargeObjectConflict, match="was changed"):
            received += b"".join(blocks)
        assert data.startswith(received)
    else:
        assert len(received + b"".join(blocks)) == len(data)


def test_a_client_that_leaves_early_harms_nothing(name: str) -> None:
    response = Client().get(f"/files/{name}")
    next(blocks_of(response))
    assert state_of_our_backend() == "idle"
    response.close()
    assert db_file_storage.exists(name)


@GZIP
def test_a_middleware_may_compress_the_body(name: str, data: bytes) -> None:
    response = Client().get(f"/files/{name}", headers={"accept-encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    assert "Content-Length" not in response.headers
    assert gzip.decompress(body(response)) == data


@GZIP
@pytest.mark.parametrize("size", [10_000, HUGE])
@pytest.mark.parametrize("ask", [Client().get, async_to_sync(AsyncClient().get)], ids=["wsgi", "asgi"])
def test_what_a_digest_is_of_is_sent(size: int, ask: Callable[..., HttpResponseBase], catalogue: bool) -> None:
    name = db_file_storage.save("a.txt", ContentFile(b"a" * size))
    headers = {"accept-encoding": "gzip", "want-repr-digest": "sha-256=1"}
    response = ask(f"/files/{name}", headers=headers)
    assert ("Repr-Digest" in response.headers) is catalogue
    assert ("Content-Encoding" in response.headers) is not catalogue


async def received_by(client: AsyncClient, path: str, **headers: str) -> tuple[int, list[bytes]]:
    """Return the status and the blocks of a response, read as an ASGI server does."""
    response = await client.get(path, headers=headers)
    if not isinstance(response, StreamingHttpResponse):
        return response.status_code, [response.content]
    return response.status_code, [bytes(block) async for block in response]


@pytest.mark.usefixtures("_atomic_requests")
@pytest.mark.parametrize(("header", "start"), [("", 0), ("bytes=1000-", 1000)])
def test_an_asynchronous_server_streams_the_same_blocks(header: str, start: int, name: str, data: bytes) -> None:
    status, blocks = async_to_sync(received_by)(AsyncClient(), f"/files/{name}", range=header)
    assert status == (206 if header else 200)
    assert b"".join(blocks) == data[start:]
    assert len(blocks) > 10
    assert max(map(len, blocks)) <= SMALL + 1


@pytest.mark.parametrize("size", [0, 10, SMALL, LARGE])
def test_an_asynchronous_server_serves_any_size(size: int) -> None:
    data = content(size)
    name = db_file_storage.save("a.pdf", ContentFile(data))
    status, blocks = async_to_sync(received_by)(AsyncClient(), f"/files/{name}")
    assert status == 200
    assert b"".join(blocks) == data


@GZIP
def test_a_middleware_may_compress_the_body_of_an_asynchronous_server(name: str, data: bytes) -> None:
    headers = {"accept-encoding": "gzip"}
    _status, blocks = async_to_sync(received_by)(AsyncClient(), f"/files/{name}", **headers)
    assert gzip.decompress(b"".join(blocks)) == data


def test_the_body_is_not_collected_before_an_asynchronous_server_sends_it(name: str, data: bytes, wire: Wire) -> None:
    async def first_block() -> bytes:
        request = AsyncRequestFactory().get("/")
        response = await sync_to_async(db_serve)(request, name, storage=WIRED)
        assert isinstance(response, DbFileResponse)
        try:
            return bytes(await anext(aiter(response)))
        finally:
            await sync_to_async(response.close)()

    connections["wired"].ensure_connection()
    with wire.counting() as trips:
        assert data.startswith(async_to_sync(first_block)())
    assert trips.count <= 3


def test_two_range_headers_of_an_asynchronous_request_are_ignored() -> None:
    name = db_file_storage.save("a.pdf", ContentFile(b"0123456789"))
    headers = [(b"range", b"bytes=0-1"), (b"range", b"bytes=3-4")]
    scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
    response = db_serve(ASGIRequest(scope, io.BytesIO()), name)
    assert response.status_code == 200
    assert body(response) == b"0123456789"


def test_a_middleware_may_replace_the_body_by_one_that_is_awaited(name: str) -> None:
    async def another() -> AsyncIterator[bytes]:
        yield b"another, "
        yield b"awaited"

    async def received() -> bytes:
        response = await sync_to_async(db_serve)(AsyncRequestFactory().get("/"), name)
        assert isinstance(response, DbFileResponse)
        response.streaming_content = another()
        try:
            return b"".join([bytes(part) async for part in response])
        finally:
            await sync_to_async(response.close)()

    assert async_to_sync(received)() == b"another, awaited"
