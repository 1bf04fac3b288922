"""Uploads to the examples: a client that leaves in the middle, and one that takes its time."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Final

import psycopg
import pytest

from example.cluster import Server
from example.web import TABLE
from tests.serving.servers import WebServer, serving

# What is sent of a body, and that it goes on; the client then leaves.
CUT: Final = {
    "length": b"Content-Length: 1000000\r\n\r\n" + bytes(1000),
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + bytes(1000) + b"\r\n",
}
WHOLE: Final = {
    "length": b"Content-Length: 1000\r\n\r\n" + bytes(1000),
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n3e8\r\n" + bytes(1000) + b"\r\n0\r\n\r\n",
    "empty": b"Content-Length: 0\r\n\r\n",
}


@pytest.fixture(scope="module")
def connection(server: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        connection.execute(TABLE)
        yield connection
        connection.execute("drop table file")
        connection.execute("select lo_unlink(oid) from pg_largeobject_metadata")


@pytest.fixture(scope="module", params=["FastAPI", "Flask"])
def web(request: pytest.FixtureRequest, server: Server, connection: psycopg.Connection) -> Iterator[WebServer]:  # noqa: ARG001 -- its table
    with serving(request.param, DSN=server.dsn()) as web:
        yield web


def put(web: WebServer, name: str, rest: bytes) -> socket.socket:
    """Begin an upload."""
    client = socket.create_connection(("127.0.0.1", web.port), timeout=20)
    client.sendall(f"PUT /files/{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode() + rest)
    return client


def answer_of(client: socket.socket) -> bytes:
    """Wait for the end of the answer, by which the upload is over."""
    return b"".join(iter(lambda: client.recv(4096), b""))


@pytest.mark.parametrize("how", CUT)
def test_what_a_client_that_left_has_sent_is_no_file(web: WebServer, connection: psycopg.Connection, how: str) -> None:
    with closing(put(web, f"cut-{how}", CUT[how])) as client:
        client.shutdown(socket.SHUT_WR)
        assert not answer_of(client).startswith(b"HTTP/1.1 2")
    assert connection.execute("select name from file where name like 'cut%'").fetchall() == []
    unnamed = "select oid from pg_largeobject_metadata except select oid from file"
    assert connection.execute(unnamed).fetchall() == []


@pytest.mark.parametrize("how", WHOLE)
def test_what_was_sent_whole_is_one(web: WebServer, connection: psycopg.Connection, how: str) -> None:
    with closing(put(web, f"whole-{how}", WHOLE[how])) as client:
        assert answer_of(client).startswith(b"HTTP/1.1 201 ")
    (size,) = connection.execute("select size from file where name = %s", [f"whole-{how}"]).fetchone() or (None,)
    assert size == (0 if how == "empty" else 1000)


def test_a_slow_upload_has_no_connection(web: WebServer, connection: psycopg.Connection) -> None:
    begun = b"Content-Length: 3000000\r\n\r\n" + bytes(2_999_999)
    with ExitStack() as stack:
        # As many are under way as a pool has connections, and one that is quick.
        client, *_ = [stack.enter_context(closing(put(web, "slow", begun))) for _ in range(4)]
        with closing(put(web, "quick", WHOLE["length"])) as quick:
            assert answer_of(quick).startswith(b"HTTP/1.1 201 ")
        states = connection.execute(
            "select state from pg_stat_activity where datname = 'app' and pid <> pg_backend_pid()"
            " and backend_type = 'client backend' and state not in ('idle', 'starting')"
        ).fetchall()
        assert states == []
        client.sendall(b"\0")
        assert answer_of(client).startswith(b"HTTP/1.1 201 ")
