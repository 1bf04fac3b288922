"""TransitionalStorage: new files are large objects, and a name of the old place is read there."""

import asyncio
import io
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage
from django.db import transaction
from django.db.migrations.writer import MigrationWriter
from typing_extensions import override

from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.fields import DbFieldFile
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFileStorage, TransitionalStorage, db_file_storage
from tests.lifecycle.support import sql
from tests.moving.letters.models import Letter
from tests.moving.support import THEN, put, row_of


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
    for find in (storage.locate, partial(storage.find, whole=0)):
        with nullcontext() if catalogue else pytest.raises(LargeObjectNotFound):
            find(name)
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


# A row that was loaded before its file has moved.


class Remote(FileSystemStorage):
    """Files that are fetched when they are first used, as from S3, and that move when they are opened."""

    class Gone(Exception):
        """There is no such key."""

    class Fetched(io.BytesIO):
        def __init__(self, path: Path) -> None:
            super().__init__()
            self._path = path

        @override
        def seek(self, position: int, whence: int = 0) -> int:
            if not self._path.exists():
                raise Remote.Gone
            return super().seek(position, whence)

    @override
    def open(self, name: str, mode: str = "rb") -> Any:
        move(Path(self.path(name)))
        return self.Fetched(Path(self.path(name)))


def move(path: Path) -> None:
    """Move the only file, and delete it where it was."""
    Letter.objects.update(data=db_file_storage.save(path.name, ContentFile(path.read_bytes())))
    path.unlink()


QUESTIONS: dict[str, Callable[[DbFieldFile], object]] = {
    "open": lambda file: file.open().read(),
    "read": lambda file: file.read(),
    "for writing": lambda file: file.open("rb+").read(),
    "chunks": lambda file: b"".join(file.chunks()),
    "size": lambda file: b"old!" if file.size == 4 else b"",
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_row_that_was_loaded_before_has_its_file_at_the_new_place(old: Path, question: str) -> None:
    path = put(old, "letters/a.txt", b"old!")
    letter = row_of("letters/a.txt")
    move(path)
    with transaction.atomic():
        assert QUESTIONS[question](letter.data) == b"old!"
        letter.data.close()
    assert parse_name(letter.data.name)
    # It knows that name now, and writes neither.
    letter.title = "read"
    letter.save()
    again = Letter.objects.get()
    assert (again.title, again.data.name) == ("read", letter.data.name)
    with again.data.open() as file:
        assert file.read() == b"old!"


@pytest.mark.parametrize("question", ["open", "read", "chunks"])
def test_a_file_that_moves_between_its_opening_and_its_first_read_is_read(
    old: Path, question: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(old, "letters/a.txt", b"old!")
    letter = row_of("letters/a.txt")
    monkeypatch.setattr(Letter._meta.get_field("data"), "storage", TransitionalStorage(legacy=Remote(old)))
    assert QUESTIONS[question](letter.data) == b"old!"
    letter.data.close()


def test_what_is_open_on_a_disk_is_read_on_when_its_name_is_gone(old: Path) -> None:
    path = put(old, "letters/a.txt", b"old!")
    letter = row_of("letters/a.txt")
    with letter.data.open() as file:
        move(path)
        assert file.read() == b"old!"


def test_the_catalogue_is_asked_for_the_file_at_its_new_place(old: Path, catalogue: bool) -> None:
    path = put(old, "letters/a.txt", b"old!")
    letter = row_of("letters/a.txt")
    move(path)
    assert letter.data.original_name == ("a.txt" if catalogue else None)


@pytest.mark.parametrize(("mode", "place", "written"), [("ab", 4, b"old! and new"), ("wb", 0, b" and new")])
def test_an_old_storage_may_open_its_files_for_writing(
    storage: TransitionalStorage, old: Path, mode: str, place: int, written: bytes
) -> None:
    path = put(old, "letters/a.txt", b"old!")
    with storage.open("letters/a.txt", mode) as file:
        assert file.tell() == place  # it was left where the mode says
        file.write(b" and new")
    assert path.read_bytes() == written


def test_a_file_that_is_lost_has_not_moved(old: Path) -> None:
    path = put(old, "letters/a.txt", b"old!")
    letter = row_of("letters/a.txt")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        letter.data.open()
    Letter.objects.all().delete()
    with pytest.raises(FileNotFoundError):
        letter.data.open()
    assert letter.data.name == "letters/a.txt"
