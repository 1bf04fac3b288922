"""``save``: whatever is given is stored whole, or not at all."""

import hashlib
import io
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, LiteralString, cast

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.base import ContentFile
from django.core.files.uploadedfile import (
    InMemoryUploadedFile,
    SimpleUploadedFile,
    TemporaryUploadedFile,
    UploadedFile,
)
from django.db import connections, transaction
from typing_extensions import Buffer

from pg_lo_storage.drivers import SQLDriver, get_driver
from pg_lo_storage.storage import DbFile, DbFileIO, DbFileStorage, db_file_storage
from pg_lo_storage.storage.saving import PART, SMALL
from tests.invoices.models import Note
from tests.storage.support import LARGE, SIZES, content, stored

pytestmark = pytest.mark.django_db(transaction=True)

Count = Callable[[], int]


def content_file(data: bytes) -> "ContentFile[bytes]":
    return ContentFile(data, name="a.txt")


def unnamed_content_file(data: bytes) -> "ContentFile[bytes]":
    return ContentFile(data)


def simple_upload(data: bytes) -> "UploadedFile[bytes]":
    return SimpleUploadedFile("a.txt", data)


def upload_in_memory(data: bytes) -> "UploadedFile[bytes]":
    return InMemoryUploadedFile(io.BytesIO(data), "data", "a.txt", "text/plain", len(data), None)


def upload_on_disk(data: bytes) -> "UploadedFile[bytes]":
    upload = TemporaryUploadedFile("a.txt", "text/plain", len(data), None)
    upload.write(data)
    upload.seek(0)
    return upload


def bare_stream(data: bytes) -> IO[bytes]:
    return io.BytesIO(data)


def file_in_its_middle(data: bytes) -> "File[bytes]":
    file = File(io.BytesIO(data), "a.txt")
    file.seek(len(data) // 2)
    return file


def file_at_its_end(data: bytes) -> "File[bytes]":
    file = File(io.BytesIO(), "a.txt")
    file.write(data)
    return file


def stored_file(data: bytes) -> DbFile:
    return db_file_storage.open(db_file_storage.save("a.txt", ContentFile(data)))


def stored_file_in_its_middle(data: bytes) -> DbFile:
    file = stored_file(data)
    file.seek(len(data) // 2)
    return file


if TYPE_CHECKING:
    Make = Callable[[bytes], IO[bytes] | File[bytes]]


@pytest.mark.parametrize("size", [0, 11, LARGE])
@pytest.mark.parametrize(
    "make",
    [
        content_file,
        unnamed_content_file,
        simple_upload,
        upload_in_memory,
        upload_on_disk,
        bare_stream,
        file_in_its_middle,
        file_at_its_end,
        stored_file,
        stored_file_in_its_middle,
    ],
)
def test_any_kind_of_file_is_saved_whole(make: "Make", size: int) -> None:
    data = content(size)
    with make(data) as file:
        name = db_file_storage.save("a.txt", file)
    assert stored(name) == data


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_file_of_any_size_is_saved_in_and_out_of_a_transaction(
    size: int, in_transaction: bool, count_large_objects: Count
) -> None:
    data = content(size)
    if in_transaction:
        with transaction.atomic():
            name = db_file_storage.save("a.bin", ContentFile(data))
            assert stored(name) == data
            assert count_large_objects() == 0
    else:
        name = db_file_storage.save("a.bin", ContentFile(data))
    assert stored(name) == data
    assert db_file_storage.size(name) == size
    assert db_file_storage.exists(name)
    assert count_large_objects() == 1


def test_a_stored_file_is_copied_to_an_object_of_its_own() -> None:
    original = db_file_storage.save("a.txt", ContentFile(b"original"))
    with db_file_storage.open(original) as file:
        copy = db_file_storage.save("b.txt", file)
    db_file_storage.delete(original)
    assert stored(copy) == b"original"


@pytest.mark.parametrize("text", ["", "naïve, 日本, 🎉\n", "ä" * 500_000])
def test_text_is_encoded_as_utf_8(text: str) -> None:
    file = ContentFile(text)
    assert stored(db_file_storage.save("a.txt", cast("IO[bytes]", file))) == text.encode()


class Chunks:
    """All that Django's storages ask of content; an exception among the chunks is raised."""

    name = "a.txt"

    def __init__(self, *chunks: object) -> None:
        self._chunks = chunks

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:  # noqa: ARG002
        for chunk in self._chunks:
            if isinstance(chunk, Exception):
                raise chunk
            yield cast("bytes", chunk)


def test_chunks_of_any_length_and_kind_of_buffer_are_saved_in_order() -> None:
    parts: list[Buffer] = [b"", content(1), bytearray(content(SMALL - 1)), b"", memoryview(content(LARGE)), content(5)]
    name = db_file_storage.save("a.txt", cast("IO[bytes]", Chunks(*parts)))
    assert stored(name) == b"".join(parts)


FAILURES = [
    [OSError("broken")],
    [b"a", OSError("broken")],
    [b"a" * SMALL, OSError("broken")],
    [b"a" * (SMALL + 1), OSError("broken")],
    [b"a" * LARGE, b"a" * LARGE, OSError("broken")],
    [b"a" * LARGE, None],
]


@pytest.mark.parametrize("chunks", FAILURES)
def test_a_source_that_fails_leaves_no_object(chunks: list[object], count_large_objects: Count) -> None:
    with pytest.raises((OSError, TypeError)):
        db_file_storage.save("a.txt", cast("IO[bytes]", Chunks(*chunks)))
    assert count_large_objects() == 0
    assert not connections["default"].in_atomic_block


@pytest.mark.parametrize("chunks", FAILURES)
def test_a_source_that_fails_leaves_the_transaction_around_it_to_commit(
    chunks: list[object], count_large_objects: Count
) -> None:
    with transaction.atomic():
        Note.objects.create(text="before")
        with pytest.raises((OSError, TypeError)):
            db_file_storage.save("a.txt", cast("IO[bytes]", Chunks(*chunks)))
        Note.objects.create(text="after")
    assert Note.objects.count() == 2
    assert count_large_objects() == 0


def test_a_source_may_use_the_database_while_it_is_saved() -> None:
    class Rows(Chunks):
        def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
            for part in super().chunks(chunk_size):
                Note.objects.create(text="written meanwhile")
                yield part

    data = content(LARGE)
    assert stored(db_file_storage.save("a.txt", cast("IO[bytes]", Rows(data, data)))) == data + data
    assert Note.objects.count() == 2


@pytest.mark.parametrize(
    ("original", "extension"),
    [
        ("a.txt", ".txt"),
        ("folder/a.txt", ".txt"),
        ("a.tar.gz", ".tar.gz"),
        ("report.v1.2.pdf", ".pdf"),
        ("naïve 日本.pdf", ".pdf"),
        ("a", ""),
        ("", ""),
        ("a.日本", ""),
        ("a.b c", ""),
        (".hidden", ""),
        ("..", ""),
        ("a." + "x" * 21, ""),
        ("../../etc/passwd.txt", ".txt"),
    ],
)
def test_a_name_is_the_oid_and_the_original_extension(
    original: str, extension: str, large_objects: Callable[[], set[int]]
) -> None:
    name = db_file_storage.save(original, ContentFile(b"data"))
    [loid] = large_objects()
    assert name == f"{loid}{extension}"
    assert stored(name) == b"data"


def test_without_a_name_the_contents_own_counts() -> None:
    assert db_file_storage.save(None, ContentFile(b"", name="a.pdf")).endswith(".pdf")
    assert db_file_storage.save(None, ContentFile(b"")).isdecimal()
    assert db_file_storage.save(None, io.BytesIO()).isdecimal()


def test_every_save_makes_a_file_of_its_own() -> None:
    first, second = (db_file_storage.save("a.txt", ContentFile(data)) for data in (b"one", b"two"))
    assert (stored(first), stored(second)) == (b"one", b"two")


@pytest.mark.parametrize(("max_length", "kept"), [(10, ""), (17, ".tar.gz"), (100, ".tar.gz"), (None, ".tar.gz")])
def test_a_name_too_long_for_its_column_loses_its_extension(max_length: int | None, kept: str) -> None:
    name = db_file_storage.save("a.tar.gz", ContentFile(b"data"), max_length=max_length)
    assert re.fullmatch(rf"\d+{re.escape(kept)}", name)
    assert stored(name) == b"data"


@pytest.mark.parametrize("max_length", [0, 1, 9])
def test_a_column_too_short_for_an_oid_is_refused_before_anything_is_written(
    max_length: int, count_large_objects: Count
) -> None:
    with pytest.raises(SuspiciousFileOperation, match="max_length"):
        db_file_storage.save("a.txt", ContentFile(b"data"), max_length=max_length)
    assert count_large_objects() == 0


@pytest.mark.parametrize("name", ["a.txt", "a.tar.gz", "folder/a.txt", "12.txt", ""])
def test_there_is_nothing_to_make_available(name: str) -> None:
    assert db_file_storage.get_available_name(name, max_length=10) == name
    assert db_file_storage.generate_filename(name) == name


def test_djangos_valid_names_keep_their_extension() -> None:
    name = DbFileStorage().get_valid_name("John's portrait in 2004.tar.gz")
    assert db_file_storage.save(name, ContentFile(b"")).endswith(".tar.gz")


def test_a_path_is_a_name() -> None:
    path = cast("str", Path("folder/a.tar.gz"))
    assert re.fullmatch(r"\d+\.tar\.gz", db_file_storage.save(path, ContentFile(b"data")))
    assert re.fullmatch(r"\d+\.tar\.gz", db_file_storage.save(None, File(io.BytesIO(b"data"), path)))
    with transaction.atomic(), DbFileIO(0, "wb", name=path) as file:
        assert file.name == f"{file.loid}.tar.gz"


def test_a_file_whose_name_is_a_number_is_saved_without_an_extension() -> None:
    with tempfile.TemporaryFile() as file:
        assert isinstance(file.name, int)
        for given in (file, File(file)):
            file.write(b"data")
            file.seek(0)
            name = db_file_storage.save(None, given)
            assert name.isdecimal()
            assert stored(name) == b"data"
            file.seek(0)
            file.truncate()


@pytest.mark.parametrize("size", SIZES)
def test_a_driver_is_given_the_types_that_it_is_promised(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    connections["default"].ensure_connection()
    driver: type[SQLDriver] = type(cast("SQLDriver", get_driver(connections["default"].connection)))
    given = set[type]()
    execute = driver.execute

    def recorded(self: SQLDriver, query: LiteralString, params: Sequence[object] = ()) -> list[tuple[object, ...]]:
        given.update(map(type, params))
        return execute(self, query, params)

    monkeypatch.setattr(driver, "execute", recorded)
    db_file_storage.save("a.txt", ContentFile(content(size)))
    assert given - {int, str, type(None)} <= {memoryview}


def test_a_source_may_fill_one_buffer_again_and_again(catalogue: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest is made in a thread, and may come late: what it is of must not change meanwhile."""
    parts = [bytes([number]) * PART for number in range(1, 4)]
    refilled = threading.Event()

    class Source:
        def chunks(self) -> Iterator[memoryview]:
            buffer = bytearray(PART)
            for part in parts:
                buffer[:] = part
                yield memoryview(buffer)
            buffer[:] = bytes(PART)
            refilled.set()

    class SlowDigest:
        def __init__(self) -> None:
            self._digest = sha256()

        def update(self, data: Buffer) -> None:
            assert refilled.wait(30)
            self._digest.update(data)

        def hexdigest(self) -> str:
            return self._digest.hexdigest()

    sha256 = hashlib.sha256
    with monkeypatch.context() as patched:
        patched.setattr(hashlib, "sha256", SlowDigest)
        name = db_file_storage.save("a.bin", cast("IO[bytes]", Source()))
    assert stored(name) == b"".join(parts)
    if catalogue:
        assert db_file_storage.entry(name).sha256 == sha256(b"".join(parts)).hexdigest()


@pytest.mark.parametrize("size", [1, 1000, 60_000])
def test_many_small_chunks_are_joined(size: int) -> None:
    data = content(3 * LARGE)

    class Source:
        def chunks(self) -> Iterator[bytes]:
            return (data[start : start + size] for start in range(0, len(data), size))

    name = db_file_storage.save("a.bin", cast("IO[bytes]", Source()))
    assert stored(name) == data
