"""``lo_export`` and ``lo_import``: files of this machine, whole or not at all."""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from example.cluster import Server
from pg_lo_storage.drivers import get_driver
from tests.fixtures.connections import INSTALLED, open_connection
from tests.transfer.places import LINES, Failing, Place


class Steps:
    """The progress that was reported."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def report(self, done: int, total: int) -> None:
        self.seen.append((done, total))


def test_export_and_import_are_each_other_s_inverse_and_report_their_progress(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "file"
    exported, imported = Steps(), Steps()
    oid = place.save(LINES)
    assert place.lo_export(oid, path, progress=exported.report) == len(LINES)
    assert path.read_bytes() == LINES
    again = place.lo_import(str(path), progress=imported.report)
    assert place.load(again) == LINES
    for steps in (exported, imported):
        assert steps.seen == [(1 << 20, len(LINES)), (2 << 20, len(LINES)), (len(LINES), len(LINES))]


@pytest.mark.parametrize("size", [0, 10])
def test_small_files_are_exported_and_imported(place: Place, tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    assert place.lo_export(place.save(LINES[:size]), path) == size
    assert path.read_bytes() == LINES[:size]
    assert place.load(place.lo_import(path)) == LINES[:size]


def test_an_export_replaces_the_file_only_when_it_is_whole(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"what was there")
    oid = place.save(LINES)

    def progress(done: int, _total: int) -> None:
        assert path.read_bytes() == b"what was there"
        if done > 1 << 20:
            raise Failing

    with pytest.raises(Failing):
        place.lo_export(oid, path, progress)
    assert path.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [path]
    assert place.driver.in_transaction is not place.autocommit
    place.lo_export(oid, path)
    assert path.read_bytes() == LINES


def test_an_export_follows_a_link_and_replaces_nothing_but_files(place: Place, tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"")
    link.symlink_to(target)
    oid = place.save(b"content")
    place.lo_export(oid, link)
    assert link.is_symlink()
    assert target.read_bytes() == b"content"
    for path in (tmp_path, os.devnull):
        with pytest.raises(FileExistsError):
            place.lo_export(oid, path)


def test_an_export_keeps_the_permissions_of_the_file_that_it_replaces(place: Place, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"secret")
    path.chmod(0o600)
    seen: list[int] = []

    def progress(_done: int, _total: int) -> None:
        seen.extend(stat.S_IMODE(part.stat().st_mode) for part in tmp_path.iterdir())

    place.lo_export(place.save(b"content"), path, progress)
    assert seen == [0o600, 0o600]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_what_has_no_size_is_imported_with_a_total_of_what_is_done(in_autocommit: Place, tmp_path: Path) -> None:
    path, steps = tmp_path / "pipe", Steps()
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(LINES,))
    writer.start()
    oid = in_autocommit.lo_import(path, progress=steps.report)
    writer.join()
    assert in_autocommit.load(oid) == LINES
    assert {(done, total) for done, total in steps.seen if done != total} == set()
    assert steps.seen[-1] == (len(LINES), len(LINES))


def test_an_export_is_of_one_moment(place: Place, server: Server, tmp_path: Path) -> None:
    oid = place.save(LINES)
    if not place.autocommit:
        place.execute("commit")
    writer = open_connection(INSTALLED[0], server.dsn(), autocommit=True)
    place.lo_export(oid, tmp_path / "file", lambda _done, _all: get_driver(writer).put(oid, len(LINES) - 9, bytes(9)))
    writer.close()
    assert (tmp_path / "file").read_bytes() == LINES


def test_an_import_that_fails_leaves_nothing(
    place: Place, large_objects: Callable[[], set[int]], tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(LINES)

    def progress(_done: int, _total: int) -> None:
        raise Failing

    with pytest.raises(Failing):
        place.lo_import(tmp_path / "file", progress)
    with pytest.raises(FileNotFoundError):
        place.lo_import(tmp_path / "missing")
    if not place.autocommit:
        place.execute("commit")
    assert large_objects() == set()
