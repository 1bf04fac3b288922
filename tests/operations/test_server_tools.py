"""Triggers and generated columns under PostgreSQL's own programs: pg_dump, pg_restore, vacuumlo."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.db import IntegrityError, migrations, models

from example.cluster import Server
from pg_lo_storage.operations import GuardFromVacuum, ManageLargeObjects
from tests.fixtures.tools import Tool
from tests.operations.support import Project, files, loids, make_file, names, run, value

pytestmark = [pytest.mark.server_tools, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def restored(server: Server, tool: Tool, tmp_path: Path, has_catalogue: bool) -> Callable[[], None]:
    """Dump the database, and restore it over what there is."""

    def restore() -> None:
        assert has_catalogue == value("select to_regclass('pg_lo_storage_file') is not null")
        tool("pg_dump", "-Fc", "-f", tmp_path / "dump", "-d", server.dsn())
        run("select lo_unlink(oid) from pg_largeobject_metadata")
        tool("pg_restore", "--clean", "--if-exists", "--no-owner", "-d", server.dsn(), tmp_path / "dump")

    return restore


@pytest.fixture
def invoice(committed: Project, has_catalogue: bool) -> None:
    committed.table("Invoice", {"before": names(), "data": names(), "tenant": models.IntegerField(null=True)})
    committed.table("Copy", {"file": names()})
    # The numbers of columns are others after a dump.
    committed.apply(migrations.RemoveField("invoice", "before"))
    owner, same = ("app", ("tenant",)) if has_catalogue else (None, None)  # which need it
    committed.apply(ManageLargeObjects("invoice", "data", owner=owner, same=same), GuardFromVacuum("invoice", "data"))


@pytest.mark.usefixtures("invoice")
def test_a_dump_restores_files_names_and_guards(restored: Callable[[], None], has_catalogue: bool) -> None:
    name, shared = make_file(), make_file()
    run("insert into invoice (data) values (%s), (%s)", [name, shared])
    run("insert into copy (file) values (%s)", [shared])
    restored()
    assert {found for (found,) in run("select data from invoice")} == {name, shared}
    assert files() == loids(name, shared)
    assert {str(loid) for (loid,) in run("select pg_lo_storage_data from invoice")} == loids(name, shared)
    if has_catalogue:
        with pytest.raises(IntegrityError, match="a row with another tenant names"):
            run("insert into invoice (data, tenant) values (%s, 1)", [name])
    run("delete from invoice")
    assert files() == loids(shared)
    run("update copy set file = ''")  # not managed: its file stays
    run("insert into invoice (data) values (%s)", [shared])
    run("truncate invoice")
    assert files() == set()


def test_vacuumlo_loses_nothing_that_a_generated_column_names(
    committed: Project, server: Server, tool: Tool, has_catalogue: bool
) -> None:
    committed.table("Invoice", {"data": names()})
    if not has_catalogue:
        committed.apply(GuardFromVacuum("invoice", "data"))
    name, orphan = make_file(), value("select lo_create(0)::text")
    run("insert into invoice (data) values (%s), (''), (null), ('no name')", [name])
    assert orphan in {loid for (loid,) in run("select oid::text from pg_largeobject_metadata")}
    tool("vacuumlo", server.dsn())
    assert files() == loids(name)
