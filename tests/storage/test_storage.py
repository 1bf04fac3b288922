"""The storage's other methods: open, size, exists, delete; and the file that ``open`` gives."""

from collections.abc import Callable
from typing import Any

import pytest
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.storage import Storage
from django.db import transaction

from pg_lo_storage.exceptions import LargeObjectNotFound, NoTransactionError
from pg_lo_storage.storage import DbFile, DbFileIO, DbFileStorage, db_file_storage
from pg_lo_storage.storage.saving import SMALL
from tests.invoices.models import Note
from tests.storage.support import (
    LARGE,
    SIZES,
    UNACCEPTABLE_NAMES,
    UNACCEPTABLE_OBJECTS,
    content,
    loid_of,
    spelled,
    stored,
)

pytestmark = pytest.mark.django_db(transaction=True)

MISSING = ["4294967295", "4294967295.pdf"]
MODES = ["rb", "rb+", "wb", "wb+", "ab", "ab+"]


@pytest.fixture
def name() -> str:
    return db_file_storage.save("a.txt", ContentFile(b"0123456789"))


def test_both_are_djangos_storages() -> None:
    assert isinstance(db_file_storage, DbFileStorage)
    assert isinstance(db_file_storage, Storage)


def test_there_is_no_path() -> None:
    with pytest.raises(NotImplementedError):
        db_file_storage.path("12.txt")


@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_read_in_autocommit(size: int) -> None:
    data = content(size)
    with db_file_storage.open(db_file_storage.save("a.txt", ContentFile(data))) as file:
        assert file.read(3) == data[:3]
        assert file.tell() == min(3, size)
        assert file.read() == data[3:]
        assert file.read() == b""
        file.seek(size // 2)
        assert file.read(10) == data[size // 2 :][:10]
        assert file.size == size


def test_an_open_file_is_djangos_and_knows_its_name(name: str) -> None:
    with db_file_storage.open(name) as file:
        assert isinstance(file, File)
        assert isinstance(file, DbFile)
        assert isinstance(file.file, DbFileIO)
        assert (file.name, str(file), file.mode, file.loid) == (name, name, "rb", loid_of(name))
        assert bool(file)
        assert not file.closed
    assert file.closed


@pytest.mark.parametrize("extension", ["", ".v1.2.pdf", ".TXT", ".txt.txt", "."])
def test_only_the_catalogue_knows_the_extension(extension: str, name: str, catalogue: bool) -> None:
    swapped = f"{loid_of(name)}{extension}"
    assert db_file_storage.exists(swapped) is not catalogue
    if catalogue:
        with pytest.raises(FileNotFoundError):
            db_file_storage.open(swapped)
    else:
        assert stored(swapped) == b"0123456789"


CATALOGUED: list[Callable[[str], object]] = [
    db_file_storage.entry,
    db_file_storage.verify,
    db_file_storage.get_created_time,
    db_file_storage.get_modified_time,
    lambda name: db_file_storage.entries([name]),
    lambda _name: db_file_storage.listdir(""),
]


@pytest.mark.parametrize("ask", CATALOGUED)
def test_what_only_the_catalogue_can_tell_is_not_told_without(
    ask: Callable[[str], object], name: str, catalogue: bool
) -> None:
    if catalogue:
        assert ask(name)
    else:
        with pytest.raises(NotImplementedError, match="INSTALLED_APPS"):
            ask(name)


@pytest.mark.parametrize("template", [*UNACCEPTABLE_NAMES, *UNACCEPTABLE_OBJECTS])
def test_an_unacceptable_name_names_no_file(
    template: object, name: str, count_large_objects: Callable[[], int]
) -> None:
    other = spelled(template, loid_of(name)) if isinstance(template, str) else template
    unacceptable: str = other  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  also None and bytes
    assert not db_file_storage.exists(unacceptable)
    db_file_storage.delete(unacceptable)
    with pytest.raises(FileNotFoundError):
        db_file_storage.open(unacceptable)
    with pytest.raises(FileNotFoundError):
        db_file_storage.open(unacceptable, "wb")
    with pytest.raises(FileNotFoundError):
        db_file_storage.size(unacceptable)
    assert count_large_objects() == 1


@pytest.mark.parametrize("missing", MISSING)
@pytest.mark.parametrize("mode", MODES)
def test_a_missing_file_is_not_found_in_any_mode(
    missing: str, mode: str, count_large_objects: Callable[[], int]
) -> None:
    with transaction.atomic():
        with pytest.raises(LargeObjectNotFound) as caught:
            db_file_storage.open(missing, mode)
        assert isinstance(caught.value, FileNotFoundError)
        Note.objects.create(text="after")
    assert Note.objects.count() == 1
    assert count_large_objects() == 0


@pytest.mark.parametrize("missing", MISSING)
def test_a_missing_file_does_not_exist_in_autocommit(missing: str) -> None:
    assert not db_file_storage.exists(missing)
    for call in (db_file_storage.open, db_file_storage.size):
        with pytest.raises(FileNotFoundError):
            call(missing)
    db_file_storage.delete(missing)


def test_deleting_a_missing_file_leaves_the_transaction_to_commit() -> None:
    with transaction.atomic():
        Note.objects.create(text="before")
        db_file_storage.delete("4294967295.pdf")
        Note.objects.create(text="after")
    assert Note.objects.count() == 2


def test_a_deleted_file_is_gone(name: str, count_large_objects: Callable[[], int]) -> None:
    db_file_storage.delete(name)
    assert not db_file_storage.exists(name)
    assert count_large_objects() == 0
    db_file_storage.delete(name)


@pytest.mark.parametrize("mode", ["", "r", "w", "rt", "r+", "wt", "U", "rb+b", "xb", "xb+", "x"])
def test_text_and_exclusive_modes_are_refused_and_harm_nothing(mode: str, name: str) -> None:
    with transaction.atomic(), pytest.raises(ValueError, match="mode"):
        db_file_storage.open(name, mode)
    with db_file_storage.open(name) as file, pytest.raises(ValueError, match="mode"):
        file.open(mode or "t")
    assert stored(name) == b"0123456789"


@pytest.mark.parametrize(
    ("mode", "left"),
    [("wb", b"new"), ("wb+", b"new"), ("w+b", b"new"), ("rb+", b"new3456789"), ("ab", b"0123456789new")],
)
def test_modes_that_write_do_as_pythons_open(mode: str, left: bytes, name: str) -> None:
    with transaction.atomic(), db_file_storage.open(name, mode) as file:
        file.write(b"new")
        assert file.size == len(left)
    assert stored(name) == left


def test_wb_truncates_by_itself(name: str) -> None:
    with transaction.atomic(), db_file_storage.open(name, "wb"):
        pass
    assert db_file_storage.size(name) == 0


def test_db_file_io_does_not_truncate(name: str) -> None:
    with transaction.atomic(), DbFileIO(loid_of(name), "wb") as file:
        file.write(b"new")
    assert stored(name) == b"new3456789"


@pytest.mark.parametrize("mode", MODES[1:])
def test_modes_that_write_need_a_transaction(mode: str, name: str) -> None:
    with pytest.raises(NoTransactionError, match="atomic"):
        db_file_storage.open(name, mode)
    assert stored(name) == b"0123456789"


def test_open_gives_a_fresh_handle_at_the_start(name: str) -> None:
    with db_file_storage.open(name) as file:
        assert file.read() == b"0123456789"
        before = file.file
        assert file.open() is file
        assert before is not file.file
        assert isinstance(before, DbFileIO)
        assert before.closed
        assert file.read() == b"0123456789"
        file.close()
        with file.open() as again:
            assert again.read() == b"0123456789"


def test_open_gives_a_fresh_handle_where_the_transaction_of_the_last_is_over(name: str) -> None:
    with transaction.atomic():
        file = db_file_storage.open(name, "rb+")
        file.write(b"AB")
    with transaction.atomic():
        assert file.open().read() == b"AB23456789"
        assert file.mode == "rb+"
        file.close()
    with file.open("rb"):
        assert file.read() == b"AB23456789"


def test_open_takes_another_mode(name: str) -> None:
    with transaction.atomic(), db_file_storage.open(name) as file:
        file.open("rb+").write(b"AB")
        assert file.mode == "rb+"
        assert file.open("wb").size == 0
        assert file.mode == "wb"


def test_the_size_is_the_servers_and_leaves_the_position(name: str) -> None:
    with transaction.atomic(), db_file_storage.open(name, "rb+") as file:
        file.seek(4)
        assert file.size == 10
        assert file.read(2) == b"45"
        file.seek(0, 2)
        file.write(b"more")
        assert file.size == 14
        file.truncate(3)
        assert file.size == 3
        assert db_file_storage.size(name) == 3


@pytest.mark.parametrize("size", [0, 10, LARGE])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_chunks_are_the_whole_file_wherever_it_stands(size: int, in_transaction: bool) -> None:
    data = content(size)
    name = db_file_storage.save("a.txt", ContentFile(data))
    if in_transaction:
        with transaction.atomic(), db_file_storage.open(name) as file:
            file.read(5)
            assert b"".join(file.chunks()) == data
    with db_file_storage.open(name) as file:
        file.read(5)
        blocks = list(file.chunks(100_000))
        assert b"".join(blocks) == data
        assert all(len(block) == 100_000 for block in blocks[:-1])
        assert file.multiple_chunks(100_000) == (size > 100_000)


def test_lines_are_iterated_as_in_any_of_djangos_files() -> None:
    lines = [b"%d\n" % number for number in range(100_000)]
    name = db_file_storage.save("a.txt", ContentFile(b"".join(lines)))
    assert sum(map(len, lines)) > 2 * SMALL
    with db_file_storage.open(name) as file:
        assert list(file) == lines
        file.seek(0)
        assert file.readline() == b"0\n"
        assert file.readlines() == lines[1:]


def test_which_names_may_be_stored_ones_is_told_without_a_query(django_assert_num_queries: Callable[..., Any]) -> None:
    with django_assert_num_queries(0):
        assert [db_file_storage.is_valid_name(name) for name in ("12.pdf", "12", "a.pdf", "")] == [
            True,
            True,
            False,
            False,
        ]
