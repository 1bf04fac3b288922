"""How many statements an answer takes, and that none reads content that is not sent."""

import math
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest
from django.core.files.base import ContentFile
from django.db import connections, transaction
from django.http import HttpResponseBase
from django.test import RequestFactory

from pg_lo_storage import catalogue as catalogue_module
from pg_lo_storage.catalogue import finding
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.drivers import reading
from pg_lo_storage.http import batches
from pg_lo_storage.storage import DbFileIO, DbFileStorage
from pg_lo_storage.storage.saving import SMALL
from pg_lo_storage.views import db_serve
from tests.fixtures.proxy import Wire
from tests.storage.support import LARGE, body, content, loid_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "wired"])

WIRED = DbFileStorage(alias="wired")
Ask = Callable[..., tuple[HttpResponseBase, int]]


@pytest.fixture(params=[10, SMALL, LARGE])
def name(request: pytest.FixtureRequest) -> str:
    return WIRED.save("a.pdf", ContentFile(content(request.param)))


@pytest.fixture
def ask(wire: Wire, name: str) -> Ask:
    """Ask for the file; return the response and the round trips until then."""
    connections["wired"].ensure_connection()

    def ask(method: str = "GET", **headers: str) -> tuple[HttpResponseBase, int]:
        request = RequestFactory().generic(
            method, "/", headers={key.replace("_", "-"): headers[key] for key in headers}
        )
        with wire.counting() as trips:
            response = db_serve(request, name, storage=WIRED)
        return response, trips.count

    return ask


@pytest.fixture
def _without_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_arguments: object) -> bytes:
        raise AssertionError("content was read")

    monkeypatch.setattr(reading, "get_start", read)
    monkeypatch.setattr(DatabaseDriver, "stream", read)
    monkeypatch.setattr(finding, "stream_version", read)
    monkeypatch.setattr(catalogue_module, "read", read)


@pytest.mark.usefixtures("_without_reading")
@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("HEAD", {}, 200),
        ("HEAD", {"range": "bytes=0-1"}, 200),
        ("GET", {"if_none_match": "*"}, 304),
        ("HEAD", {"if_none_match": "*"}, 304),
        ("GET", {"if_match": '"other"'}, 412),
        ("GET", {"range": "bytes=99999999-"}, 416),
    ],
)
def test_an_answer_without_content_reads_none(ask: Ask, method: str, headers: dict[str, str], status: int) -> None:
    response, trips = ask(method, **headers)
    assert response.status_code == status
    assert trips == 1


@pytest.mark.usefixtures("_without_reading")
def test_what_a_browser_has_is_found_unchanged_by_one(ask: Ask, catalogue: bool) -> None:
    headers = ask("HEAD")[0].headers
    if catalogue:
        assert ask(if_none_match=headers["ETag"])[0].status_code == 304
        assert ask(if_none_match=headers["ETag"])[1] == 1
        assert ask(if_modified_since=headers["Last-Modified"])[0].status_code == 304
        assert ask(if_modified_since=headers["Last-Modified"])[1] == 1


@pytest.mark.parametrize("asked", [{}, {"if_none_match": '"other"'}, {"range": "nonsense"}, {"range": "bytes=0-5"}])
@pytest.mark.parametrize("name", [10, SMALL], indirect=True)
def test_a_small_file_takes_two_at_most_in_all(ask: Ask, asked: dict[str, str], wire: Wire) -> None:
    response, trips = ask(**asked)
    assert trips == (2 if asked else 1)
    with wire.counting() as later:
        body(response)
    assert later.count == 0


@pytest.mark.parametrize("name", [LARGE], indirect=True)
def test_a_large_file_takes_one_a_batch(ask: Ask, wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_FAST", math.inf)  # the client is, however busy the machine
    response, trips = ask()
    assert trips == 1
    with wire.counting() as later:
        assert body(response) == content(LARGE)
    assert later.count == 2  # of 256 KB, and twice as much


@pytest.mark.parametrize("name", [LARGE], indirect=True)
def test_the_size_of_a_file_that_was_written_in_place_takes_no_more(name: str, ask: Ask) -> None:
    with transaction.atomic(using="wired"), DbFileIO(loid_of(name), "rb+", alias="wired") as file:
        file.write(content(LARGE)[:10])
        file.truncate(LARGE - 1)
    response, trips = ask()
    assert trips == 1
    assert body(response) == content(LARGE)[:-1]


@contextmanager
def changed_meanwhile(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None], times: int) -> Generator[list[int]]:
    """Have the file changed between its being found and its first block."""
    found: list[int] = []
    locate = DbFileStorage.locate

    def locate_and_change(self: DbFileStorage, name: str) -> object:
        located = locate(self, name)
        found.append(len(found))
        if len(found) <= times:
            change()
        return located

    with monkeypatch.context() as patched:
        patched.setattr(DbFileStorage, "locate", locate_and_change)
        yield found


@pytest.mark.parametrize("name", [10], indirect=True)
def test_a_file_that_is_deleted_once_it_was_found_is_not_found(
    name: str, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with changed_meanwhile(monkeypatch, lambda: WIRED.delete(name), 1):
        assert ask(range="bytes=0-1")[0].status_code == 404


@pytest.mark.parametrize("name", [10], indirect=True)
@pytest.mark.parametrize(("times", "outcome"), [(0, (206, 1)), (1, (206, 2)), (99, (503, 3))])
def test_a_file_that_is_changed_once_it_was_found_is_found_again(
    ask: Ask, request: pytest.FixtureRequest, catalogue: bool, times: int, outcome: tuple[int, int]
) -> None:
    name = request.getfixturevalue("name")

    def write() -> None:
        with transaction.atomic(using="wired"), DbFileIO(loid_of(name), "rb+", alias="wired") as file:
            file.write(b"x")

    with changed_meanwhile(request.getfixturevalue("monkeypatch"), write, times) as found:
        response, _ = ask(range="bytes=0-1")
    # Without a catalogue nobody can tell.
    assert (response.status_code, len(found)) == (outcome if catalogue else (206, 1))
