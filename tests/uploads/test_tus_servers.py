"""Resumable uploads to real servers, whose clients stall and are cut."""

import http.client
import socket
import struct
from collections.abc import Callable

import pytest
from django.db import connections
from django.test import override_settings

from pg_lo_storage.models import UnfinishedUpload
from pg_lo_storage.storage.saving import PART
from tests.serving.servers import WebServer
from tests.storage.support import stored
from tests.uploads.test_servers import no_transaction_is_idle, until
from tests.uploads.test_tus import CHUNK, CONTENT, SIZE, Uploader

pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "other"]), pytest.mark.once]

# More than the server keeps before it writes.
SENT = 4 * PART + 100_000


@pytest.fixture
def ann() -> Uploader:
    return Uploader("ann")


def cookies(uploader: Uploader) -> str:
    return uploader.client.cookies.output(header="", sep=";").partition(";")[0].strip()


def begun(web: WebServer, uploader: Uploader, url: str, sent: bytes) -> socket.socket:
    """Return a client that has sent a part of what it wants to append."""
    client = socket.create_connection(("127.0.0.1", web.port))
    head = (
        f"PATCH {url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Cookie: {cookies(uploader)}\r\nContent-Type: {CHUNK}\r\nContent-Length: {SIZE}\r\n\r\n"
    )
    client.sendall(head.encode() + sent)
    return client


def ask(web: WebServer, uploader: Uploader, method: str, url: str, body: bytes = b"", **headers: object) -> str:
    """Return the offset that the server tells."""
    sent = {"Tus-Resumable": "1.0.0", "Cookie": cookies(uploader), "Content-Type": CHUNK}
    sent |= {name.replace("_", "-"): str(value) for name, value in headers.items()}
    connection = http.client.HTTPConnection("127.0.0.1", web.port)
    connection.request(method, url, body, sent)
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.headers["Upload-Offset"]


def begin(web: WebServer, uploader: Uploader) -> str:
    assert ask(web, uploader, "POST", "/up/", Content_Type="", Upload_Length=SIZE) == "0"
    return f"/up/?upload={UnfinishedUpload.objects.get().key}"


@pytest.mark.parametrize("is_reset", [False, True])
def test_after_a_cut_it_goes_on_where_it_was(
    web: WebServer, ann: Uploader, nothing_is_left: Callable[..., None], *, is_reset: bool
) -> None:
    """Under ASGI Django has a body only once it is whole, and of one that is cut nothing."""
    url = begin(web, ann)
    client = begun(web, ann, url, CONTENT[:SENT])
    if is_reset:
        until(lambda: web.is_asynchronous or arrived() > 0)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    least = 0 if web.is_asynchronous else 4 * PART if is_reset else SENT
    until(lambda: arrived() >= least)
    offset = int(ask(web, ann, "HEAD", url))
    assert least <= offset <= (0 if web.is_asynchronous else SENT)
    assert ask(web, ann, "PATCH", url, CONTENT[offset:], Upload_Offset=offset) == str(SIZE)
    with override_settings(ROOT_URLCONF="tests.uploads.resumable"):
        assert stored(ann.client.post("/resumed/", {"data": url}).json()["data"]) == CONTENT
    nothing_is_left(files=1)


def test_a_client_that_stalls_keeps_no_transaction_open(web: WebServer, ann: Uploader) -> None:
    url = begin(web, ann)
    with begun(web, ann, url, CONTENT[:SENT]):
        until(lambda: web.is_asynchronous or arrived() == 4 * PART)
        until(no_transaction_is_idle)
    until(lambda: web.is_asynchronous or arrived() == SENT)
    assert ask(web, ann, "DELETE", url) is None
    assert not UnfinishedUpload.objects.exists()


def arrived() -> int:
    """Return how much of the one upload is in the database."""
    with connections["default"].cursor() as cursor:
        cursor.execute("select coalesce(sum(length(lo_get(loid))), 0) from pg_lo_storage_upload")
        [size] = cursor.fetchone()
        return int(size)
