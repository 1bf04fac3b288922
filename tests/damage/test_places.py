"""Where files and names may stand: without a catalogue, in several schemas, in columns of two storages."""

from collections.abc import Iterator

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage
from django.db import connections
from django.test import override_settings

from pg_lo_storage.lifecycle.sharing import release
from pg_lo_storage.maintenance.checking import Check
from pg_lo_storage.storage import TransitionalStorage, db_file_storage
from tests.damage.planting import BOOK, DATA, sql
from tests.damage.shelf.models import Book, Contract
from tests.damage.support import findings, kinds, largeobjects, mend
from tests.fixtures.catalogue import without_catalogue
from tests.fixtures.schemas import in_schema

MOVES = "files of this column still move: its file may be at the old place"

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other", "replica"])


def book(data: bytes = b"data") -> Book:
    return Book.objects.create(data=ContentFile(data, "a.txt"))


def test_without_the_catalogue_what_rows_name_is_looked_for() -> None:
    with without_catalogue():
        lost, kept = book(), book()
        db_file_storage.save("b.txt", ContentFile(b"nobody's, or another application's"))
        sql(f"select lo_unlink({lost.data.loid})")
        sql(f"update {BOOK} set cover = 'scans/a.pdf' where id = %s", kept.pk)
        assert kinds(findings()) == ["dangling", "name"]
        assert any("there is no catalogue" in line for line in Check("default").unknown)
        assert [left for _, left in mend("dangling")] == [""]
        lost.refresh_from_db()
        assert not lost.data
        assert kinds(findings()) == ["name"]


@override_settings(PG_LO_STORAGE_DB_FOR_WRITE="default")
def test_where_rows_may_be_on_a_database_that_does_not_answer_nothing_is_an_orphan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = db_file_storage.save("a.txt", ContentFile(b"a row there may name it"))
    prune = ("prune", "--database", "default", "--older-than", "0s", "--yes")
    with monkeypatch.context() as patched:
        connections["other"].close()
        patched.setitem(connections["other"].settings_dict, "PORT", "1")
        status, printed = largeobjects(*prune)
        assert status == 1
        assert "the database 'other' does not answer" in printed[-1]
        assert db_file_storage.exists(name)
    assert largeobjects(*prune)[0] == 0
    assert not db_file_storage.exists(name)


@pytest.fixture
def schema() -> Iterator[str]:
    """A copy of the schema, with its rows and its catalogue, that the search path finds first."""
    sql("create schema shelf_blue")
    for table in ("pg_lo_storage_file", "Shelf Book"):
        sql(f'create table shelf_blue."{table}" (like public."{table}" including all)')
        sql(f'insert into shelf_blue."{table}" select * from public."{table}"')
    sql("set search_path = shelf_blue, public")
    yield "shelf_blue"
    sql("reset search_path")
    sql("drop schema shelf_blue cascade")


@pytest.fixture
def original() -> Book:
    return book()


def test_what_two_schemas_have_is_said_of_each(original: Book, schema: str) -> None:
    [found] = findings()
    assert (found.kind, found.key) == ("shared", (("id", str(original.pk)),))
    assert "public.pg_lo_storage_file" in found.detail
    sql("reset search_path")
    [found] = findings()
    assert f"{schema}.pg_lo_storage_file" in found.detail


def test_an_orphan_of_one_schema_stays_another_ones_file(original: Book, schema: str) -> None:
    name = str(original.data.name)
    change = "created_at = created_at - interval '9 days', modified_at = modified_at - interval '9 days'"
    sql(f"update pg_lo_storage_file set {change}")
    sql(f"delete from {BOOK}")
    assert kinds(findings()) == ["orphan", "shared"]
    assert [left for _, left in mend("orphan")] == [""]
    assert findings() == []
    assert in_schema("public", f"select {DATA} from {BOOK}") == [(name,)]
    sql("reset search_path")
    assert findings() == []
    assert db_file_storage.exists(name)
    assert schema


def test_rows_of_schemas_that_share_the_catalogue_keep_a_file(original: Book, schema: str) -> None:
    sql(f"drop table {schema}.pg_lo_storage_file")
    assert kinds(findings()) == ["shared"]
    sql(f"delete from {BOOK}")
    assert findings() == []
    assert original.data.storage.exists(str(original.data.name))


def test_rows_of_other_schemas_keep_a_file_where_this_one_has_no_such_table(original: Book) -> None:
    """As of tenants: the public schema has the catalogue, and each other one the rows."""
    name = str(original.data.name)
    change = "created_at = created_at - interval '9 days', modified_at = modified_at - interval '9 days'"
    sql(f"update pg_lo_storage_file set {change}")
    sql("create schema shelf_blue")
    sql(f"alter table {BOOK} set schema shelf_blue")
    try:
        assert kinds(findings()) == []
        assert mend("orphan") == []
        release("default", [name])
        assert db_file_storage.exists(name)
        sql(f"delete from shelf_blue.{BOOK}")
        assert kinds(findings()) == ["orphan"]
    finally:
        sql(f"alter table shelf_blue.{BOOK} set schema public")
        sql("drop schema shelf_blue")


@pytest.fixture
def legacy(monkeypatch: pytest.MonkeyPatch) -> InMemoryStorage:
    """The storage that has not given up all files of contracts yet."""
    legacy = InMemoryStorage()
    monkeypatch.setattr(Contract._meta.get_field("data"), "storage", TransitionalStorage(legacy=legacy))
    return legacy


def test_names_of_the_storage_before_are_no_damage(legacy: InMemoryStorage) -> None:
    legacy.save("20240131.pdf", ContentFile(b"old"))
    for name in ("scans/a.pdf", "20240131.pdf"):
        sql("insert into shelf_contract (data) values (%s)", name)
    assert findings() == []
    assert mend("dangling") == mend("uncatalogued") == []
    sql("insert into shelf_contract (data) values ('20240201.pdf')")
    assert kinds(findings()) == ["dangling"]
    # The old place may be out of reach.
    assert [left for _, left in mend("dangling")] == [MOVES]


@pytest.mark.usefixtures("legacy")
def test_of_a_column_from_which_files_move_nothing_is_mended() -> None:
    [(alien,)] = sql("select lo_from_bytea(0, 'another application')")
    orphan = db_file_storage.save("a.txt", ContentFile(b"nobody's"))
    names = f"{alien}.pdf", orphan.replace(".txt", ".pdf"), "20240201.pdf"
    for name in names:
        sql("insert into shelf_contract (data) values (%s)", name)
    assert {found.kind for found in findings()} == {"uncatalogued", "extension", "dangling"}
    for kind in ("uncatalogued", "extension", "dangling"):
        assert [left for _, left in mend(kind)] == [MOVES]
    assert sql("select data from shelf_contract order by data") == [(name,) for name in sorted(names)]
    # A plain column may have the very name.
    sql(f"insert into {BOOK} (cover) values (%s)", names[0])
    assert [left for _, left in mend("uncatalogued")] == ["the file of that name is still at its old place", MOVES]
    assert not db_file_storage.exists(names[0])


def test_copies_of_names_of_the_storage_before_are_no_damage(legacy: InMemoryStorage) -> None:
    legacy.save("20240132.pdf", ContentFile(b"old"))
    with override_settings(PG_LO_STORAGE_REFERENCES=["shelf.Sheet.page"]):
        for name in ("20240132.pdf", "20240202.pdf"):
            sql("insert into shelf_sheet (book, page) values (1, %s)", name)
        assert [(found.kind, found.name) for found in findings()] == [("dangling", "20240202.pdf")]
        assert [left for _, left in mend("dangling")] == [MOVES]


def test_a_pooler_that_forbids_server_side_cursors(monkeypatch: pytest.MonkeyPatch) -> None:
    sql(f"select lo_unlink({book().data.loid})")
    monkeypatch.setitem(connections["default"].settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)
    assert kinds(findings()) == ["dangling", "entry"]
    assert [left for _, left in mend("entry")] == [""]


def test_a_table_without_a_key_says_where_its_rows_are() -> None:
    sql("alter table shelf_contract drop constraint shelf_contract_pkey")
    try:
        sql("insert into shelf_contract (data) values ('4000000000.pdf')")
        [found] = findings()
        assert [column for column, _ in found.key] == ["ctid"]
        sql("alter table shelf_contract alter data drop not null")
        assert [left for _, left in mend("dangling")] == [""]
        assert sql("select data from shelf_contract") == [(None,)]
    finally:
        sql("truncate shelf_contract")
        sql("alter table shelf_contract add primary key (id), alter data set not null")


def test_of_a_driver_that_changes_bytes_its_own_sizes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LARGE_OBJECT_KEY", "00" * 32)
    monkeypatch.setattr("django.conf.settings.PG_LO_STORAGE_DRIVER", ENCRYPTING, raising=False)
    book(b"secret")
    assert largeobjects("check", "--deep", "--database", "default")[0] == 0
    sql("update pg_lo_storage_file set size = 1")
    assert kinds(findings()) == ["size"]
    assert [left for _, left in mend("size")] == [""]
    assert findings() == []


ENCRYPTING = "example.drivers.lo_encrypted.EncryptingDriver"
