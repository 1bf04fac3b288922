"""``migrate`` catalogues what rows name already, once for each column of a database."""

from collections.abc import Iterator

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.test import override_settings

from pg_lo_storage.checks.server import check_server
from pg_lo_storage.maintenance import adoption, name_columns
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import TransitionalStorage, db_file_storage
from tests.catalogue.support import adopt, entries, invoice, migrate, run, uncatalogued
from tests.invoices.models import Invoice

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def before_the_app() -> Iterator[None]:
    """A database with all its tables, but for those of the app."""
    migrate("pg_lo_storage", "zero", verbosity=0)
    yield
    migrate(verbosity=0)


@pytest.mark.usefixtures("before_the_app")
def test_a_running_site_that_adds_the_app_loses_no_file() -> None:
    name = f"{uncatalogued(b'kept')}.pdf"
    invoice(name)
    assert "Stored files of invoices_invoice.data: 1 adopted" in migrate()
    with db_file_storage.open(name) as file:
        assert file.read() == b"kept"


def test_migrate_adopts_once() -> None:
    migrate(verbosity=0)
    invoice(f"{uncatalogued()}.pdf")
    assert "adopted" not in migrate()
    assert not entries()


def test_migrate_adopts_again_where_the_catalogue_was_removed() -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")
    migrate("pg_lo_storage", "zero", verbosity=0)
    migrate(verbosity=0)
    assert entries() == {loid: ".pdf"}


@pytest.mark.usefixtures("before_the_app")
def test_a_table_that_comes_later_is_adopted_then() -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")
    run("alter table invoices_invoice rename to before_its_migration")
    try:
        migrate(verbosity=0)
        assert not entries()
    finally:
        run("alter table before_its_migration rename to invoices_invoice")
    migrate(verbosity=0)
    assert entries() == {loid: ".pdf"}


def test_a_flush_adopts_nothing_and_forgets_nothing() -> None:
    call_command("flush", interactive=False, verbosity=0)
    assert name_columns.settled_columns("default")
    invoice(f"{uncatalogued()}.pdf")
    name_columns.settle("default", set())
    try:
        emit_post_migrate_signal(0, interactive=False, db="default")  # as "flush" does
        assert not entries()
    finally:
        migrate(verbosity=0)


@pytest.mark.usefixtures("before_the_app")
def test_each_database_is_migrated_on_its_own() -> None:
    there = uncatalogued(using="other")
    invoice(f"{there}.pdf", using="other")
    with override_settings(PG_LO_STORAGE_DB_FOR_WRITE="other"):
        migrate("pg_lo_storage", "zero", "--database", "other", verbosity=0)
        migrate("--database", "default", verbosity=0)
        migrate("--database", "other", verbosity=0)
    assert (entries(), entries("other")) == ({}, {there: ".pdf"})


@pytest.mark.usefixtures("before_the_app")
def test_an_interrupted_adoption_is_done_again(monkeypatch: pytest.MonkeyPatch) -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")

    def interrupt(*_arguments: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(adoption, "settle", interrupt)
        with pytest.raises(KeyboardInterrupt):
            migrate(verbosity=0)
    later = uncatalogued()
    invoice(f"{later}.pdf")
    migrate(verbosity=0)
    assert entries() == {loid: ".pdf", later: ".pdf"}


@pytest.mark.usefixtures("before_the_app")
def test_hidden_rows_are_left_for_later_and_named() -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")
    run("alter table invoices_invoice enable row level security, force row level security")
    try:
        printed = migrate()
    finally:
        run("alter table invoices_invoice no force row level security, disable row level security")
    assert "Files were not adopted from invoices_invoice.data: row-level security may hide rows" in printed
    migrate(verbosity=0)
    assert entries() == {loid: ".pdf"}


@pytest.mark.usefixtures("before_the_app")
def test_a_column_that_the_role_may_not_read_is_left_for_later_and_named() -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")
    run("revoke select on invoices_invoice from current_user")
    try:
        printed = migrate()
    finally:
        run("grant select on invoices_invoice to current_user")
    assert "Files were not adopted from invoices_invoice.data: the role may not read it; grant it SELECT" in printed
    migrate(verbosity=0)
    assert entries() == {loid: ".pdf"}


def test_who_does_not_own_the_catalogue_s_table_adopts_nothing_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")
    name_columns.settle("default", set())

    def owns(alias: str) -> bool:
        return alias != "default"

    monkeypatch.setattr(adoption, "may_settle", owns)
    assert "Files were not adopted: another role owns pg_lo_storage_file" in migrate()
    assert entries() == {}
    monkeypatch.undo()
    migrate(verbosity=0)
    assert entries() == {loid: ".pdf"}


@pytest.mark.usefixtures("before_the_app")
def test_nothing_is_said_where_there_is_nothing_to_adopt() -> None:
    assert "adopted" not in migrate()


ODD = ['per%cent \'s "quoted".table', 'a "b" %s; \\ --']


def test_any_identifier_may_be_settled() -> None:
    columns = {name_columns.NameColumn("default", *ODD), name_columns.NameColumn("other", *ODD)}
    before = name_columns.settled_columns("default")
    try:
        name_columns.settle("default", before | columns)
        assert name_columns.settled_columns("default") == before | columns
    finally:
        name_columns.settle("default", before)


def test_of_a_column_from_which_files_move_nothing_is_adopted(monkeypatch: pytest.MonkeyPatch) -> None:
    old = InMemoryStorage()
    monkeypatch.setattr(Invoice._meta.get_field("data"), "storage", TransitionalStorage(legacy=old))
    name_columns.settle("default", set())
    alien, stored = (f"{uncatalogued()}.pdf" for _ in "ab")
    old.save(alien, ContentFile(b"old"))
    for name in (alien, stored):
        invoice(name)
    assert "adopted" not in migrate()
    assert "0 adopted" in adopt()
    assert not entries()
    assert not [found for found in check_server("default", ["default"]) if found.id == "pg_lo_storage.W012"]
    said = adopt("--model", "invoices.Invoice.data", "--show")
    assert f"{alien!r}: refused, the file of that name is still at its old place" in said
    assert list(entries()) == [parse_name(stored)]
    # Once its storage is another one, the column is as any other.
    name_columns.settle("default", set())
    monkeypatch.undo()
    assert "invoices_invoice.data" in migrate()


def test_an_old_name_is_taken_from_no_other_column_either(monkeypatch: pytest.MonkeyPatch) -> None:
    old = InMemoryStorage()
    monkeypatch.setattr(Invoice._meta.get_field("data"), "storage", TransitionalStorage(legacy=old))
    name = f"{uncatalogued()}.pdf"
    old.save(name, ContentFile(b"old"))
    invoice(name)
    invoice(name, "scan")
    assert "1 at their old place" in adopt()
    assert not entries()
