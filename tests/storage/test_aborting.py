"""Errors that do leave the server's transaction aborted mark the block, as a failed query does."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from typing import IO, cast

import pytest
from django.core.files.base import ContentFile
from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction
from django.db.transaction import TransactionManagementError

from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectError, LargeObjectPermissionDenied
from pg_lo_storage.storage import DbFile, DbFileIO, DbFileStorage, db_file_storage
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.proxy import Wire
from tests.invoices.models import Note
from tests.storage.support import LARGE, content, ending_once_we_wait, enter, loid_of, stored

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "wired"])

LOST = (OperationalError, InterfaceError)


@pytest.fixture
def name() -> str:
    return db_file_storage.save("a.txt", ContentFile(b"0123456789"))


@pytest.fixture
def foreign(connect: Connect) -> str:
    """A file whose object belongs to another role."""
    stranger = connect(user="stranger", autocommit=True)
    [(loid,)] = run(stranger, "select lo_from_bytea(0, 'secret')")
    enter(f"{loid}.txt")
    return f"{loid}.txt"


FORBIDDEN: list[Callable[[str], object]] = [
    db_file_storage.open,
    lambda name: db_file_storage.open(name, "rb+"),
    lambda name: db_file_storage.open(name, "wb"),
    db_file_storage.size,
    db_file_storage.delete,
]


@pytest.mark.parametrize("use", FORBIDDEN)
def test_a_forbidden_file_marks_the_block(use: Callable[[str], object], foreign: str) -> None:
    with transaction.atomic():
        Note.objects.create(text="lost")
        with pytest.raises(LargeObjectPermissionDenied) as caught:
            use(foreign)
        assert isinstance(caught.value, PermissionError)
        assert caught.value.oid == loid_of(foreign)
        assert caught.value.__cause__ is not None
        assert connections["default"].needs_rollback
        with pytest.raises(TransactionManagementError):
            Note.objects.count()
        with pytest.raises(TransactionManagementError):
            db_file_storage.exists(foreign)
    assert not Note.objects.exists()


def test_a_savepoint_keeps_a_forbidden_file_from_the_rest(foreign: str) -> None:
    with transaction.atomic():
        Note.objects.create(text="kept")
        with pytest.raises(LargeObjectPermissionDenied), transaction.atomic():
            db_file_storage.open(foreign)
        assert db_file_storage.exists(foreign)
    assert Note.objects.count() == 1


def test_a_forbidden_file_harms_nothing_in_autocommit(foreign: str) -> None:
    with pytest.raises(LargeObjectPermissionDenied):
        db_file_storage.open(foreign)
    assert not connections["default"].needs_rollback
    assert db_file_storage.exists(foreign)


@pytest.mark.parametrize("theirs", ["select lo_put(%s, 0, 'theirs')", "select lo_unlink(%s)"])
@pytest.mark.parametrize("large", [False, True])
def test_a_concurrent_writer_is_a_conflict_and_marks_the_block(
    theirs: str, large: bool, name: str, connection: RawConnection, connect: Connect
) -> None:
    watcher = connect(autocommit=True)
    with transaction.atomic():
        Note.objects.create(text="lost")
        file = DbFileIO(loid_of(name), "rb+")
        run(connection, theirs, [loid_of(name)])
        with ending_once_we_wait(connection.commit, watcher), pytest.raises(LargeObjectConflict) as caught:
            file.write(content(LARGE) if large else b"ours")
        assert caught.value.oid == loid_of(name)
        with pytest.raises(TransactionManagementError):
            Note.objects.count()
        file.close()
    assert not Note.objects.exists()


def test_two_deletions_at_once_are_a_conflict_and_mark_the_block(
    name: str, connection: RawConnection, connect: Connect
) -> None:
    watcher = connect(autocommit=True)
    run(connection, "select lo_unlink(%s)", [loid_of(name)])
    with transaction.atomic():
        Note.objects.create(text="lost")
        with ending_once_we_wait(connection.commit, watcher), pytest.raises(LargeObjectConflict):
            db_file_storage.delete(name)
        with pytest.raises(TransactionManagementError):
            Note.objects.count()
    assert not Note.objects.exists()
    assert not db_file_storage.exists(name)


def delete(name: str) -> None:
    db_file_storage.delete(name)


def write(name: str) -> None:
    with DbFileIO(loid_of(name), "rb+") as file:
        file.write(b"ours")


@pytest.mark.parametrize("use", [delete, write])
def test_a_timeout_is_djangos_operational_error_and_marks_the_block(
    use: Callable[[str], None], name: str, connection: RawConnection
) -> None:
    run(connection, "select lo_put(%s, 0, 'theirs')", [loid_of(name)])
    run(connection, "select lo_unlink(%s)", [loid_of(name)])
    with transaction.atomic():
        Note.objects.create(text="lost")
        with connections["default"].cursor() as cursor:
            cursor.execute("set local statement_timeout = 100")
        with pytest.raises(OperationalError, match="timeout") as caught:
            use(name)
        assert not isinstance(caught.value, LargeObjectError)
        with pytest.raises(TransactionManagementError):
            Note.objects.count()
    assert not Note.objects.exists()
    connection.rollback()
    assert stored(name) == b"0123456789"


def test_a_file_of_a_transaction_that_failed_raises_djangos_error_and_closes() -> None:
    name = db_file_storage.save("a.txt", ContentFile(content(LARGE)))
    with transaction.atomic(), db_file_storage.open(name) as file:
        with connections["default"].cursor() as cursor, pytest.raises(DatabaseError):
            cursor.execute("select 1 / 0")
        with pytest.raises(DatabaseError):
            file.read()


WIRED = DbFileStorage(alias="wired")


LOSING: list[Callable[[str], object]] = [
    WIRED.open,
    WIRED.size,
    WIRED.exists,
    WIRED.delete,
    lambda _name: WIRED.save("a.txt", ContentFile(b"data")),
    lambda _name: WIRED.save("a.txt", ContentFile(content(LARGE))),
]


@pytest.mark.parametrize("use", LOSING)
@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_lost_connection_is_djangos_error(
    use: Callable[[str], object], in_transaction: bool, name: str, wire: Wire
) -> None:
    # What ends the block is Django's, and may complain of the connection as well.
    with suppress(*LOST), transaction.atomic(using="wired") if in_transaction else nullcontext():
        assert WIRED.exists(name)
        wire.drop()
        with pytest.raises(LOST):
            use(name)
    assert stored(name) == b"0123456789"


LOSING_OPEN: list[Callable[[DbFile], object]] = [
    lambda file: file.read(),
    lambda file: file.seek(0, 2),
    lambda file: file.write(b"x"),
    lambda file: file.truncate(0),
    lambda file: file.size,
]


@pytest.mark.parametrize("use", LOSING_OPEN)
def test_a_connection_lost_under_an_open_file_is_djangos_error(
    use: Callable[[DbFile], object], name: str, wire: Wire
) -> None:
    def lose(file: DbFile) -> None:
        wire.drop()
        with pytest.raises(LOST):
            use(file)

    # Not even who catches it gets to a commit that commits nothing.
    with pytest.raises(LOST), transaction.atomic(using="wired"), WIRED.open(name, "rb+") as file:
        lose(file)
    assert stored(name) == b"0123456789"


def test_a_connection_lost_under_a_file_that_is_read_in_autocommit(wire: Wire) -> None:
    name = WIRED.save("a.txt", ContentFile(content(LARGE)))
    with WIRED.open(name) as file:
        wire.drop()
        with pytest.raises(LOST):
            file.read()


def test_a_connection_lost_in_the_middle_of_a_save_leaves_no_object(
    wire: Wire, count_large_objects: Callable[[], int]
) -> None:
    class Losing:
        def chunks(self) -> Iterator[bytes]:
            yield content(LARGE)
            wire.drop()
            yield content(LARGE)

    assert not WIRED.exists("4294967295")
    with pytest.raises(LOST):
        WIRED.save("a.txt", cast("IO[bytes]", Losing()))
    assert count_large_objects() == 0
