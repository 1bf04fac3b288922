"""What a path names, and what there is."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.exceptions import LargeObjectPermissionDenied
from pg_lo_storage.names import parse_name
from tests.fixtures.connections import Connect, RawConnection, run

NO_NAMES = ["report.parquet", "0.txt", "007", "-1", "4294967296", "dir/123", "../123", "123/4", "newer.txt", "dir/new"]


def test_one_object_has_the_name_of_its_oid_with_any_extension(fs: PgLoFileSystem, path: str) -> None:
    oid = parse_name(path)
    for name in [path, str(oid), f"{oid}.parquet", f"pglo://{oid}.csv", f"/{oid}", f"pglo:///{oid}"]:
        assert fs.cat_file(name) == b"0123456789"
        assert fs.exists(name)
        assert fs.isfile(name)
        assert not fs.isdir(name)


@pytest.mark.parametrize("name", NO_NAMES)
def test_other_names_do_not_exist(fs: PgLoFileSystem, name: str) -> None:
    assert not fs.exists(name)
    assert not fs.isfile(name)
    for call in (fs.info, fs.ls, fs.cat_file, fs.open, fs.size, fs.rm_file, fs.created, fs.ukey):
        with pytest.raises(FileNotFoundError):
            call(name)


@pytest.mark.parametrize("name", NO_NAMES)
def test_other_names_cannot_be_written(
    fs: PgLoFileSystem, name: str, tmp_path: Path, count_large_objects: Callable[..., int]
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OSError, match="named by its oid: write to 'pglo://new'"):
        fs.open(name, "wb")
    with pytest.raises(OSError, match="named by its oid"):
        fs.pipe_file(name, b"x")
    with pytest.raises(OSError, match="named by its oid"):
        fs.put_file(tmp_path / "file", name)
    assert not count_large_objects()


@pytest.mark.parametrize("derived", ["{}.tmp", "{}.gz", "{}.bak.txt", "{}."])
def test_what_programs_derive_from_a_name_is_neither_written_nor_removed(
    fs: PgLoFileSystem, path: str, derived: str
) -> None:
    name = derived.format(f"{parse_name(path)}.csv")
    assert fs.cat_file(name) == b"0123456789"
    other = fs.pipe_file("new", b"x")
    with pytest.raises(OSError, match="with one extension at most"):
        fs.rm(name)
    with pytest.raises(OSError, match="with one extension at most"):
        fs.pipe_file(name, b"x")
    with pytest.raises(OSError, match="with one extension at most"):
        fs.open(name, "wb")
    with pytest.raises(OSError, match="with one extension at most"):
        fs.mv(other, name)
    assert fs.cat_file(path) == b"0123456789"
    fs.rm(f"{parse_name(path)}.csv")
    assert not fs.exists(path)


def test_a_missing_object_is_a_missing_file(fs: PgLoFileSystem, free_name: Callable[[], str]) -> None:
    name = free_name()
    assert not fs.exists(name)
    for call in (fs.info, fs.ls, fs.cat_file, fs.open, fs.size, fs.rm_file, fs.created, fs.ukey):
        with pytest.raises(FileNotFoundError):
            call(name)
    assert fs.pipe_file("new", b"and the transaction goes on")


def test_the_root_is_the_one_folder(fs: PgLoFileSystem, path: str) -> None:
    second = fs.pipe_file("new", b"12")
    for root in ("", "/", "pglo://"):
        assert fs.isdir(root)
        assert fs.exists(root)
        assert not fs.isfile(root)
        assert fs.info(root) == {"name": "", "size": 0, "type": "directory"}
        names = sorted([str(parse_name(path)), second], key=int)
        assert fs.ls(root, detail=False) == names
        assert fs.ls(root) == [fs.info(name) for name in names]
        assert fs.find(root) == sorted(names)
        assert fs.glob("pglo://*") == sorted(names)


def test_a_file_is_described_by_size_and_oid(fs: PgLoFileSystem, path: str) -> None:
    described = {"name": path, "size": 10, "type": "file", "oid": parse_name(path)}
    assert fs.info(path) == described
    assert fs.ls(path) == [described]
    assert fs.ls(path, detail=False) == [path]
    assert fs.size(path) == 10
    assert fs.find(path) == [path]


def test_what_the_role_may_not_read_is_listed_without_a_size(connect: Connect) -> None:
    hidden = PgLoFileSystem(connection=connect(autocommit=True, user="stranger")).pipe_file("new", b"secret")
    shared = PgLoFileSystem(connection=connect(autocommit=True, user="stranger"))
    readable = shared.pipe_file("new", b"12345")
    run_without_rows(connect(autocommit=True, user="stranger"), f"grant select on large object {readable} to app")
    connection = connect()
    fs = PgLoFileSystem(connection=connection)
    sizes = {entry["name"]: entry["size"] for entry in fs.ls("")}
    assert sizes == {hidden: None, readable: 5}
    assert fs.exists(hidden)
    for call in (fs.cat_file, fs.open, fs.size, fs.rm_file):
        with pytest.raises(LargeObjectPermissionDenied):
            call(hidden)
    with pytest.raises(LargeObjectPermissionDenied):
        fs.pipe_file(readable, b"overwritten")
    with pytest.raises(LargeObjectPermissionDenied):
        fs.cp_file(hidden, "new")
    assert run(connection, "select 1") == [(1,)]


def test_a_superuser_sees_every_size(connect: Connect) -> None:
    name = PgLoFileSystem(connection=connect(autocommit=True, user="stranger")).pipe_file("new", b"secret")
    fs = PgLoFileSystem(connection=connect(user="postgres"))
    assert fs.ls("") == [fs.info(name)]
    assert fs.size(name) == 6


def test_times_are_unknown_without_the_catalogue(fs: PgLoFileSystem, path: str) -> None:
    with pytest.raises(io.UnsupportedOperation, match="keeps no times of large objects"):
        fs.created(path)
    with pytest.raises(io.UnsupportedOperation, match="keeps no times of large objects"):
        fs.modified(path)


def test_a_key_tells_contents_apart(fs: PgLoFileSystem, path: str) -> None:
    key, checksum = fs.ukey(path), fs.checksum(path)
    assert (fs.ukey(path), fs.checksum(path)) == (key, checksum)
    fs.pipe_file(path, b"9876543210")  # as many bytes, and no time or version of the server's tells
    assert fs.ukey(path) != key
    assert fs.checksum(path) != checksum


def run_without_rows(connection: RawConnection, statement: str) -> None:
    connection.cursor().execute(statement)
