"""A receipt says what was erased, all of it and nothing else, whenever the process ended."""

import hashlib
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.core.files.base import ContentFile
from django.db import models
from django.test import override_settings

from pg_lo_storage.maintenance.erasing import CannotErase, settle
from pg_lo_storage.maintenance.receipts import BadReceipt, Receipt, read
from tests.catalogue.support import run
from tests.erasing.desk.models import DISK, Customer, Letter, Moving, Remote
from tests.erasing.support import erase, kinds, letter, page, query
from tests.fixtures.connections import Connect

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

HEAD = {"query": "all"}
Change = Callable[[list[bytes]], list[bytes]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "receipt"


class Crash(BaseException):
    """The process ends here."""


def crash(path: Path, rows: "models.QuerySet[models.Model]", *, before: str = "", after: str = "") -> None:
    """Erase rows in a process that ends before a record of one kind is written, or when one of another kind was."""
    with Receipt(path, HEAD) as receipt, pytest.MonkeyPatch.context() as patched:
        write = receipt.write

        def writing(kind: str, **values: object) -> None:
            if kind == before:
                raise Crash
            write(kind, **values)
            if kind == after:
                raise Crash

        patched.setattr(receipt, "write", writing)
        with pytest.raises(Crash):
            erase(rows, receipt)


def erased(path: Path) -> list[tuple[str, str]]:
    """Return the files that a receipt says were erased, with their outcome."""
    batches: dict[int, Any] = {}
    found: list[tuple[str, str]] = []
    for record in read(path):
        if record["kind"] == "batch":
            batches[record["batch"]] = record["files"]
        elif record["kind"] == "committed":
            later = {file["name"]: file["state"] for file in record["files"]}
            found += [(file["name"], later.get(file["name"], file["state"])) for file in batches[record["batch"]]]
    return found


def test_it_has_digest_size_times_table_and_key_of_each_file(path: Path, catalogue: bool) -> None:
    row = letter(b"content")
    with Receipt(path, HEAD) as receipt:
        erase(query(Letter), receipt)
        receipt.write("end")
    begin, batch, committed, end = read(path)
    assert [begin["kind"], committed["kind"], end["kind"]] == ["begin", "committed", "end"]
    assert (begin["query"], batch["rows"], batch["keys"]) == (
        "all",
        {"desk.Letter": 1},
        {"desk_letter": [str(row.pk)]},
    )
    [file] = batch["files"]
    assert (file["state"], file["size"], file["rows"]) == ("erased", 7, [["desk_letter", "data", str(row.pk)]])
    assert file["sha256"] == hashlib.sha256(b"content").hexdigest()
    assert bool(file["created_at"]) == bool(file["original_name"]) == catalogue


def test_an_unknown_digest_is_made_before_the_file_goes(path: Path) -> None:
    letter(b"x" * 3_000_000)
    run("update pg_lo_storage_file set sha256 = null")
    with Receipt(path, HEAD) as receipt:
        erase(query(Letter), receipt)
    assert [record["files"][0]["sha256"] for record in read(path) if record["kind"] == "batch"] == [
        hashlib.sha256(b"x" * 3_000_000).hexdigest()
    ]


def test_a_crash_before_the_commit_claims_nothing(path: Path, catalogue: bool) -> None:
    name = str(letter().data.name)
    crash(path, query(Letter), after="batch")
    assert Letter.objects.exists()
    with Receipt(path, HEAD) as receipt:
        assert receipt.is_resumed
        assert settle(receipt) is None
        erase(query(Letter), receipt)
    assert kinds(path) == ["begin", "batch", "undone", "batch", "committed"]
    assert erased(path) == [(name, "erased")]
    assert catalogue is not None


def test_a_crash_after_the_commit_loses_nothing(path: Path, catalogue: bool) -> None:
    name = str(letter().data.name)
    crash(path, query(Letter), before="committed")
    assert not Letter.objects.exists()
    with Receipt(path, HEAD) as receipt:
        step = settle(receipt)
        assert step is not None
        assert [file.name for file in step.files] == [name]
        assert erase(query(Letter), receipt) == []
    assert kinds(path) == ["begin", "batch", "committed"]
    assert erased(path) == [(name, "erased")]
    assert catalogue is not None


def test_files_of_another_database_go_when_the_work_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends when the rows are gone, and before their files are."""
    row = Remote.objects.create(data=ContentFile(b"far", "a.pdf"))
    with monkeypatch.context() as patched:
        patched.setattr("pg_lo_storage.lifecycle.leaving.release", Mock())
        patched.setattr("pg_lo_storage.maintenance.erasing.release", Mock())
        crash(path, query(Remote), before="committed")
    assert run("select count(*) from pg_largeobject_metadata", using="other") == [(1,)]
    with Receipt(path, HEAD) as receipt:
        settle(receipt)
    assert run("select count(*) from pg_largeobject_metadata", using="other") == [(0,)]
    assert erased(path) == [(str(row.data.name), "erased")]


def test_old_files_go_when_the_work_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = DISK.save("letters/1.pdf", ContentFile(b"old"))
    run("insert into desk_moving (data) values (%s)", name)
    with monkeypatch.context() as patched:
        patched.setattr("pg_lo_storage.lifecycle.leaving.delete_after_commit", Mock())
        patched.setattr("pg_lo_storage.maintenance.erasing.delete_old", Mock(side_effect=Crash))
        with Receipt(path, HEAD) as receipt, pytest.raises(Crash):
            erase(query(Moving), receipt)
    assert DISK.exists(name)
    with Receipt(path, HEAD) as receipt:
        settle(receipt)
    assert not DISK.exists(name)
    assert erased(path) == [(name, "erased")]
    [batch] = [record for record in read(path) if record["kind"] == "batch"]
    assert batch["files"][0]["sha256"] == hashlib.sha256(b"old").hexdigest()


def test_a_transaction_that_has_not_ended_yet_is_waited_for(
    path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server has not noticed yet that its process has ended."""
    letter()
    left = connect()
    cursor = left.cursor()
    cursor.execute("select pg_current_xact_id()::text")
    monkeypatch.setattr("pg_lo_storage.maintenance.erasing._xid", Mock(return_value=(cursor.fetchone() or [""])[0]))
    crash(path, query(Letter), after="batch")

    def let_it_end(_seconds: float) -> None:
        left.rollback()

    wait = Mock(side_effect=let_it_end)
    monkeypatch.setattr("pg_lo_storage.maintenance.erasing.time.sleep", wait)
    with Receipt(path, HEAD) as receipt:
        assert settle(receipt) is None
    assert wait.call_count == 1
    assert kinds(path) == ["begin", "batch", "undone"]


@pytest.mark.parametrize("transaction", [3, 2**62 + 100], ids=["long ago", "another server's"])
def test_what_the_server_does_not_know_any_more_is_not_claimed(
    path: Path, monkeypatch: pytest.MonkeyPatch, transaction: int
) -> None:
    letter()
    monkeypatch.setattr("pg_lo_storage.maintenance.erasing._xid", Mock(return_value=str(transaction)))
    crash(path, query(Letter), before="committed")
    with Receipt(path, HEAD) as receipt, pytest.raises(CannotErase, match="does not know any more"):
        settle(receipt)
    assert kinds(path) == ["begin", "batch"]


def test_only_its_owner_may_read_it(path: Path) -> None:
    with Receipt(path, HEAD):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_each_line_is_on_disk_before_the_work_goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    letter()
    synced: list[int] = []
    fsync = os.fsync

    def syncing(file: int) -> None:
        synced.append(path.stat().st_size)
        fsync(file)

    monkeypatch.setattr(os, "fsync", syncing)
    with Receipt(path, HEAD) as receipt:
        erase(query(Letter), receipt)
    ends = [0]
    for line in path.read_bytes().splitlines(keepends=True):
        ends.append(ends[-1] + len(line))
    assert synced == ends


@pytest.fixture
def written(path: Path) -> Path:
    """The receipt of two batches."""
    with Receipt(path, HEAD) as receipt:
        for name in "ab":
            page(letter(customer=Customer.objects.create(name=name)))
            erase(query(Customer, name=name), receipt)
        receipt.write("end")
    return path


def changed(lines: list[bytes]) -> list[bytes]:
    return [line.replace(b"erased", b"kept  ") for line in lines]


def dropped(lines: list[bytes]) -> list[bytes]:
    return [*lines[:1], *lines[2:]]


def repeated(lines: list[bytes]) -> list[bytes]:
    return [*lines[:3], lines[1], *lines[3:]]


def swapped(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[3], lines[4], lines[1], lines[2], lines[5]]


def no_receipt(_lines: list[bytes]) -> list[bytes]:
    return [b"{}\n"]


def no_text(_lines: list[bytes]) -> list[bytes]:
    return [b"\xff\n"]


def added(lines: list[bytes]) -> list[bytes]:
    return [*lines, b'{"kind": "batch", "files": []}']


def added_again(lines: list[bytes]) -> list[bytes]:
    return [*lines, lines[-1].removesuffix(b"\n")]


@pytest.mark.parametrize(
    "change", [changed, dropped, repeated, swapped, no_receipt, no_text, added, added_again], ids=lambda f: f.__name__
)
def test_a_line_that_is_not_as_written_is_found(written: Path, change: Change) -> None:
    assert kinds(written) == ["begin", "batch", "committed", "batch", "committed", "end"]
    written.write_bytes(b"".join(change(written.read_bytes().splitlines(keepends=True))))
    with pytest.raises(BadReceipt, match="line"):
        kinds(written)


def test_a_key_that_was_changed_still_verifies_as_a_fallback(written: Path) -> None:
    with override_settings(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["tests only"]):
        assert len(kinds(written)) == 6
    with override_settings(SECRET_KEY="new"), pytest.raises(BadReceipt):
        kinds(written)


def test_a_line_that_was_not_finished_is_written_anew(path: Path) -> None:
    letter()
    crash(path, query(Letter), before="committed")
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"\n") + 20])
    assert kinds(path) == ["begin"]
    with Receipt(path, HEAD) as receipt:
        assert receipt.pending is None
        receipt.write("end")
    assert kinds(path) == ["begin", "end"]
    path.write_bytes(b'{"kin')
    with Receipt(path, HEAD):
        pass
    assert kinds(path) == ["begin"]


def test_a_receipt_of_other_work_or_one_that_has_ended_is_refused(written: Path, tmp_path: Path) -> None:
    path = tmp_path / "letter"
    with pytest.raises(BadReceipt, match="has ended"), Receipt(written, HEAD):
        pass
    written.write_bytes(b"".join(written.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(BadReceipt, match="other work"), Receipt(written, {"query": "some"}):
        pass
    path.write_text("my letter\n")
    with pytest.raises(BadReceipt), Receipt(path, HEAD):
        pass
    assert path.read_text() == "my letter\n"


def test_two_processes_do_not_write_one_receipt(path: Path) -> None:
    with Receipt(path, HEAD) as one, Receipt(path, HEAD) as two:
        one.write("batch", batch=1)
        with pytest.raises(BadReceipt, match="another process"):
            two.write("batch", batch=1)
    assert kinds(path) == ["begin", "batch"]


def test_each_line_is_json(written: Path) -> None:
    assert [json.loads(line)["kind"] for line in written.read_text().splitlines()] == kinds(written)
