"""The examples under real servers: memory, slow clients, clients that leave, and files that go meanwhile."""

import hashlib
import http.client
import random
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import httpx
import psycopg
import pytest

import pg_lo_storage
from example.cluster import Server
from example.web import INSERT, TABLE
from tests.serving.servers import EXAMPLES, WebServer, serving

MEGABYTE: Final = 1_000_000
GROWTH: Final = 8 * 1024 * 1024
SLOW_CLIENTS: Final = 20

Store = Callable[[int], tuple[int, str]]


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(TABLE)
        yield connection
        connection.execute("drop table file")
        connection.execute("select lo_unlink(oid) from pg_largeobject_metadata")


@pytest.fixture(scope="module", params=EXAMPLES)
def web(request: pytest.FixtureRequest, server: Server, connection: psycopg.Connection) -> Iterator[WebServer]:  # noqa: ARG001 -- its table
    with serving(request.param, DSN=server.dsn()) as web:
        yield web


@pytest.fixture(scope="module")
def store(connection: psycopg.Connection) -> Store:
    def stored(megabytes: int) -> tuple[int, str]:
        data = random.Random(megabytes)
        blocks = (data.randbytes(MEGABYTE) for _ in range(megabytes))
        saved = pg_lo_storage.save(connection, blocks, digest=True)
        connection.execute(INSERT, [*saved, "large.bin"])
        return saved.oid, saved.sha256

    return stored


@contextmanager
def download(web: WebServer, oid: int) -> Generator[http.client.HTTPResponse]:
    """Begin to download, over a connection that holds little."""
    with closing(socket.socket()) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
        client.settimeout(60)
        client.connect(("127.0.0.1", web.port))
        client.sendall(f"GET /files/{oid} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        with closing(http.client.HTTPResponse(client)) as response:
            response.begin()
            assert response.status == 200
            yield response


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells of a process's peak")
def test_a_download_takes_little_memory_whatever_its_size(web: WebServer, store: Store) -> None:
    oid, sha256 = store(60)
    digest = hashlib.sha256()
    with httpx.Client(base_url=web.url) as client:
        # Whatever is loaded once, threads and their connections included.
        for _ in range(3):
            client.get(f"/files/{oid}", headers={"range": "bytes=0-4999999"})
        web.forget_peak()
        before = web.peak_memory()
        with client.stream("GET", f"/files/{oid}") as response:
            assert response.headers["content-length"] == str(60 * MEGABYTE)
            for block in response.iter_raw():
                digest.update(block)
    assert digest.hexdigest() == sha256
    assert web.peak_memory() - before <= GROWTH


def test_answers_of_all_kinds_follow_each_other_on_one_connection(web: WebServer, store: Store) -> None:
    oid, sha256 = store(1)
    with httpx.Client(base_url=web.url) as client:
        whole = client.get(f"/files/{oid}")
        assert whole.headers["etag"] == f'"{sha256}"'
        assert hashlib.sha256(whole.content).hexdigest() == sha256
        asked: list[tuple[str, dict[str, str], int, bytes]] = [
            ("HEAD", {}, 200, b""),
            ("GET", {"if-none-match": whole.headers["etag"]}, 304, b""),
            ("GET", {"range": "bytes=5-9", "if-range": whole.headers["etag"]}, 206, whole.content[5:10]),
            ("GET", {"range": f"bytes={MEGABYTE}-"}, 416, b""),
            ("GET", {"if-match": '"other"'}, 412, b""),
            ("GET", {}, 200, whole.content),
        ]
        for method, headers, status, content in asked:
            response = client.request(method, f"/files/{oid}", headers=headers)
            assert (response.status_code, response.content) == (status, content)


def test_slow_clients_leave_the_site_answering_and_no_transaction_open(
    web: WebServer, store: Store, connection: psycopg.Connection
) -> None:
    oid, _ = store(15)
    with ExitStack() as stack:
        clients = [stack.enter_context(download(web, oid)) for _ in range(SLOW_CLIENTS)]
        for client in clients:
            assert len(client.read(10_000)) == 10_000
        # More clients than a pool of four has connections.
        assert len(httpx.get(f"{web.url}/files/{oid}").content) == 15 * MEGABYTE
        states = connection.execute(
            "select state from pg_stat_activity where datname = 'app' and pid <> pg_backend_pid()"
            " and backend_type = 'client backend' and state <> 'starting'"
        ).fetchall()
        assert {state for (state,) in states} <= {"idle", "active"}
        assert len(states) <= SLOW_CLIENTS
    # They leave, and the others are served.
    assert httpx.get(f"{web.url}/files/{oid}", headers={"range": "bytes=0-0"}).status_code == 206
    assert "Traceback" not in web.log


def test_a_file_that_is_deleted_meanwhile_ends_short(
    web: WebServer, store: Store, connection: psycopg.Connection
) -> None:
    oid, _ = store(20)
    with download(web, oid) as response:
        received = len(response.read(MEGABYTE))
        connection.execute("select lo_unlink(%s)", [oid])
        with suppress(http.client.IncompleteRead, ConnectionError):
            while block := response.read(MEGABYTE):
                received += len(block)
    assert received < 20 * MEGABYTE
    deadline = time.monotonic() + 10
    while "LargeObjectNotFound" not in web.log:
        assert time.monotonic() < deadline, web.log
        time.sleep(0.05)
    assert httpx.get(f"{web.url}/files/{oid}").status_code == 404
