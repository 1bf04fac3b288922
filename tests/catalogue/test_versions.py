"""The digest and the version: whether the content is still what it was."""

import hashlib
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from django.db import transaction
from django.test import RequestFactory

from pg_lo_storage import catalogue
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.storage import DbFileIO, db_file_storage
from pg_lo_storage.storage.saving import SMALL
from pg_lo_storage.views import db_serve
from tests.catalogue.support import run, saved
from tests.catalogue.support_storage import REPLICA
from tests.storage.support import LARGE, body, content, loid_of, rolled_back

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "replica"])

DATA = b"0123456789"


@pytest.fixture
def name() -> str:
    return saved("a.bin", DATA)


# By verify: against what was saved.


@pytest.mark.parametrize("size", [0, 10, LARGE])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_what_was_stored_is_verified(size: int, in_transaction: bool) -> None:
    name = saved(data=content(size))
    with transaction.atomic() if in_transaction else nullcontext():
        assert db_file_storage.verify(name) is True


@pytest.mark.parametrize("position", [0, LARGE - 1, LARGE])
def test_one_byte_that_changed_behind_the_catalogue_is_found(position: int) -> None:
    data = content(LARGE)
    name = saved(data=data)
    flipped = bytes([data[position] ^ 1]) if position < LARGE else b"x"
    run("select lo_put(%s, %s, %s)", loid_of(name), position, flipped)
    assert db_file_storage.verify(name) is False


def test_a_file_that_became_shorter_behind_the_catalogue_is_found() -> None:
    name = saved(data=content(LARGE))
    run("select lo_truncate64(lo_open(%s, 131072), %s)", loid_of(name), LARGE - 1)
    assert db_file_storage.verify(name) is False


@pytest.mark.parametrize("size", [len(DATA) + 1, SMALL, SMALL + 1, LARGE])
def test_a_file_that_became_longer_behind_the_catalogue_is_read_to_its_end(name: str, size: int) -> None:
    run("select lo_put(%s, %s, %s)", loid_of(name), size - 1, b"x")
    with db_file_storage.open(name) as file:
        assert file.read() == DATA + bytes(size - 1 - len(DATA)) + b"x"
    assert body(db_serve(RequestFactory().get("/"), name))[-1:] == b"x"


def test_what_was_written_in_place_cannot_be_verified() -> None:
    name = saved()
    with transaction.atomic(), db_file_storage.open(name, "rb+") as file:
        file.write(b"C")
        assert db_file_storage.verify(name) is None
    assert db_file_storage.verify(name) is None


# By stream_version: against the entry that was read.


def read(entry: catalogue.Entry, offset: int = 0, size: int = 100) -> bytes | None:
    blocks: list[bytes] = []
    database = DatabaseDriver("default")
    is_still = catalogue.stream_version(database, entry, offset, size, lambda block: blocks.append(bytes(block)))
    return b"".join(blocks) if is_still else None


@pytest.mark.parametrize(("offset", "size"), [(0, 10), (0, 100), (3, 4), (9, 5), (10, 5), (50, 5)])
def test_a_block_of_what_did_not_change_is_read(offset: int, size: int, name: str) -> None:
    assert read(db_file_storage.entry(name), offset, size) == DATA[offset : offset + size]


def test_nothing_that_leaves_the_file_as_it_is_makes_another_version(name: str) -> None:
    entry = db_file_storage.entry(name)
    with transaction.atomic(), db_file_storage.open(name, "rb+") as file:
        file.read()
    with rolled_back(), db_file_storage.open(name, "wb") as file:
        file.write(b"lost")
    with rolled_back():
        db_file_storage.delete(name)
    db_file_storage.verify(name)
    saved("another.bin", DATA)
    assert db_file_storage.entry(name) == entry
    assert read(entry) == DATA


def overwrite(name: str) -> None:
    with transaction.atomic(), DbFileIO(loid_of(name), "rb+") as file:
        file.write(DATA)


def empty(name: str) -> None:
    with transaction.atomic(), db_file_storage.open(name, "wb"):
        pass


def shorten(name: str) -> None:
    with transaction.atomic(), DbFileIO(loid_of(name), "rb+") as file:
        file.truncate(5)


def delete(name: str) -> None:
    db_file_storage.delete(name)


def unlink(name: str) -> None:
    run("select lo_unlink(%s)", loid_of(name))


def replace(name: str) -> None:
    db_file_storage.delete(name)
    with transaction.atomic(), DbFileIO(loid_of(name), "xb", name="a.bin") as file:
        file.write(DATA)


def replace_at_once(name: str) -> None:
    with transaction.atomic():
        replace(name)


def replace_behind_the_catalogue(name: str) -> None:
    unlink(name)
    with transaction.atomic(), DbFileIO(loid_of(name), "xb", name="a.bin") as file:
        file.write(DATA)


@pytest.mark.parametrize(
    "change",
    [overwrite, empty, shorten, delete, unlink, replace, replace_at_once, replace_behind_the_catalogue],
)
def test_of_what_changed_no_block_is_read(change: Callable[[str], None], name: str) -> None:
    entry = db_file_storage.entry(name)
    change(name)
    with transaction.atomic():
        assert read(entry) is None
        assert db_file_storage.exists("4294967295") is False  # the transaction goes on


def test_each_transaction_makes_another_version(name: str) -> None:
    entries = [db_file_storage.entry(name)]
    for _time in range(3):
        overwrite(name)
        entries.append(db_file_storage.entry(name))
    assert len({entry.version for entry in entries}) == 4
    assert [read(entry) for entry in entries] == [None, None, None, DATA]


def test_a_change_makes_another_version_when_it_is_committed(name: str) -> None:
    entry = db_file_storage.entry(name)
    with transaction.atomic(using="replica"), REPLICA.open(name, "rb+") as file:
        file.write(b"AB")
        assert read(entry) == DATA
    assert read(entry) is None


def test_an_object_that_is_no_file_has_no_version(name: str) -> None:
    entry = db_file_storage.entry(name)
    run("delete from pg_lo_storage_file")
    assert read(entry) is None
    assert run("select lo_get(%s) = %s", loid_of(name), DATA) == [(True,)]


def test_a_file_that_changes_while_it_is_verified_is_verified_again(monkeypatch: pytest.MonkeyPatch) -> None:
    name = saved(data=content(LARGE))
    stream = catalogue.stream_version
    times: list[str | None] = []

    def changed_first(database: DatabaseDriver, entry: catalogue.Entry, *where: Any) -> bool:
        if not times:
            run("select lo_put(%s, 0, 'other')", loid_of(name))
            with db_file_storage.open(name) as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            run("update pg_lo_storage_file set sha256 = %s", digest)
        times.append(entry.sha256)
        return stream(database, entry, *where)

    monkeypatch.setattr(catalogue, "stream_version", changed_first)
    assert db_file_storage.verify(name) is True
    assert len(set(times)) == 2
