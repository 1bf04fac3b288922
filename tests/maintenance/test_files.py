"""Single files: the largest ones, and who names one."""

import hashlib
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.test import override_settings

from pg_lo_storage.maintenance.files import KnownFile, find, largest, who, with_rows
from pg_lo_storage.maintenance.statistics import groups
from pg_lo_storage.maintenance.uses import Row
from pg_lo_storage.models import StoredFile
from tests.catalogue.support import invoice, run, saved, uncatalogued
from tests.invoices.models import Invoice
from tests.storage.support import loid_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def rows_of(what: str) -> set[Row]:
    return {row for _file, rows in who("default", what) for row in rows}


def test_the_largest_files_come_first(catalogue: bool) -> None:
    names = {size: saved("a.pdf", b"x" * size) for size in (10, 30, 20)}
    found = largest("default", 2)
    assert [(file.oid, file.size, file.role) for file in found] == [
        (loid_of(names[30]), 30, "app"),
        (loid_of(names[20]), 20, "app"),
    ]
    assert [file.name for file in found] == ([names[30], names[20]] if catalogue else [None, None])


def test_a_file_is_found_by_oid_name_and_digest() -> None:
    name = saved("Réport.pdf", b"x" * 10)
    digest = hashlib.sha256(b"x" * 10).hexdigest()
    entry = StoredFile.objects.get()
    expected = KnownFile(
        loid_of(name), 10, "app", name, "Réport.pdf", "application/pdf", digest, entry.created_at, entry.modified_at
    )
    for what in (name, str(loid_of(name)), digest, digest.upper()):
        assert list(find("default", what)) == [expected]


def test_all_files_with_a_digest_are_found() -> None:
    names = [saved("a.pdf", b"same") for _ in range(3)]
    saved("b.pdf", b"other")
    assert [file.name for file in find("default", hashlib.sha256(b"same").hexdigest())] == names


@pytest.mark.parametrize("what", ["", "x", "0", "-1", "a.pdf", "99999999999", "0" * 64])
def test_what_names_nothing_finds_nothing(what: str, catalogue: bool) -> None:
    assert list(find("default", what)) == []
    assert catalogue is not None


def test_without_the_catalogue_an_object_has_size_and_role(catalogue: bool) -> None:
    oid = uncatalogued(b"abc")
    assert list(find("default", str(oid))) == [KnownFile(oid, 3, "app", *[None] * 6)]
    assert catalogue is not None


def test_an_object_that_there_is_not_may_be_named_and_entered() -> None:
    StoredFile.objects.create(loid=4_000_000_000, extension=".pdf", size=5)
    invoice("4000000000.pdf")
    [file] = find("default", "4000000000")
    assert (file.size, file.role, file.name) == (None, None, "4000000000.pdf")
    assert [row.table for row in rows_of("4000000000")] == ["invoices_invoice"]


def test_rows_of_every_field_name_it_with_their_key_and_user(catalogue: bool) -> None:
    owner = User.objects.create_user("owner")
    row = Invoice(owner=owner)
    row.data.save("a.pdf", ContentFile(b"x"))
    name = str(row.data.name)
    invoice(f"1{name}", "plain")
    run("insert into invoices_invoice (id, plain) values (12345, %s)", name)
    assert rows_of(name) == {
        Row(loid_of(name), "default", "invoices_invoice", "data", str(row.pk), "owner"),
        Row(loid_of(name), "default", "invoices_invoice", "plain", "12345", None),
    }
    assert catalogue is not None


@pytest.fixture(params=["blue", 'Or"der %s'])
def other_schema(request: pytest.FixtureRequest) -> Iterator[str]:
    """Another schema, in SQL, with a table for rows of the same project."""
    name = '"' + str(request.param).replace('"', '""') + '"'
    run(f"create schema {name}; create table {name}.invoices_invoice (like invoices_invoice including all)")
    yield name
    run(f"drop schema {name} cascade")


@pytest.mark.parametrize("column", ["data", "plain"])
def test_rows_of_other_schemas_that_share_the_catalogue_name_it_too(
    other_schema: str, catalogue: bool, column: str
) -> None:
    owner = User.objects.create_user("owner")
    name = saved()
    invoice(name)
    run(f"insert into {other_schema}.invoices_invoice (id, {column}, owner_id) values (77, '{name}', {owner.pk})")
    [(shown,)] = run(
        "select (pg_identify_object('pg_class'::regclass, to_regclass(%s)::oid, 0)).identity",
        f"{other_schema}.invoices_invoice",
    )
    there = Row(loid_of(name), "default", shown, column, "77", "owner")
    rows = rows_of(name)
    assert there in rows
    assert len(rows) == 2
    # A row counts its file once for each field, whatever its schema.
    fields = {"Invoice.data"} | {f"Invoice.{column}"}
    assert {(label.partition(".")[2], files) for label, files, _ in groups("default", "field")} == {
        (field, 1) for field in fields
    }
    assert ("owner", 1) in [(label, files) for label, files, _ in groups("default", "owner")]
    assert catalogue is not None


def test_of_another_schemas_users_nobody_is_taken_for_one_of_this_ones(other_schema: str) -> None:
    owner = User.objects.create_user("owner")
    run(f"create table {other_schema}.auth_user (like auth_user including all)")
    name = saved()
    run(f"insert into {other_schema}.invoices_invoice (id, data, owner_id) values (77, '{name}', {owner.pk})")
    assert [(row.key, row.user) for row in rows_of(name)] == [("77", None)]
    assert ("no owner", 1) in [(label, files) for label, files, _ in groups("default", "owner")]


def test_rows_of_a_schema_with_a_catalogue_of_its_own_are_its_own_but_for_who_asks_for_one_file(
    other_schema: str,
) -> None:
    name = saved()
    run(f"create table {other_schema}.pg_lo_storage_file (like pg_lo_storage_file including all)")
    run(f"insert into {other_schema}.invoices_invoice (id, data) values (77, '{name}')")
    assert [(row.column, row.key) for row in rows_of(name)] == [("data", "77")]
    assert [rows for _file, rows in with_rows("default", largest("default", 1))] == [[]]
    assert groups("default", "field") == [("no row", 1, 7)]


@override_settings(PG_LO_STORAGE_REFERENCES=["invoices.Note.text"])
def test_columns_that_the_project_lists_name_it_too() -> None:
    name = saved()
    run("insert into invoices_note (id, text) values (7, %s)", name)
    assert rows_of(name) == {Row(loid_of(name), "default", "invoices_note", "text", "7", None)}


TABLES = """
create schema "an%other";
create domain "an%other".lo as oid;
create table "an%other"."t%s" (a int, b text, content "an%other".lo, primary key (a, b));
create table plain (content oid)
"""


def test_columns_of_oids_name_it_too() -> None:
    oid = loid_of(saved())
    run(TABLES)
    try:
        run('insert into "an%%other"."t%%s" values (1, %s, %s)', "x", oid)
        run("insert into plain values (%s)", oid)
        assert rows_of(str(oid)) == {
            Row(oid, "default", '"an%other"."t%s"', "content", "1, x", None),
            Row(oid, "default", "public.plain", "content", None, None),
        }
    finally:
        run('drop schema "an%other" cascade; drop table plain')


def test_rows_of_users_are_their_own() -> None:
    """A model of users may have a file, too: its rows are their own users."""
    name, owner = saved(), User.objects.create_user("owner")
    run("update auth_user set first_name = %s where id = %s", name, owner.pk)
    with override_settings(PG_LO_STORAGE_REFERENCES=["auth.User.first_name"]):
        assert rows_of(name) == {Row(loid_of(name), "default", "auth_user", "first_name", str(owner.pk), "owner")}
