"""The storage, and the view."""

from typing import IO, BinaryIO, assert_type

from django.core.files.base import ContentFile, File
from django.core.files.storage import Storage
from django.http import HttpRequest, HttpResponseBase
from django.urls import path

from pg_lo_storage.storage import DbFile, DbFileIO, DbFileStorage, db_file_storage
from pg_lo_storage.views import db_serve


def a_storage_gives_typed_files(name: str, upload: BinaryIO) -> None:
    assert_type(db_file_storage, DbFileStorage)
    assert_type(db_file_storage.save(None, ContentFile(b"content", name="a.txt")), str)
    assert_type(db_file_storage.save("a.txt", File(upload)), str)
    assert_type(db_file_storage.save("a.txt", upload), str)
    assert_type(db_file_storage.open(name), DbFile)
    assert_type(db_file_storage.open(name, "rb+").loid, int)
    with db_file_storage.open(name) as file:
        assert_type(file, DbFile)
        assert_type(file.read(), bytes)
        assert_type(file.size, int)
        assert_type(list(file.chunks(1000)), list[bytes])
        for line in file:
            assert_type(line, bytes)
    assert_type(db_file_storage.open(name).open("wb"), DbFile)
    db_file_storage.open(5)  # E: a name is a string


def it_is_a_storage_as_any_other(name: str) -> None:
    storages: list[Storage] = [db_file_storage, DbFileStorage(), DbFileStorage("/files/", "other")]
    storages.append(DbFileStorage(base_url="/files/", alias="other"))
    assert_type(db_file_storage.exists(name), bool)
    assert_type(db_file_storage.size(name), int)
    assert_type(db_file_storage.url(name), str)
    DbFileStorage(location="/srv")  # E: not on a disk


def a_stored_file_is_a_file(stored: DbFile) -> None:
    assert_type(DbFile(DbFileIO(12)), DbFile)
    stored.file = file = DbFileIO(12)
    as_binary: IO[bytes] = file
    as_binary.close()


def serve_for_download(request: HttpRequest, filename: str) -> HttpResponseBase:
    db_serve(request, filename, True)  # E: keywords only
    return db_serve(request, filename, storage=db_file_storage, as_attachment=True, download_name="march.pdf")


urlpatterns = [path("download/<str:filename>", serve_for_download)]
