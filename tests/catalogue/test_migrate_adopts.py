"""``migrate`` catalogues what rows name already, once for each column of a database."""

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.core.management.sql import emit_post_migrate_signal
from django.test import override_settings

from pg_lo_storage.maintenance import adoption, name_columns
from pg_lo_storage.storage import db_file_storage
from tests.catalogue.support import entries, invoice, migrate, run, uncatalogued

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
