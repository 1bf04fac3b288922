"""The examples with FastAPI, Flask, ASGI and WSGI, and Starlette over threads: within the process, without Django."""

import hashlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from hypothesis import given, settings

import pg_lo_storage
from example.cluster import Server
from example.web import INSERT, TABLE
from pg_lo_storage.exceptions import (
    LargeObjectConflict,
    LargeObjectError,
    LargeObjectPermissionDenied,
    LargeObjectTooLarge,
    NoTransactionError,
)
from tests.serving.reference import Asked, File, check, requests
from tests.without_django.senders import MODULES, NAMES, Send, sending

EXAMPLES = settings(max_examples=60, derandomize=True, deadline=None, database=None)
Store = Callable[[bytes, str], int]


@pytest.fixture(scope="module", autouse=True)
def table(server: Server) -> Iterator[None]:
    with psycopg.connect(server.dsn()) as connection:
        connection.execute(TABLE)
    yield
    with psycopg.connect(server.dsn()) as connection:
        connection.execute("drop table file")
        connection.execute("select lo_unlink(oid) from pg_largeobject_metadata")


@pytest.fixture(scope="module", params=NAMES)
def send(request: pytest.FixtureRequest, server: Server) -> Iterator[Send]:
    with sending(request.param, server.dsn()) as send:
        yield send


@pytest.fixture
def connection(server: Server) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        yield connection


def store(connection: psycopg.Connection, data: bytes, name: str) -> int:
    saved = pg_lo_storage.save(connection, data, digest=True)
    connection.execute(INSERT, [*saved, name])
    return saved.oid


def file_of(connection: psycopg.Connection, oid: int, data: bytes) -> File:
    row = connection.execute("select saved from file where oid = %s", [oid]).fetchone()
    assert row
    saved: datetime = row[0]
    return File(data, f'"{hashlib.sha256(data).hexdigest()}"', int(saved.timestamp()))


@pytest.mark.parametrize("size", [0, 50])
def test_what_is_sent_is_the_rfcs(
    request: pytest.FixtureRequest, send: Send, connection: psycopg.Connection, size: int
) -> None:
    data = bytes(range(size))
    oid = store(connection, data, "a.pdf")
    file = file_of(connection, oid, data)
    dated = "Flask" not in request.node.name  # which leaves it out

    @EXAMPLES
    @given(requests(file))
    def compare(asked: Asked) -> None:
        headers = {name: value for name, value in asked.headers().items() if sendable(value)}
        check(send(asked.method, f"/files/{oid}", headers), file, asked, dated=dated)

    compare()


def sendable(value: str) -> bool:
    """Tell whether a header can have that value; what else is drawn is noise."""
    return all(one <= "\xff" for one in value)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('a"b\\c.pdf', 'inline; filename="a\\"b\\\\c.pdf"'),
        ("x\r\nSet-Cookie: a=b.html", 'attachment; filename="xSet-Cookie: a=b.html"'),
        ("\u202egpj.exe", 'attachment; filename="gpj.exe"'),
        ("日本.pdf", "inline; filename*=utf-8''%E6%97%A5%E6%9C%AC.pdf"),
        ("../../etc/passwd", 'attachment; filename="../../etc/passwd"'),
        ("", "attachment"),
        ("n" * 400 + ".pdf", 'inline; filename="' + "n" * 146 + '.pdf"'),
    ],
)
def test_no_name_adds_a_header_or_hides_what_it_is(
    send: Send, connection: psycopg.Connection, name: str, shown: str
) -> None:
    sent = send("HEAD", f"/files/{store(connection, b'data', name)}")
    assert sent.headers["Content-Disposition"] == shown
    assert sent.headers["Content-Length"] == "4"
    assert sent.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in sent.headers


@pytest.mark.parametrize("path", ["/files/1", "/files/x", "/files/99999999999999999999", "/files/-1", "/files/"])
def test_there_is_no_such_file(send: Send, path: str) -> None:
    assert send("GET", path).status == 404


def test_only_get_and_head_are_for_files(send: Send, connection: psycopg.Connection) -> None:
    assert send("DELETE", f"/files/{store(connection, b'data', 'a.pdf')}").status == 405


@pytest.mark.parametrize("change", ["select lo_unlink(%s)", "update file set size = size + 1 where oid = %s"])
def test_a_row_that_says_otherwise_promises_nothing(send: Send, connection: psycopg.Connection, change: str) -> None:
    oid = store(connection, bytes(300_000), "a.pdf")
    connection.execute(change.encode(), [oid])
    if "size" in change:
        # All of the file is read, and a byte is missing.
        assert send("GET", f"/files/{oid}", {"range": "bytes=299999-300000"}).status == 503
    else:
        assert send("GET", f"/files/{oid}").status == 404


@pytest.mark.parametrize("name", ["FastAPI", "Flask"])
def test_an_upload_is_hashed_once_and_served(name: str, connection: psycopg.Connection, server: Server) -> None:
    data = bytes(range(256)) * 5000
    with sending(name, server.dsn()) as send:
        sent = send("PUT", "/files/a.pdf", {}, data)
        assert sent.status == 201
        row = connection.execute("select name, size, sha256 from file where oid = %s", [int(sent.body)]).fetchone()
        assert row == ("a.pdf", len(data), hashlib.sha256(data).hexdigest())
        assert send("GET", f"/files/{int(sent.body)}").body == data


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (LargeObjectPermissionDenied("not yours"), 404),
        (LargeObjectTooLarge("too large"), 413),
        (LargeObjectConflict("changed"), 503),
        (NoTransactionError("a fault of the site"), 500),
    ],
)
def test_flask_says_what_went_wrong(
    server: Server, monkeypatch: pytest.MonkeyPatch, error: LargeObjectError, status: int
) -> None:
    def failing(*_arguments: object, **_options: object) -> None:
        raise error

    monkeypatch.setattr(pg_lo_storage, "save", failing)
    with sending("Flask", server.dsn()) as send:
        assert send("PUT", "/files/a.pdf", {}, b"data").status == status


@pytest.mark.parametrize("module", ["example.web.fastapi_files", "example.web.flask_files"])
def test_it_takes_fewer_than_40_lines_and_is_what_the_documentation_shows(module: str) -> None:
    assert module in MODULES.values()
    text = Path(module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line.strip()]) < 40
    assert f"```python\n{text}```" in Path("docs/http.md").read_text(encoding="utf-8")
