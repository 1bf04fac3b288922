"""A file and its row are one: they commit and roll back together, and no caught error parts them."""

import base64
import io
from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from pg_lo_storage.drivers import MAX_SIZE
from pg_lo_storage.exceptions import LargeObjectTooLarge, StaleLargeObject
from pg_lo_storage.storage import DbFile, DbFileIO, db_file_storage
from tests.invoices.models import Invoice, Note
from tests.storage.support import LARGE, content, loid_of, rolled_back, stored

pytestmark = pytest.mark.django_db(transaction=True)

Count = Callable[[], int]


@pytest.fixture
def name() -> str:
    return db_file_storage.save("a.txt", ContentFile(b"0123456789"))


@pytest.fixture
def loid(name: str) -> int:
    return loid_of(name)


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_file_and_its_row_commit_together(size: int, count_large_objects: Count) -> None:
    data = content(size)
    with transaction.atomic():
        invoice = Invoice.objects.create(data=ContentFile(data, name="a.bin"))
        assert count_large_objects() == 0
        assert stored(invoice.data.name or "") == data
    assert count_large_objects() == 1
    assert stored(Invoice.objects.get().data.name or "") == data


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_file_and_its_row_roll_back_together(size: int, count_large_objects: Count) -> None:
    with rolled_back():
        Invoice.objects.create(data=ContentFile(content(size), name="a.bin"))
    assert not Invoice.objects.exists()
    assert count_large_objects() == 0


def test_a_deletion_rolls_back(name: str) -> None:
    with rolled_back():
        db_file_storage.delete(name)
        assert not db_file_storage.exists(name)
    assert stored(name) == b"0123456789"


def test_a_write_rolls_back(name: str) -> None:
    with rolled_back(), db_file_storage.open(name, "wb") as file:
        file.write(b"other")
    assert stored(name) == b"0123456789"


def test_a_file_that_is_never_closed_loses_nothing_at_commit(name: str) -> None:
    with transaction.atomic():
        file = db_file_storage.open(name, "rb+")
        file.write(b"AB")
    assert stored(name) == b"AB23456789"
    file.close()


def test_a_savepoint_rolls_back_what_was_done_under_it(name: str, count_large_objects: Count) -> None:
    with transaction.atomic():
        Note.objects.create(text="kept")
        with rolled_back():
            db_file_storage.save("b.txt", ContentFile(content(LARGE)))
            db_file_storage.delete(name)
        with transaction.atomic():
            kept = db_file_storage.save("c.txt", ContentFile(b"kept"))
    assert stored(kept) == b"kept"
    assert stored(name) == b"0123456789"
    assert count_large_objects() == 2
    assert Note.objects.count() == 1


def a_file() -> int:
    return loid_of(db_file_storage.save("a.txt", ContentFile(b"0123456789")))


def stale(stale_file: DbFileIO) -> None:
    stale_file.read()


def stale_write(stale_file: DbFileIO) -> None:
    stale_file.write(b"lost")


def missing(_stale_file: DbFileIO) -> None:
    DbFileIO(4294967295)


def missing_by_name(_stale_file: DbFileIO) -> None:
    db_file_storage.open("4294967295.pdf", "rb+")


def seek_too_far(_stale_file: DbFileIO) -> None:
    with DbFileIO(a_file()) as file:
        file.seek(MAX_SIZE + 1)


def write_too_far(_stale_file: DbFileIO) -> None:
    with DbFileIO(a_file(), "wb") as file:
        file.seek(MAX_SIZE)
        file.write(b"x")


def truncate_too_far(_stale_file: DbFileIO) -> None:
    with DbFileIO(a_file(), "wb") as file:
        file.truncate(MAX_SIZE + 1)


def write_without_right(_stale_file: DbFileIO) -> None:
    with DbFileIO(a_file()) as file:
        file.write(b"x")


def read_without_right(_stale_file: DbFileIO) -> None:
    with DbFileIO(a_file(), "wb") as file:
        file.read()


def use_after_close(_stale_file: DbFileIO) -> None:
    file = DbFileIO(a_file())
    file.close()
    file.read()


def seek_before_the_start(_stale_file: DbFileIO) -> None:
    with DbFileIO(a_file()) as file:
        file.seek(-1)


def make_without_right(_stale_file: DbFileIO) -> None:
    DbFileIO(0, "rb")


def write_text(_stale_file: DbFileIO) -> None:
    with DbFileIO(a_file(), "wb") as file:
        file.write("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  bytes only


@pytest.mark.parametrize(
    ("misuse", "error"),
    [
        (stale, StaleLargeObject),
        (stale_write, StaleLargeObject),
        (missing, FileNotFoundError),
        (missing_by_name, FileNotFoundError),
        (seek_too_far, LargeObjectTooLarge),
        (write_too_far, LargeObjectTooLarge),
        (truncate_too_far, LargeObjectTooLarge),
        (write_without_right, io.UnsupportedOperation),
        (read_without_right, io.UnsupportedOperation),
        (use_after_close, ValueError),
        (seek_before_the_start, OSError),
        (make_without_right, ValueError),
        (write_text, TypeError),
    ],
)
def test_a_caught_error_leaves_the_rest_of_the_transaction_to_commit(
    misuse: Callable[[DbFileIO], None], error: type[Exception], name: str
) -> None:
    with transaction.atomic():
        stale_file = DbFileIO(loid_of(name), "rb+")
    with transaction.atomic():
        Note.objects.create(text="before")
        with pytest.raises(error):
            misuse(stale_file)
        Note.objects.create(text="after")
        saved = db_file_storage.save("after.txt", ContentFile(b"after"))
    assert [note.text for note in Note.objects.order_by("pk")] == ["before", "after"]
    assert stored(saved) == b"after"
    assert stored(name) == b"0123456789"
    stale_file.close()


USES: list[Callable[[DbFileIO], object]] = [
    lambda file: file.read(1),
    lambda file: file.read(),
    lambda file: file.readline(),
    next,
    lambda file: file.seek(0),
    lambda file: file.tell(),
    lambda file: file.write(b"x"),
    lambda file: file.truncate(),
    lambda file: file.size,
]


@pytest.mark.parametrize("use", USES)
def test_a_handle_ends_with_its_atomic_block(use: Callable[[DbFileIO], object], name: str) -> None:
    with transaction.atomic():
        file = DbFileIO(loid_of(name), "rb+")
        assert file.read(2) == b"01"
    with pytest.raises(StaleLargeObject):
        use(file)
    with transaction.atomic(), pytest.raises(StaleLargeObject):
        use(file)
    with transaction.atomic():
        # Takes the descriptor number that the old handle had.
        other = DbFileIO(a_file(), "rb+")
        with pytest.raises(StaleLargeObject):
            use(file)
        assert other.read() == b"0123456789"
        file.close()
        assert other.seek(0) == 0
        other.close()
    assert stored(name) == b"0123456789"


@pytest.mark.parametrize("mode", ["rb", "rb+"])
def test_nothing_is_served_from_the_buffer_of_a_handle_whose_savepoint_was_rolled_back(mode: str, name: str) -> None:
    with transaction.atomic():
        before = DbFile(DbFileIO(loid_of(name)))
        assert before.read(1) == b"0"
        with rolled_back():
            file = db_file_storage.open(name, mode)
            assert file.read(2) == b"01"
        with pytest.raises(StaleLargeObject):
            file.read(1)
        file.close()
        assert before.read(2) == b"12"
        before.close()


def test_a_handle_outlives_a_savepoint_that_is_released(loid: int) -> None:
    with transaction.atomic():
        with transaction.atomic():
            file = DbFileIO(loid)
            assert file.read(2) == b"01"
        assert file.read(2) == b"23"
        file.close()


def test_a_rolled_back_write_is_not_read_from_the_buffer(loid: int) -> None:
    with transaction.atomic():
        file = DbFileIO(loid, "rb+")
        with rolled_back():
            file.write(b"AB")
            file.seek(0)
            assert file.read(3) == b"AB2"
        file.seek(0)
        assert file.read(3) == b"012"
        file.close()


def test_a_handle_ends_with_a_transaction_that_is_managed_by_hand(loid: int) -> None:
    transaction.set_autocommit(autocommit=False)
    try:
        with DbFileIO(loid) as file:
            assert file.read(2) == b"01"
            transaction.commit()
            Note.objects.create(text="begins another")
            with pytest.raises(StaleLargeObject):
                file.read(2)
        transaction.commit()
    finally:
        transaction.rollback()
        transaction.set_autocommit(autocommit=True)
    assert Note.objects.count() == 1


def test_a_handle_that_belongs_to_no_transaction_outlives_them(name: str) -> None:
    with db_file_storage.open(name) as file:
        assert file.read(2) == b"01"
        with transaction.atomic():
            assert file.read(2) == b"23"
            Note.objects.create(text="meanwhile")
        assert file.read(2) == b"45"


def test_the_query_log_holds_no_bytes_of_files(count_large_objects: Count) -> None:
    data = b"confidential" * 50_000
    with CaptureQueriesContext(connection) as queries:
        invoice = Invoice.objects.create(data=ContentFile(data, name="a.txt"))
        small = db_file_storage.save("a.txt", ContentFile(b"confidential"))
        assert stored(invoice.data.name or "") == data
        with transaction.atomic(), db_file_storage.open(small, "rb+") as file:
            file.write(b"confidential")
    log = str(list(queries))
    assert "INSERT INTO" in log
    assert "confidential" not in log
    assert b"confidential".hex() not in log
    assert base64.b64encode(b"confidential").decode() not in log
    assert len(log) < len(data) / 20
    assert count_large_objects() == 2
