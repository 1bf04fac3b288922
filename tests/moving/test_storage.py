"""TransitionalStorage: new files are large objects, and a name of the old place is read there."""

import asyncio
from datetime import datetime
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage
from django.db import transaction
from django.db.migrations.writer import MigrationWriter

from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFileStorage, TransitionalStorage, db_file_storage
from tests.lifecycle.support import sql
from tests.moving.support import THEN, put


@pytest.fixture
def storage() -> TransitionalStorage:
    return TransitionalStorage(legacy="old")


def test_an_old_name_is_read_where_it_is(storage: TransitionalStorage, old: Path) -> None:
    path = put(old, "letters/a b.pdf", b"old bytes")
    name = "letters/a b.pdf"
    with storage.open(name) as file:
        assert file.read() == b"old bytes"
    assert storage.exists(name)
    assert storage.size(name) == 9
    assert storage.url(name) == "/old/letters/a%20b.pdf"
    assert storage.path(name) == str(path)
    assert storage.get_modified_time(name) == THEN
    assert storage.get_created_time(name).tzinfo is not None
    assert storage.get_accessed_time(name) >= THEN
    assert storage.is_old(name)


def test_a_new_file_is_a_large_object(storage: TransitionalStorage, old: Path) -> None:
    name = storage.save("letters/b.pdf", ContentFile(b"new bytes"))
    assert parse_name(name)
    assert not any(old.iterdir())
    with storage.open(name) as file:
        assert file.read() == b"new bytes"
    assert storage.exists(name)
    assert not storage.is_old(name)
    assert storage.size(name) == 9
    assert storage.url(name) == f"/files/{name}"
    with pytest.raises(NotImplementedError):
        storage.path(name)
    assert db_file_storage.exists(name)


@pytest.mark.parametrize(
    "name", ["missing.pdf", "letters", "letters/", "", "../a.pdf", "a\0b", "4294967295.pdf", "\ud800"]
)
def test_what_is_at_neither_place_does_not_exist(storage: TransitionalStorage, old: Path, name: str) -> None:
    put(old, "letters/a.pdf")
    assert not storage.exists(name) or name == "letters"  # a file system storage says so of a folder
    with pytest.raises(OSError, match=r"."):
        storage.open(name).read()
    storage.delete("missing.pdf")


def test_an_old_name_may_look_like_a_stored_file_s(storage: TransitionalStorage, old: Path, catalogue: bool) -> None:
    name = storage.save("a.pdf", ContentFile(b"new"))
    put(old, name, b"old")
    with storage.open(name) as file:
        assert file.read() == (b"new" if catalogue else b"old")
    assert storage.is_old(name) is not catalogue
    sql("select lo_unlink(oid) from pg_largeobject_metadata")
    if catalogue:
        sql("delete from pg_lo_storage_file")
    with storage.open(name) as file:
        assert file.read() == b"old"
    assert storage.size(name) == 3


def test_no_new_file_gets_the_name_of_an_old_one(
    storage: TransitionalStorage, old: Path, catalogue: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[str] = []
    save = DbFileStorage.save

    def put_before(self: DbFileStorage, name: str, content: "ContentFile[bytes]", max_length: int | None) -> str:
        name = save(self, name, content, max_length)
        if not saved:
            put(old, name, b"old")
        saved.append(name)
        return name

    monkeypatch.setattr(DbFileStorage, "save", put_before)
    name = storage.save("a letter.tar.gz", ContentFile(b"new"))
    assert name == saved[1] != saved[0]
    assert name.endswith(".tar.gz")
    assert not db_file_storage.exists(saved[0])
    with storage.open(name) as file:
        assert file.read() == b"new"
    if catalogue:
        entry = storage.entry(name)
        assert (entry.original_name, entry.content_type, entry.size) == ("a letter.tar.gz", "application/gzip", 3)


def test_an_old_file_is_deleted_after_the_commit(storage: TransitionalStorage, old: Path) -> None:
    path = put(old, "a.pdf")
    with transaction.atomic():
        storage.delete("a.pdf")
        assert path.exists()
    assert not path.exists()
    path = put(old, "b.pdf")
    with transaction.atomic():
        storage.delete("b.pdf")
        transaction.set_rollback(True)
    assert path.exists()
    new = storage.save("c.pdf", ContentFile(b"new"))
    storage.delete(new)
    assert not storage.exists(new)


def test_a_storage_that_tells_little_will_do(old: Path) -> None:
    class Shy(FileSystemStorage):
        def size(self, name: str) -> int:
            raise NotImplementedError

        def get_modified_time(self, name: str) -> datetime:
            raise NotImplementedError

    put(old, "a.pdf", b"old bytes")
    assert TransitionalStorage(legacy=Shy(location=old)).size("a.pdf") == 9


def test_it_stands_in_migrations() -> None:
    storage = TransitionalStorage(DbFileStorage("/new/"), InMemoryStorage(location="/nowhere/"))
    text, imports = MigrationWriter.serialize(storage)
    assert "pg_lo_storage.storage.TransitionalStorage" in text
    scope: dict[str, object] = {}
    exec("\n".join(imports), scope)
    again = eval(text, scope)
    assert isinstance(again, TransitionalStorage)
    assert again.base_url == "/new/"
    assert isinstance(again.legacy, InMemoryStorage)
    assert MigrationWriter.serialize(TransitionalStorage())[0] == "pg_lo_storage.storage.TransitionalStorage()"


def test_what_it_takes_over_from_the_new_storage() -> None:
    new = DbFileStorage("/new/", "other", signed=True, max_age=60)
    storage = TransitionalStorage(new, "old")
    assert (storage.base_url, storage.read_alias, storage.write_alias, storage.follows_rows) == (
        "/new/",
        "other",
        "other",
        False,
    )
    assert storage.url("letters/a.pdf").startswith("/new/letters/a.pdf?signature=")
    assert storage.url("letters/../a.pdf").startswith("/new/letters%2F..%2Fa.pdf?signature=")
    name = storage.save("a.pdf", ContentFile(b"new"))
    assert new.exists(name)
    assert not db_file_storage.exists(name)


def test_the_old_storage_is_no_storage_of_large_objects() -> None:
    with pytest.raises(ImproperlyConfigured, match="another alias in STORAGES"):
        TransitionalStorage(legacy=db_file_storage).legacy.exists("a")


def test_old_files_are_read_and_deleted_asynchronously(storage: TransitionalStorage, old: Path) -> None:
    path = put(old, "a.txt", b"one\ntwo\n")

    async def live() -> None:
        async with await storage.aopen("a.txt") as file:
            assert await file.readline() == b"one\n"
            assert await file.read() == b"two\n"
            assert await file.size() == 8
        assert await storage.asize("a.txt") == 8
        await storage.adelete("a.txt")

    asyncio.run(live())
    assert not path.exists()
