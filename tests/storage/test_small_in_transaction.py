"""A small file that was read whole as it was opened in an atomic block: one statement, and a descriptor's promises."""

import contextlib
from collections.abc import Generator

import pytest
from django.core.files.base import ContentFile
from django.db import connections, transaction
from django.http import FileResponse, HttpRequest
from django.test import RequestFactory

from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.exceptions import StaleLargeObject
from pg_lo_storage.storage import DbFile, DbFileIO, db_file_storage
from tests.fixtures.connections import Connect
from tests.invoices.models import Note
from tests.storage.support import LARGE, body, content, loid_of
from tests.storage.support import rolled_back as undone

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("catalogue")]

DATA = b"0123456789"
NEW = b"another content"


@pytest.fixture
def name() -> str:
    return db_file_storage.save("a.txt", ContentFile(DATA))


def rolled_back() -> None:
    with contextlib.suppress(ZeroDivisionError), transaction.atomic():
        raise ZeroDivisionError


def reads(file: DbFile) -> None:
    for _ in range(2):
        file.seek(0)
        assert file.read() == DATA
    assert file.seek(0, 2) == len(DATA)
    assert file.read() == b""


@pytest.mark.parametrize("statement", ["select lo_unlink(%s)", "select lo_put(%s, 0, 'theirs')"])
def test_it_stays_what_it_was_whatever_others_do(name: str, connect: Connect, statement: str) -> None:
    with transaction.atomic(), db_file_storage.open(name) as file:
        other = connect()
        other.cursor().execute(statement, [loid_of(name)])
        other.commit()
        reads(file)
        rolled_back()
        reads(file)


def test_a_savepoint_that_was_released_leaves_it_open(name: str) -> None:
    with transaction.atomic():
        with transaction.atomic():
            file = db_file_storage.open(name)
        rolled_back()
        reads(file)
        file.close()


def test_it_ends_with_the_savepoint_that_is_rolled_back(name: str) -> None:
    files: list[DbFile] = []
    with transaction.atomic():
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            files.append(db_file_storage.open(name))
            raise ZeroDivisionError
        savepoint = connections["default"].savepoint() or ""
        files.append(db_file_storage.open(name))
        connections["default"].savepoint_rollback(savepoint)
        for file in files:
            with pytest.raises(StaleLargeObject):
                file.read()
            file.close()
        with db_file_storage.open(name) as again:
            assert again.read() == DATA


def opened_in_a_block(name: str) -> DbFile:
    with transaction.atomic():
        file = db_file_storage.open(name)
        assert file.read(3) == DATA[:3]
    return file


def test_it_is_read_on_after_the_transaction_and_asks_nothing(name: str) -> None:
    """A response's body is sent when the transaction is over, under ``ATOMIC_REQUESTS``; all of this is here."""
    with opened_in_a_block(name) as file:
        with no_statements():
            assert file.read() == DATA[3:]
            assert file.size == len(DATA)
            reads(file)
            assert list(file.chunks(4)) == [DATA[:4], DATA[4:8], DATA[8:]]
        with transaction.atomic():
            Note.objects.create(text="another transaction")
            reads(file)
            db_file_storage.delete(name)
            reads(file)
        connections["default"].close()
        reads(file)
    with pytest.raises(ValueError, match="closed"):
        file.read()


@contextlib.contextmanager
def no_statements() -> Generator[None]:
    def session(*_arguments: object) -> None:
        raise AssertionError("the server was asked")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DatabaseDriver, "_session", session)
        yield


def test_a_file_response_under_atomic_requests(name: str) -> None:
    def view(_request: HttpRequest) -> FileResponse:
        return FileResponse(db_file_storage.open(name))

    response = transaction.atomic(view)(RequestFactory().get("/"))
    assert response.headers["Content-Length"] == str(len(DATA))
    assert body(response) == DATA


@pytest.mark.parametrize("made", ["saved", "written"])
def test_what_its_own_transaction_made_is_read_on_once_that_is_committed(made: str, name: str) -> None:
    with transaction.atomic():
        file = db_file_storage.open(make(made, name))
    reads_new(file)
    with transaction.atomic():
        Note.objects.create(text="another transaction")
        reads_new(file)
    file.close()


@pytest.mark.parametrize("made", ["saved", "written"])
@pytest.mark.parametrize("later", ["in autocommit", "in a transaction"])
def test_what_its_own_transaction_made_and_took_back_is_read_no_more(later: str, made: str, name: str) -> None:
    files: list[DbFile] = []
    with undone():
        files.append(db_file_storage.open(make(made, name)))
    with contextlib.nullcontext() if later == "in autocommit" else transaction.atomic():
        for file in files:
            with pytest.raises(StaleLargeObject):
                file.read()
            file.close()
        Note.objects.create(text="the transaction is usable")


def test_what_a_savepoint_made_and_took_back_is_read_no_more(name: str, catalogue: bool) -> None:
    files: list[DbFile] = []
    with transaction.atomic():
        Note.objects.create(text="kept")
        # Without the catalogue nothing tells of what was written in place, once the transaction is over.
        for made in ("saved", "written")[: 1 + catalogue]:
            with undone():
                files.append(db_file_storage.open(make(made, name)))
    for file in files:
        with pytest.raises(StaleLargeObject):
            file.read()
        file.close()


def make(made: str, name: str) -> str:
    if made == "saved":
        return db_file_storage.save("a.txt", ContentFile(NEW))
    with db_file_storage.open(name, "wb") as file:
        file.write(NEW)
    return name


def reads_new(file: DbFile) -> None:
    file.seek(0)
    assert file.read() == NEW


def test_files_that_were_not_read_whole_keep_the_rule(name: str) -> None:
    large = db_file_storage.save("b.txt", ContentFile(content(LARGE)))
    with transaction.atomic():
        files = [db_file_storage.open(large), db_file_storage.open(name, "rb+"), DbFile(DbFileIO(loid_of(name)))]
    for file in files:
        with pytest.raises(StaleLargeObject):
            file.read()
        file.close()


def test_there_may_be_any_number_of_them(name: str) -> None:
    with transaction.atomic():
        files = [db_file_storage.open(name) for _ in range(400)]
        rolled_back()
        for file in files:
            assert file.read() == DATA
            file.close()
        with connections["default"].cursor() as cursor:
            cursor.execute("select length(coalesce(current_setting('pg_lo_storage.read', true), ''))")
            assert cursor.fetchone()[0] < 5000
