"""The views of ``site.py``, behind the handler, in each place that a body may be read."""

from collections.abc import Callable, Iterator
from typing import Final

import pytest
from django.db import connections
from django.http import HttpRequest
from django.test import Client, override_settings
from django.utils.deprecation import MiddlewareMixin

from tests.serving.servers import UPLOADS, WebServer, serving

HANDLER: Final = "pg_lo_storage.uploadhandler.DbFileUploadHandler"
ALIASES: Final = ("default", "other")


class ReadsEarly(MiddlewareMixin):
    """Reads the body before the view's transaction begins, as the protection from CSRF does."""

    def process_view(self, request: HttpRequest, *_: object) -> None:
        assert request.POST is not None


@pytest.fixture(params=["autocommit", "atomic", "read-early"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whether views run in transactions, and whether the body is read in these."""
    if request.param != "autocommit":
        for alias in ALIASES:
            monkeypatch.setitem(connections[alias].settings_dict, "ATOMIC_REQUESTS", True)
    return str(request.param)


@pytest.fixture
def site(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client of the views."""
    place = request.getfixturevalue("place") if "place" in request.fixturenames else "autocommit"
    early = ["tests.uploads.conftest.ReadsEarly"] if place == "read-early" else []
    middleware = ["pg_lo_storage.uploadhandler.UploadTooLargeMiddleware", *early]
    with override_settings(ROOT_URLCONF="tests.uploads.site", FILE_UPLOAD_HANDLERS=[HANDLER], MIDDLEWARE=middleware):
        yield Client(raise_request_exception=False)


@pytest.fixture
def nothing_is_left(count_large_objects: Callable[..., int]) -> Callable[..., None]:
    """``nothing_is_left(files=0, others=0)``: there are so many objects, and no unfinished uploads."""

    from pg_lo_storage.models import UnfinishedUpload  # models cannot be imported before Django is set up

    def look(files: int = 0, others: int = 0) -> None:
        assert [count_large_objects(), count_large_objects("other")] == [files, others]
        assert [UnfinishedUpload.objects.using(alias).count() for alias in ALIASES] == [0, 0]

    return look


@pytest.fixture(params=[*UPLOADS, "uploads-gunicorn-atomic"], scope="module")
def web(request: pytest.FixtureRequest) -> Iterator[WebServer]:
    """A site behind each server that takes uploads, with ``ATOMIC_REQUESTS`` too."""
    name, atomic, _ = str(request.param).partition("-atomic")
    with serving(name, PG_LO_TEST_ATOMIC=atomic) as running:
        yield running
