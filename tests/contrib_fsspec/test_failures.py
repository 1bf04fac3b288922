"""What fails half way changes nothing, and leaves a transaction of the caller's usable."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from tests.fixtures.connections import RawConnection, run

LARGE = bytes(3_000_000)


class Failing(Exception):
    """What goes wrong in the middle."""


class FailingFile:
    """A file that fails when some of it is read."""

    def __init__(self) -> None:
        self._blocks = iter([LARGE])

    def read(self, _size: int) -> bytes:
        with suppress(StopIteration):
            return next(self._blocks)
        raise Failing


class Context:
    """A file as a context manager."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def fileno(self) -> int:
        return 0

    def read(self, size: int) -> bytes:
        data: bytes = self._file.read(size)
        return data


@pytest.mark.parametrize("how", ["pipe", "put", "append", "new"])
def test_what_fails_half_way_changes_nothing(
    fs: PgLoFileSystem, path: str, how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    before = fs.ls("", detail=False)
    failing: Any = FailingFile()

    def open_failing(*_: object) -> Context:
        return Context(failing)

    appended = fs.open(path, "ab")
    appended.write(b"more")
    monkeypatch.setattr(vars(appended)["_content"], "read", failing.read)
    calls: dict[str, Callable[[], object]] = {
        "pipe": lambda: fs.pipe_file(path, failing),
        "put": lambda: fs.put_file(tmp_path / "file", path),
        "new": lambda: fs.pipe_file("new", failing),
        "append": appended.close,
    }
    if how == "put":
        monkeypatch.setattr(Path, "open", open_failing)
    with pytest.raises(Failing):
        calls[how]()
    appended.discard()
    assert fs.cat_file(path) == b"0123456789"
    assert fs.ls("", detail=False) == before


def test_an_error_leaves_the_caller_s_transaction_usable(
    connection: RawConnection, fs_of_caller: PgLoFileSystem, content: Callable[..., Any]
) -> None:
    fs = fs_of_caller
    kept = fs.pipe_file("new", b"kept")
    calls: list[Callable[[], object]] = [
        lambda: fs.open("4000000000"),
        lambda: fs.rm("4000000000"),
        lambda: fs.cp_file("4000000000", kept),
        lambda: fs.cp_file("4000000000", "new"),
        lambda: fs.pipe_file(kept, b"", mode="create"),
        lambda: fs.open("name.txt", "wb"),
        lambda: fs.cat_file(kept, 2**50, 2**50 + 1),
    ]
    for call in calls:
        with suppress(OSError):
            call()
        assert run(connection, "select 1") == [(1,)]
    connection.commit()
    assert content(kept) == b"kept"
