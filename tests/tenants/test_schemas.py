"""``manage.py largeobjects detach`` and ``empty``: a clone gets files of its own, and a tenant goes with its files."""

import contextlib
import io
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import Error, connection
from django_tenants.utils import schema_context

from pg_lo_storage.maintenance import schemas
from pg_lo_storage.storage import db_file_storage
from tests.tenants.shop.models import Invoice, Scan
from tests.tenants.support import Clone, Oids, empty, entries, named, stored


def fill(schema: str, count: int = 3) -> dict[str, bytes]:
    """Save files of all sizes in a tenant, one of them named by two rows; return their contents by name."""
    made: dict[str, bytes] = {}
    with schema_context(schema):
        for size in [0, 10, 300_000, 3_000_000][:count]:
            row = Invoice.objects.create(data=ContentFile(os.urandom(size), "a.txt"))
            scan = Scan.objects.create(data=ContentFile(os.urandom(size), "b.tar.gz"))
            for name in (str(row.data), str(scan.data)):
                with db_file_storage.open(name) as file:
                    made[name] = file.read()
        Invoice.objects.filter(pk=row.pk).update(copy=str(scan.data))
        connection.cursor().execute("update shop_invoice set copy = %s where id = %s", [str(scan.data), row.pk])
    return made


def largeobjects(*args: str, **options: Any) -> str:
    output = io.StringIO()
    call_command("largeobjects", *args, stdout=output, **options)
    return output.getvalue()


def contents(schema: str) -> list[bytes]:
    return sorted(stored(schema, name) for name in named(schema))


@pytest.mark.parametrize("batch", [1, 1000])
def test_a_clone_gets_files_of_its_own(
    cloned: Clone, large_objects: Oids, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schemas, "BATCH", batch)
    made = fill("blue", 4)
    cloned("blue", "teal")
    before = contents("blue")
    for dry in (["--dry-run"], ["--yes", "--dry-run"]):
        assert "8 files shared" in largeobjects("detach", "teal", *dry)
    assert named("teal") == named("blue")
    assert "8 copied" in largeobjects("detach", "teal")
    assert not named("teal") & named("blue")
    assert named("blue") == set(made)
    assert contents("teal") == contents("blue") == before
    assert named("teal") <= entries("teal")
    assert len(large_objects()) == 16
    assert "0 files shared" in largeobjects("detach", "teal", "--yes")
    with schema_context("teal"):
        Scan.objects.all().delete()
        Invoice.objects.all().delete()
    assert contents("blue") == before
    assert len(large_objects()) == 8


def test_a_copy_named_twice_stays_for_the_second_row(cloned: Clone, large_objects: Oids) -> None:
    fill("blue", 1)
    cloned("blue", "teal")
    largeobjects("detach", "teal", "--yes")
    with schema_context("teal"):
        Scan.objects.all().delete()
        row = Invoice.objects.get()
        assert stored("teal", str(row.copy)) == b""
        row.delete()
    assert len(large_objects()) == 2


@contextlib.contextmanager
def without_catalogues() -> Iterator[None]:
    """Have no schema a catalogue, as where the app is not installed."""
    with connection.cursor() as cursor:
        cursor.execute("select quote_ident(schemaname) from pg_tables where tablename = 'pg_lo_storage_file'")
        found = [schema for (schema,) in cursor.fetchall()]
        for schema in found:
            cursor.execute(f"alter table {schema}.pg_lo_storage_file rename to away")
        yield
        for schema in found:
            cursor.execute(f"alter table {schema}.away rename to pg_lo_storage_file")


def test_without_a_catalogue_rows_alone_say_whose_a_file_is(cloned: Clone, large_objects: Oids) -> None:
    made = fill("blue")
    cloned("blue", "teal")
    with without_catalogues():
        assert "6 copied" in largeobjects("detach", "teal")
        assert not named("teal") & named("blue")
        assert len(large_objects()) == 12
        assert "6 unlinked" in largeobjects("empty", "teal", "--no-input")
    assert {name: stored("blue", name) for name in named("blue")} == made


def test_a_generated_column_follows_by_itself(cloned: Clone) -> None:
    fill("blue", 1)
    cloned("blue", "teal")
    with schema_context("teal"):
        with connection.cursor() as cursor:
            cursor.execute("alter table shop_invoice drop copy")
            cursor.execute("alter table shop_invoice add copy varchar(100) generated always as (data) stored")
        largeobjects("detach", "teal")
        row = Invoice.objects.get()
    assert row.copy == row.data
    assert row.data.name not in named("blue")


def test_what_the_role_cannot_read_is_refused(place: str) -> None:
    made = fill("blue", 1)
    with connection.cursor() as cursor:
        cursor.execute("revoke select on blue.shop_scan from current_user")
        with pytest.raises(CommandError, match=r"cannot read all of .*shop_scan"):
            largeobjects("empty", "blue", "--no-input")
        cursor.execute("grant select on blue.shop_scan to current_user")
        like = "public" if place == "shared" else "blue"
        cursor.execute(f"create schema hidden create table pg_lo_storage_file (like {like}.pg_lo_storage_file)")
        cursor.execute("revoke select on hidden.pg_lo_storage_file from current_user")
        try:
            with pytest.raises(CommandError, match=r"cannot read hidden\.pg_lo_storage_file"):
                largeobjects("empty", "blue", "--no-input")
        finally:
            cursor.execute("drop schema hidden cascade")
    assert {name: stored("blue", name) for name in made} == made


def test_what_was_interrupted_goes_on(cloned: Clone, monkeypatch: pytest.MonkeyPatch, large_objects: Oids) -> None:
    monkeypatch.setattr(schemas, "BATCH", 2)
    fill("blue")
    cloned("blue", "teal")
    expected = contents("teal")
    original, calls = schemas._copies, list[object]()

    def copies(*args: Any) -> dict[int, int]:
        calls.append(args)
        made = original(*args)
        if len(calls) == 2:
            raise Error
        return made

    monkeypatch.setattr(schemas, "_copies", copies)
    with pytest.raises(CommandError):
        largeobjects("detach", "teal", "--yes")
    assert len(named("teal") & named("blue")) == 4
    assert len(large_objects()) == 8
    assert "4 copied" in largeobjects("detach", "teal", "--yes")
    assert contents("teal") == expected
    assert not named("teal") & named("blue")
    assert len(large_objects()) == 12


@pytest.mark.parametrize("detached", [False, True])
def test_a_tenant_goes_with_its_files(cloned: Clone, detached: bool, large_objects: Oids) -> None:
    fill("blue")
    cloned("blue", "teal")
    if detached:
        largeobjects("detach", "teal", "--yes")
    before = contents("blue")
    assert "6 unlinked" in largeobjects("empty", "teal", "--no-input") or not detached
    assert contents("blue") == before
    with connection.cursor() as cursor:
        cursor.execute("drop schema teal cascade")
    assert len(large_objects()) == 6
    largeobjects("empty", "blue", "--no-input")
    assert large_objects() == set()


def test_nothing_is_unlinked_unasked(monkeypatch: pytest.MonkeyPatch, large_objects: Oids) -> None:
    fill("blue")

    def nobody(_prompt: str) -> str:
        raise EOFError

    for typed in (lambda _prompt: "green", nobody):
        monkeypatch.setattr("builtins.input", typed)
        with pytest.raises(CommandError, match="nothing was changed"):
            largeobjects("empty", "blue")
        assert len(large_objects()) == 6
    monkeypatch.setattr("builtins.input", lambda _prompt: "blue")
    largeobjects("empty", "blue")
    assert large_objects() == set()


@pytest.mark.parametrize("subcommand", ["detach", "empty"])
def test_a_schema_that_is_not_there_is_said_so(subcommand: str) -> None:
    with pytest.raises(CommandError, match="no schema 'nowhere'"):
        largeobjects(subcommand, "nowhere")


@pytest.mark.parametrize("schema", ["public", "green"])
def test_a_files_tenant_is_found_from_any_schema(schema: str) -> None:
    with schema_context("blue"):
        row = Invoice.objects.create(data=ContentFile(b"whose?", "a.txt"))
    with schema_context(schema):
        found = largeobjects("who", str(row.data))
    assert f"row blue.shop_invoice {row.pk} data\n" in found


@pytest.mark.parametrize("schema", ["public", "blue"])
def test_a_prune_in_one_schema_keeps_what_rows_of_any_name(place: str, schema: str, large_objects: Oids) -> None:
    """The public schema has no table of a tenant's."""
    made = {tenant: fill(tenant, 1) for tenant in ("blue", "green")}
    with schema_context("blue"):
        orphan = db_file_storage.save("a.txt", ContentFile(b"nobody's"))
    with schema_context(schema), contextlib.suppress(SystemExit):
        if (place, schema) == ("in each tenant", "public"):
            with pytest.raises(CommandError, match="has no catalogue"):
                largeobjects("prune", "--older-than", "0", "--yes")
        else:
            largeobjects("prune", "--older-than", "0", "--yes")
    for tenant, contents_by_name in made.items():
        assert {name: stored(tenant, name) for name in contents_by_name} == contents_by_name
    with schema_context("blue"):
        assert db_file_storage.exists(orphan) is (schema == "public" and place != "shared")
        db_file_storage.delete(orphan)
    for tenant in made:
        empty(tenant)
    assert large_objects()
