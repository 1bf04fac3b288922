"""Tests that leave large objects, for the fixtures of the plugin; run by test_plugin.py, in a pytest of its own."""

import pytest
from django.core.files.base import ContentFile
from django.db import DatabaseError, connection, connections

from pg_lo_storage.storage import DbFileStorage, db_file_storage
from tests.invoices.models import Invoice, Note


@pytest.fixture(scope="session")
def django_test_environment() -> None:
    """It is set up already, by the pytest around this one."""


@pytest.fixture(scope="session")
def django_db_setup() -> None:
    """As are the databases."""


def leave_objects(count: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select lo_create(0) from generate_series(1, %s)", [count])


def keep_named() -> None:
    for field in ("data", "plain", "elsewhere", "via_callable"):
        Invoice.objects.create(**{field: ContentFile(b"content", "a.txt")})


@pytest.mark.usefixtures("no_orphaned_large_objects")
class TestNoOrphans:
    def test_nothing(self) -> None:
        assert not Note.objects.exists()

    def test_named(self) -> None:
        keep_named()

    @pytest.mark.django_db(transaction=True)
    def test_named_and_committed(self) -> None:
        keep_named()

    def test_without_a_row(self) -> None:
        db_file_storage.save("a.txt", ContentFile(b"content"))

    def test_row_deleted(self) -> None:
        invoice = Invoice.objects.create(data=ContentFile(b"content", "a.txt"))
        Invoice.objects.filter(pk=invoice.pk)._raw_delete("default")  # past the cleanup
        Invoice.objects.create(data=ContentFile(b"another", "a.txt"))

    @pytest.mark.django_db(transaction=True)
    def test_without_a_row_and_committed(self) -> None:
        leave_objects(12)

    @pytest.mark.django_db(databases=["default", "other"])
    def test_without_a_row_elsewhere(self) -> None:
        assert connections["other"].in_atomic_block
        DbFileStorage(alias="other").save("a.txt", ContentFile(b"content"))

    def test_transaction_aborted(self) -> None:
        leave_objects(1)
        with pytest.raises(DatabaseError), connection.cursor() as cursor:
            cursor.execute("select 1 / 0")
        connection.set_rollback(True)

    @pytest.mark.django_db(databases=["default", "other"])
    def test_transaction_aborted_beside_another(self) -> None:
        Invoice.objects.using("other").create(data=ContentFile(b"content", "a.txt"))
        connection.set_rollback(True)

    @pytest.mark.django_db(databases=["default", "sqlite"])
    def test_named_beside_sqlite(self) -> None:
        assert connections["sqlite"].in_atomic_block
        keep_named()


@pytest.mark.usefixtures("no_orphaned_large_objects", "clean_large_objects")
class TestBoth:
    @pytest.mark.django_db(transaction=True)
    def test_without_a_row(self) -> None:
        leave_objects(1)


@pytest.mark.usefixtures("clean_large_objects")
class TestClean:
    @pytest.mark.django_db(transaction=True)
    def test_committed(self) -> None:
        keep_named()
        leave_objects(1)

    @pytest.mark.django_db(transaction=True)
    def test_many(self) -> None:
        leave_objects(2500)

    def test_rolled_back(self) -> None:
        leave_objects(1)
