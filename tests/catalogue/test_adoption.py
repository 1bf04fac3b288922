"""Files that rows name already are catalogued: once by ``migrate``, and on demand."""

import hashlib
from collections.abc import Iterator

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test import override_settings

from pg_lo_storage.content_types import content_type_of
from pg_lo_storage.maintenance import adoption
from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import db_file_storage
from tests.catalogue.support import adopt, entries, invoice, migrate, run, saved, uncatalogued
from tests.invoices.models import Note

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


@pytest.fixture
def before_the_app() -> Iterator[None]:
    """A database with all its tables, but for those of the app."""
    migrate("pg_lo_storage", "zero", verbosity=0)
    yield
    migrate(verbosity=0)


# What is entered.


@pytest.mark.parametrize("suffix", ["", ".pdf", ".v1.2.pdf", ".tar.gz", ".日本", ".", ".<script>", "." + "x" * 90])
def test_a_file_opens_again_under_its_name(suffix: str) -> None:
    name = f"{uncatalogued(b'kept')}{suffix}"
    invoice(name)
    assert not db_file_storage.exists(name)
    assert "1 adopted" in adopt()
    with db_file_storage.open(name) as file:
        assert file.read() == b"kept"
    assert not db_file_storage.exists(f"{name}.html")


def test_an_entry_says_what_can_be_known_without_reading_the_file() -> None:
    loid = uncatalogued()
    invoice(f"{loid}.v1.pdf")
    [(before,)] = run("select clock_timestamp()")
    adopt()
    entry = StoredFile.objects.get()
    assert (entry.loid, entry.extension, entry.original_name) == (loid, ".v1.pdf", f"{loid}.v1.pdf")
    assert (entry.content_type, entry.size, entry.sha256) == ("application/pdf", None, None)
    assert entry.created_at == entry.modified_at > before
    assert db_file_storage.size(entry.name) == len(b"content")
    assert db_file_storage.verify(entry.name) is None


@pytest.mark.parametrize("loid", [2**31, 2**32 - 1])
def test_an_oid_past_2_31_is_adopted(loid: int) -> None:
    uncatalogued(oid=loid)
    invoice(f"{loid}.pdf")
    adopt()
    assert entries() == {loid: ".pdf"}


@pytest.mark.parametrize("field", ["data", "scan", "plain", "elsewhere", "via_callable", "short"])
def test_every_file_field_on_large_objects_counts(field: str) -> None:
    loid = uncatalogued()
    invoice(f"{loid}.a", field)
    adopt()
    assert entries() == {loid: ".a"}


def test_all_outcomes_are_counted_by_row() -> None:
    ours = saved("a.pdf")
    stem = ours.partition(".")[0]
    shared, gone = uncatalogued(), uncatalogued()
    run("select lo_unlink(%s)", gone)
    for name in (
        ours,
        f"{stem}.html",
        f"{shared}.pdf",
        f"{shared}.pdf",
        f"{gone}.pdf",
        "4294967296.pdf",
        "x/a.pdf",
        "",
    ):
        invoice(name)
    printed = adopt()
    expected = "1 adopted, 2 already there, 1 without a large object, 2 malformed, 1 catalogued under another extension"
    assert f"default: invoices_invoice.data: {expected}\n" in printed
    assert f"default: {expected}\n" in printed
    assert entries() == {int(stem): ".pdf", shared: ".pdf"}


# One object, several names.


@pytest.mark.parametrize("names", [(".pdf", ".txt"), ("", ".txt"), (".pdf", ".PDF"), (".a", ".b", ".a")])
@pytest.mark.parametrize("batch", [1, 1_000])
@pytest.mark.parametrize("fields", [("data", "data", "data"), ("data", "plain", "short")])
def test_an_object_that_rows_name_under_several_extensions_is_not_taken(
    names: tuple[str, ...], batch: int, fields: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adoption, "BATCH", batch)
    loid, other = uncatalogued(), uncatalogued()
    for field, suffix in zip(fields, names, strict=False):
        invoice(f"{loid}{suffix}", field)
        invoice(f"{other}.ok", field)
    printed = adopt("--show")
    for field, suffix in zip(fields, names, strict=False):
        reason = " and ".join(sorted({f"{loid}{each}" for each in names}))
        line = f"default: invoices_invoice.{field}: '{loid}{suffix}': refused, rows name one object {reason}\n"
        assert line in printed
    assert f"{len(names)} named under several extensions" in printed
    assert entries() == {other: ".ok"}


def test_once_the_wrong_name_is_gone_the_right_one_is_taken() -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")
    invoice(f"{loid}.txt")
    adopt()
    run("delete from invoices_invoice where data = %s", f"{loid}.txt")
    adopt()
    assert entries() == {loid: ".pdf"}


def test_a_column_that_is_not_asked_for_disputes_too() -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")
    Note.objects.create(text=f"{loid}.txt")
    assert f"refused, rows name one object {loid}.pdf and {loid}.txt" in adopt(
        "--show", "--model", "invoices.Note.text"
    )
    assert not entries()
    adopt()
    assert entries() == {loid: ".pdf"}


def test_a_name_that_comes_later_is_another_one() -> None:
    loid = uncatalogued()
    invoice(f"{loid}.pdf")
    adopt()
    invoice(f"{loid}.txt")
    assert f"'{loid}.txt': refused, the file is {loid}.pdf\n" in adopt("--show")
    assert entries() == {loid: ".pdf"}
    assert not db_file_storage.exists(f"{loid}.txt")


def test_a_saved_file_gets_no_second_name() -> None:
    name = saved("a.pdf")
    before = StoredFile.objects.values().get()
    invoice(name.replace(".pdf", ".html"))
    assert "1 catalogued under another extension" in adopt()
    assert StoredFile.objects.values().get() == before
    with transaction.atomic(), db_file_storage.open(name, "rb+") as file:  # now it has no digest any more either
        file.write(b"C")
    assert "1 catalogued under another extension" in adopt()
    assert entries() == {int(name.partition(".")[0]): ".pdf"}


def test_an_entry_of_any_extension_has_each_of_its_names() -> None:
    loid = uncatalogued()
    run("insert into pg_lo_storage_file (loid, original_name, content_type) values (%s, '', '')", loid)
    for suffix in (".pdf", ".txt"):
        invoice(f"{loid}{suffix}")
    assert "0 adopted, 2 already there" in adopt()
    assert entries() == {loid: None}


def test_an_entry_of_a_saved_file_is_not_touched() -> None:
    name = saved("a.pdf", b"content")
    invoice(name)
    assert "0 adopted, 1 already there" in adopt()
    entry = StoredFile.objects.get()
    assert (entry.original_name, entry.sha256) == ("a.pdf", hashlib.sha256(b"content").hexdigest())


# On demand.


def test_a_dry_run_says_the_same_and_changes_nothing() -> None:
    loid = uncatalogued()
    for field in ("data", "plain"):
        invoice(f"{loid}.pdf", field)
    told = adopt("--dry-run")
    assert not entries()
    assert "default: 1 adopted, 1 already there, 0 without a large object (a dry run: nothing was changed)" in told
    assert told.replace(" (a dry run: nothing was changed)", "") == adopt()


def test_many_rows_are_entered_in_batches_of_at_most_a_thousand() -> None:
    loids = [loid for (loid,) in run("select lo_create(0)::int8 from generate_series(1, 2500)")]
    run("insert into invoices_invoice (data) select oid || '.txt' from pg_largeobject_metadata")
    adopt()
    assert entries() == dict.fromkeys(loids, ".txt")
    transactions = run("select count(*) from pg_lo_storage_file group by xmin::text")
    assert sorted(transactions) == [(500,), (1000,), (1000,)]


@pytest.mark.parametrize("is_pooled", [False, True])
def test_what_was_interrupted_goes_on_where_it_was(is_pooled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adoption, "BATCH", 2)
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", is_pooled)
    loids = sorted((uncatalogued() for _ in range(5)), key=str)
    for loid in loids:
        invoice(f"{loid}.pdf")

    def interrupted(filename: str) -> str:
        if not shown:
            raise KeyboardInterrupt
        return content_type_of(f"{shown.pop()}{filename}")

    shown = loids[:3]
    with monkeypatch.context() as patched:
        patched.setattr(adoption, "content_type_of", interrupted)
        with pytest.raises(CommandError, match="run the command again to go on") as caught:
            adopt()
    assert caught.value.returncode == 130
    # Where a pooler forbids a cursor to outlive its transaction, that is one for all.
    done = 0 if is_pooled else 2
    assert len(entries()) == done
    assert f"{5 - done} adopted, {done} already there" in adopt()
    assert entries() == dict.fromkeys(loids, ".pdf")


def test_a_transaction_of_the_callers_has_all_or_nothing() -> None:
    invoice(f"{uncatalogued()}.pdf")
    with transaction.atomic():
        adopt()
        assert entries()
        transaction.set_rollback(True)
    assert not entries()


def test_names_are_taken_from_any_column() -> None:
    text, number, unnamed = uncatalogued(), uncatalogued(), uncatalogued()
    Note.objects.create(text=f"{text}.txt")
    run("insert into invoices_invoice (scan_width) values (%s)", number)
    invoice(f"{unnamed}.pdf")
    adopt("--model", "invoices.Note.text", "invoices.invoice.scan_width")
    assert entries() == {text: ".txt", number: ""}


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("nowhere.Note.text", "No installed app with label 'nowhere'"),
        ("invoices.Nothing.text", "doesn't have a 'Nothing' model"),
        ("invoices.Note.nothing", "the fields are id, text"),
        ("invoices.Note", "the fields are id, text"),
        ("Note", "app.Model.field"),
        ("", "app.Model.field"),
    ],
)
def test_a_field_that_is_not_there_is_named(label: str, told: str) -> None:
    with pytest.raises(CommandError) as caught:
        adopt("--model", label)
    assert repr(label) in str(caught.value)
    assert told in str(caught.value)


def test_each_database_is_adopted_on_its_own() -> None:
    here, there = uncatalogued(), uncatalogued(using="other")
    invoice(f"{here}.pdf")
    invoice(f"{there}.pdf", using="other")
    with override_settings(PG_LO_STORAGE_DB_FOR_WRITE="other"):
        adopt("--database", "default")
        assert (entries(), entries("other")) == ({}, {})
        printed = adopt()
    assert (entries(), entries("other")) == ({}, {there: ".pdf"})
    assert "other: invoices_invoice.data: 1 adopted" in printed


def test_rows_may_be_in_another_database_than_their_files() -> None:
    loid = uncatalogued(using="other")
    invoice(f"{loid}.pdf")
    with override_settings(PG_LO_STORAGE_DB_FOR_WRITE="other", PG_LO_STORAGE_DB_FOR_READ="other"):
        adopt()
        assert db_file_storage.exists(f"{loid}.pdf")
    assert entries() == {}


@pytest.mark.usefixtures("before_the_app")
def test_without_the_table_the_fix_is_named() -> None:
    with pytest.raises(CommandError, match=r"run 'manage\.py migrate --database default' first"):
        adopt()


def test_a_column_that_was_asked_for_and_is_not_there_is_named() -> None:
    run("alter table invoices_note rename column text to gone")
    try:
        with pytest.raises(CommandError, match=r"no column of invoices\.Note\.text: run 'manage\.py migrate' first"):
            adopt("--model", "invoices.Note.text")
    finally:
        run("alter table invoices_note rename column gone to text")


def test_an_unknown_subcommand_is_refused() -> None:
    for arguments in ([], ["vanish"]):
        with pytest.raises(CommandError, match="SUBCOMMAND"):
            call_command("largeobjects", *arguments)


@pytest.fixture
def hidden() -> Iterator[None]:
    """A policy that hides rows of invoices, from their table's owner too."""
    run("alter table invoices_invoice enable row level security, force row level security")
    yield
    run("alter table invoices_invoice no force row level security, disable row level security")


@pytest.mark.usefixtures("hidden")
def test_rows_that_are_hidden_are_not_taken_for_none() -> None:
    with pytest.raises(CommandError, match="row-level security may hide rows") as caught:
        adopt()
    assert "invoices_invoice.data" in str(caught.value)
    assert caught.value.returncode == 1
