"""``manage.py largeobjects move``: files go from one place to another, and their rows get the new names."""

import io
import json
import os
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from django.conf import settings as project
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

from pg_lo_storage.maintenance import moves
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import DbFileStorage, db_file_storage
from tests.lifecycle.support import image, read, sql, upload
from tests.moving.letters.models import Fax, Letter, Parcel
from tests.moving.support import LARGE, THEN, put, row_of

LATER = THEN + timedelta(days=400)

pytestmark = pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)


def move(label: str, *arguments: str, yes: bool = True, status: int = 0) -> str:
    """Run the command; return what it says on both streams."""
    out = io.StringIO()
    given = ["largeobjects", "move", label, *arguments, *(["--yes"] if yes else [])]
    found: object = 0
    try:
        call_command(*given, stdout=out, stderr=out)
    except SystemExit as error:
        found = error.code
    assert found == status, out.getvalue()
    return out.getvalue()


def names() -> list[str]:
    return [str(letter.data.name) for letter in Letter.objects.order_by("pk")]


def listed(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def count_objects() -> int:
    return int(sql("select count(*) from pg_largeobject_metadata")[0][0])


def test_files_come_in_from_a_disk_with_names_dates_types_and_bytes(old: Path) -> None:
    path = put(old, "letters/2020/a letter.tar.gz", b"small")
    put(old, "letters/2020/b.pdf", LARGE, LATER)
    put(old, "20200131.txt", b"")
    rows = [row_of(name) for name in ("letters/2020/a letter.tar.gz", "letters/2020/b.pdf", "20200131.txt", "")]
    assert "3 files of 3 rows, 1048581 bytes, moved" in move("letters.Letter.data", "--from", "old")
    first, second, third, fourth = Letter.objects.order_by("pk")
    assert [read(each.data) for each in (first, second, third)] == [b"small", LARGE, b""]
    assert not fourth.data
    assert all(parse_name(each.data.name) for each in (first, second, third))
    assert third.data.name != "20200131.txt"
    entry = db_file_storage.entry(str(first.data.name))
    assert (entry.original_name, entry.content_type, entry.created_at, entry.modified_at) == (
        "a letter.tar.gz",
        "application/gzip",
        THEN,
        THEN,
    )
    assert db_file_storage.verify(str(second.data.name))
    assert db_file_storage.entry(str(second.data.name)).created_at == LATER
    assert path.exists()
    # What saves set, and signals, are left alone.
    assert {each.changed for each in Letter.objects.all()} == {rows[0].changed}


def test_without_yes_nothing_changes(old: Path) -> None:
    put(old, "a.pdf")
    row_of("a.pdf")
    row_of("missing.pdf")
    said = move("letters.Letter.data", "--from", "old", yes=False, status=1)
    assert "1 files of 1 rows, 3 bytes, would be moved; nothing was changed, see --yes" in said
    assert "'missing.pdf': missing: there is no such file" in said
    assert names() == ["a.pdf", "missing.pdf"]
    assert not count_objects()


def test_without_yes_it_says_what_has_gone_and_how_large_the_rest_is(old: Path) -> None:
    put(old, "a.pdf")
    row_of("a.pdf")
    move("letters.Letter.data", "--delete-source")
    Letter.objects.create(data=upload(LARGE))
    said = move("letters.Letter.data", yes=False)
    assert "0 files of 0 rows, 0 bytes, would be moved" in said
    assert "2 rows have files at the new place already" in said
    assert "2 files of 2 rows, 1048579 bytes, would be moved" in move("letters.Letter.data", "--to", "disk", yes=False)


def test_a_field_with_a_transitional_storage_knows_from_where(old: Path) -> None:
    put(old, "a.pdf")
    row_of("a.pdf")
    move("letters.Letter.data")
    assert read(Letter.objects.get().data) == b"old"
    assert "0 files of 0 rows" in move("letters.Letter.data")


def test_a_file_of_several_rows_moves_once(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moves, "BATCH", 2)
    put(old, "a.pdf")
    put(old, "b.pdf", b"other")
    for name in ("a.pdf", "b.pdf", "b.pdf", "a.pdf", "a.pdf"):
        row_of(name)
    assert "2 files of 5 rows, 8 bytes, moved" in move("letters.Letter.data")
    a, b = names()[0], names()[1]
    assert names() == [a, b, b, a, a]
    assert count_objects() == 2


def test_sources_go_where_that_is_asked_for_and_no_row_names_them(old: Path) -> None:
    for name in ("a.pdf", "b.pdf", "c.pdf"):
        put(old, name)
        row_of(name)
    Parcel.objects.create(street="Main", number=1, data="b.pdf")
    row_of("c.pdf", title="stays")
    said = move("letters.Letter.data", "--delete-source", "--where", "title=")
    assert listed(old) == ["b.pdf", "c.pdf"]
    assert said.count("the old file stays: other rows name it") == 2
    assert names()[3] == "c.pdf"
    assert read(Letter.objects.get(title="stays").data) == b"old"


def test_missing_files_are_told_by_row_and_left(old: Path) -> None:
    put(old, "a.pdf")
    first, second = row_of("missing.pdf"), row_of("a.pdf")
    said = move("letters.Letter.data", status=1)
    assert f"row {first.pk}: 'missing.pdf': missing: there is no such file" in said
    assert "1 rows name files that are not there, and were left as they are" in said
    assert names()[0] == "missing.pdf"
    assert read(Letter.objects.get(pk=second.pk).data) == b"old"


def test_a_line_of_json_for_each_file(old: Path) -> None:
    put(old, "a.pdf")
    row = row_of("a.pdf")
    lines = [json.loads(line) for line in move("letters.Letter.data", "--json").splitlines()]
    assert lines == [
        {"outcome": "moved", "rows": [row.pk], "name": "a.pdf", "new_name": names()[0], "size": 3, "detail": ""}
    ]


def test_what_cannot_be_moved_is_told_and_the_others_move(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.pdf", "b.pdf", "c.pdf"):
        put(old, name)
        row_of(name)
    opened = FileSystemStorage.open

    def fail(self: FileSystemStorage, name: str, mode: str = "rb") -> object:
        if name == "b.pdf":
            raise RuntimeError("the disk is on fire")
        return opened(self, name, mode)

    monkeypatch.setattr(FileSystemStorage, "open", fail)
    said = move("letters.Letter.data", status=1)
    assert "'b.pdf': failed: RuntimeError: the disk is on fire" in said
    assert [parse_name(name) is None for name in names()] == [False, True, False]


def test_what_was_not_stored_as_it_was_read_is_not_taken(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(old, "a.pdf")
    row_of("a.pdf")
    saved = DbFileStorage.save

    def damage(self: DbFileStorage, name: str, content: Any, max_length: int | None = None) -> str:
        stored = saved(self, name, content, max_length)
        sql("select lo_put(%s, 0, 'X')", parse_name(stored))
        return stored

    monkeypatch.setattr(DbFileStorage, "save", damage)
    said = move("letters.Letter.data", "--delete-source", status=1)
    assert "is not what was read" in said
    assert names() == ["a.pdf"]
    assert not count_objects()
    assert listed(old) == ["a.pdf"]


def test_what_another_storage_did_not_store_as_it_was_read_is_not_left_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    letter = Letter.objects.create(data=upload(b"whole", "a.pdf"))
    saved = FileSystemStorage.save

    def damage(self: FileSystemStorage, name: str, _content: object, max_length: int | None = None) -> str:
        return saved(self, name, ContentFile(b"w"), max_length)

    monkeypatch.setattr(FileSystemStorage, "save", damage)
    said = move("letters.Letter.data", "--to", "disk", "--delete-source", status=1)
    assert "is not what was read" in said
    assert (names(), read(Letter.objects.get().data)) == ([letter.data.name], b"whole")
    assert not [path for path in (tmp_path / "disk").rglob("*") if path.is_file()]


def test_a_source_that_cannot_be_deleted_stays_and_is_told(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(old, "a.pdf")
    row_of("a.pdf")
    monkeypatch.setattr(FileSystemStorage, "delete", Mock(side_effect=RuntimeError("the disk is read only")))
    said = move("letters.Letter.data", "--delete-source")
    assert "'a.pdf': moved: the old file stays: RuntimeError: the disk is read only" in said
    assert (read(Letter.objects.get().data), listed(old)) == (b"old", ["a.pdf"])


def test_a_file_that_is_where_it_goes_is_not_deleted(old: Path) -> None:
    put(old, "parcels/a.bin")
    Parcel.objects.create(street="Main", number=1, data="parcels/a.bin")
    said = move("letters.Parcel.data", "--from", "old", "--to", "old", "--delete-source")
    assert "stays" not in said
    assert Parcel.objects.get().data.name == "parcels/a.bin"
    assert (old / "parcels" / "a.bin").read_bytes() == b"old"


def test_a_history_s_column_of_text_moves_as_a_field_does(old: Path, settings: Any) -> None:
    settings.PG_LO_STORAGE_REFERENCES = ["letters.Fax.filename"]
    put(old, "a.pdf")
    row_of("a.pdf")
    history = Fax.objects.create(filename="a.pdf")
    assert "the old file stays" in move("letters.Letter.data", "--delete-source")
    said = move("letters.Fax.filename", "--from", "old", "--delete-source")
    assert "1 files of 1 rows" in said
    assert "does not read" not in said
    history.refresh_from_db()
    with db_file_storage.open(history.filename) as file:
        assert file.read() == b"old"
    assert (listed(old), count_objects()) == ([], 2)
    move("letters.Fax.filename", "--to", "old", "--delete-source")
    assert (listed(old), count_objects()) == (["a.pdf"], 1)


def test_a_name_that_stands_for_a_file_at_each_place_is_told(old: Path) -> None:
    name = db_file_storage.save("a.pdf", ContentFile(b"new"))
    put(old, name)
    row_of(name)
    assert "ambiguous" in move("letters.Letter.data", yes=False, status=1)
    assert "0 files of 0 rows" in move("letters.Letter.data")


def test_an_image_s_dimensions_are_left_alone(old: Path) -> None:
    put(old, "a.png", image(30, 20).read())
    row_of("", scan="a.png", width=1, height=2)
    move("letters.Letter.scan")
    letter = Letter.objects.get()
    assert (letter.width, letter.height) == (1, 2)
    assert read(letter.scan) == image(30, 20).read()


def test_a_composite_key_another_column_and_a_field_of_django_s(old: Path) -> None:
    for n in range(5):
        put(old, f"parcels/{n}.bin", b"%d" % n)
        Parcel.objects.create(street=f"Street {n % 2}", number=n, data=f"parcels/{n}.bin")
    move("letters.Parcel.data", "--from", "old")
    for parcel in Parcel.objects.all():
        with db_file_storage.open(str(parcel.data.name)) as file:
            assert file.read() == b"%d" % parcel.number
    move("letters.Parcel.data", "--to", "disk", "--delete-source")
    assert sorted(Parcel.objects.values_list("data", flat=True)) == [f"parcels/{n}.bin" for n in range(5)]
    assert not count_objects()


def test_a_column_that_is_too_short_is_refused(old: Path) -> None:
    put(old, "a.pdf")
    with pytest.raises(CommandError, match="max_length=8 cannot hold the name of every large object"):
        move("letters.Parcel.short", "--from", "old")


@pytest.mark.parametrize("delete", [False, True])
def test_files_go_out_to_a_disk_with_names_dates_and_bytes(tmp_path: Path, delete: bool) -> None:
    letter = Letter.objects.create(data=upload(LARGE, "my letter.pdf"))
    Letter.objects.create(data=upload(b"other", "my letter.pdf"))
    row_of(str(letter.data.name))
    times = "update pg_lo_storage_file set created_at = %s, modified_at = %s"
    sql(times, THEN, LATER)
    before = names()
    said = move("letters.Letter.data", "--to", "disk", *(["--delete-source"] if delete else []))
    assert "2 files of 3 rows, 1048581 bytes, moved" in said
    first, second, third = names()
    assert first == third == "letters/2020/my_letter.pdf"
    assert second.startswith("letters/2020/my_letter_")
    assert (tmp_path / "disk" / first).read_bytes() == LARGE
    assert (tmp_path / "disk" / second).read_bytes() == b"other"
    assert (tmp_path / "disk" / first).stat().st_mtime == pytest.approx(LATER.timestamp(), abs=1e-5)
    assert count_objects() == (0 if delete else 2)
    assert db_file_storage.exists(before[0]) is not delete
    assert "0 files of 0 rows" in move("letters.Letter.data", "--to", "disk")


@pytest.mark.parametrize("left", [b"whole", b"other"])
def test_a_copy_that_an_interrupted_run_has_left_is_taken(tmp_path: Path, left: bytes) -> None:
    put(tmp_path / "disk", "letters/2020/a.pdf", left)
    Letter.objects.create(data=upload(b"whole", "a.pdf"))
    sql("update pg_lo_storage_file set created_at = %s, modified_at = %s", THEN, LATER)
    move("letters.Letter.data", "--to", "disk", "--delete-source")
    assert (names() == ["letters/2020/a.pdf"]) is (left == b"whole")
    assert (tmp_path / "disk" / names()[0]).read_bytes() == b"whole"
    assert (tmp_path / "disk" / "letters" / "2020" / "a.pdf").read_bytes() == left
    assert len(listed(tmp_path / "disk" / "letters" / "2020")) == (1 if left == b"whole" else 2)


def test_of_a_file_that_a_full_disk_does_not_take_no_part_stays_and_the_next_run_moves_it(tmp_path: Path) -> None:
    for content in (LARGE, b"small"):
        Letter.objects.create(data=upload(content))
    least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(LARGE) // 2, most))  # a process without rights fills no disk
    try:
        said = move("letters.Letter.data", "--to", "disk", "--delete-source", status=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))
    assert "failed: OSError: [Errno 27] File too large" in said
    files = tmp_path / "disk" / "letters"
    assert [path.read_bytes() for path in files.rglob("*.pdf")] == [b"small"]
    moved = move("letters.Letter.data", "--to", "disk", "--delete-source")
    assert "1 files of 1 rows, 1048576 bytes, moved" in moved
    assert sorted(path.read_bytes() for path in files.rglob("*.pdf")) == [LARGE, b"small"]
    assert not count_objects()


def test_files_go_out_to_a_storage_that_has_no_folder() -> None:
    Letter.objects.create(data=upload(b"out", "a.pdf"))
    memory = {"memory": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    with override_settings(STORAGES=project.STORAGES | memory):
        move("letters.Letter.data", "--to", "memory", "--delete-source")
        with storages["memory"].open(names()[0]) as file:
            assert file.read() == b"out"
    assert not count_objects()


def test_an_object_that_another_row_names_stays(tmp_path: Path) -> None:
    letter = Letter.objects.create(data=upload(b"shared"))
    Fax.objects.create(data=letter.data.name)
    move("letters.Letter.data", "--to", "disk", "--delete-source")
    assert read(Fax.objects.get().data) == b"shared"
    assert (tmp_path / "disk" / names()[0]).read_bytes() == b"shared"


def test_out_and_in_again_is_the_same(old: Path, tmp_path: Path) -> None:
    put(old, "letters/2020/a.pdf", LARGE)
    row_of("letters/2020/a.pdf")
    move("letters.Letter.data", "--from", "old", "--delete-source")
    move("letters.Letter.data", "--to", "disk", "--delete-source")
    assert names() == ["letters/2020/a.pdf"]
    out = tmp_path / "disk" / names()[0]
    assert (out.read_bytes(), datetime.fromtimestamp(out.stat().st_mtime, UTC)) == (LARGE, THEN)
    assert not count_objects()
    assert not [path for path in old.rglob("*") if path.is_file()]


def test_a_name_of_a_stored_file_s_form_gets_a_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Letter._meta.get_field("data"), "upload_to", "")
    Letter.objects.create(data=upload(b"dated", "20200131.pdf"))
    move("letters.Letter.data", "--to", "disk")
    assert names() == ["f20200131.pdf"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("original", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd"),
        ("C:\\letters\\a.pdf", "a.pdf"),
        ("a\nb\u202e.pdf", "ab.pdf"),
        ("..", None),
        ("!?", None),
        ("", None),
        ("😀" * 250 + "a.pdf", "a.pdf"),
        ("x" * 300 + ".pdf", "x" * 236 + ".pdf"),
    ],
)
def test_what_a_file_was_called_is_no_way_out_of_its_folder(
    original: str, name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = Letter._meta.get_field("data")
    monkeypatch.setitem(vars(field), "max_length", 500)  # the column's: who asks the field is told none
    letter = Letter.objects.create(data=upload(b"out"))
    loid = parse_name(letter.data.name)
    sql("update pg_lo_storage_file set original_name = %s where loid = %s", original, loid)
    sql("alter table letters_letter alter data type varchar(500)")
    try:
        move("letters.Letter.data", "--to", "disk")
    finally:
        connections["default"].close()
        sql("update letters_letter set data = ''")
        sql("alter table letters_letter alter data type varchar(100)")
    [path] = (path for path in (tmp_path / "disk" / "letters").rglob("*") if path.is_file())
    assert path.read_bytes() == b"out"
    assert path.parent.parent == tmp_path / "disk" / "letters"
    assert path.name == (name or f"{loid}.pdf")


def test_bytes_without_a_name_go_out_as_files(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        Fax.objects.create(content=content)
    move("letters.Fax.data", "--from-binary", "content", "--to", "disk")
    found = [(tmp_path / "disk" / str(fax.data.name)).read_bytes() for fax in Fax.objects.order_by("pk")]
    assert found == [b"first", b"second"]


@pytest.mark.parametrize(
    ("label", "arguments"),
    [
        ("letters.Parcel.data", ["--from", "old"]),
        ("letters.Fax.data", ["--to", "disk"]),
        ("letters.Letter.data", ["--to", "memory"]),
        ("letters.Letter.data", ["--to", "disk"]),
    ],
)
def test_a_field_that_will_not_find_its_files_is_said_to_beforehand(label: str, arguments: list[str]) -> None:
    memory = {"memory": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}
    with override_settings(STORAGES=project.STORAGES | memory):
        said = move(label, *arguments, yes=False)
    assert f"{label}: its storage does not read the files where they go" in said
    assert "storage=TransitionalStorage" in said
    assert "does not read" not in move("letters.Letter.data", "--to", "old", yes=False)


def test_between_two_other_storages(old: Path, tmp_path: Path) -> None:
    for n in range(3):
        put(old, f"parcels/{n}.bin", b"%d" % n)
        Parcel.objects.create(street="Main", number=n, data=f"parcels/{n}.bin")
    move("letters.Parcel.data", "--from", "old", "--to", "disk", "--delete-source")
    assert sorted(Parcel.objects.values_list("data", flat=True)) == [f"parcels/{n}.bin" for n in range(3)]
    assert [(tmp_path / "disk" / "parcels" / f"{n}.bin").read_bytes() for n in range(3)] == [b"0", b"1", b"2"]
    assert (tmp_path / "disk" / "parcels" / "0.bin").stat().st_mtime == pytest.approx(THEN.timestamp(), abs=1e-5)


def test_a_column_of_bytes_becomes_files_and_rows_that_have_one_are_skipped() -> None:
    for n, content in enumerate((b"small", LARGE, b"", None)):
        Fax.objects.create(content=content, filename=f"fax {n}.tiff")
    arguments = ("letters.Fax.data", "--from-binary", "content", "--name", "filename")
    assert "3 files of 3 rows, 1048581 bytes, would be moved" in move(*arguments, yes=False)
    assert "3 files of 3 rows, 1048581 bytes, moved" in move(*arguments)
    faxes = list(Fax.objects.order_by("pk"))
    assert [read(fax.data) for fax in faxes[:3]] == [b"small", LARGE, b""]
    assert not faxes[3].data
    assert (faxes[1].data.original_name, faxes[1].data.content_type) == ("fax 1.tiff", "image/tiff")
    assert [bytes(fax.content or b"") for fax in faxes] == [b"small", LARGE, b"", b""]
    assert "0 files of 0 rows" in move(*arguments, "--delete-source")
    Fax.objects.update(data="")
    move(*arguments, "--delete-source")
    assert set(Fax.objects.values_list("content", flat=True)) == {None}


def test_a_column_of_bytes_goes_to_a_disk(tmp_path: Path) -> None:
    Fax.objects.create(content=b"bytes", filename="a.tiff")
    move("letters.Fax.data", "--from-binary", "content", "--name", "filename", "--to", "disk")
    assert (tmp_path / "disk" / "a.tiff").read_bytes() == b"bytes"
    assert Fax.objects.values_list("data", flat=True).get() == "a.tiff"


def test_rows_of_another_database(old: Path) -> None:
    put(old, "a.pdf")
    sql("insert into letters_letter (title, changed, data) values ('', '2020-01-01', 'a.pdf')", using="other")
    row_of("a.pdf")
    move("letters.Letter.data", "--database", "other", "--delete-source")
    assert read(Letter.objects.using("other").get().data) == b"old"
    assert names() == ["a.pdf"]
    assert (old / "a.pdf").exists()
    move("letters.Letter.data", "--delete-source")
    assert not listed(old)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["letters.Letter"], "app.Model.field"),
        (["letters.Letter.title", "--from", "old"], "takes a file field"),
        (["letters.Fax.data"], "say from where"),
        (["letters.Letter.data", "--from", "nowhere"], "alias of STORAGES"),
        (["letters.Letter.data", "--from", "new"], "are large objects"),
        (["letters.Fax.data", "--from-binary", "filename"], "takes a BinaryField"),
        (["letters.Fax.data", "--from", "old", "--from-binary", "content"], "two places"),
        (["letters.Fax.data", "--from", "old", "--name", "filename"], "--name is for"),
        (["letters.Letter.data", "--from", "old", "--where", "title"], "field=value"),
    ],
)
def test_what_is_no_move_is_refused(arguments: list[str], message: str) -> None:
    new = {"new": {"BACKEND": "pg_lo_storage.storage.DbFileStorage"}}
    with override_settings(STORAGES=project.STORAGES | new), pytest.raises(CommandError, match=message):
        move(*arguments)


def test_a_file_that_moves_out_is_on_the_disk_before_its_object_goes(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Letter.objects.create(data=upload())
    synced: list[tuple[str, int]] = []
    sync = os.fsync

    def watched(descriptor: int) -> None:
        synced.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), count_objects()))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    move("letters.Letter.data", "--to", "old", "--delete-source")
    path = old / names()[0]
    assert synced == [(str(path), 1), (str(path.parent), 1)]
    assert count_objects() == 0
