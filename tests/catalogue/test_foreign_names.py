"""Names that are no stored files', of a column that another storage had until now: nothing is adopted by mistake."""

from collections.abc import Callable, Iterator

import pytest
from django.core.files.storage import FileSystemStorage
from django.db import models

from pg_lo_storage.maintenance import name_columns
from pg_lo_storage.storage import db_file_storage
from tests.catalogue.support import adopt, entries, invoice, migrate, numbers, run, saved, text_of, uncatalogued
from tests.catalogue.test_server_checks import of_database
from tests.fixtures.connections import Connect
from tests.fixtures.connections import run as run_on
from tests.invoices.models import Invoice, Note

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def unsettled() -> Iterator[None]:
    """The database of a project that adds the app."""
    migrate("pg_lo_storage", "zero", verbosity=0)
    yield
    run("delete from invoices_invoice")
    migrate("pg_lo_storage", "zero", verbosity=0)
    migrate(verbosity=0)


@pytest.fixture
def strangers(connect: Connect) -> int:
    """The oid of another role's object, which ours may read."""
    connection = connect(user="stranger", autocommit=True)
    [(loid,)] = run_on(connection, "select lo_from_bytea(0, 'theirs')::int8")
    connection.cursor().execute(f"grant select, update on large object {loid} to app")
    return int(loid)


def columns(*fields: str) -> set[name_columns.NameColumn]:
    return {name_columns.NameColumn("default", "invoices_invoice", field) for field in fields}


def gone() -> int:
    """The oid of an object that was unlinked."""
    loid = uncatalogued()
    run("select lo_unlink(%s)", loid)
    return loid


# What migrate makes of a column that has one such name.

NAMES: dict[str, Callable[[], str]] = {
    "a path": lambda: "2024/01/31/a.pdf",
    "a word": lambda: "a.pdf",
    "a number that is no oid": lambda: "4294967296.pdf",
    "a number with zeros": lambda: "0017.pdf",
    "a long extension": lambda: f"17.{'x' * 90}/",
    "no large object's": lambda: f"{gone()}.pdf",
}


@pytest.mark.usefixtures("unsettled")
@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("first", [False, True])
def test_migrate_adopts_nothing_from_a_column_with_a_name_that_is_no_stored_files(
    kind: str, first: bool, large_objects: Callable[[], set[int]]
) -> None:
    found = NAMES[kind]()
    loid = uncatalogued(b"somebody's")
    for name in (found, f"{loid}.pdf") if first else (f"{loid}.pdf", found):
        invoice(name)
    clean = uncatalogued()
    invoice(f"{clean}.pdf", "plain")
    printed = migrate()
    assert "Files were not adopted from invoices_invoice.data" in printed
    assert repr(found) in printed
    assert "largeobjects adopt --dry-run --show" in printed
    assert "Stored files of invoices_invoice.plain: 1 adopted" in printed
    assert entries() == {clean: ".pdf"}
    # What is not adopted is neither served nor unlinked.
    assert not db_file_storage.exists(f"{loid}.pdf")
    Invoice.objects.filter(data__gt="").delete()
    assert large_objects() == {loid, clean}


@pytest.mark.usefixtures("unsettled")
def test_migrate_says_nothing_where_it_is_to_be_silent(capsys: pytest.CaptureFixture[str]) -> None:
    invoice("a.pdf")
    assert not migrate(verbosity=0)
    assert not capsys.readouterr().out


@pytest.mark.usefixtures("unsettled")
def test_another_roles_object_is_not_adopted(strangers: int) -> None:
    invoice(f"{strangers}.pdf")
    assert f"'{strangers}.pdf', refused, the object is of the role stranger" in migrate()
    assert "1 of another role" in adopt()
    assert not entries()
    assert "1 adopted" in adopt("--any-owner")
    assert entries() == {strangers: ".pdf"}


@pytest.mark.usefixtures("unsettled")
def test_a_leftover_name_does_not_get_somebodys_later_upload() -> None:
    theirs = uncatalogued()
    invoice(f"{theirs}.txt")  # of the time on the disk
    invoice(f"{theirs}.pdf")
    assert "Files were not adopted from invoices_invoice.data" in migrate()
    assert not entries()
    run("delete from invoices_invoice where data like '%.txt'")
    migrate(verbosity=0)
    assert entries() == {theirs: ".pdf"}


@pytest.mark.usefixtures("unsettled")
def test_a_leftover_name_of_a_saved_file_is_no_stored_files() -> None:
    invoice("a.pdf")
    migrate(verbosity=0)
    name = saved("a.pdf")
    loid = uncatalogued()
    run("delete from invoices_invoice")
    invoice(name)
    invoice(name.replace(".pdf", ".txt"))
    invoice(f"{loid}.pdf")
    assert f"the file is {name}" in migrate()
    assert entries() == {int(name.partition(".")[0]): ".pdf"}


@pytest.mark.usefixtures("unsettled")
def test_columns_that_name_one_object_otherwise_are_both_left() -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")
    invoice(f"{loid}.txt", "plain")
    printed = migrate()
    for field in ("data", "plain"):
        assert f"Files were not adopted from invoices_invoice.{field}" in printed
    assert not entries()


@pytest.mark.usefixtures("unsettled")
def test_names_of_a_column_that_was_another_storages_dispute_no_others() -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")
    invoice(f"{loid}.txt", "plain")
    invoice("a.pdf", "plain")
    printed = migrate()
    assert "Stored files of invoices_invoice.data: 1 adopted" in printed
    assert "Files were not adopted from invoices_invoice.plain" in printed
    assert entries() == {loid: ".pdf"}


# Afterwards.


@pytest.mark.usefixtures("unsettled")
def test_a_column_that_was_cleaned_is_adopted_by_a_later_migrate() -> None:
    loid = uncatalogued()
    for name in ("a.pdf", f"{loid}.pdf"):
        invoice(name)
    for _ in range(2):
        assert "Files were not adopted from invoices_invoice.data" in migrate()
    run("update invoices_invoice set data = '' where data = 'a.pdf'")
    assert "Stored files of invoices_invoice.data: 1 adopted" in migrate()
    assert entries() == {loid: ".pdf"}
    assert "adopted" not in migrate()


@pytest.mark.usefixtures("unsettled")
def test_a_column_that_somebody_adopted_from_is_settled() -> None:
    loid, later = uncatalogued(), uncatalogued()
    for name in ("a.pdf", f"{loid}.pdf"):
        invoice(name)
    migrate(verbosity=0)
    adopt("--dry-run")
    adopt("--model", "invoices.Invoice.plain", "invoices.Note.text")
    assert "Files were not adopted from invoices_invoice.data" in migrate()
    printed = adopt("--show", "--model", "invoices.Invoice.data")
    assert f"default: invoices_invoice.data: '{loid}.pdf': adopted\n" in printed
    assert "default: invoices_invoice.data: 'a.pdf': refused, no stored file has such a name\n" in printed
    invoice(f"{later}.pdf")
    assert "adopted" not in migrate()
    assert entries() == {loid: ".pdf"}
    assert "invoices_note" not in str(name_columns.settled_columns("default"))


@pytest.mark.usefixtures("unsettled")
def test_a_check_says_what_was_not_adopted() -> None:
    migrate(verbosity=0)
    assert not of_database("default")
    run("delete from invoices_invoice")
    name_columns.settle("default", name_columns.settled_columns("default") - columns("data", "plain"))
    assert not of_database("default")
    for name in ("a.pdf", f"{uncatalogued()}.pdf"):
        invoice(name)
    migrate(verbosity=0)
    found = of_database("default")
    assert numbers(found) == ["W012", "W017"]
    assert "invoices_invoice.data" in text_of(found)
    assert "invoices_invoice.plain" not in text_of(found)
    adopt()
    # No storage of ours has an "a.pdf".
    assert numbers(of_database("default")) == ["W017"]


# Columns that are none of ours.


@pytest.mark.usefixtures("unsettled")
def test_a_field_on_the_disk_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    field = Invoice._meta.get_field("plain")
    assert isinstance(field, models.FileField)
    monkeypatch.setattr(field, "storage", FileSystemStorage())
    loid, named = uncatalogued(), uncatalogued()
    invoice(f"{loid}.pdf", "plain")
    invoice("a.pdf", "plain")
    invoice(f"{named}.pdf")
    assert "invoices_invoice.plain" not in migrate()
    assert "invoices_invoice.plain" not in adopt("--show")
    assert entries() == {named: ".pdf"}
    # But where somebody says so.
    adopt("--model", "invoices.Invoice.plain")
    assert entries() == {named: ".pdf", loid: ".pdf"}


def test_nothing_is_shown_of_empty_values_and_each_name_once() -> None:
    loid = uncatalogued()
    for name in ("", "", f"{loid}", f"{loid}", "x\ny"):
        invoice(name)
    Note.objects.create(text="")
    lines = [line for line in adopt("--show", "--model", "invoices.Invoice.data").splitlines() if "'" in line]
    assert lines == [
        r"default: invoices_invoice.data: 'x\ny': refused, no stored file has such a name",
        f"default: invoices_invoice.data: '{loid}': adopted",
    ]
    assert entries() == {loid: ""}


@pytest.mark.parametrize("dry", [False, True])
def test_what_is_shown_is_what_is_done(dry: bool, strangers: int) -> None:
    ours, missing, taken = saved("a.pdf"), gone(), uncatalogued()
    stem = ours.partition(".")[0]
    for name in (ours, f"{stem}.txt", f"{missing}.pdf", f"{strangers}.pdf", f"{taken}.pdf", "a b"):
        invoice(name)
    invoice(f"{taken}.pdf", "plain")
    printed = adopt("--show", *(["--dry-run"] if dry else []))
    for field, name, told in (
        ("data", ours, "already there"),
        ("data", f"{stem}.txt", f"refused, the file is {ours}"),
        ("data", f"{missing}.pdf", "refused, there is no such large object"),
        ("data", f"{strangers}.pdf", "refused, the object is of the role stranger, see --any-owner"),
        ("data", f"{taken}.pdf", "adopted"),
        ("plain", f"{taken}.pdf", "already there"),
        ("data", "a b", "refused, no stored file has such a name"),
    ):
        assert f"default: invoices_invoice.{field}: '{name}': {told}\n" in printed
    assert entries() == {int(stem): ".pdf"} | ({} if dry else {taken: ".pdf"})
