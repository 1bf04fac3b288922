"""Real servers, and clients that stall, hang up, lie, or see a process killed."""

import json
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from django.core.management import call_command
from django.db import connections
from django.db.models.functions import Now

from pg_lo_storage.models import StoredFile, UnfinishedUpload
from tests.invoices.models import Invoice
from tests.serving.servers import WebServer, serving
from tests.storage.support import content, stored

pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "other"]), pytest.mark.once]

SIZE = 2_500_000
BOUNDARY = b"-----a"
HEAD = (
    b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="data"; filename="march.pdf"\r\n'
    b"Content-Type: application/pdf\r\n\r\n"
)
TAIL = b"\r\n--" + BOUNDARY + b"--\r\n"
BODY = HEAD + content(SIZE) + TAIL


@pytest.fixture
def gunicorn() -> Iterator[WebServer]:
    with serving("uploads-gunicorn", PG_LO_TEST_ATOMIC="") as running:
        yield running


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another process does."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def begun(web: WebServer, path: str, sent: bytes, length: int = len(BODY)) -> socket.socket:
    """Return a client that has sent a part of its request."""
    client = socket.create_connection(("127.0.0.1", web.port))
    client.sendall(
        b"POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n"
        b"Content-Type: multipart/form-data; boundary=%s\r\n\r\n" % (path.encode(), length, BOUNDARY)
    )
    client.sendall(sent)
    return client


def post(web: WebServer, path: str) -> bytes:
    headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"}
    with urllib.request.urlopen(urllib.request.Request(web.url + path, BODY, headers)) as response:
        answer: bytes = response.read()
        return answer


def unfinished() -> int:
    return UnfinishedUpload.objects.count()


def no_transaction_is_idle() -> bool:
    with connections["default"].cursor() as cursor:
        cursor.execute("select from pg_stat_activity where state like 'idle in transaction%'")
        return not cursor.fetchall()


def test_a_form_takes_the_file_over(web: WebServer, nothing_is_left: Callable[..., None]) -> None:
    answer = json.loads(post(web, "/form/"))
    assert stored(answer["data"]) == content(SIZE)
    until(lambda: not unfinished())
    nothing_is_left(files=1)


def test_what_is_not_kept_is_unlinked(web: WebServer, count_large_objects: Callable[..., int]) -> None:
    assert json.loads(post(web, "/look/")) == {"data": ["DbUploadedFile"]}
    until(lambda: not unfinished() and not count_large_objects())


@pytest.mark.parametrize("sent", [len(HEAD) + 1, len(BODY) // 2, len(BODY) - len(TAIL)])
def test_nothing_is_left_of_a_request_that_is_cut(
    web: WebServer, sent: int, count_large_objects: Callable[..., int], nothing_is_left: Callable[..., None]
) -> None:
    begun(web, "/form/", BODY[:sent]).close()
    # The worker answers one request after another.
    post(web, "/look/")
    until(lambda: not unfinished() and not count_large_objects())
    nothing_is_left()


def test_a_body_that_is_longer_than_it_says_is_no_file(
    web: WebServer, nothing_is_left: Callable[..., None], count_large_objects: Callable[..., int]
) -> None:
    with begun(web, "/look/", BODY[: len(BODY) // 2], len(BODY) // 2) as client:
        assert b"{}" in client.makefile("rb").read()
    until(lambda: not unfinished() and not count_large_objects())
    nothing_is_left()


def test_a_client_that_stalls_keeps_no_transaction_open(
    gunicorn: WebServer, nothing_is_left: Callable[..., None], count_large_objects: Callable[..., int]
) -> None:
    with begun(gunicorn, "/form/", BODY[: len(BODY) // 2]):
        until(lambda: unfinished() == 1)
        until(no_transaction_is_idle)  # once what has arrived is written
        assert not StoredFile.objects.exists()
    until(lambda: not unfinished() and not count_large_objects())
    nothing_is_left()


@pytest.mark.parametrize("path", ["/form/", "/killed/"])
def test_prune_unlinks_what_a_killed_process_has_left(
    gunicorn: WebServer, path: str, count_large_objects: Callable[..., int], nothing_is_left: Callable[..., None]
) -> None:
    """It is killed while the body arrives, or when the file is taken over, and not yet committed."""
    sent = BODY if path == "/killed/" else BODY[: len(BODY) // 2]
    worker = gunicorn.worker()
    with begun(gunicorn, path, sent):
        if path == "/form/":
            until(lambda: unfinished() == 1)
            os.kill(worker, signal.SIGKILL)
        until(lambda: gunicorn.worker() != worker)
    until(lambda: unfinished() == 1 and count_large_objects() == 1)
    assert not StoredFile.objects.exists()
    assert not Invoice.objects.exists()
    call_command("largeobjects", "prune", "--yes", verbosity=0)
    assert unfinished() == 1
    UnfinishedUpload.objects.update(expires_at=Now())
    call_command("largeobjects", "prune", "--yes", verbosity=0)
    nothing_is_left()
