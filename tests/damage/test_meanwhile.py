"""What changes between a finding and its mending is judged anew; what the server cannot read is found, and left."""

import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core.files.base import ContentFile
from django.core.management.base import CommandError
from django.test import override_settings

from pg_lo_storage.maintenance import checking, digests
from pg_lo_storage.maintenance.checking import Check
from pg_lo_storage.maintenance.contents import Contents
from pg_lo_storage.maintenance.digests import Pace
from pg_lo_storage.maintenance.entries import Extensions, Missing
from pg_lo_storage.maintenance.orphans import Orphans
from pg_lo_storage.storage import db_file_storage
from tests.damage.planting import BOOK, DATA, sql
from tests.damage.shelf.models import Book
from tests.damage.support import findings, kinds, largeobjects, mend, misread
from tests.fixtures.connections import RawConnection, run

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other", "replica"])

ON = ("--database", "default")
HIDDEN = f"alter table {BOOK} force row level security, enable row level security"
SHOWN = f"alter table {BOOK} no force row level security, disable row level security"


def book(data: bytes = b"data") -> Book:
    return Book.objects.create(data=ContentFile(data, "a.txt"))


def test_what_the_server_cannot_read_is_found_and_left_and_the_others_are_read(superuser: RawConnection) -> None:
    small, large, whole = book(b"x" * 5_000), book(b"x" * 3_000_000), book(b"whole")
    for damaged in (small, large):
        query = "update pg_largeobject set data = convert_to(repeat('x', 3000), 'utf8') where loid = %s and pageno = 0"
        cursor = superuser.cursor()
        cursor.execute(query, [damaged.data.loid])
    try:
        status, lines = largeobjects("check", "--deep", *ON)
        assert status == 1
        assert {str(found.data.name): str(found.data.name) in "\n".join(lines) for found in (small, large, whole)} == {
            str(small.data.name): True,
            str(large.data.name): True,
            str(whole.data.name): False,
        }
        assert {left for _, left in mend("digest")} == {"it cannot be read: restore it from a backup"}
    finally:
        run(superuser, "select lo_unlink(oid) from pg_largeobject_metadata")
        sql(f"truncate {BOOK}, pg_lo_storage_file cascade")


def test_files_are_read_in_pages_and_together_by_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "_PAGE", 3)
    books = [book(bytes([n]) * 200_000) for n in range(8)]
    wrong = books[5].data.name
    sql("update pg_lo_storage_file set sha256 = repeat('0', 64) where loid = %s", books[5].data.loid)
    monkeypatch.setattr(digests, "time", SimpleNamespace(monotonic=time.monotonic, sleep=float))
    # Of two files the second would be more than is read at a time.
    reads = list(digests.Digests("default", Pace(600_000)).read())
    assert (sum(read.files for read in reads), sum(read.bytes for read in reads)) == (8, 1_600_000)
    assert max(read.files for read in reads) == 1
    assert [found.name for read in reads for found in read.found] == [wrong]


def test_orphans_are_found_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "BATCH", 2)
    names = sorted(db_file_storage.save("a.txt", ContentFile(b"nobody's")) for _ in range(5))
    assert sorted(found.name for found in findings() if found.kind == "orphan") == names


def test_a_file_that_is_gone_or_right_by_now_is_not_mended() -> None:
    gone, right = book(b"gone"), book(b"right")
    digest = sql("select sha256 from pg_lo_storage_file where loid = %s", right.data.loid)[0][0]
    sql("update pg_lo_storage_file set sha256 = repeat('0', 64)")
    found = misread()
    gone.delete()
    sql("update pg_lo_storage_file set sha256 = %s", digest)
    left = {finding.oid: reason for finding, reason in Contents(Check("default"), found, Pace()).judge(found).items()}
    assert set(left) == {finding.oid for finding in found}
    assert left.pop(right.data.loid) != "it is gone"
    assert list(left.values()) == ["it is gone"]


def test_an_extension_follows_rows_only_while_they_agree() -> None:
    first = book()
    sql("update pg_lo_storage_file set extension = '.pdf'")
    mender = Extensions(Check("default"))
    [finding] = mender.findings()
    second = Book.objects.create()
    sql(f"update {BOOK} set {DATA} = %s where id = %s", f"{first.data.loid}.png", second.pk)
    assert f"rows name it '{first.data.loid}.png' and '{first.data.loid}.txt'" in mender.judge([finding])[finding]
    sql(f"truncate {BOOK} cascade")
    assert mender.judge([finding])[finding] == "no row names it any more"
    sql(HIDDEN)
    try:
        mender = Extensions(Check("default"))
        assert list(mender.findings()) == []
        assert mender.judge([finding]) == {finding: "rows that name it otherwise may be missed"}
    finally:
        sql(SHOWN)


def test_an_entry_is_made_only_while_there_is_an_object() -> None:
    row = book()
    sql("truncate pg_lo_storage_file")
    mender = Missing(Check("default"))
    [finding] = mender.findings()
    sql("select lo_unlink(%s)", row.data.loid)
    assert mender.judge([finding]) == {finding: "its object is gone"}


def test_nothing_is_an_orphan_once_rows_are_hidden() -> None:
    db_file_storage.save("a.txt", ContentFile(b"nobody's"))
    mender = Orphans(Check("default"), timedelta(0))
    batch = list(mender.findings())
    assert kinds(batch) == ["orphan"]
    assert not mender.judge(batch).get(batch[0])
    sql(HIDDEN)
    try:
        assert mender.judge(batch).get(batch[0])
    finally:
        sql(SHOWN)


@pytest.mark.parametrize("command", [("repair", "--entries"), ("prune",)])
def test_without_the_catalogues_table_there_are_no_files_to_mend(command: tuple[str, ...]) -> None:
    sql("alter table pg_lo_storage_file rename to away")
    try:
        with pytest.raises(CommandError, match="'default' has no catalogue"):
            largeobjects(*command, *ON)
    finally:
        sql("alter table away rename to pg_lo_storage_file")


def test_a_model_of_users_that_is_not_there_is_nobody() -> None:
    row = book()
    with override_settings(AUTH_USER_MODEL="nothing.User"):
        assert str(row.pk) in "\n".join(largeobjects("who", str(row.data.name), *ON)[1])
