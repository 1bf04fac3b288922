"""What is made and written past ``save``: ``DbFileIO`` and ``storage.open`` keep the catalogue true."""

import io
import zipfile
from collections.abc import Callable
from contextlib import nullcontext

import pytest
from django.db import connections, transaction

from pg_lo_storage.drivers import MAX_SIZE, get_driver
from pg_lo_storage.exceptions import LargeObjectTooLarge
from pg_lo_storage.io.modes import BinaryMode
from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import DbFile, DbFileIO, DbFileStorage, db_file_storage
from tests.catalogue.support import entries, run, saved, uncatalogued
from tests.catalogue.support_storage import WIRED, round_trips, row, server_time
from tests.fixtures.proxy import Wire
from tests.storage.support import loid_of, rolled_back, stored

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other", "wired"])

OTHER = DbFileStorage(alias="other")
DATA = b"0123456789"


@pytest.fixture
def name() -> str:
    return saved("a.bin", DATA)


# What DbFileIO makes.


@pytest.mark.parametrize("mode", ["wb", "wb+", "ab", "ab+", "xb", "xb+"])
def test_what_it_creates_is_catalogued(mode: BinaryMode) -> None:
    before = server_time()
    with transaction.atomic(), DbFileIO(0, mode, name="folder/März.tar.gz") as file:
        file.write(DATA)
    entry = row(file.name)
    assert file.name == f"{file.loid}.tar.gz"
    assert (entry.extension, entry.original_name, entry.content_type) == (".tar.gz", "März.tar.gz", "application/gzip")
    # What is not told from the start is not computed from what is written, anywhere, later.
    assert (entry.size, entry.sha256) == (None, None)
    assert before < entry.created_at < server_time()
    assert db_file_storage.size(file.name) == len(DATA)
    assert stored(file.name) == DATA
    assert db_file_storage.verify(file.name) is None


def test_what_it_creates_without_a_name_has_any_extension() -> None:
    with transaction.atomic(), DbFileIO(0, "wb") as file:
        file.write(DATA)
    assert row(file.name).extension is None
    assert row(file.name).original_name == ""
    for name in (str(file.loid), f"{file.loid}.pdf", f"{file.loid}.v1.2.pdf"):
        assert stored(name) == DATA
    db_file_storage.delete(f"{file.loid}.pdf")
    assert not entries()


def test_an_object_of_a_chosen_oid_is_catalogued_and_replaces_what_was_said_of_an_older_one(name: str) -> None:
    loid = loid_of(name)
    run("select lo_unlink(%s)", loid)
    with transaction.atomic(), DbFileIO(loid, "xb", name="new.pdf") as file:
        file.write(DATA)
    entry = StoredFile.objects.get()
    assert (entry.loid, entry.original_name, entry.size, entry.sha256) == (loid, "new.pdf", None, None)


def test_what_it_creates_is_catalogued_on_its_alias() -> None:
    with transaction.atomic(using="other"), DbFileIO(0, "wb", alias="other", name="a.pdf") as file:
        file.write(DATA)
    assert entries("other") == {file.loid: ".pdf"}
    assert not entries()
    assert stored(file.name, OTHER) == DATA


def test_what_it_creates_is_catalogued_with_the_transaction_or_not_at_all() -> None:
    with transaction.atomic():
        with rolled_back(), DbFileIO(0, "wb") as lost:
            assert list(entries()) == [lost.loid]
        with transaction.atomic(), DbFileIO(0, "wb") as kept:
            pass
    assert list(entries()) == [kept.loid]


def test_with_a_driver_of_the_callers_own_it_leaves_the_catalogue_alone(name: str) -> None:
    before = row(name)
    with transaction.atomic():
        driver = get_driver(connections["default"].connection)
        with DbFileIO(0, "wb", driver=driver) as file:
            file.write(DATA)
        with DbFileIO(loid_of(name), "rb+", driver=driver) as file:
            file.write(b"x")
    assert list(entries()) == [loid_of(name)]
    assert row(name).modified_at == before.modified_at
    assert db_file_storage.verify(name) is False


def test_an_object_that_is_not_catalogued_is_written_without_becoming_so() -> None:
    loid = uncatalogued(DATA)
    with transaction.atomic(), DbFileIO(loid, "rb+") as file:
        file.write(b"AB")
    assert not entries()
    assert run("select lo_get(%s) = 'AB23456789'", loid) == [(True,)]


# What is written to a file that is there.


def says(name: str) -> tuple[bool, bool, bool]:
    """Tell whether the entry has a size and a digest, and whether it was modified."""
    entry = row(name)
    return entry.size is not None, entry.sha256 is not None, entry.modified_at > entry.created_at


SAVED, WRITTEN = (True, True, False), (False, False, True)


def write(file: DbFileIO | DbFile) -> None:
    file.write(b"AB")


CHANGES: list[Callable[[DbFileIO | DbFile], object]] = [
    write,
    lambda file: file.writelines([b"A", b"B"]),
    lambda file: file.truncate(3),
    lambda file: file.truncate(20),
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("by_name", [False, True])
def test_a_change_in_place_leaves_size_and_digest_unknown(
    change: Callable[[DbFileIO | DbFile], object], by_name: bool, name: str
) -> None:
    before = row(name)
    with transaction.atomic():
        file = db_file_storage.open(name, "rb+") if by_name else DbFileIO(loid_of(name), "rb+")
        assert says(name) == SAVED
        change(file)
        assert says(name) == WRITTEN
        size = file.size
        file.close()
    entry = row(name)
    assert says(name) == WRITTEN
    assert (entry.created_at, entry.original_name, entry.extension) == (before.created_at, "a.bin", ".bin")
    assert db_file_storage.size(name) == size == len(stored(name))


def test_the_storages_wb_empties_and_says_so(name: str) -> None:
    with transaction.atomic(), db_file_storage.open(name, "wb"):
        pass
    assert says(name) == WRITTEN
    assert db_file_storage.size(name) == 0


def test_a_file_that_was_saved_in_the_same_transaction_is_changed_as_any_other() -> None:
    with transaction.atomic():
        name = saved(data=DATA)
        with DbFileIO(loid_of(name), "ab") as file:
            file.write(DATA)
    assert says(name) == WRITTEN
    assert db_file_storage.size(name) == 2 * len(DATA)


def test_libraries_that_write_through_a_buffer_are_no_exception(name: str) -> None:
    with transaction.atomic(), DbFileIO(loid_of(name), "wb+") as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", DATA)
    assert says(name) == WRITTEN


def read_all(name: str) -> None:
    stored(name)


def open_to_write(name: str) -> None:
    for mode in ("rb+", "ab"):
        with db_file_storage.open(name, mode) as file:
            assert file.size == len(DATA)


def read_what_may_be_written(name: str) -> None:
    with DbFileIO(loid_of(name), "rb+") as file, io.BufferedReader(file) as buffered:
        assert list(buffered) == [DATA]


def open_as_the_predecessor(name: str) -> None:
    with DbFileIO(loid_of(name), "wb") as file:
        file.seek(4)
        assert file.tell() == 4


def be_refused(name: str) -> None:
    with DbFileIO(loid_of(name), "rb+") as file:
        file.seek(MAX_SIZE)
        with pytest.raises(LargeObjectTooLarge):
            file.write(b"x")
        with pytest.raises(LargeObjectTooLarge):
            file.truncate(MAX_SIZE + 1)
        with pytest.raises(OSError, match="Invalid"):
            file.truncate(-1)
    with DbFileIO(loid_of(name)) as file, pytest.raises(io.UnsupportedOperation):
        file.write(b"x")


@pytest.mark.parametrize(
    "use", [read_all, open_to_write, read_what_may_be_written, open_as_the_predecessor, be_refused]
)
def test_what_changes_nothing_moves_nothing(use: Callable[[str], None], name: str) -> None:
    before = StoredFile.objects.values().get()
    with transaction.atomic():
        use(name)
    assert StoredFile.objects.values().get() == before
    assert db_file_storage.verify(name) is True


# Once in a transaction.


def test_only_the_first_change_of_a_transaction_tells_the_catalogue(wire: Wire) -> None:
    name = WIRED.save("a.bin", io.BytesIO(DATA))
    for _transaction in range(2):
        with transaction.atomic(using="wired"), WIRED.open(name, "rb+") as file:
            trips = [round_trips(wire, lambda: write(file)) for _change in range(4)]
            modified = row(name, "wired").modified_at
            write(file)
            assert row(name, "wired").modified_at == modified
        assert trips[0] == trips[1] + 1
        assert trips[1] == trips[2] == trips[3]


def test_what_was_created_in_the_transaction_is_told_nothing_more(wire: Wire) -> None:
    with transaction.atomic(using="wired"), DbFileIO(0, "wb", alias="wired") as file:
        trips = [round_trips(wire, lambda: write(file)) for _change in range(3)]
    assert trips[0] == trips[1] == trips[2]


def test_each_transaction_moves_the_time(name: str) -> None:
    seen = [row(name).modified_at]
    for _transaction in range(3):
        with transaction.atomic(), db_file_storage.open(name, "rb+") as file:
            write(file)
        seen.append(row(name).modified_at)
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("savepoint", [False, True])
def test_a_change_that_is_rolled_back_was_none(savepoint: bool, name: str) -> None:
    with transaction.atomic() if savepoint else nullcontext():
        with rolled_back(), db_file_storage.open(name, "rb+") as file:
            write(file)
            assert says(name) == WRITTEN
        assert says(name) == SAVED
    assert says(name) == SAVED
    assert db_file_storage.verify(name) is True


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_change_after_a_savepoint_was_rolled_back_is_told_again(by_hand: bool, name: str) -> None:
    with transaction.atomic(), DbFileIO(loid_of(name), "rb+") as file:
        if by_hand:
            savepoint = connections["default"].savepoint() or ""
            write(file)
            connections["default"].savepoint_rollback(savepoint)
        else:
            with rolled_back():
                write(file)
        assert says(name) == SAVED
        file.seek(0)
        write(file)
    assert says(name) == WRITTEN
    assert stored(name) == b"AB23456789"


def test_a_change_under_a_savepoint_that_is_released_is_told_for_good(name: str) -> None:
    with transaction.atomic(), DbFileIO(loid_of(name), "rb+") as file:
        with transaction.atomic():
            write(file)
        assert says(name) == WRITTEN
    assert says(name) == WRITTEN


def test_the_changes_of_a_transaction_that_is_managed_by_hand_are_told(name: str) -> None:
    transaction.set_autocommit(autocommit=False)
    try:
        with DbFileIO(loid_of(name), "rb+") as file:
            write(file)
        transaction.rollback()
        assert says(name) == SAVED
        with DbFileIO(loid_of(name), "rb+") as file:
            write(file)
        transaction.commit()
    finally:
        transaction.rollback()
        transaction.set_autocommit(autocommit=True)
    assert says(name) == WRITTEN
