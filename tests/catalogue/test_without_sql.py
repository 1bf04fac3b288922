"""A driver without SQL of its own: the catalogue's runs on Django's cursor."""

from collections.abc import Callable

import pytest
from django.core.files.base import ContentFile
from django.db import connection, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from typing_extensions import Buffer, override

from pg_lo_storage import catalogue
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.drivers import DriverWrapper, SQLExecutor
from pg_lo_storage.exceptions import LargeObjectPermissionDenied
from pg_lo_storage.storage import DbFileIO, db_file_storage
from tests.catalogue.support import entries, run, saved, uncatalogued
from tests.catalogue.support_storage import digest, row
from tests.fixtures.connections import Connect
from tests.fixtures.connections import run as run_on
from tests.invoices.models import Invoice, Note
from tests.storage.support import LARGE, content, enter, loid_of, stored


@pytest.fixture(autouse=True)
def _without_sql() -> object:
    with override_settings(PG_LO_STORAGE_DRIVER="pg_lo_storage.drivers.DriverWrapper"):
        yield


pytestmark = pytest.mark.django_db(transaction=True)


def test_the_driver_has_none() -> None:
    assert DatabaseDriver("default").sql is None


@pytest.mark.parametrize("size", [0, 10, LARGE])
def test_a_file_is_saved_found_verified_and_deleted(size: int, count_large_objects: Callable[[], int]) -> None:
    data = content(size)
    name = saved("100% März.pdf", data)
    entry = row(name)
    assert (entry.original_name, entry.size, entry.sha256) == ("100% März.pdf", size, digest(data))
    assert stored(name) == data
    assert db_file_storage.size(name) == size
    assert db_file_storage.verify(name) is True
    assert list(db_file_storage.entries([name, "4294967295"])) == [name]
    assert db_file_storage.listdir("") == ([], [name])
    start: list[bytes] = []
    entry_now = db_file_storage.entry(name)
    assert catalogue.stream_version(
        DatabaseDriver("default"), entry_now, 0, 10, lambda block: start.append(bytes(block))
    )
    assert b"".join(start) == data[:10]
    assert not db_file_storage.exists(f"{loid_of(name)}.html")
    db_file_storage.delete(name)
    assert not entries()
    assert count_large_objects() == 0


def test_another_version_is_not_read() -> None:
    name = saved()
    entry, taken = db_file_storage.entry(name), list[Buffer]()
    with transaction.atomic(), db_file_storage.open(name, "ab") as file:
        file.write(b"more")
    database = DatabaseDriver("default")
    assert not catalogue.stream_version(database, entry, 0, 10, taken.append)
    entry = db_file_storage.entry(name)
    db_file_storage.delete(name)
    assert not catalogue.stream_version(database, entry, 0, 10, taken.append)
    assert not taken


def test_a_file_is_written_in_place() -> None:
    name = saved()
    with transaction.atomic(), db_file_storage.open(name, "ab") as file:
        file.write(b"more")
    assert (row(name).size, row(name).sha256) == (None, None)
    assert db_file_storage.size(name) == len(b"contentmore")
    with transaction.atomic(), DbFileIO(0, "wb", name="a.txt") as made:
        made.write(b"made")
    assert stored(made.name) == b"made"


def test_a_file_lives_and_dies_with_its_row(count_large_objects: Callable[[], int]) -> None:
    invoice = Invoice.objects.create(data=ContentFile(b"first", name="a.pdf"))
    invoice.data = ContentFile(b"second", name="b.pdf")
    invoice.save()
    assert count_large_objects() == 1
    invoice.delete()
    assert count_large_objects() == 0


def test_a_missing_file_aborts_nothing() -> None:
    loid = uncatalogued()
    gone = saved()
    run("select lo_unlink(%s)", loid_of(gone))
    with transaction.atomic():
        for missing in (f"{loid}.pdf", gone):
            with pytest.raises(FileNotFoundError):
                db_file_storage.size(missing)
            db_file_storage.delete(missing)
        Note.objects.create(text="after")
    assert Note.objects.exists()


def test_a_forbidden_file_is_forbidden(connect: Connect) -> None:
    [(loid,)] = run_on(connect(user="stranger", autocommit=True), "select lo_from_bytea(0, 'secret')")
    enter(f"{loid}.txt")
    for ask in (db_file_storage.size, db_file_storage.open, db_file_storage.delete):
        with pytest.raises(LargeObjectPermissionDenied) as caught:
            ask(f"{loid}.txt")
        assert caught.value.oid == loid


@pytest.mark.parametrize("size", [1200, LARGE])
def test_the_query_log_holds_no_bytes_of_files(size: int) -> None:
    data = b"confidential" * (size // 12)
    with CaptureQueriesContext(connection) as queries:
        name = saved(data=data)
        assert stored(name) == data
        db_file_storage.delete(name)
    log = str(list(queries))
    assert "confidential" not in log
    assert b"confidential".hex() not in log


class Executor:
    """SQL that is no driver's own."""

    def __init__(self, sql: SQLExecutor) -> None:
        self.execute = sql.execute


class WithPlainSQL(DriverWrapper):
    """Has SQL, and nothing else that makes it fast."""

    @property
    @override
    def sql(self) -> SQLExecutor | None:
        sql = self.wrapped.sql
        return None if sql is None else Executor(sql)


@pytest.mark.parametrize("size", [10, LARGE])
def test_any_sql_will_do(size: int) -> None:
    with override_settings(PG_LO_STORAGE_DRIVER=f"{__name__}.WithPlainSQL"):
        data = content(size)
        name = saved("a.pdf", data)
        assert stored(name) == data
        assert db_file_storage.verify(name) is True
        run("select lo_put(%s, 0, 'X')", loid_of(name))
        assert db_file_storage.verify(name) is False
        db_file_storage.delete(name)
        assert not entries()
