"""Real servers: memory, slow clients, clients that leave, and files that go while they are downloaded."""

import http.client
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from django.db import connections

from example.cluster import Server
from pg_lo_storage.serving.readers import DEFAULT_THREADS
from pg_lo_storage.storage import db_file_storage
from tests.serving.downloads import MEGABYTE, digest_of, save, watch_sessions
from tests.serving.servers import SERVERS, WebServer, serving

pytestmark = pytest.mark.django_db(transaction=True)

CATALOGUE = [True]
GROWTH = 8 * 1024 * 1024
SLOW_CLIENTS = 50


@pytest.fixture(params=SERVERS)
def web(request: pytest.FixtureRequest) -> Iterator[WebServer]:
    with serving(request.param) as web:
        yield web


@pytest.fixture(params=[name for name in SERVERS if name != "gunicorn-sync"])
def concurrent_web(request: pytest.FixtureRequest) -> Iterator[WebServer]:
    """A server that answers more than one client at a time."""
    with serving(request.param) as web:
        yield web


@pytest.fixture
def sessions(server: Server) -> Callable[[], list[str]]:
    # Our own end with other tests'.
    connections.close_all()
    return watch_sessions(server)


def wait_until_at_most(most: int, sessions: Callable[[], list[str]]) -> None:
    """Wait for the end of backends whose connections were closed; in none is a transaction open."""
    deadline = time.monotonic() + 30
    while len(states := sessions()) > most:
        assert time.monotonic() < deadline, states
    assert set(states) <= {"idle", "active"}


@contextmanager
def download(web: WebServer, name: str) -> Generator[http.client.HTTPResponse]:
    """Begin to download, over a connection that holds little."""
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        client.settimeout(60)
        client.connect(("127.0.0.1", web.port))
        client.sendall(f"GET /files/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        with closing(http.client.HTTPResponse(client)) as response:
            response.begin()
            assert response.status == 200
            yield response


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells of a process's peak")
def test_a_download_takes_little_memory_whatever_its_size(web: WebServer) -> None:
    name, digest = save(64)
    with httpx.Client(base_url=web.url) as client:
        # Whatever is loaded once.
        client.get(f"/files/{name}", headers={"range": "bytes=0-999999"})
        web.forget_peak()
        before = web.peak_memory()
        with client.stream("GET", f"/files/{name}") as response:
            assert response.headers["content-length"] == str(64 * MEGABYTE)
            assert digest_of(response.iter_raw()) == digest
    assert web.peak_memory() - before <= GROWTH
    assert web.log == ""


def test_answers_of_all_kinds_follow_each_other_on_one_connection(web: WebServer) -> None:
    name, _ = save(1)
    with httpx.Client(base_url=web.url) as client:
        whole = client.get(f"/files/{name}")
        etag = whole.headers["etag"]
        asked: list[tuple[str, dict[str, str], int, bytes]] = [
            ("HEAD", {}, 200, b""),
            ("GET", {"if-none-match": etag}, 304, b""),
            ("GET", {"range": "bytes=5-9", "if-range": etag}, 206, whole.content[5:10]),
            ("GET", {"range": "bytes=-300000"}, 206, whole.content[-300_000:]),
            ("GET", {"range": f"bytes={MEGABYTE}-"}, 416, b""),
            ("GET", {"if-match": '"other"'}, 412, b""),
            ("OPTIONS", {}, 200, b""),
            ("GET", {}, 200, whole.content),
        ]
        for method, headers, status, content in asked:
            response = client.request(method, f"/files/{name}", headers=headers)
            assert (response.status_code, response.content) == (status, content)
        several = client.get(f"/files/{name}", headers={"range": "bytes=0-0,9-9"})
        assert several.headers["content-type"].startswith("multipart/byteranges")
        assert several.content.endswith(b"--\r\n")


def test_slow_clients_leave_the_site_answering_and_no_transaction_open(
    concurrent_web: WebServer, sessions: Callable[[], list[str]]
) -> None:
    name, _ = save(20)
    connections.close_all()
    with ExitStack() as stack:
        clients = [stack.enter_context(download(concurrent_web, name)) for _ in range(SLOW_CLIENTS)]
        for client in clients:
            assert len(client.read(10_000)) == 10_000
        assert httpx.get(f"{concurrent_web.url}/empty/").status_code == 200
        assert len(httpx.get(f"{concurrent_web.url}/files/{name}").content) == 20 * MEGABYTE
        # Each of gunicorn's threads has a connection; an asynchronous server's downloads share a few.
        wait_until_at_most(DEFAULT_THREADS + 1 if concurrent_web.is_asynchronous else SLOW_CLIENTS + 1, sessions)
    # They leave, and nothing stays behind.
    wait_until_at_most(0, sessions)
    assert httpx.get(f"{concurrent_web.url}/empty/").status_code == 200


def test_a_file_that_is_deleted_meanwhile_ends_short(web: WebServer) -> None:
    name, _ = save(20)
    with download(web, name) as response:
        received = len(response.read(MEGABYTE))
        db_file_storage.delete(name)
        with suppress(http.client.IncompleteRead, ConnectionError):
            while block := response.read(MEGABYTE):
                received += len(block)
    assert received < 20 * MEGABYTE
    assert "LargeObjectConflict" in web.log
    assert httpx.get(f"{web.url}/files/{name}").status_code == 404
