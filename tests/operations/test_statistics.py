"""The view of the figures, for a role that monitors."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from django.db import Error, connection, transaction
from django.db.migrations.writer import OperationWriter

from example.cluster import Server
from pg_lo_storage.maintenance.figures import FIGURES
from pg_lo_storage.maintenance.statistics import totals
from pg_lo_storage.operations import ShowStatistics
from tests.catalogue.support import saved
from tests.fixtures.connections import INSTALLED, open_connection
from tests.fixtures.connections import run as sql
from tests.operations.support import Project, run

VIEW = "select * from public.pg_lo_storage_stats"


def columns() -> dict[str, object]:
    """Return the view's row."""
    with connection.cursor() as cursor:
        cursor.execute("select * from pg_lo_storage_stats")
        names = [column[0] for column in cursor.description]
        [row] = cursor.fetchall()
    return dict(zip(names, row, strict=True))


@pytest.fixture
def shown() -> Iterator[ShowStatistics]:
    project, operation = Project(), ShowStatistics()
    project.apply(operation)
    yield operation
    project.reverse(operation)


@pytest.mark.django_db
def test_the_view_has_the_figures_of_the_statistics(project: Project) -> None:
    project.apply(ShowStatistics())
    for size in (10, 20):
        saved("a.pdf", b"x" * size)
    found = totals("default")
    assert columns() == {name: getattr(found, name) for name in FIGURES}
    assert (columns()["files"], columns()["bytes"]) == (2, 30)


@pytest.mark.django_db
def test_it_can_be_applied_again_and_reversed(project: Project) -> None:
    operation = ShowStatistics()
    for _ in range(2):
        project.apply(operation)
    for _ in range(2):
        project.reverse(operation)
    assert run("select to_regclass('pg_lo_storage_stats')") == [(None,)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("shown")
def test_a_role_that_monitors_needs_nothing_but_the_view(server: Server) -> None:
    saved("a.pdf", b"x" * 10)
    run("grant select on pg_lo_storage_stats to stranger")
    with closing(open_connection(INSTALLED[0], server.dsn(user="stranger"), autocommit=True)) as monitoring:
        [row] = sql(monitoring, f"select files, bytes, unmeasured from ({VIEW}) as figures")
        assert row == (1, 10, 0)
        # Sizes that are not known are for the owner of the objects to measure.
        run("update pg_lo_storage_file set size = null")
        assert sql(monitoring, f"select files, bytes, unmeasured from ({VIEW}) as figures") == [(1, 0, 1)]
        with pytest.raises(Exception, match="permission denied"):
            sql(monitoring, "select * from public.pg_lo_storage_file")


@pytest.mark.django_db(transaction=True)
def test_a_session_of_any_search_path_makes_and_reads_pg_catalogs() -> None:
    """Whoever may create in a schema of the path may have made functions and operators of the same names."""
    run("create schema evil")
    try:
        run("create function evil.sum(bigint) returns numeric language sql as 'select 666::numeric'")
        run("create function evil.statement_timestamp() returns timestamptz language sql as 'select 1/0; select now()'")
        run("create function evil.pg_total_relation_size(regclass) returns bigint language sql as 'select 666'")
        run("set search_path to evil, pg_catalog, public")
        ShowStatistics().database_forwards("x", connection.schema_editor(), Project().state, Project().state)
        assert columns()["bytes"] == 0
        assert columns()["disk_bytes"] != 666
        assert run("select relnamespace::regnamespace::text from pg_class where relname = 'pg_lo_storage_stats'") == [
            ("public",)
        ]
    finally:
        run("reset search_path; drop schema evil cascade; drop view if exists pg_lo_storage_stats")


@pytest.mark.django_db
def test_without_the_catalogue_it_says_what_is_missing(project: Project) -> None:
    run("alter table pg_lo_storage_file rename to away")
    with pytest.raises(Error, match="no catalogue"), transaction.atomic():
        project.apply(ShowStatistics())
    project.reverse(ShowStatistics())


@pytest.mark.once
def test_a_migration_can_be_written_with_it() -> None:
    text, imports = OperationWriter(ShowStatistics(), indentation=0).serialize()
    assert text == "pg_lo_storage.operations.ShowStatistics(\n),"
    assert imports == {"import pg_lo_storage.operations"}
