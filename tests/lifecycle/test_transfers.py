"""``manage.py largeobjects transfer``: rows and their files move to another database, each of them once."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError
from django.db import connections, models, transaction
from django.test import override_settings

from pg_lo_storage.drivers.errors import sqlstate_of
from pg_lo_storage.maintenance import transfers
from pg_lo_storage.maintenance.transfers import Transfer
from pg_lo_storage.names import parse_name
from tests.fixtures.connections import Connect, run
from tests.lifecycle.guards import EVERY_GUARD
from tests.lifecycle.papers.models import (
    Contract,
    Draft,
    Enclosure,
    Folder,
    Letter,
    Paper,
    Picture,
    Receipt,
    Remote,
    Sheet,
    Tag,
    Tagged,
    Version,
)
from tests.lifecycle.support import column, image, read, sql, upload
from tests.lifecycle.transfers import LARGE, objects, paper, rows, transfer

# Without the app there is no such command: tests/lifecycle/test_transfers_bare.py has what a project's own can do.
pytestmark = pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)


@EVERY_GUARD
def test_rows_and_files_move_and_nothing_stays(guard: str) -> None:
    for n in range(3):
        paper(title=f"paper {n}", count=n, data=upload(b"%d" % n), scan=image(n + 1, 1))
    paper(title="without a file")
    paper(title="large", data=upload(LARGE))
    before = rows(Paper, "default")
    assert "5 rows with 7 files of" in transfer("papers.Paper")
    assert rows(Paper, "other") == before
    assert not rows(Paper, "default")
    assert (objects("default"), objects("other")) == (0, 7), guard
    assert read(Paper.objects.using("other").get(title="large").data) == LARGE
    assert "0 rows" in transfer("papers.Paper")
    transfer("papers.Paper", source="other", target="default")
    assert rows(Paper, "default") == before
    assert objects("default") == 7


def test_what_the_catalogue_knows_goes_along() -> None:
    paper(data=upload(b"content", "Letter from home.tar.gz"))
    sql("update pg_lo_storage_file set created_at = '2020-01-02 03:04:05.678901Z', content_type = 'application/x-own'")
    before = sql(
        "select extension, original_name, content_type, size, sha256, created_at, modified_at from pg_lo_storage_file"
    )
    transfer("papers.Paper")
    after = sql(
        "select extension, original_name, content_type, size, sha256, created_at, modified_at from pg_lo_storage_file",
        using="other",
    )
    assert after == before
    assert before[0][5] == datetime(2020, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def test_only_the_rows_that_are_asked_for_move() -> None:
    folders = [Folder.objects.create(id=n) for n in (1, 2)]
    Folder.objects.using("other").bulk_create([Folder(id=1), Folder(id=2)])
    for n in range(6):
        paper(id=n + 1, count=n, folder=folders[n % 2], title="even" if n % 2 else "", data=upload(b"%d" % n))
    transfer("papers.Paper", "--where", "folder=1", "count__gt=0")
    assert set(rows(Paper, "other")) == {3, 5}
    transfer("papers.Paper", "--where", "id__in=1,2", "--where", "title__exact=")
    assert set(rows(Paper, "other")) == {1, 3, 5}
    transfer("papers.Paper", "--where", "folder__isnull=no", "folder__id=2", "data__isnull=False")
    assert set(rows(Paper, "other")) == {1, 2, 3, 4, 5, 6}
    assert objects("default") == 0


@pytest.mark.parametrize("where", ["nonsense=1", "id=x", "id", "=1", "id__isnull__x=1"])
def test_a_condition_that_is_none_is_told(where: str) -> None:
    paper(data=upload())
    with pytest.raises(CommandError):
        transfer("papers.Paper", "--where", where)
    assert len(rows(Paper, "default")) == 1


@pytest.mark.parametrize("label", ["papers.Nothing", "nothing.Paper", "papers", "papers.Paper.data"])
def test_a_model_that_is_none_is_told(label: str) -> None:
    with pytest.raises(CommandError, match=r"transfer takes app\.Model"):
        transfer(label)


def test_a_proxy_is_its_model() -> None:
    paper(data=upload())
    transfer("papers.Draft")
    assert len(rows(Draft, "other")) == 1
    assert objects("default") == 0


def _stop(*_: object, **_options: object) -> None:
    raise KeyboardInterrupt


@EVERY_GUARD
@pytest.mark.parametrize("moment", ["_leave", "_copied", "_read"])
def test_ctrl_c_at_any_moment_and_a_second_run_finishes(
    guard: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(4):
        paper(title=str(n), data=upload(b"%d" % n), scan=image(n + 1, 1))
    before = rows(Paper, "default")
    with monkeypatch.context() as patch:
        patch.setattr(Transfer, moment, _stop)
        with pytest.raises(CommandError, match="interrupted") as caught:
            transfer("papers.Paper")
    assert caught.value.returncode == 130
    assert rows(Paper, "default") == before
    copied = moment == "_leave"
    assert rows(Paper, "other") == (before if copied else {}), guard
    printed = transfer("papers.Paper")
    assert ("4 of which an earlier run had copied" in printed) == copied
    assert rows(Paper, "other") == before
    assert (objects("default"), objects("other")) == (0, 8)


def test_meanwhile_others_read_and_wait_to_write(monkeypatch: pytest.MonkeyPatch, connect: Connect) -> None:
    row = paper(data=upload())
    tables = {"papers_paper": f"id = {row.pk}", "pg_lo_storage_file": f"loid = {parse_name(row.data.name)}"}
    refused = list[str | None]()

    def look(*_: object) -> None:
        for table, key in tables.items():
            connection = connect()
            assert len(run(connection, f"select from {table} where {key}")) == 1
            with pytest.raises(Exception, match="could not obtain lock") as caught:
                run(connection, f"select from {table} where {key} for no key update nowait")
            refused.append(sqlstate_of(caught.value))
        _stop()

    monkeypatch.setattr(Transfer, "_copied", look)
    with pytest.raises(CommandError, match="interrupted"):
        transfer("papers.Paper")
    assert refused == ["55P03", "55P03"]


def test_what_was_done_before_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for n in range(4):
        paper(data=upload(b"%d" % n))
    batches = iter([False, False, True])

    def stop_at_the_third(*_: object) -> None:
        if next(batches):
            _stop()

    monkeypatch.setattr(Transfer, "_expect_what_stays", stop_at_the_third)
    with pytest.raises(CommandError, match=r"interrupted \(2 rows with 2 files of 2 bytes moved before; run the"):
        transfer("papers.Paper", "--batch-size", "1")
    assert (objects("default"), objects("other")) == (2, 3)


def _another_title(twin: Paper) -> None:
    Paper.objects.using("other").filter(pk=twin.pk).update(title="another")


def _another_file(twin: Paper) -> None:
    loid = parse_name(twin.data.name)
    sql("select lo_put(%s, 0, 'X')", loid, using="other")


def _no_file(twin: Paper) -> None:
    sql("update papers_paper set data = null where id = %s", twin.pk, using="other")


@pytest.mark.parametrize("change", [_another_title, _another_file, _no_file])
def test_a_row_with_that_key_and_other_content_is_an_error(change: Callable[[Paper], None]) -> None:
    papers = [paper(title="one", data=upload(b"%d" % n)) for n in range(3)]
    transfer("papers.Paper", "--keep", "--where", f"id={papers[1].pk}")
    change(Paper.objects.using("other").get())
    before = [(rows(Paper, alias), objects(alias)) for alias in ("default", "other")]
    with pytest.raises(CommandError, match=rf"papers.Paper {papers[1].pk} is not the same on 'default' and 'other'"):
        transfer("papers.Paper")
    assert [(rows(Paper, alias), objects(alias)) for alias in ("default", "other")] == before


@EVERY_GUARD
def test_a_copy_stays_and_is_taken_for_what_it_is(guard: str) -> None:
    paper(title="kept", data=upload())
    before = rows(Paper, "default")
    assert "1 rows with 1 files of 5 bytes copied" in transfer("papers.Paper", "--keep")
    assert rows(Paper, "other") == rows(Paper, "default") == before
    assert "1 of which an earlier run had copied, with 0 files" in transfer("papers.Paper", "--keep")
    transfer("papers.Paper")
    assert rows(Paper, "other") == before
    assert (objects("default"), objects("other")) == (0, 1), guard


def test_a_dry_run_says_what_would_be_done_and_changes_nothing() -> None:
    paper(data=upload(b"content"))
    before = rows(Paper, "default")
    assert "1 rows with 1 files of 7 bytes would be moved" in transfer("papers.Paper", "--dry-run")
    assert (rows(Paper, "default"), rows(Paper, "other"), objects("other")) == (before, {}, 0)
    Paper.objects.using("other").create(pk=next(iter(before)), title="another")
    with pytest.raises(CommandError, match="is not the same"):
        transfer("papers.Paper", "--dry-run")


def test_what_rows_refer_to_has_to_be_there() -> None:
    folder = Folder.objects.create(name="tax")
    paper(folder=folder, data=upload())
    with pytest.raises(CommandError, match=rf"Paper.folder refers to papers.Folder {folder.pk}, and 'other' has"):
        transfer("papers.Paper")
    assert objects("other") == 0
    transfer("papers.Folder", "--keep")
    transfer("papers.Paper")
    transfer("papers.Folder")
    assert rows(Folder, "other") == {folder.pk: {"pk": folder.pk, "id": folder.pk, "name": "tax"}}
    assert not rows(Folder, "default")


def test_a_row_that_others_refer_to_is_not_deleted() -> None:
    kept = paper(data=upload())
    Enclosure.objects.create(loose=kept, data=upload(b"enclosed"))
    with pytest.raises(CommandError, match=r"papers.Enclosure.loose refers to papers.Paper \d+, which therefore"):
        transfer("papers.Paper")
    assert not rows(Paper, "other")
    for arguments in (["papers.Paper", "--keep"], ["papers.Enclosure"], ["papers.Paper"]):
        transfer(*arguments)
    assert {row["loose_id"] for row in rows(Enclosure, "other").values()} == {kept.pk}
    assert (objects("default"), objects("other")) == (0, 2)


def test_rows_that_refer_to_each_other_move_together() -> None:
    first = Version.objects.create(data=upload(b"first"))
    Version.objects.create(previous=first, data=upload(b"second"))
    before = rows(Version, "default")
    with pytest.raises(CommandError, match=rf"papers.Version.previous refers to papers.Version {first.pk}, which ther"):
        transfer("papers.Version", "--where", f"id={first.pk}")
    transfer("papers.Version")
    assert (rows(Version, "default"), rows(Version, "other")) == ({}, before)


def test_rows_that_are_related_many_to_many_go_the_same_way() -> None:
    user, group = User.objects.create(username="ada"), Group.objects.create(name="staff")
    user.groups.add(group)
    try:
        with pytest.raises(CommandError, match=r"auth.User_groups.user refers to auth.User \d+"):
            transfer("auth.User")
        for arguments in (["auth.User", "--keep"], ["auth.Group", "--keep"], ["auth.User_groups"], ["auth.User"]):
            transfer(*arguments)
        assert User.objects.using("other").get().groups.get() == group
        assert not User.objects.exists()
    finally:
        for alias in ("default", "other"):
            User.objects.using(alias).all().delete()
            Group.objects.using(alias).all().delete()


@EVERY_GUARD
def test_a_row_in_two_tables_moves_with_both(guard: str) -> None:
    Contract.objects.create(title="lease", data=upload(b"draft"), signed=upload(b"signed"))
    paper(title="not a contract")
    before = rows(Contract, "default")
    with pytest.raises(CommandError, match=r"papers.Paper \d+ is also a row of papers.Contract"):
        transfer("papers.Paper")
    transfer("papers.Contract")
    assert rows(Contract, "other") == before
    assert [row["title"] for row in rows(Paper, "default").values()] == ["not a contract"]
    assert (objects("default"), objects("other")) == (0, 2), guard


@pytest.mark.parametrize(
    "row",
    [
        lambda: Receipt(data=upload()),
        lambda: Letter(code="a'b%c", data=upload()),
        lambda: Sheet(book=1, page=2, data=upload()),
        lambda: Picture(title="ten by four", image=image(10, 4)),
    ],
)
def test_any_key_will_do(row: Callable[[], models.Model]) -> None:
    made = row()
    made.save()
    model = type(made)
    before = rows(model, "default")
    transfer(model._meta.label, "--batch-size", "1")
    assert rows(model, "other") == before
    assert (len(rows(model, "default")), objects("default")) == (0, 0)


def test_pages_follow_one_another_by_keys_of_two_columns() -> None:
    for book in range(3):
        for page in range(3):
            Sheet.objects.create(book=book, page=page, data=upload(b"%d" % page))
    before = rows(Sheet, "default")
    transfer("papers.Sheet", "--batch-size", "2")
    assert rows(Sheet, "other") == before
    assert objects("default") == 0


def test_the_target_gives_no_key_out_again() -> None:
    moved = paper(data=upload())
    Paper.objects.filter(pk=moved.pk).update(id=moved.pk + 1_000)
    [last] = column("select last_value from papers_paper_id_seq", using="other")
    assert last < moved.pk + 1_000
    transfer("papers.Paper")
    assert Paper.objects.using("other").create().pk > moved.pk + 1_000
    low = Paper.objects.create(id=1)
    transfer("papers.Paper")
    assert Paper.objects.using("other").create().pk > moved.pk + 1_001
    assert Paper.objects.using("other").filter(pk=low.pk).exists()


def test_a_file_that_another_row_names_stays() -> None:
    first = paper(title="first", data=upload(b"shared"))
    paper(title="second", data=first.data.name)
    transfer("papers.Paper", "--where", "title=first")
    assert [row["data"] for alias in ("default", "other") for row in rows(Paper, alias).values()] == [b"shared"] * 2
    assert (objects("default"), objects("other")) == (1, 1)
    transfer("papers.Paper")
    assert (objects("default"), objects("other")) == (0, 2)


@EVERY_GUARD
def test_files_on_an_alias_of_their_own_stay_where_they_are(guard: str) -> None:
    row = Remote.objects.create(data=upload(b"remote"))
    name = row.data.name
    for source, target in (("default", "other"), ("other", "default")):
        assert "1 rows with 0 files" in transfer("papers.Remote", source=source, target=target)
        assert Remote.objects.using(target).get().data.name == name, guard
        assert (objects("default"), objects("other")) == (0, 1)


def test_a_name_without_a_file_is_an_error_and_one_of_no_file_a_text() -> None:
    broken = paper(title="broken")
    sql("update papers_paper set data = '4000000123.pdf' where id = %s", broken.pk)
    with pytest.raises(CommandError, match=rf"papers.Paper {broken.pk} names '4000000123.pdf' in data, and 'default'"):
        transfer("papers.Paper")
    sql("update papers_paper set data = 'legacy/name.pdf' where id = %s", broken.pk)
    transfer("papers.Paper")
    assert rows(Paper, "other")[broken.pk]["data"] == "legacy/name.pdf"


def test_a_copy_whose_file_was_lost_is_not_the_same() -> None:
    paper(data=upload())
    transfer("papers.Paper", "--keep")
    sql("select lo_unlink(oid) from pg_largeobject_metadata", using="other")
    with pytest.raises(CommandError, match="is not the same"):
        transfer("papers.Paper")
    assert len(rows(Paper, "default")) == 1


def test_a_generic_relation_counts_as_one() -> None:
    tagged = Tagged.objects.create()
    kind = ContentType.objects.get_for_model(Tagged)
    Tag.objects.create(kind=kind, key=tagged.pk, data=upload())
    with pytest.raises(CommandError, match=r"papers.Tag refers to papers.Tagged \d+, by tags"):
        transfer("papers.Tagged")
    there = ContentType.objects.using("other").get(pk=kind.pk)
    ContentType.objects.using("other").filter(pk=kind.pk).update(model="another")
    try:
        with pytest.raises(CommandError, match=r"papers.Tag.kind refers to contenttypes.ContentType \d+, which is"):
            transfer("papers.Tag")
    finally:
        there.save(using="other")
    assert len(rows(Tag, "default")) == 1
    transfer("papers.Tag")
    transfer("papers.Tagged")
    assert [len(rows(model, "other")) for model in (Tag, Tagged)] == [1, 1]


def test_two_aliases_of_one_database_are_refused() -> None:
    paper(data=upload())
    for source, target in (("default", "replica"), ("default", "default")):
        with pytest.raises(CommandError, match="are one database"):
            transfer("papers.Paper", source=source, target=target)
    assert len(rows(Paper, "default")) == 1


def test_tables_that_differ_are_refused() -> None:
    paper(data=upload())
    sql("alter table papers_paper add own int")
    try:
        with pytest.raises(CommandError, match="own of its columns"):
            transfer("papers.Paper")
    finally:
        sql("alter table papers_paper drop own")


def test_a_column_that_cannot_hold_the_value_is_noticed() -> None:
    paper(title="long enough", data=upload())
    sql("alter table papers_paper alter title type varchar(4)", using="other")
    try:
        with pytest.raises(CommandError, match="is not the same on 'default' and 'other', by title"):
            transfer("papers.Paper")
        assert objects("other") == 0
    finally:
        sql("alter table papers_paper alter title type text", using="other")


def test_a_unique_value_that_is_taken_is_told() -> None:
    paper(title="taken", data=upload())
    Paper.objects.using("other").create(title="taken")
    sql("create unique index papers_title on papers_paper (title)", using="other")
    try:
        with pytest.raises(CommandError, match=r"default to other: papers.Paper: duplicate key .*\(taken\)"):
            transfer("papers.Paper")
        assert (objects("default"), objects("other")) == (1, 0)
    finally:
        sql("drop index papers_title", using="other")


def test_values_are_the_same_whatever_the_sessions_say() -> None:
    sql(
        "alter table papers_folder add at timestamptz default '2020-01-01 12:00', add share float8 default 1.0/3,"
        " add raw bytea default '\\x0001', add own jsonb default '{\"a\": [1, null]}', add more int[] default '{1,2}'"
    )
    sql(
        "alter table papers_folder add at timestamptz, add share float8, add own jsonb, add more int[], add raw bytea",
        using="other",
    )
    sql("set extra_float_digits = -15; set bytea_output = escape; set datestyle = 'sql, dmy'", using="other")
    try:
        Folder.objects.create(name="typed")
        transfer("papers.Folder")
        query = "select share = 1.0/3::float8, raw, own, more, extract(epoch from at)::int8 from papers_folder"
        [(share, raw, own, more, _)] = sql(query, using="other")
        assert (share, bytes(raw), own, more) == (True, b"\x00\x01", '{"a": [1, null]}', [1, 2])
        assert not Folder.objects.exists()
    finally:
        connections["other"].close()
        for alias in ("default", "other"):
            sql("alter table papers_folder drop at, drop share, drop raw, drop own, drop more", using=alias)


def test_files_and_batches_are_as_small_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Transfer(Paper, "default", "other").size == transfers.MOST_FILES // 2
    assert Transfer(Folder, "default", "other").size == transfers.MOST_FILES
    monkeypatch.setattr(transfers, "MOST_FILES", 1)
    assert Transfer(Contract, "default", "other").size == 1


@pytest.mark.parametrize("size", ["0", "1001", "x"])
def test_a_batch_is_of_some_rows(size: str) -> None:
    with pytest.raises(CommandError, match="batch-size"):
        transfer("papers.Paper", "--batch-size", size)


def test_within_a_transaction_nothing_could_be_committed() -> None:
    paper(data=upload())
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        transfer("papers.Paper")
    assert len(rows(Paper, "default")) == 1


def test_only_databases_that_may_have_the_rows_and_their_files_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    paper(data=upload())
    nowhere = override_settings(DATABASE_ROUTERS=[f"{__name__}.Nowhere"])
    with nowhere, pytest.raises(CommandError, match=r"the routers do not allow papers\.Paper on 'other'"):
        transfer("papers.Paper")
    monkeypatch.setattr(connections["other"], "vendor", "sqlite")
    with pytest.raises(CommandError, match="PostgreSQL"):
        transfer("papers.Paper")
    monkeypatch.undo()
    assert len(rows(Paper, "default")) == 1


class Nowhere:
    """A router that has no table made."""

    def allow_migrate(self, *_: object, **__: object) -> bool:
        return False


def test_a_row_of_which_the_target_has_a_part_is_another() -> None:
    contract = Contract.objects.create(title="lease", data=upload(), signed=upload(b"signed"))
    Paper.objects.using("other").create(id=contract.pk, title="lease")
    with pytest.raises(CommandError, match="is not the same on 'default' and 'other', by papers_contract"):
        transfer("papers.Contract")
    assert len(rows(Contract, "default")) == 1


def test_a_row_that_nothing_generic_refers_to_moves() -> None:
    Tagged.objects.create()
    transfer("papers.Tagged")
    assert (len(rows(Tagged, "default")), len(rows(Tagged, "other"))) == (0, 1)
