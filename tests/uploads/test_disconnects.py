"""Under ASGI a client may be gone before there is a response; then Django closes no request."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart
from django.urls import path

from pg_lo_storage.models import UnfinishedUpload
from tests.uploads.conftest import HANDLER
from tests.uploads.test_handler import upload

pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "other"]), pytest.mark.once]

begun = asyncio.Event()


def read(request: HttpRequest) -> int:
    assert request.FILES
    return UnfinishedUpload.objects.count()


async def waiting(request: HttpRequest) -> HttpResponse:
    """Read the body, and wait for ever."""
    assert await sync_to_async(read)(request) == 1
    begun.set()
    await asyncio.Event().wait()
    return HttpResponse()


urlpatterns = [path("", waiting)]


def test_what_it_sent_is_unlinked(nothing_is_left: Callable[..., None]) -> None:
    body = encode_multipart(BOUNDARY, {"data": upload()})
    headers = [(b"content-type", MULTIPART_CONTENT.encode()), (b"content-length", str(len(body)).encode())]
    scope: dict[str, Any] = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
    events: list[dict[str, Any]] = [{"type": "http.request", "body": body}]

    async def receive() -> dict[str, Any]:
        if events:
            return events.pop()
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(_event: object) -> None:
        raise AssertionError

    with override_settings(ROOT_URLCONF=__name__, FILE_UPLOAD_HANDLERS=[HANDLER], MIDDLEWARE=[]):
        asyncio.run(get_asgi_application()(scope, receive, send))
    nothing_is_left()
