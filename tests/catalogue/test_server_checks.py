"""The system checks that ask a database."""

import re
from collections.abc import Iterator

import pytest
from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.core.management import call_command
from django.db import NotSupportedError, OperationalError, connections
from django.test import override_settings

from example.cluster import Server
from pg_lo_storage.checks import check_databases, places
from pg_lo_storage.checks import server as server_checks
from pg_lo_storage.checks.settings import check_settings
from pg_lo_storage.storage import TransitionalStorage, db_file_storage
from tests.catalogue.support import invoice, numbers, run, saved, text_of, uncatalogued
from tests.fixtures.connections import Connect
from tests.fixtures.connections import run as run_raw
from tests.invoices.models import Invoice

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def of_database(alias: str) -> list[checks.CheckMessage]:
    return check_databases(databases=[alias])


def test_a_server_without_large_objects_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_checks, "FUNCTIONS", [*server_checks.FUNCTIONS, "lo_that_is_not_there(oid)"])
    found = of_database("default")
    assert numbers(found) == ["E005"]
    assert "PostgreSQL 14" in text_of(found)


@pytest.mark.parametrize(
    ("version", "name"),
    [
        ("CockroachDB CCL v23.2.0 (x86_64-pc-linux-gnu, built 2024/01/16 19:33:55, go1.21.5)", "CockroachDB"),
        ("PostgreSQL 15.2-YB-2.25.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang, 64-bit", "YugabyteDB"),
    ],
)
def test_a_server_that_is_none_of_postgresqls_is_known_by_its_version(
    version: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_alias: str, query: str) -> list[tuple[str]]:
        assert query == "select version()", "it has functions that do not work, or lacks those that are asked"
        return [(version,)]

    monkeypatch.setattr(server_checks, "ask", answer)
    found = of_database("default")
    assert numbers(found) == ["E005"]
    assert f"it is {name}, which has no large objects" in text_of(found)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (NotSupportedError("PostgreSQL 14 or later is required"), "E005"),  # which Django raises when it connects
        (OperationalError("no answer"), "W011"),
    ],
)
def test_a_database_that_cannot_be_asked_is_said_and_no_more(
    error: Exception, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr(server_checks, "ask", fail)
    found = of_database("default")
    assert numbers(found) == [expected]
    assert str(error) in text_of(found)


def test_the_default_isolation_of_the_server_counts() -> None:
    run("select set_config('default_transaction_isolation', 'repeatable read', false)")
    try:
        assert numbers(of_database("default")) == ["W005"]
    finally:
        run("select set_config('default_transaction_isolation', 'read committed', false)")


def test_a_database_without_its_catalogue_is_found() -> None:
    call_command("migrate", "pg_lo_storage", "zero", verbosity=0)
    try:
        found = of_database("default")
    finally:
        call_command("migrate", verbosity=0)
    assert numbers(found) == ["W006"]
    assert "migrate --database default" in text_of(found)


def test_before_the_first_migrate_nothing_is_amiss() -> None:
    tables = [name for (name,) in run("select tablename::text from pg_tables where schemaname = 'public'")]
    run("create schema hidden")
    try:
        for table in tables:
            run(f'alter table "{table}" set schema hidden')
        assert not of_database("default")
    finally:
        for table in tables:
            run(f'alter table hidden."{table}" set schema public')
        run("drop schema hidden")


def test_vacuumlo_empties_what_neither_catalogue_nor_column_guards(catalogue: bool) -> None:
    assert not catalogue
    found = of_database("default")
    assert numbers(found) == ["W007"]
    assert "invoices_invoice.data" in text_of(found)
    assert "GuardFromVacuum" in text_of(found)


GUARD = "substring(data from '^[0-9]+')::int8::oid"


@pytest.mark.parametrize(
    ("column", "guarded"),
    [
        (f"guard oid generated always as ({GUARD}) stored", {"data"}),
        (
            f"guard oid generated always as (coalesce({GUARD}, {GUARD.replace('data', 'plain')})) stored",
            {"data", "plain"},
        ),
        ("guard oid", {"data", "plain"}),
        (f"guard int8 generated always as ({GUARD}::int8) stored", set[str]()),
    ],
)
@pytest.mark.usefixtures("catalogue")
def test_a_column_guards_those_that_it_is_made_of(column: str, guarded: set[str]) -> None:
    run(f"alter table invoices_invoice add column {column}")
    try:
        text = text_of(of_database("default"))
    finally:
        run("alter table invoices_invoice drop column guard")
    assert {name for name in ("data", "plain") if f"invoices_invoice.{name}" not in text} == guarded


def test_a_publication_of_file_columns_is_found() -> None:
    run('create publication "some, rows" for table invoices_invoice')
    try:
        found = of_database("default")
    finally:
        run('drop publication "some, rows"')
    assert numbers(found) == ["W008"]
    assert "some, rows" in text_of(found)


def test_a_publication_of_other_tables_is_none_of_ours() -> None:
    run("create publication notes for table invoices_note")
    try:
        assert not of_database("default")
    finally:
        run("drop publication notes")


def test_objects_of_another_owner_are_found(connect: Connect) -> None:
    stranger = connect(user="stranger", autocommit=True)
    [(foreign,)] = run_raw(stranger, "select lo_create(0)::int8")
    names = [f"{uncatalogued()}.pdf", f"{foreign}.pdf", f"{foreign}", "9999999999.pdf", "5x", "", "99999999999999"]
    for name in names:
        run("insert into invoices_invoice (data) values (%s)", name)
    found = of_database("default")
    assert numbers(found) == ["W017", "W009"]
    assert "stranger owns 1" in text_of(found)
    assert "pg_dump as this role fails" in text_of(found)


def test_with_lo_compat_privileges_the_owner_makes_no_difference(connect: Connect) -> None:
    superuser = connect(user="postgres", autocommit=True)
    [(foreign,)] = run_raw(connect(user="stranger", autocommit=True), "select lo_create(0)::int8")
    run("insert into invoices_invoice (data) values (%s)", f"{foreign}.pdf")
    superuser.cursor().execute("alter role app set lo_compat_privileges = on")
    connections.close_all()
    try:
        assert not of_database("default")
    finally:
        superuser.cursor().execute("alter role app reset lo_compat_privileges")
        connections.close_all()
    assert numbers(of_database("default")) == ["W009"]


def test_objects_of_a_role_that_one_is_a_member_of_are_ones_own(connect: Connect) -> None:
    superuser = connect(user="postgres", autocommit=True)
    [(foreign,)] = run_raw(connect(user="stranger", autocommit=True), "select lo_create(0)::int8")
    run("insert into invoices_invoice (data) values (%s)", f"{foreign}.pdf")
    superuser.cursor().execute("grant stranger to app")
    try:
        assert not of_database("default")
    finally:
        superuser.cursor().execute("revoke stranger from app")


@pytest.mark.parametrize(
    ("grant", "revoke", "said"),
    [
        ("on schema public to public", "on schema public from public", "in the schema public: PUBLIC."),
        ("on schema public to stranger", "on schema public from stranger", "in the schema public: stranger."),
        ("on database app to stranger", "on database app from stranger", "in the database itself: stranger."),
    ],
)
def test_others_who_may_create_where_functions_are_looked_for_are_found(
    grant: str, revoke: str, said: str, server: Server
) -> None:
    if server.parameters()["dbname"] != "app" or "stranger" not in server.roles:
        pytest.skip("PG_LO_TEST_DSN gives no role to grant to")
    run(f"grant create {grant}")
    try:
        found = of_database("default")
    finally:
        run(f"revoke create {revoke}")
    assert numbers(found) == ["W014"]
    assert said in text_of(found)
    assert not of_database("default")


def test_where_the_path_leaves_no_schema_to_be_made_only_its_schemas_count(server: Server) -> None:
    if server.parameters()["dbname"] != "app" or "stranger" not in server.roles:
        pytest.skip("PG_LO_TEST_DSN gives no role to grant to")
    run("grant create on database app to stranger")
    run("set search_path = public, pg_catalog")
    try:
        assert not of_database("default")
    finally:
        run("reset search_path")
        run("revoke create on database app from stranger")


def test_row_level_security_that_binds_the_role_is_found() -> None:
    run("alter table invoices_invoice enable row level security")
    try:
        assert not of_database("default")  # a table's owner is exempt
        run("alter table invoices_invoice force row level security")
        found = of_database("default")
    finally:
        run("alter table invoices_invoice no force row level security, disable row level security")
    assert numbers(found) == ["W010"]
    assert "invoices_invoice.data" in text_of(found)


def test_a_table_that_may_not_be_read_does_no_harm() -> None:
    run("revoke select on invoices_invoice from app")
    try:
        assert not of_database("default")
    finally:
        run("grant select on invoices_invoice to app")


@pytest.fixture
def many_rows() -> Iterator[None]:
    """More notes and invoices than are few."""
    run("insert into invoices_invoice (plain) select '' from generate_series(1, 10001)")
    run("insert into invoices_note (text) select '' from generate_series(1, 10001)")
    run("analyze invoices_invoice, invoices_note")
    yield
    run("truncate invoices_invoice, invoices_note")
    run("analyze invoices_invoice, invoices_note")


@pytest.mark.usefixtures("many_rows")
def test_columns_of_large_tables_without_an_index_are_found() -> None:
    with override_settings(PG_LO_STORAGE_REFERENCES=["invoices.Note.text", "invoices.Invoice.scan_width"]):
        found = of_database("default")
        assert "W015" in numbers(found)
        named = re.findall(r"invoices_\w+\.\w+ \(10001 rows\)", text_of(found))
        columns = ["invoice.plain", "invoice.scan_width", "invoice.via_callable", "note.text"]
        assert named == [f"invoices_{column} (10001 rows)" for column in columns]
        for column in columns:
            table, name = f"invoices_{column}".split(".")
            run(f"create index {name}_lo on {table} ({name}{'' if 'width' in name else ' text_pattern_ops'})")
        try:
            assert "W015" not in numbers(of_database("default"))
        finally:
            run("drop index plain_lo, scan_width_lo, via_callable_lo, text_lo")


@pytest.mark.usefixtures("many_rows")
def test_what_a_wrong_setting_lists_is_left_to_the_check_of_settings() -> None:
    with override_settings(PG_LO_STORAGE_REFERENCES=["invoices.Nothing.text"]):
        assert "W015" in numbers(of_database("default"))


def test_migrate_runs_with_any_warning() -> None:
    run("alter table invoices_invoice enable row level security, force row level security")
    try:
        call_command("migrate", verbosity=0, skip_checks=False)
    finally:
        run("alter table invoices_invoice no force row level security, disable row level security")


def test_files_that_stayed_behind_on_the_default_database_are_told_of() -> None:
    name = saved()
    invoice(name, using="other")
    assert not check_settings()
    found = of_database("other")
    assert "W016" in numbers(found)
    assert name in text_of(found)
    assert "PG_LO_STORAGE_DB_FOR_WRITE = 'default'" in text_of(found)
    assert "W016" not in numbers(of_database("default"))
    with override_settings(PG_LO_STORAGE_DB_FOR_WRITE="default"):
        assert "W016" not in numbers(of_database("other"))
        row = Invoice.objects.using("other").get()
        assert row.data.open().read() == b"content"
        row.data.close()
        row.delete()
    with pytest.raises(FileNotFoundError):
        db_file_storage.size(name)


def test_rows_whose_files_are_there_are_not_told_of() -> None:
    with override_settings(PG_LO_STORAGE_DB_FOR_READ=None):
        Invoice.objects.using("other").create(data=ContentFile(b"content", name="a.pdf"))
    assert "W016" not in numbers(of_database("other"))
    Invoice.objects.using("other").all().delete()


@pytest.mark.parametrize("name", ["letters/a.pdf", "a.pdf", "0123.pdf", "4294967296.pdf"])
def test_names_of_another_storage_are_told_of(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Invoice.objects.create(data=ContentFile(b"content", name="a.pdf"), scan="")
    assert "W017" not in numbers(of_database("default"))
    invoice(name)
    found = of_database("default")
    assert "W017" in numbers(found)
    assert f"invoices_invoice.data (as {name!r})" in text_of(found)
    with monkeypatch.context() as patch:
        patch.setattr(Invoice._meta.get_field("data"), "storage", TransitionalStorage(legacy=InMemoryStorage()))
        assert "W017" not in numbers(of_database("default"))
    run("delete from invoices_invoice where data = %s", name)
    assert "W017" not in numbers(of_database("default"))
    row.delete()


@pytest.mark.parametrize("name", ["letters/a.pdf", "-1.pdf", "Ärger.pdf"])
def test_of_a_large_table_names_of_another_storage_are_found_by_the_index(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_FIRST_ROWS", 2)
    for n in (1, 2, 3):
        invoice(f"{n}.pdf")
    invoice("")
    assert "W017" not in numbers(of_database("default"))
    invoice(name)
    assert f"invoices_invoice.data (as {name!r})" in text_of(of_database("default"))
    run("delete from invoices_invoice")
