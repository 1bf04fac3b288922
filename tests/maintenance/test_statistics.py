"""How many files there are, how large they are, and whose."""

import random
from contextlib import closing
from datetime import datetime

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.db import connections, transaction
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from example.cluster import Server
from pg_lo_storage.maintenance.statistics import BY, By, Group, NotCatalogued, groups, totals
from pg_lo_storage.maintenance.uses import naming_columns, rows_that_name
from pg_lo_storage.models import StoredFile
from pg_lo_storage.storage import db_file_storage
from tests.catalogue.support import invoice, run, saved, uncatalogued
from tests.fixtures.connections import INSTALLED, open_connection
from tests.fixtures.connections import run as sql
from tests.invoices.models import Invoice
from tests.storage.support import loid_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

FIELD = "invoices.Invoice.{}"


def owned(size: int, owner: User | None = None, field: str = "data") -> Invoice:
    row = Invoice(owner=owner)
    getattr(row, field).save("a.pdf", ContentFile(b"x" * size), save=False)
    row.save()
    return row


def made(month: str, name: str, day: str = "15") -> None:
    moment = datetime.fromisoformat(f"{month}-{day}T00:30:00Z")
    StoredFile.objects.filter(loid=loid_of(name)).update(created_at=moment)


# All of them.


def test_files_and_their_bytes_are_counted(catalogue: bool) -> None:
    for size in (10, 20, 0):
        saved("a.pdf", b"x" * size)
    found = totals("default")
    assert (found.files, found.bytes, found.objects, found.catalogued) == (3, 30, 3, catalogue)
    assert (totals("other").files, totals("other").bytes) == (0, 0)


def test_what_the_catalogue_alone_knows_is_not_known_without_it(catalogue: bool) -> None:
    saved()
    found = totals("default")
    known = (found.undigested, found.recent_files, found.recent_bytes)
    assert known == ((0, 1, 7) if catalogue else (None, None, None))
    for by in ("month", "type"):
        if catalogue:
            assert len(groups("default", by)) == 1
        else:
            with pytest.raises(NotCatalogued, match="not known"):
                groups("default", by)


def test_what_has_no_size_is_measured_and_what_no_digest_is_told_of() -> None:
    name = saved("a.pdf", b"x" * 10)
    with transaction.atomic(), db_file_storage.open(name, "rb+") as file:
        file.write(b"y" * 50)
    found = totals("default")
    assert (found.bytes, found.unmeasured, found.undigested) == (50, 0, 1)
    assert found.oldest_undigested == StoredFile.objects.get().modified_at


def test_another_applications_objects_are_no_files_with_the_catalogue() -> None:
    saved("a.pdf", b"x" * 10)
    uncatalogued(b"x" * 100)
    found = totals("default")
    assert (found.files, found.bytes, found.objects) == (1, 10, 2)


def test_entries_whose_object_is_gone_are_no_files() -> None:
    saved()
    StoredFile.objects.create(loid=4_000_000_000, size=5)
    assert totals("default").files == 1
    assert [group.files for group in groups("default", "type")] == [1]


def test_files_of_long_ago_are_not_recent() -> None:
    old = saved("a.pdf", b"x" * 10)
    saved("b.pdf", b"x" * 5)
    made("2020-01", old)
    found = totals("default")
    assert (found.recent_files, found.recent_bytes) == (1, 5)


def test_the_room_on_disk_is_that_of_all_objects() -> None:
    content = random.Random(7).randbytes(100_000)
    saved("a.bin", content)
    [(room,)] = run("select pg_total_relation_size('pg_largeobject')")
    # The room that deleted objects left may have been enough.
    assert totals("default").disk_bytes == room > len(content)


@pytest.fixture
def strangers(server: Server) -> int:
    """An object of another role."""
    with closing(open_connection(INSTALLED[0], server.dsn(user="stranger"), autocommit=True)) as connection:
        [(oid,)] = sql(connection, "select lo_from_bytea(0, 'abc')::int8")
    return int(oid)


def test_what_the_role_may_not_read_is_told_of_and_not_measured(strangers: int) -> None:
    StoredFile.objects.create(loid=strangers)
    found = totals("default")
    assert (found.files, found.bytes, found.unmeasured) == (1, 0, 1)


def test_with_lo_compat_privileges_all_is_measured(strangers: int, server: Server) -> None:
    StoredFile.objects.create(loid=strangers)
    with closing(open_connection(INSTALLED[0], server.dsn(user="postgres"), autocommit=True)) as superuser:
        superuser.cursor().execute("alter role app set lo_compat_privileges = on")
        connections.close_all()
        try:
            found = totals("default")
        finally:
            superuser.cursor().execute("alter role app reset lo_compat_privileges")
            connections.close_all()
    assert (found.files, found.bytes, found.unmeasured) == (1, 3, 0)


def test_without_the_catalogue_files_are_what_the_role_may_read(catalogue: bool, strangers: int) -> None:
    saved("a.pdf", b"x" * 10)
    found = totals("default")
    assert (found.files, found.bytes, found.unmeasured, found.objects) == (1, 10, 0, 2)
    assert groups("default", "role") == [Group("app", 1, 10)]
    assert strangers, catalogue


# By what they have in common.


def test_by_field(catalogue: bool) -> None:
    first = owned(10)
    owned(20, field="plain")
    invoice(str(first.data.name), "short")
    saved("a.pdf", b"x" * 5)
    found = groups("default", "field")
    expected = [
        Group(FIELD.format("plain"), 1, 20),
        Group(FIELD.format("data"), 1, 10),
        Group(FIELD.format("short"), 1, 10),
        Group("no row", 1, 5),
    ]
    assert found == expected
    assert catalogue is not None


def test_rows_that_name_one_file_twice_count_it_once() -> None:
    row = owned(10)
    invoice(str(row.data.name))
    invoice("no name at all")
    invoice("4294967295.pdf")
    assert groups("default", "field") == [Group(FIELD.format("data"), 1, 10)]


def test_by_owner_is_by_the_one_user_that_a_row_refers_to(catalogue: bool) -> None:
    rich, poor = User.objects.create_user("rich"), User.objects.create_user("poor")
    for size, user in ((10, rich), (20, rich), (5, poor), (1, None)):
        owned(size, user)
    saved("a.pdf", b"")
    expected = [Group("rich", 2, 30), Group("poor", 1, 5), Group("no owner", 1, 1), Group("no row", 1, 0)]
    assert groups("default", "owner") == expected
    assert groups("default", "owner", limit=1) == expected[:1]
    assert catalogue is not None


def test_by_month_there_are_no_gaps() -> None:
    for month in ("2024-11", "2025-02", "2025-02"):
        made(month, saved("a.pdf", b"x" * 10))
    expected = [Group("2024-11", 1, 10), Group("2024-12", 0, 0), Group("2025-01", 0, 0), Group("2025-02", 2, 20)]
    assert groups("default", "month") == expected
    assert groups("default", "month", limit=2) == expected[2:]


def test_a_month_is_that_of_the_projects_time_zone() -> None:
    made("2025-02", saved(), day="01")
    with override_settings(TIME_ZONE="America/New_York"):
        assert [group.label for group in groups("default", "month")] == ["2025-01"]


def test_by_type() -> None:
    for name in ("a.pdf", "b.pdf", "c.png"):
        saved(name, b"x" * 10)
    assert groups("default", "type") == [Group("application/pdf", 2, 20), Group("image/png", 1, 10)]


@override_settings(PG_LO_STORAGE_DB_FOR_WRITE="other")
def test_files_whose_rows_are_on_another_database() -> None:
    owner = User.objects.create_user("owner")
    name = db_file_storage.save("a.pdf", ContentFile(b"x" * 10))
    run("insert into invoices_invoice (plain, owner_id) values (%s, %s)", name, owner.pk)
    assert groups("other", "field") == [Group(FIELD.format("plain"), 1, 10)]
    assert groups("other", "owner") == [Group("owner", 1, 10)]
    assert groups("default", "field") == []


def test_columns_that_cannot_be_read_are_left_out_and_said_so() -> None:
    owned(10)
    run("alter table invoices_invoice rename column short to gone")
    run("revoke select on invoices_invoice from app; grant select (id, data, owner_id) on invoices_invoice to app")
    try:
        assert groups("default", "field") == [Group(FIELD.format("data"), 1, 10)]
        columns, problems = naming_columns("default")
    finally:
        run("grant select on invoices_invoice to app")
        run("alter table invoices_invoice rename column gone to short")
    assert [str(column) for column in columns] == [FIELD.format("data")]
    assert f"{FIELD.format('plain')}: the role may not read it" in problems
    assert not [problem for problem in problems if "short" in problem]


def test_a_view_in_the_place_of_a_table_is_told_of() -> None:
    owned(10)
    run("alter table invoices_invoice rename to moved; create view invoices_invoice as select * from moved")
    try:
        assert groups("default", "field") == [Group("no row", 1, 10)]
        _, problems = naming_columns("default")
    finally:
        run("drop view invoices_invoice; alter table moved rename to invoices_invoice")
    assert f"{FIELD.format('data')}: it is no plain table's column of text or numbers" in problems


def test_a_row_whose_key_cannot_be_read_is_shown_without_it() -> None:
    row = owned(10)
    run("revoke select on invoices_invoice from app; grant select (data, owner_id) on invoices_invoice to app")
    try:
        [found] = rows_that_name(naming_columns("default")[0], [row.data.loid or 0])
    finally:
        run("grant select on invoices_invoice to app")
    assert (found.oid, found.table, found.column, found.key) == (row.data.loid, "invoices_invoice", "data", None)


def test_the_schema_is_that_of_the_search_path(schemas: tuple[str, ...]) -> None:
    saved("a.pdf", b"x" * 10)
    with connections["default"].cursor() as cursor:
        cursor.execute(f"set search_path to {schemas[0]}")
    assert totals("default").files == 0
    with connections["default"].cursor() as cursor:
        cursor.execute("reset search_path")
    assert totals("default").files == 1


@pytest.mark.parametrize("by", BY)
def test_a_figure_costs_as_many_queries_for_many_files_as_for_one(by: By) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connections["default"]) as captured:
            assert groups("default", by)
        return len(captured)

    saved("a.pdf")
    of_one = queries()
    for _ in range(30):
        saved("a.pdf")
    assert queries() == of_one
