"""What somebody may still name is no orphan to be unlinked: open transactions, columns of others, rows elsewhere."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.core.files.base import ContentFile
from django.db import connections

from pg_lo_storage.maintenance import in_progress, repairs
from pg_lo_storage.maintenance.checking import Check
from pg_lo_storage.maintenance.findings import Finding
from pg_lo_storage.maintenance.orphans import Orphans
from pg_lo_storage.maintenance.repairs import Outcome, repair
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from tests.damage.planting import BOOK, DATA, sql
from tests.damage.shelf.models import Book, Remote
from tests.damage.support import findings, kinds, largeobjects
from tests.fixtures.connections import RawConnection, run

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other", "replica"])


@pytest.fixture
def orphan() -> str:
    """The name of a file of a month ago."""
    return saved("default")


def saved(using: str) -> str:
    name = DbFileStorage(alias=using).save("a.txt", ContentFile(b"data"))
    age(using)
    return name


def age(using: str) -> None:
    change = "created_at = created_at - interval '30 days', modified_at = modified_at - interval '30 days'"
    sql(f"update pg_lo_storage_file set {change}", using=using)


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_progress, "SECONDS", 0.2)


def prune(using: str = "default", days: int = 1) -> list[Outcome]:
    return list(repair(Orphans(Check(using), timedelta(days=days)), dry_run=False))


def insert(connection: RawConnection, name: str) -> None:
    connection.cursor().execute(f"insert into {BOOK} ({DATA}, cover) values ('{name}', '')")


def test_an_orphan_is_unlinked(orphan: str) -> None:
    assert [(found.name, left) for found, left in prune()] == [(orphan, "")]
    assert not db_file_storage.exists(orphan)
    assert prune() == []


def test_a_young_one_is_left(orphan: str) -> None:
    young = db_file_storage.save("b.txt", ContentFile(b"data"))
    assert [found.name for found, _ in prune()] == [orphan]
    assert [found.name for found, left in prune(days=0) if not left] == [young]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_what_a_transaction_in_progress_names_stays_until_it_ends(orphan: str, other: RawConnection, end: str) -> None:
    """It is plain SQL's, and locks nothing but the table."""
    insert(other, orphan)
    [(_, left)] = prune()
    assert "a transaction that is open on 'default' may have named it" in left
    getattr(other, end)()
    assert len(prune()) == int(end == "rollback")
    assert db_file_storage.exists(orphan) is (end == "commit")
    sql(f"delete from {BOOK}")


@pytest.mark.usefixtures("orphan")
def test_what_a_row_holds_stays_and_nobody_waits(other: RawConnection) -> None:
    run(other, "select loid from pg_lo_storage_file for key share")
    [(_, left)] = prune()
    assert left == "another transaction has it in use, or has mended it"
    other.rollback()
    assert [left for _, left in prune()] == [""]


def test_a_transaction_that_began_before_the_file_was_there_may_name_it_yet(other: RawConnection) -> None:
    run(other, "select pg_current_xact_id()::text")
    name = db_file_storage.save("a.txt", ContentFile(b"data"))
    sql("update pg_lo_storage_file set created_at = created_at - interval '1 day'")
    [(_, left)] = prune(days=0)
    assert left == "a transaction is open that began before it was there"
    other.commit()
    assert [left for _, left in prune(days=0)] == [""]
    assert not db_file_storage.exists(name)


def named_between(monkeypatch: pytest.MonkeyPatch, name: Callable[[], object]) -> list[Outcome]:
    """Have something happen when what is to be mended has been found."""
    prepare = Orphans.prepare

    def late(self: Orphans) -> str:
        name()
        return prepare(self)

    monkeypatch.setattr(Orphans, "prepare", late)
    return prune()


def test_what_a_row_came_to_name_meanwhile_stays(orphan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    [(_, left)] = named_between(monkeypatch, lambda: Book.objects.create(data=orphan))
    assert left == "a row names it by now"
    assert db_file_storage.exists(orphan)


def test_so_does_what_a_new_column_has(orphan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    oid = orphan.partition(".")[0]
    [(_, left)] = named_between(monkeypatch, lambda: sql(f"create table shelf_new as select {oid}::oid as made"))
    assert left == "a row names it by now"
    sql("drop table shelf_new")


TYPES = ("oid", "shelf_number", "shelf_inner", "oid[]", "shelf_inner[]")


@pytest.fixture
def types() -> Iterator[tuple[str, ...]]:
    """Types of columns that may have oids: a domain, a domain of that, and arrays."""
    sql("create domain shelf_number as oid")
    sql("create domain shelf_inner as shelf_number")
    yield TYPES
    sql("drop domain shelf_number cascade")


def test_oids_of_any_type_and_in_columns_of_any_name_keep_their_object(orphan: str, types: tuple[str, ...]) -> None:
    oid = orphan.partition(".")[0]
    for kind in types:
        value = f"array[{oid}]" if kind.endswith("[]") else oid
        for key in ("", ", primary key (n)"):
            sql(f'create table shelf_new ("ima""ge %" {kind}, n int{key})')
            try:
                sql(f"insert into shelf_new values ({value}, 1)".replace("%", "%%"))
                assert (findings(), prune()) == ([], []), kind
            finally:
                sql("drop table shelf_new")
    assert [left for _, left in prune()] == [""]


def test_the_name_of_anothers_column_is_a_name_and_no_sql(orphan: str, superuser: RawConnection) -> None:
    """Whoever may make a table that the role can read gives its columns their names."""
    execute = superuser.cursor().execute
    execute("create schema shelf_theirs authorization stranger")
    execute("create table shelf_theirs.t (\"a\"\"::oid, (select set_config('a.b', 'c', false)) -- %\" oid)")
    try:
        execute("grant usage on schema shelf_theirs to app")
        execute("grant select on shelf_theirs.t to app")
        assert kinds(findings()) == ["orphan"]
        assert largeobjects("who", orphan)[0] == 0
        execute(f"insert into shelf_theirs.t values ({orphan.partition('.')[0]})")
        assert findings() == []
        assert any("shelf_theirs.t" in line for line in largeobjects("who", orphan)[1])
        assert sql("select current_setting('a.b', true)") == [(None,)]
    finally:
        execute("drop schema shelf_theirs cascade")


def test_a_view_that_was_never_refreshed_has_nothing(orphan: str) -> None:
    sql("create materialized view shelf_new as select 1::oid as image, 'a'::text as name with no data")
    try:
        assert [found.name for found, left in prune() if not left] == [orphan]
    finally:
        sql("drop materialized view shelf_new")


@pytest.mark.parametrize("kind", ["text", "varchar(100)"])
def test_a_text_that_is_its_name_keeps_a_file_wherever_it_stands(orphan: str, kind: str) -> None:
    """It may be a version's, or of a project that shares the database."""
    sql(f'create table shelf_new ("old %" {kind} not null)')
    try:
        sql(f"insert into shelf_new values ('a longer text with {orphan}'), (repeat('x', 100))")
        assert [left for _, left in repair_dry()] == [""]
        sql("insert into shelf_new values (%s)", orphan)
        assert [left for _, left in repair_dry()] == ["its name is a text in public.shelf_new.old %"]
        assert prune() == repair_dry()
        assert db_file_storage.exists(orphan)
    finally:
        sql("drop table shelf_new")


def repair_dry() -> list[Outcome]:
    return list(repair(Orphans(Check("default"), timedelta(days=1))))


def test_what_is_being_written_is_left_and_nobody_waits_long(
    orphan: str, other: RawConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that writes to the object itself locks no entry."""
    monkeypatch.setattr(repairs, "PATIENCE", 0.1)
    run(other, f"select lo_put({orphan.partition('.')[0]}, 0, 'changed')")
    [(_, left)] = prune()
    assert left.startswith("the server refuses it: ")
    other.rollback()
    assert [left for _, left in prune()] == [""]


def test_a_column_of_others_counts_where_its_owner_may_be_the_role(orphan: str, superuser: RawConnection) -> None:
    oid = orphan.partition(".")[0]
    superuser.cursor().execute(f"create table shelf_theirs as select {oid}::oid as image")
    try:
        # The superuser may be anybody; of what cannot be read nothing is known.
        check = Check("default")
        assert kinds(check.findings()) == []
        assert "public.shelf_theirs.image" in check.unknown[0]
        superuser.cursor().execute("grant select on shelf_theirs to app")
        assert (kinds(findings()), prune()) == ([], [])
        superuser.cursor().execute("truncate shelf_theirs")
        assert kinds(findings()) == ["orphan"]
        superuser.cursor().execute("revoke all on shelf_theirs from app; alter table shelf_theirs owner to stranger")
        assert kinds(findings()) == ["orphan"]
    finally:
        superuser.cursor().execute("drop table shelf_theirs")


def test_row_level_security_may_hide_a_name(orphan: str, superuser: RawConnection) -> None:
    security = f"alter table {BOOK} {{0}} row level security; alter table {BOOK} {{1}} row level security"
    superuser.cursor().execute(security.format("force", "enable"))
    try:
        check = Check("default")
        assert kinds(check.findings()) == []
        assert "row-level security may hide rows of" in check.unknown[0]
        assert prune() == []
    finally:
        superuser.cursor().execute(security.format("no force", "disable"))
    assert [found.name for found, _ in prune()] == [orphan]


def test_rows_on_another_database_count(other: RawConnection) -> None:
    kept, lost, missing = saved("other"), saved("other"), saved("other")
    for name in (kept, missing):
        Remote.objects.create(data=name)
    oid = missing.partition(".")[0]
    sql(f"select lo_unlink({oid})", using="other")
    found = {finding.kind: finding for finding in findings("other")}
    assert {kind: finding.name for kind, finding in found.items()} == {
        "dangling": missing,
        "entry": missing,
        "orphan": lost,
    }
    dangling: Finding = found["dangling"]
    assert (dangling.alias, dangling.table, dangling.column) == ("default", "shelf_remote", "data")
    other.cursor().execute("lock table shelf_remote in row exclusive mode")
    assert "open on 'default'" in prune("other")[0].left
    other.rollback()
    assert [(found.name, left) for found, left in prune("other")] == [(lost, "")]
    assert DbFileStorage(alias="other").exists(kept)


def test_at_repeatable_read_it_sees_what_is_committed(orphan: str) -> None:
    wrapper = connections["default"]
    wrapper.close()
    options = wrapper.settings_dict["OPTIONS"]
    wrapper.settings_dict["OPTIONS"] = {**options, "options": "-c default_transaction_isolation=serializable"}
    try:
        assert [found.name for found, left in prune() if not left] == [orphan]
    finally:
        wrapper.close()
        wrapper.settings_dict["OPTIONS"] = options
