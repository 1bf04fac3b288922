"""The files that the filesystem opens."""

import gc
import gzip
import io
import pickle
import random
import shutil
import zipfile
from collections.abc import Callable
from typing import IO, Any

import fsspec
import pytest
from fsspec.compression import compr

from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.names import parse_name
from tests.fixtures.connections import RawConnection, open_connection
from tests.fixtures.proxy import Wire
from tests.fixtures.server import WIRE

LARGE = random.Random(7).randbytes(5_000_000)


def test_new_is_given_an_oid_by_the_server(fs: PgLoFileSystem) -> None:
    with fs.open("pglo://new.tar.gz", "wb") as file:
        assert file.oid is None
        file.write(b"content")
    assert file.path == file.name == f"{file.oid}.tar.gz" == fs.last_created
    assert fs.cat_file(file.path) == b"content"
    with fs.open("new", "wb") as second:
        second.write(b"other")
    assert second.path == str(second.oid) == fs.last_created
    assert second.oid != file.oid


@pytest.mark.parametrize("content", [b"", b"shorter", LARGE], ids=["empty", "short", "large"])
def test_writing_replaces_the_content(fs: PgLoFileSystem, path: str, content: bytes) -> None:
    with fs.open(path, "wb") as file:
        file.write(content)
    assert file.path == path
    assert fs.cat_file(path) == content


def test_writing_creates_the_object_where_its_oid_is_free(fs: PgLoFileSystem, free_name: Callable[[], str]) -> None:
    name = free_name()
    with fs.open(name, "wb") as file:
        file.write(b"content")
    assert file.oid == parse_name(name)
    assert fs.cat_file(name) == b"content"


def test_appending(fs: PgLoFileSystem, path: str, free_name: Callable[[], str]) -> None:
    with fs.open(path, "ab") as file:
        assert file.tell() == 10
        file.write(b"abc")
        file.seek(0)
        file.write(b"def")
        assert file.tell() == 16
        with pytest.raises(io.UnsupportedOperation):
            file.truncate(3)
    assert fs.cat_file(path) == b"0123456789abcdef"
    for name in (free_name(), "new"):
        with fs.open(name, "ab") as file:
            file.write(b"created")
        assert fs.cat_file(file.path) == b"created"


def test_two_that_append_lose_nothing(fs: PgLoFileSystem, path: str) -> None:
    first, second = fs.open(path, "ab"), fs.open(path, "ab")
    first.write(b"A")
    second.write(b"B")
    second.close()
    first.close()
    assert fs.cat_file(path) == b"0123456789BA"


def test_exclusive_creation_fails_also_where_another_was_faster(
    fs: PgLoFileSystem, free_name: Callable[[], str]
) -> None:
    name = free_name()
    file = fs.open(name, "xb")
    fs.pipe_file(name, b"faster")
    with pytest.raises(FileExistsError):
        file.close()
    assert fs.cat_file(name) == b"faster"


@pytest.mark.parametrize("mode", ["rb+", "wb+", "ab+"])
def test_updating_in_place_is_for_the_package_s_own_file(fs: PgLoFileSystem, path: str, mode: str) -> None:
    with pytest.raises(io.UnsupportedOperation, match=r"use pg_lo_storage\.open\(\)"):
        fs.open(path, mode)
    assert fs.cat_file(path) == b"0123456789"


def test_a_file_that_is_written_can_be_sought_in(fs: PgLoFileSystem) -> None:
    with fs.open("new.zip", "wb") as file:
        assert (file.readable(), file.writable(), file.seekable(), file.mode) == (False, True, True, "wb")
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("member", LARGE)
        assert file.seek(0, io.SEEK_END) == file.seek(0, io.SEEK_CUR) > len(LARGE)
        with pytest.raises(OSError, match="Invalid argument"):
            file.seek(-1)
        with pytest.raises(ValueError, match="whence value 7"):
            file.seek(0, 7)
        with pytest.raises(io.UnsupportedOperation):
            file.read()
        with pytest.raises(TypeError):
            file.write("text")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType] -- no bytes
    with fs.open(file.path) as stored, zipfile.ZipFile(stored) as archive:
        assert archive.read("member") == LARGE
    with pytest.raises(ValueError, match="closed file"):
        file.write(b"late")


def test_truncating(fs: PgLoFileSystem) -> None:
    with fs.open("new", "wb") as file:
        file.write(b"0123456789")
        assert file.truncate(4) == 4
        assert file.truncate(6) == 6
        assert file.tell() == 10
    assert fs.cat_file(file.path) == b"0123\0\0"


@pytest.mark.parametrize("compression", ["gzip", "bz2", "xz"])
def test_compression(fs: PgLoFileSystem, compression: str) -> None:
    data = LARGE[:1_500_000]  # xz takes a second for all of it
    with fs.open("new", "wb", compression=compression) as file:
        file.write(data)
    assert fs.cat_file(file.path, 0, 100) != data[:100]
    with fs.open(file.path, compression=compression) as stored:
        assert stored.read() == data
    with fs.open("new.gz", "wb", compression="infer") as file:
        file.write(b"content")
    assert file.path == f"{file.oid}.gz" == fs.last_created
    options: dict[str, Any] = fs.storage_options
    with fsspec.open(f"pglo://{file.path}", compression="infer", **options) as read:
        assert read.read() == b"content"


@pytest.mark.parametrize("compression", [None, "gzip"])
def test_text(fs: PgLoFileSystem, compression: str | None) -> None:
    with fs.open("new.csv.gz", "wt", encoding="utf-16", compression=compression) as file:
        file.write("Übung\n")
    with fs.open(str(fs.last_created), "rt", encoding="utf-16", compression=compression) as file:
        assert file.read() == "Übung\n"


def test_what_fails_to_be_compressed_is_not_stored(
    fs: PgLoFileSystem, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    close = gzip.GzipFile.close

    def fail(file: gzip.GzipFile) -> None:
        close(file)
        raise ZeroDivisionError

    file = fs.open(path, "wb", compression="gzip")
    file.write(b"half")
    monkeypatch.setattr(gzip.GzipFile, "close", fail)
    with pytest.raises(ZeroDivisionError):
        file.close()
    monkeypatch.undo()
    assert fs.cat_file(path) == b"0123456789"


@pytest.mark.parametrize("mode", ["rb", "wb", "ab"])
def test_a_compression_that_does_not_begin_stores_nothing(
    fs: PgLoFileSystem, path: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setitem(compr, "broken", fail)
    with pytest.raises(ZeroDivisionError):
        fs.open(path, mode, compression="broken")
    gc.collect()  # of a file that was left open it would warn
    assert fs.cat_file(path) == b"0123456789"


def test_a_compressed_file_is_sought_in_as_its_library_does_and_closed_once(fs: PgLoFileSystem) -> None:
    with fs.open("new", "wb", compression="gzip") as file:
        file.write(b"content")
        file.seek(10)  # it returns another number since Python 3.12
        assert (file.seekable(), file.tell()) == (True, 10)
        file.close()
    assert gzip.decompress(fs.cat_file(file.path)) == b"content\0\0\0"


@pytest.mark.parametrize("mode", ["wb", "ab", "w", "a"])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_a_block_that_fails_stores_nothing(fs: PgLoFileSystem, path: str, mode: str, compression: str | None) -> None:
    half: Any = b"half" if "b" in mode else "half"
    for target in (path, "new"):
        with pytest.raises(ZeroDivisionError), fs.open(target, mode, compression=compression) as file:  # noqa: PT012
            file.write(half)
            raise ZeroDivisionError
        assert fs.cat_file(path) == b"0123456789"
        assert len(fs.ls("")) == 1


@pytest.mark.parametrize(
    "options", [{"compression": "no such"}, {"mode": "w", "encoding": "no such"}, {"mode": "wt", "newline": "no such"}]
)
def test_a_file_that_does_not_open_is_not_stored(fs: PgLoFileSystem, path: str, options: dict[str, Any]) -> None:
    with pytest.raises((ValueError, LookupError), match="no such"):
        fs.open(path, **{"mode": "wb", **options})
    gc.collect()
    assert fs.cat_file(path) == b"0123456789"


def test_text_is_appended_without_a_second_byte_order_mark(fs: PgLoFileSystem, free_name: Callable[[], str]) -> None:
    name = free_name()
    for line in ("a\n", "b\n"):
        with fs.open(name, "a", encoding="utf-16") as file:
            file.write(line)
    assert fs.cat_file(name) == "a\nb\n".encode("utf-16")


def test_reading_is_random_access(fs: PgLoFileSystem) -> None:
    path = fs.pipe_file("new.bin", LARGE)
    with fs.open(path) as file:
        assert (file.name, file.path, file.size) == (path, path, len(LARGE))
        assert file.seek(-5, io.SEEK_END) == len(LARGE) - 5
        assert file.read() == LARGE[-5:]
        assert file.seek(4_000_000) == 4_000_000
        assert file.read(7) == LARGE[4_000_000:4_000_007]
        file.seek(0)
        copied = io.BytesIO()
        shutil.copyfileobj(file, copied)
    assert copied.getvalue() == LARGE


@pytest.mark.usefixtures("server")
def test_a_jump_reads_little(driver_name: str, pytestconfig: pytest.Config) -> None:
    wire: Wire = pytestconfig.stash[WIRE]
    connection = open_connection(driver_name, wire.dsn, autocommit=True)
    fs = PgLoFileSystem(connection=connection)
    path = fs.pipe_file("new.bin", LARGE)
    with fs.open(path) as file, wire.counting() as trips:
        for position in (1_000_000, 2_000_000, 3_000_000):
            file.seek(position)
            assert file.read(100) == LARGE[position : position + 100]
            assert file.read(4000) == LARGE[position + 100 : position + 4100]
    assert trips.count == 3
    connection.close()


def test_a_range_takes_one_round_trip_in_autocommit(driver_name: str, pytestconfig: pytest.Config) -> None:
    wire: Wire = pytestconfig.stash[WIRE]
    connection = open_connection(driver_name, wire.dsn, autocommit=True)
    fs = PgLoFileSystem(connection=connection)
    path = fs.pipe_file("new.bin", LARGE)
    with wire.counting() as trips:
        assert fs.cat_file(path, 1_000_000, 2_000_000) == LARGE[1_000_000:2_000_000]
    assert trips.count == 1
    connection.close()


def test_files_may_be_open_side_by_side(fs: PgLoFileSystem, path: str) -> None:
    with fs.open(path) as source, fs.open("new", "wb") as first, fs.open("new", "wb") as second:
        first.write(source.read(5))
        second.write(source.read(3))
        first.write(source.read())
    assert fs.cat([first.path, second.path]) == {first.path: b"0123489", second.path: b"567"}


# Since Python 3.14 a GzipFile warns of itself, too.
@pytest.mark.filterwarnings("ignore:unclosed GzipFile:ResourceWarning")
def test_a_forgotten_file_is_not_stored(fs: PgLoFileSystem, path: str) -> None:
    for compression in (None, "gzip"):
        opened: list[IO[Any]] = [
            fs.open(path, "wb", compression=compression),
            fs.open(path, "w", compression=compression),
        ]
        for half in ("half", b"half"):
            opened[-1].write(half)
            with pytest.warns(ResourceWarning, match="never closed, so that nothing of it is stored") as warned:
                drop_last(opened)
            assert not any("contrib/fsspec/" in warning.filename for warning in warned)
    assert fs.cat_file(path) == b"0123456789"


def test_a_file_that_is_read_may_be_forgotten(fs: PgLoFileSystem, path: str) -> None:
    packed = fs.pipe_file("new", gzip.compress(b"content"))
    opened: list[IO[Any]] = [fs.open(path), fs.open(path, "r"), fs.open(packed, compression="gzip")]
    assert [file.read(1) for file in opened] == [b"0", "0", b"c"]
    while opened:
        drop_last(opened)
    assert fs.exists(path)


def drop_last(files: list[IO[Any]]) -> None:
    files.pop()
    gc.collect()


def test_a_file_cannot_be_pickled(fs: PgLoFileSystem, path: str) -> None:
    with fs.open(path) as reader, fs.open(path, "wb") as writer:
        for file in (reader, writer):
            with pytest.raises(TypeError):
                pickle.dumps(file)
        writer.discard()


def test_writing_does_not_touch_the_connection_before_the_end(
    connection: RawConnection, fs_of_caller: PgLoFileSystem, count_large_objects: Callable[..., int]
) -> None:
    with fs_of_caller.open("new", "wb") as file:
        file.write(LARGE)
        connection.commit()
    connection.commit()
    assert count_large_objects() == 1
