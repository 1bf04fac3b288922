"""Whole files: cat, pipe, get, put, cp, mv, rm."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fsspec.callbacks import Callback

from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.names import parse_name

DATA = bytes(range(256)) * 10_000
RANGES = [
    (None, None),
    (0, 5),
    (3, None),
    (None, 4),
    (-5, None),
    (None, -5),
    (-5, -2),
    (5, 2),
    (0, 2**40),
    (2**40, None),
]


@pytest.mark.parametrize(("start", "end"), RANGES)
def test_ranges_are_those_of_slices(fs: PgLoFileSystem, start: int | None, end: int | None) -> None:
    for data in (b"0123456789", DATA):
        assert fs.cat_file(fs.pipe_file("new", data), start, end) == data[start:end]


def test_cat_and_pipe_take_many(fs: PgLoFileSystem, path: str, free_name: Callable[[], str]) -> None:
    second = free_name()
    fs.pipe({path: b"one", second: b"two"})
    assert fs.cat([path, second]) == {path: b"one", second: b"two"}
    missing = free_name()
    assert fs.cat([path, missing], on_error="omit") == {path: b"one"}


def test_put_and_get_keep_the_content(fs: PgLoFileSystem, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(DATA)
    fs.put(str(tmp_path / "source"), "pglo://new.bin")
    assert fs.last_created is not None
    assert fs.last_created.endswith(".bin")
    fs.get(fs.last_created, str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == DATA
    name = fs.put_file(tmp_path / "source", "new")
    assert name == fs.last_created
    memory = io.BytesIO()
    fs.get_file(str(name), memory)
    assert memory.getvalue() == DATA


def test_put_reports_its_progress(fs: PgLoFileSystem, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(DATA)
    seen: list[int] = []

    class Recording(Callback):
        def set_size(self, size: int) -> None:
            seen.append(-size)

        def relative_update(self, inc: int = 1) -> None:
            seen.append(inc)

    fs.put_file(tmp_path / "source", "new", callback=Recording())
    assert seen[0] == -len(DATA)
    assert sum(seen[1:]) == len(DATA)
    assert len(seen) > 2


def test_create_does_not_replace(fs: PgLoFileSystem, path: str, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(DATA)
    with pytest.raises(FileExistsError):
        fs.put_file(tmp_path / "source", path, mode="create")
    with pytest.raises(FileExistsError):
        fs.pipe_file(path, b"other", mode="create")
    assert fs.cat_file(path) == b"0123456789"


def test_folders_are_passed_over(fs: PgLoFileSystem, tmp_path: Path) -> None:
    assert fs.put_file(tmp_path, "new") is None
    fs.mkdir("anything")
    assert fs.ls("") == []


def test_get_of_what_is_missing_leaves_no_file(fs: PgLoFileSystem, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fs.get_file("4000000000", tmp_path / "copy")
    with pytest.raises(TypeError, match="a path or a file"):
        fs.get_file("4000000000")
    assert list(tmp_path.iterdir()) == []


def test_get_keeps_the_local_file_where_it_fails_half_way(fs: PgLoFileSystem, path: str, tmp_path: Path) -> None:
    class Failing(Callback):
        def relative_update(self, inc: int = 1) -> None:
            raise ZeroDivisionError(inc)

    (tmp_path / "copy").write_bytes(b"before")
    with pytest.raises(ZeroDivisionError):
        fs.get_file(path, tmp_path / "copy", callback=Failing())
    assert (tmp_path / "copy").read_bytes() == b"before"
    fs.get_file(path, tmp_path / "folder" / "copy")
    assert (tmp_path / "folder" / "copy").read_bytes() == b"0123456789"
    fs.get_file("", tmp_path / "other")
    assert (tmp_path / "other").is_dir()


def test_copies(fs: PgLoFileSystem, free_name: Callable[[], str]) -> None:
    source = fs.pipe_file("new.bin", DATA)
    shorter = fs.pipe_file("new", DATA * 2)
    copies = [fs.cp_file(source, "new.copy"), fs.cp_file(source, free_name()), fs.cp_file(source, shorter)]
    assert copies[0] == fs.last_created
    assert len({parse_name(name) for name in [source, *copies]}) == 4
    for name in copies:
        assert fs.cat_file(name) == DATA


def test_an_object_is_not_copied_or_moved_onto_itself(fs: PgLoFileSystem, path: str) -> None:
    other = path.replace(".txt", ".csv")
    with pytest.raises(shutil.SameFileError):
        fs.cp_file(path, other)
    with pytest.raises(shutil.SameFileError):
        fs.mv(path, other)
    assert fs.cat_file(path) == b"0123456789"


def test_moving(fs: PgLoFileSystem, path: str, free_name: Callable[[], str]) -> None:
    target = free_name()
    fs.mv(path, target)
    assert not fs.exists(path)
    assert fs.cat_file(target) == b"0123456789"


def test_a_move_that_fails_leaves_both(
    fs: PgLoFileSystem, path: str, free_name: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise LargeObjectNotFound("gone")

    target = free_name()
    monkeypatch.setattr(fs, "rm", fail)
    with pytest.raises(LargeObjectNotFound):
        fs.mv(path, target)
    assert fs.exists(path)
    assert not fs.exists(target)


def test_removing(fs: PgLoFileSystem, path: str) -> None:
    second, third, kept = (fs.pipe_file("new", b"x") for _ in range(3))
    fs.rm(path)
    fs.rm([second, third])
    assert fs.ls("", detail=False) == [kept]
    with pytest.raises(LargeObjectNotFound):
        fs.rm(path)
    fs.rm(kept, recursive=True)
    assert fs.ls("") == []


@pytest.mark.parametrize("path_", ["", "/", "pglo://", ["123", "pglo://"]])
def test_everything_is_not_removed_at_once(fs: PgLoFileSystem, path: str, path_: "str | list[Any]") -> None:
    with pytest.raises(PermissionError, match="unlink every large object"):
        fs.rm(path_, recursive=True)
    assert fs.exists(path)


def test_touch(fs: PgLoFileSystem, path: str, free_name: Callable[[], str]) -> None:
    name = free_name()
    fs.touch(name)
    fs.touch(path)
    assert (fs.size(name), fs.size(path)) == (0, 0)
