"""``save`` and ``lo_import`` that tell what they know: oid, size and SHA-256, hashed on the way."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pg_lo_storage
from pg_lo_storage import Saved
from pg_lo_storage.transfer import asynchronous, blocking
from tests.transfer.places import LINES, Failing, Place, parts
from tests.transfer.test_saving import CONTENTS


def saved(place: Place, content: Any) -> Saved:
    found = place.result_of(pg_lo_storage.save(place.connection, content, digest=True))
    assert isinstance(found, Saved)
    return found


@pytest.mark.parametrize("size", [0, 262_145, len(LINES)])
@pytest.mark.parametrize("content", [CONTENTS[name] for name in ("bytes", "file", "lines", "reused blocks")])
def test_a_save_tells_oid_size_and_digest(in_autocommit: Place, content: Callable[[bytes], Any], size: int) -> None:
    data = LINES[:size]
    oid, length, sha256 = saved(in_autocommit, content(data))
    assert (length, sha256) == (size, hashlib.sha256(data).hexdigest())
    assert in_autocommit.content(oid) == data
    assert not in_autocommit.driver.in_transaction


@pytest.mark.parametrize("size", [10, len(LINES)])
@pytest.mark.parametrize("with_progress", [False, True])
def test_so_does_an_import(in_autocommit: Place, tmp_path: Path, size: int, *, with_progress: bool) -> None:
    path, done = tmp_path / "file", list[int]()
    path.write_bytes(LINES[:size])
    found: Saved = in_autocommit.result_of(
        pg_lo_storage.lo_import(
            in_autocommit.connection,
            path,
            progress=(lambda now, _total: done.append(now)) if with_progress else None,
            digest=True,
        )
    )
    assert found[1:] == (size, hashlib.sha256(LINES[:size]).hexdigest())
    assert in_autocommit.content(found.oid) == LINES[:size]
    assert done[-1:] == ([size] if with_progress else [])


def test_one_that_fails_leaves_nothing(place: Place, large_objects: Callable[[], set[int]]) -> None:
    def failing() -> Any:
        yield from parts(LINES, 300_000)
        raise Failing

    with pytest.raises(Failing):
        saved(place, failing())
    with pytest.raises(TypeError):
        saved(place, "text")
    place.execute("commit")
    assert large_objects() == set()


def test_a_plain_save_makes_no_digest(in_autocommit: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise AssertionError

    for module in (blocking, asynchronous):
        monkeypatch.setattr(module, "Digest", refuse)
    (tmp_path / "file").write_bytes(LINES)
    assert in_autocommit.content(in_autocommit.save(LINES)) == LINES
    assert in_autocommit.content(in_autocommit.lo_import(tmp_path / "file")) == LINES


@pytest.mark.once
def test_one_at_the_very_end_of_the_interpreter_has_its_digest_as_well() -> None:
    """There are no more threads then."""
    program = """
import atexit, hashlib
from pg_lo_storage import save as store
from pg_lo_storage.testing import InMemoryConnection, InMemoryServer

data = bytes(range(256)) * 8192
connection = InMemoryConnection(InMemoryServer())

def save():
    parts = (data[start:start + 300_000] for start in range(0, len(data), 300_000))
    saved = store(connection, parts, digest=True)
    print(saved.size, saved.sha256 == hashlib.sha256(data).hexdigest())

atexit.register(save)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2097152 True\n", "")
