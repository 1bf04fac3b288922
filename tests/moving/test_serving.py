"""The views serve old files by the rules for all: conditions, ranges, validators, types, and little memory."""

import asyncio
import io
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.test import RequestFactory
from typing_extensions import override

from pg_lo_storage.storage import DbFileStorage, TransitionalStorage
from pg_lo_storage.views import DbFileView, adb_serve, db_serve, db_serve_signed
from tests.moving.letters.models import OLD, Letter
from tests.moving.support import LARGE, put, row_of

NAME = "letters/a letter.pdf"


def get(name: str = NAME, method: str = "GET", **headers: str) -> HttpResponseBase:
    asked = RequestFactory().generic(method, "/", headers={k.replace("_", "-"): v for k, v in headers.items()})
    return db_serve(asked, name, storage=OLD)


def body(response: HttpResponseBase) -> bytes:
    with closing(response):
        if isinstance(response, StreamingHttpResponse):
            return b"".join(cast("list[bytes]", response.streaming_content))
        return cast("HttpResponse", response).content


@pytest.mark.parametrize("content", [b"old", LARGE, b""], ids=["small", "large", "empty"])
def test_an_old_file_is_served_whole(old: Path, content: bytes) -> None:
    put(old, NAME, content)
    response = get()
    assert response.status_code == 200
    assert body(response) == content
    assert response.headers["Content-Length"] == str(len(content))
    assert response.headers["Content-Type"] == "application/pdf"
    assert response.headers["Content-Disposition"] == 'inline; filename="a letter.pdf"'
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers["Last-Modified"] == "Thu, 02 Jan 2020 03:04:05 GMT"
    head = get(method="HEAD")
    assert body(head) == b""
    assert {**head.headers} == {**response.headers}


@pytest.mark.parametrize("content", [b"0123456789", LARGE], ids=["small", "large"])
def test_conditions_and_ranges(old: Path, content: bytes) -> None:
    put(old, NAME, content)
    etag = get(method="HEAD").headers["ETag"]
    assert not etag.startswith("W/")
    assert get(if_none_match=etag).status_code == 304
    assert get(if_match='"other"').status_code == 412
    assert get(if_modified_since="Thu, 02 Jan 2020 03:04:05 GMT").status_code == 304
    part = get(range="bytes=2-5", if_range=etag)
    assert (part.status_code, body(part), part.headers["Content-Range"]) == (
        206,
        content[2:6],
        f"bytes 2-5/{len(content)}",
    )
    assert body(get(range="bytes=2-5", if_range='"other"')) == content
    assert body(get(range="bytes=-3")) == content[-3:]
    assert get(range=f"bytes={len(content)}-").status_code == 416
    several = get(range="bytes=0-0,4-4")
    assert several.headers["Content-Type"].startswith("multipart/byteranges")
    assert int(several.headers["Content-Length"]) == len(body(several))
    put(old, NAME, content[1:])
    assert get(method="HEAD", if_none_match=etag).status_code == 200


def test_active_types_and_methods(old: Path) -> None:
    put(old, "a.html", b"<script>")
    response = get("a.html")
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert "sandbox" in response.headers["Content-Security-Policy"]
    assert get("a.html", "POST").status_code == 405


@pytest.mark.parametrize("name", ["missing.pdf", "letters", "letters/", "../a.pdf", "a\0b", "\ud800", "1.pdf"])
def test_what_is_at_neither_place_is_not_found(old: Path, name: str) -> None:
    put(old, NAME)
    response = get(name)
    assert response.status_code == 404
    assert response.headers["Cache-Control"] == "no-store"


def test_a_storage_without_dates_gives_no_validators(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(*_: object) -> None:
        raise NotImplementedError

    put(old, NAME)
    monkeypatch.setattr(type(OLD.legacy), "get_modified_time", cannot)
    monkeypatch.setattr(type(OLD.legacy), "size", cannot)
    response = get(if_none_match='"x"')
    assert (response.status_code, body(response)) == (200, b"old")
    assert not {"ETag", "Last-Modified"} & {**response.headers}.keys()


def test_a_large_old_file_takes_little_memory(old: Path) -> None:
    put(old, NAME, LARGE * 40)
    response = get()
    assert isinstance(response, StreamingHttpResponse)
    tracemalloc.start()
    try:
        size = sum(map(len, cast("list[bytes]", response.streaming_content)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        response.close()
    assert size == len(LARGE) * 40
    assert peak < len(LARGE) * 2


def test_an_old_file_is_served_asynchronously(old: Path) -> None:
    put(old, NAME, LARGE)

    async def live() -> bytes:
        response = await adb_serve(RequestFactory().get("/"), NAME, storage=OLD)
        assert isinstance(response, StreamingHttpResponse)
        blocks = [block async for block in response]
        response.close()
        return b"".join(blocks)

    assert asyncio.run(live()) == LARGE


def test_a_file_that_gets_shorter_cuts_the_connection(old: Path) -> None:
    path = put(old, NAME, LARGE)
    response = get()
    assert isinstance(response, StreamingHttpResponse)
    path.write_bytes(b"short")
    with closing(response), pytest.raises(OSError, match="less than when it was opened"):
        list(cast("list[bytes]", response.streaming_content))


def test_a_signed_url_of_an_old_file(old: Path) -> None:
    put(old, NAME)
    storage = TransitionalStorage(DbFileStorage("/signed/", signed=True), "old")
    url = storage.url(NAME)
    assert url.startswith("/signed/letters/a%20letter.pdf?")
    assert body(db_serve_signed(RequestFactory().get(url), NAME, storage=storage)) == b"old"
    refused = db_serve_signed(RequestFactory().get(url), "letters/b.pdf", storage=storage)
    assert refused.status_code == 403


def test_rows_decide_who_reads_an_old_file(old: Path) -> None:
    put(old, NAME)
    letter = row_of(NAME)
    view = DbFileView.as_view(model=Letter, field="data")
    assert body(view(RequestFactory().get("/"), pk=letter.pk)) == b"old"
    assert body(view(RequestFactory().get("/"), filename=NAME)) == b"old"
    put(old, "b.pdf")
    assert view(RequestFactory().get("/"), filename="b.pdf").status_code == 404
    letter.delete()
    assert view(RequestFactory().get("/"), filename=NAME).status_code == 404


def test_a_file_that_moves_after_its_row_was_read_is_served(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(old, NAME)
    letter = row_of(NAME)
    get_row = DbFileView.get_row

    def moved_after(self: DbFileView, **kwargs: object) -> object:
        row = get_row(self, **kwargs)
        if path.exists():
            path.unlink()
            Letter.objects.update(data=OLD.save("a.pdf", ContentFile(b"old")))
        return row

    monkeypatch.setattr(DbFileView, "get_row", moved_after)
    view = DbFileView.as_view(model=Letter, field="data")
    assert body(view(RequestFactory().get("/"), pk=letter.pk)) == b"old"


class Remote(FileSystemStorage):
    """Files that are fetched when they are first used, as from S3; one that is gone by then is an error of its own."""

    class Gone(Exception):
        """There is no such key."""

    class Fetched(io.BytesIO):
        def __init__(self, path: Path) -> None:
            super().__init__()
            self._path: Path | None = path

        @override
        def seek(self, position: int, whence: int = 0) -> int:
            if self._path is not None:
                if not self._path.exists():
                    raise Remote.Gone
                self.write(self._path.read_bytes())
                self._path = None
            return super().seek(position, whence)

    @override
    def open(self, name: str, mode: str = "rb") -> Any:
        path = Path(self.path(name))
        opened = self.Fetched(path)
        Letter.objects.update(data=OLD.save("a.pdf", ContentFile(path.read_bytes())))
        path.unlink()
        return opened


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=1-3"}], ids=["whole", "part"])
@pytest.mark.parametrize("content", [b"old!", LARGE], ids=["small", "large"])
def test_a_file_that_moves_after_it_was_opened_is_served(
    old: Path, content: bytes, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    put(old, NAME, content)
    letter = row_of(NAME)
    monkeypatch.setattr(Letter._meta.get_field("data"), "storage", TransitionalStorage(legacy=Remote(old)))
    view = DbFileView.as_view(model=Letter, field="data")
    response = view(RequestFactory().get("/", headers=headers), pk=letter.pk)
    assert body(response) == (content[1:4] if headers else content)


def test_an_old_storage_that_fails_is_no_missing_file(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(old, NAME)

    def fail(*_: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(type(OLD.legacy), "open", fail)
    with pytest.raises(ConnectionError):
        get()


def test_a_middleware_may_replace_the_body_by_one_that_is_awaited(old: Path) -> None:
    async def another() -> AsyncIterator[bytes]:
        yield b"another, "
        yield b"awaited"

    async def received(response: StreamingHttpResponse) -> bytes:
        response.streaming_content = another()
        return b"".join([bytes(part) async for part in response])

    put(old, NAME, LARGE)
    with closing(get()) as response:
        assert isinstance(response, StreamingHttpResponse)
        assert asyncio.run(received(response)) == b"another, awaited"
