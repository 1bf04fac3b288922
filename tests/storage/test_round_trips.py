"""What the common calls cost, counted in round trips to the server."""

from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.db import connections, transaction
from django.http import HttpResponseBase
from django.test import RequestFactory

from pg_lo_storage.storage import DbFileStorage
from pg_lo_storage.storage.saving import SMALL
from pg_lo_storage.views import db_serve
from tests.fixtures.proxy import Trips, Wire
from tests.storage.support import (
    LARGE,
    UNACCEPTABLE_NAMES,
    UNACCEPTABLE_OBJECTS,
    content,
    loid_of,
    spelled,
    stored,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "wired"])

WIRED = DbFileStorage(alias="wired")
MB = 1024 * 1024
SMALL_SIZES = [0, 1, 1000, SMALL]


@pytest.fixture
def counted(wire: Wire) -> Callable[[Callable[[], object]], int]:
    """Count the round trips of a call; the connection is open already."""

    def count(call: Callable[[], object]) -> int:
        connections["wired"].ensure_connection()
        trips: Trips
        with wire.counting() as trips:
            call()
        return trips.count

    return count


Counted = Callable[[Callable[[], object]], int]


def small_file(size: int) -> str:
    return WIRED.save("a.pdf", ContentFile(content(size)))


@pytest.mark.parametrize("size", SMALL_SIZES)
@pytest.mark.parametrize("max_length", [None, 100, 15, 11, 10])
def test_a_small_file_is_saved_by_one(max_length: int | None, size: int, counted: Counted) -> None:
    file = ContentFile(content(size), name="a.pdf")
    assert counted(lambda: WIRED.save("a.pdf", file, max_length)) == 1
    with transaction.atomic(using="wired"):
        assert WIRED.exists("12") is False  # begins the transaction
        assert counted(lambda: WIRED.save("a.pdf", file, max_length)) == 1


@pytest.mark.parametrize("size", SMALL_SIZES)
def test_a_small_file_is_opened_and_read_by_one(size: int, counted: Counted) -> None:
    name = small_file(size)
    assert counted(lambda: stored(name, WIRED)) == 1
    with transaction.atomic(using="wired"):
        assert WIRED.exists("12") is False  # begins the transaction
        assert counted(lambda: stored(name, WIRED)) == 1


@pytest.mark.parametrize("size", SMALL_SIZES)
def test_the_chunks_of_a_small_file_take_one(size: int, counted: Counted) -> None:
    name = small_file(size)

    def read() -> None:
        with WIRED.open(name) as file:
            assert b"".join(file.chunks()) == content(size)

    assert counted(read) == 1


def test_a_large_file_is_opened_and_read_by_two(counted: Counted) -> None:
    name = small_file(10 * MB)
    assert counted(lambda: stored(name, WIRED)) == 2


def test_the_chunks_of_a_large_file_take_one_for_each_4_mb(counted: Counted) -> None:
    name = small_file(10 * MB)

    def read() -> None:
        with WIRED.open(name) as file:
            assert sum(map(len, file.chunks())) == 10 * MB

    # To open; for 1, 4, 4 and 1 MB; and at the end.
    assert counted(read) <= 6


def test_a_large_file_is_saved_in_pipelines(counted: Counted, driver_name: str, catalogue: bool) -> None:
    file = ContentFile(content(10 * MB), name="a.pdf")
    # BEGIN and COMMIT, the compression and back, to create, open and close, and the entry; and for each 2 MB one, where
    # psycopg2 sends each 512 KB by a call of its own, and has some more to open and to close, for each 2 MB too.
    fixed, blocks = {"psycopg": (8 + catalogue, 5), "psycopg2": (14 + catalogue, 5 + 20 + 10)}[driver_name]
    assert counted(lambda: WIRED.save("a.pdf", file)) <= fixed + blocks


@pytest.mark.parametrize("size", SMALL_SIZES)
def test_a_small_file_is_served_by_one(size: int, counted: Counted) -> None:
    name = small_file(size)
    responses: list[HttpResponseBase] = []
    request = RequestFactory().get("/")
    assert counted(lambda: responses.append(db_serve(request, name, storage=WIRED))) == 1
    assert responses[0].headers["Content-Length"] == str(size)


@pytest.mark.parametrize("size", [*SMALL_SIZES, LARGE])
def test_head_takes_one_whatever_the_size(size: int, counted: Counted) -> None:
    name = small_file(size)
    request = RequestFactory().head("/")
    assert counted(lambda: db_serve(request, name, storage=WIRED)) == 1


def test_existence_and_size_take_one_and_deletion_two_more_without_a_catalogue(
    counted: Counted, catalogue: bool
) -> None:
    name = small_file(1000)
    assert counted(lambda: WIRED.exists(name)) == 1
    assert counted(lambda: WIRED.size(name)) == 1
    # Which of the columns there are, and what they hold.
    assert counted(lambda: WIRED.delete(name)) == 1 + (0 if catalogue else 2)


def test_an_unacceptable_name_takes_none(counted: Counted) -> None:
    name = small_file(10)
    names = [spelled(template, loid_of(name)) for template in UNACCEPTABLE_NAMES]
    request = RequestFactory().get("/")

    def ask_for_all() -> None:
        for unacceptable in [*names, *UNACCEPTABLE_OBJECTS]:
            WIRED.exists(unacceptable)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  not only strings
            WIRED.delete(unacceptable)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  not only strings
            db_serve(request, unacceptable, storage=WIRED)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  not only strings

    assert counted(ask_for_all) == 0


def test_a_url_takes_none(counted: Counted) -> None:
    assert counted(lambda: WIRED.url("12.pdf")) == 0
