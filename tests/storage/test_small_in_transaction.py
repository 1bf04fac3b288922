"""A small file that was read whole as it was opened in an atomic block: one statement, and a descriptor's promises."""

import contextlib

import pytest
from django.core.files.base import ContentFile
from django.db import connections, transaction

from pg_lo_storage.exceptions import StaleLargeObject
from pg_lo_storage.storage import DbFile, db_file_storage
from tests.fixtures.connections import Connect
from tests.storage.support import loid_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("catalogue")]

DATA = b"0123456789"


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


def test_it_ends_with_the_transaction(name: str) -> None:
    with transaction.atomic():
        file = db_file_storage.open(name)
    with pytest.raises(StaleLargeObject):
        file.read()
    with transaction.atomic(), pytest.raises(StaleLargeObject):
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
