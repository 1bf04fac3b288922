"""``repair`` and ``prune`` as commands: what they say, and what they return."""

import pytest
from django.core.files.base import ContentFile
from django.core.management.base import CommandError

from pg_lo_storage.management.arguments import age_of, rate_of, share_of
from pg_lo_storage.storage import db_file_storage
from tests.damage.planting import sql
from tests.damage.support import largeobjects, records

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other", "replica"])
ON = ("--database", "default")


@pytest.fixture
def orphan() -> str:
    name = db_file_storage.save("a.txt", ContentFile(b"data"))
    change = "created_at = created_at - interval '8 days', modified_at = modified_at - interval '8 days'"
    sql(f"update pg_lo_storage_file set {change}")
    return name


@pytest.mark.parametrize("command", [("prune",), ("repair", "--orphans")], ids=" ".join)
def test_it_changes_something_with_yes_only(orphan: str, command: tuple[str, ...]) -> None:
    status, lines = largeobjects(*command, *ON)
    assert (status, lines[-1]) == (1, "default: orphan: 1 would be mended, with --yes")
    assert db_file_storage.exists(orphan)
    assert largeobjects(*command, *ON, "--older-than", "9d", "--yes") == (0, ["default: orphan: 0 mended"])
    status, [record] = records(*command, *ON, "--yes")
    assert (status, record["name"], record["mended"], record["left"]) == (0, orphan, True, "")
    assert not db_file_storage.exists(orphan)
    assert largeobjects(*command, *ON, "--yes", "-v", "0") == (0, [])


@pytest.mark.usefixtures("orphan")
def test_each_kind_is_counted_by_itself() -> None:
    sql("select lo_unlink(loid) from pg_lo_storage_file")
    status, lines = largeobjects("repair", "--entries", *ON, "--yes")
    assert (status, lines[1:]) == (0, ["default: entry: 1 mended", "default: uncatalogued: 0 mended"])


def test_what_is_left_has_a_reason_and_a_status() -> None:
    sql("insert into shelf_contract (data) values ('4000000000.pdf')")
    try:
        status, lines = largeobjects("repair", "--dangling", "null", *ON, "--yes")
        assert (status, lines[-1]) == (1, "default: dangling: 0 mended, 1 left")
        assert "left, the column takes neither NULL nor an empty text" in lines[0]
    finally:
        sql("truncate shelf_contract")


def test_it_has_to_be_said_what_is_to_be_mended() -> None:
    with pytest.raises(CommandError, match="say what to mend"):
        largeobjects("repair", "--yes")


def test_arguments_have_units() -> None:
    assert [age_of(text).total_seconds() for text in ("7d", "12h", "0")] == [604_800, 43_200, 0]
    assert [rate_of(text) for text in ("20MB/s", "500kB/s", "1.5m")] == [20e6, 500e3, 1.5e6]
    assert share_of("5%") == 0.05
    for read, text in ((age_of, "7"), (rate_of, "fast"), (rate_of, "0"), (share_of, "5"), (share_of, "0%")):
        with pytest.raises(Exception, match="is no"):
            read(text)
