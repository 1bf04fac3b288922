"""What is sent is the answer: its status, its headers and no others, and its pieces."""

import secrets
from collections.abc import Callable

import pytest
from asgiref.sync import async_to_sync
from django.core.files.base import ContentFile
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory

from pg_lo_storage.http.answer import answer
from pg_lo_storage.http.finding import facts_of
from pg_lo_storage.http.presentation import Presentation
from pg_lo_storage.storage import db_file_storage
from pg_lo_storage.storage.saving import SMALL
from pg_lo_storage.views import adb_serve, db_serve
from tests.serving.asgi import wait_for_readers
from tests.storage.support import LARGE, content, joined

pytestmark = pytest.mark.django_db(transaction=True)

Sent = tuple[HttpResponseBase, bytes]


def boundary(size: int) -> str:
    return "b" * size


def over_wsgi(request: HttpRequest, name: str) -> Sent:
    response = db_serve(request, name, headers={"x-own": "1"})
    return response, joined(response)


@async_to_sync
async def over_asgi(request: HttpRequest, name: str) -> Sent:
    response = await adb_serve(request, name, headers={"x-own": "1"})
    if isinstance(response, StreamingHttpResponse):
        return response, b"".join([block async for block in response])
    assert isinstance(response, HttpResponse)
    return response, response.content


@pytest.mark.parametrize("send", [over_wsgi, over_asgi])
@pytest.mark.parametrize("size", [0, 10, SMALL, LARGE])
@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("HEAD", {}),
        ("GET", {"if-match": "*", "want-repr-digest": "sha-256=1"}),
        ("GET", {"range": "bytes=0-"}),
        ("GET", {"range": "bytes=5-7"}),
        ("GET", {"range": f"bytes=5-7,9-{SMALL + 9},-1,-0"}),
        ("GET", {"range": f"bytes=-{SMALL + 9},0-1"}),
        ("GET", {"range": "bytes=5-7", "if-range": '"other"'}),
        ("HEAD", {"range": "bytes=5-7"}),
        ("GET", {"if-none-match": "*"}),
        ("HEAD", {"if-none-match": "*"}),
        ("GET", {"if-match": '"other"'}),
    ],
)
def test_an_answer_is_sent_as_it_is(
    method: str,
    headers: dict[str, str],
    size: int,
    send: Callable[[HttpRequest, str], Sent],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secrets, "token_hex", boundary)
    data = content(size)
    name = db_file_storage.save("a.pdf", ContentFile(data))
    response, received = send(RequestFactory().generic(method, "/", headers=headers), name)
    wait_for_readers()
    found = db_file_storage.find(name, 0)
    made = answer(
        method, headers, facts_of(name, found.loid, found.size, found.entry), Presentation(headers={"x-own": "1"})
    )
    assert response.status_code == made.status
    assert response.streaming or made.status != 206  # or middlewares would take the part for the file
    assert list(response.headers.items()) == list(made.headers.items())
    assert received == b"".join(
        piece if isinstance(piece, bytes) else data[piece.start : piece.stop] for piece in made.pieces
    )
