"""A file and the transaction it was opened in, on one of Django's databases."""

from collections.abc import Callable

import pytest
from django.db import Error, connections, transaction
from django.db.transaction import TransactionManagementError

from pg_lo_storage.drivers import get_driver
from pg_lo_storage.exceptions import (
    LargeObjectNotFound,
    LargeObjectPermissionDenied,
    NoTransactionError,
    StaleLargeObject,
)
from pg_lo_storage.storage import DbFileIO
from tests.fixtures.connections import Connect
from tests.invoices.models import Note
from tests.io.files import in_a_thread, numbered_lines

pytestmark = pytest.mark.django_db(transaction=True)

DATA = numbered_lines(300_000)


@pytest.fixture
def loid(transactional_db: None) -> int:  # noqa: ARG001 -- wanted for its effect
    """An object that is committed."""
    with transaction.atomic(), DbFileIO(0, "wb") as file:
        file.write(DATA)
    return file.loid


def after_commit(loid: int) -> DbFileIO:
    with transaction.atomic():
        return opened(loid)


def after_rollback(loid: int) -> DbFileIO:
    with transaction.atomic():
        file = opened(loid)
        transaction.set_rollback(rollback=True)
    return file


def opened(loid: int) -> DbFileIO:
    """Open a file and have it read ahead."""
    file = DbFileIO(loid, "rb+")
    file.readline()
    return file


USES: dict[str, Callable[[DbFileIO], object]] = {
    "read": lambda file: file.read(1),
    "readline": lambda file: file.readline(),
    "read all": lambda file: file.read(),
    "tell": lambda file: file.tell(),
    "seek": lambda file: file.seek(0),
    "size": lambda file: file.size,
    "write": lambda file: file.write(b"x"),
    "truncate": lambda file: file.truncate(0),
}


def test_writing_in_autocommit_names_the_fix_and_leaves_nothing(large_objects: Callable[[], set[int]]) -> None:
    with pytest.raises(NoTransactionError, match=r"transaction\.atomic"):
        DbFileIO(0, "wb")
    assert not large_objects()


@pytest.mark.parametrize("ended", [after_commit, after_rollback])
@pytest.mark.parametrize("use", USES)
def test_a_file_is_stale_in_every_later_transaction(loid: int, use: str, ended: Callable[[int], DbFileIO]) -> None:
    file = ended(loid)
    with pytest.raises(StaleLargeObject):
        USES[use](file)
    with transaction.atomic():
        with pytest.raises(StaleLargeObject):
            USES[use](file)
        Note.objects.create(text="the transaction is usable")
        file.close()
    assert Note.objects.count() == 1
    with DbFileIO(loid) as again:
        assert again.read() == DATA


@pytest.mark.parametrize("use", USES)
def test_a_file_is_stale_after_the_rollback_of_its_savepoint(loid: int, use: str) -> None:
    with transaction.atomic():
        with after_rollback(loid) as file, pytest.raises(StaleLargeObject):
            USES[use](file)
        Note.objects.create(text="the transaction is usable")
    assert Note.objects.count() == 1
    with DbFileIO(loid) as again:
        assert again.read() == DATA


def test_a_file_survives_the_release_of_its_savepoint(loid: int) -> None:
    with transaction.atomic(), after_commit(loid) as file:
        assert file.readline() == DATA[21:42]
        file.write(b"xy")
        file.seek(0)
        assert file.read(44) == DATA[:42] + b"xy"


def test_a_file_survives_the_rollback_of_a_later_savepoint(loid: int) -> None:
    with transaction.atomic(), DbFileIO(loid, "rb+") as file:
        with transaction.atomic():
            file.write(b"lost")
            file.seek(0)
            assert file.read(2) == b"lo"
            transaction.set_rollback(rollback=True)
        assert file.read(2) == DATA[2:4]
        assert file.tell() == 4


@pytest.mark.parametrize("use", [*USES, "close"])
def test_another_file_on_the_reused_descriptor_is_never_reached(loid: int, use: str) -> None:
    with transaction.atomic():
        stale = after_rollback(loid)
        with DbFileIO(0, "wb+") as other:
            other.write(b"other")
            if use == "close":
                stale.close()
            else:
                with stale, pytest.raises(StaleLargeObject):
                    USES[use](stale)
            other.write(b"!")
            other.seek(0)
            assert other.read() == b"other!"
    with DbFileIO(loid) as again:
        assert again.read() == DATA


def test_with_autocommit_off_a_commit_ends_the_file(loid: int) -> None:
    transaction.set_autocommit(autocommit=False)
    try:
        with opened(loid) as file:
            transaction.commit()
            assert not Note.objects.exists()
            with pytest.raises(StaleLargeObject):
                file.readline()
    finally:
        transaction.rollback()
        transaction.set_autocommit(autocommit=True)


def test_a_file_opened_in_autocommit_is_read_in_and_out_of_transactions(loid: int) -> None:
    with DbFileIO(loid) as file:
        assert file.readline() == DATA[:21]
        with transaction.atomic():
            assert file.read(100_000) == DATA[21:100_021]
        assert file.read() == DATA[100_021:]


def test_an_error_without_the_server_leaves_the_transaction_alone(loid: int) -> None:
    with transaction.atomic():
        with pytest.raises(LargeObjectNotFound):
            DbFileIO(4_000_000_000, "rb+")
        with DbFileIO(loid) as file, pytest.raises(OSError, match="Invalid argument"):
            file.seek(-1)
        Note.objects.create(text="kept")
    assert Note.objects.count() == 1


def test_an_error_of_the_server_never_ends_in_a_silent_rollback(connect: Connect) -> None:
    stranger = connect(user="stranger", autocommit=True)
    loid = get_driver(stranger).from_bytes(b"theirs")
    with transaction.atomic():
        with pytest.raises(LargeObjectPermissionDenied):
            DbFileIO(loid, "rb+")
        with pytest.raises(TransactionManagementError):
            Note.objects.create(text="refused at once, not lost at commit")


def test_the_error_that_broke_the_block_is_not_masked(loid: int) -> None:
    with pytest.raises(Error, match="division by zero"), transaction.atomic():  # noqa: SIM117 -- the file is inside
        with DbFileIO(loid, "rb+"), connections["default"].cursor() as cursor:
            cursor.execute("select 1 / 0")


def test_a_file_of_no_transaction_is_read_in_another_thread(loid: int) -> None:
    with DbFileIO(loid) as file:
        assert file.readline() == DATA[:21]
        assert in_a_thread(file.read) == DATA[21:]
        file.seek(0)
        assert file.read() == DATA
