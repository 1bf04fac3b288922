"""Fields whose storage is transitional: old files follow their rows as new ones do, after the commit."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connections, transaction
from django.forms import modelform_factory
from django.test import override_settings

from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.fields import prefetch_stored_files
from pg_lo_storage.lifecycle import delete_in_batches
from pg_lo_storage.storage import DbFileStorage, TransitionalStorage, db_file_storage
from tests.lifecycle.support import image, read, sql, upload
from tests.moving.letters.models import Crate, Fax, Letter, Parcel
from tests.moving.support import put, row_of
from tests.moving.test_moves import move


@pytest.fixture(params=["letters/a.pdf", "20240131.pdf"])
def name(request: pytest.FixtureRequest, old: Path) -> str:
    """The name of an old file; one looks like a stored file's."""
    put(old, request.param)
    found: str = request.param
    return found


def test_a_row_s_old_file_is_read(name: str) -> None:
    letter = row_of(name)
    assert read(letter.data) == b"old"
    assert letter.data.size == 3
    assert (letter.data.loid, letter.data.sha256, letter.data.created_at) == (None, None, None)
    assert letter.data.content_type == "application/pdf"
    letter.full_clean(exclude=["title", "width", "height"])
    prefetch_stored_files([letter], "data", "scan")
    assert read(letter.data) == b"old"


def test_a_save_of_other_columns_leaves_it(name: str, old: Path) -> None:
    letter = row_of(name)
    letter.title = "changed"
    letter.save()
    pickle.loads(pickle.dumps(letter)).save()
    assert (old / name).exists()
    assert Letter.objects.get().data.name == name


def test_a_replaced_old_file_goes_after_the_commit(name: str, old: Path) -> None:
    letter = row_of(name)
    with transaction.atomic():
        letter.data = upload(b"new")
        letter.save()
        assert (old / name).exists()
    assert not (old / name).exists()
    assert read(Letter.objects.get().data) == b"new"


def test_a_replacement_that_is_rolled_back_leaves_it(name: str, old: Path) -> None:
    letter = row_of(name)
    with transaction.atomic():
        letter.data = upload(b"new")
        letter.save()
        transaction.set_rollback(True)
    assert (old / name).exists()
    assert read(Letter.objects.get().data) == b"old"


@pytest.mark.parametrize("how", ["clear", "field", "field and row", "instance", "query", "batches"])
def test_an_old_file_goes_with_its_row(name: str, old: Path, how: str) -> None:
    letter = row_of(name)
    match how:
        case "clear":
            letter.data = None
            letter.save()
        case "field":
            letter.data.delete()
        case "field and row":
            letter.data.delete(save=False)
            assert (old / name).exists()
            letter.delete()
        case "instance":
            letter.delete()
        case "query":
            Letter.objects.all().delete()
        case _:
            delete_in_batches(Letter.objects.all())
    assert not (old / name).exists()


def test_what_a_row_still_names_stays(name: str, old: Path) -> None:
    first, second = row_of(name), row_of(name)
    first.delete()
    assert (old / name).exists()
    Parcel.objects.create(street="Main", number=1, data=name)
    second.data = None
    second.save()
    assert (old / name).exists()
    sql("delete from letters_parcel")
    third = row_of(name)
    third.delete()
    assert not (old / name).exists()


def test_what_a_listed_column_names_stays(name: str, old: Path) -> None:
    """A number is the name of no old file."""
    Fax.objects.create(filename=name)
    with override_settings(PG_LO_STORAGE_REFERENCES=["letters.Fax.filename", "letters.Letter.width"]):
        row_of(name).delete()
        assert (old / name).exists()
        Fax.objects.all().delete()
        row_of(name).delete()
    assert not (old / name).exists()


def test_a_name_that_the_user_gave_is_not_taken_for_the_rows(name: str, old: Path) -> None:
    letter = row_of(name)
    put(old, "given.pdf").unlink()
    letter.data = "given.pdf"
    with pytest.raises(FileNotFoundError):
        read(letter.data)
    assert letter.data.name == "given.pdf"


def test_an_old_name_may_be_given_to_a_row(name: str) -> None:
    letter = row_of(db_file_storage.save("a.pdf", ContentFile(b"new")))
    letter.data = name
    letter.full_clean(exclude=["title", "width", "height"])
    letter.save()
    assert read(Letter.objects.get().data) == b"old"
    assert not sql("select from pg_largeobject_metadata")
    Letter.objects.create(data=name)
    Letter.objects.bulk_create([Letter(data=name)])
    Letter.objects.update(data=name)
    assert [read(each.data) for each in Letter.objects.all()] == [b"old"] * 3


def test_the_name_of_no_file_replaces_none(old: Path) -> None:
    letter = row_of(db_file_storage.save("a.pdf", ContentFile(b"new")))
    for name in ("missing.pdf", "4294000077.pdf"):
        letter.data = name
        with pytest.raises(LargeObjectNotFound):
            letter.save()
        with pytest.raises(ValidationError):
            letter.full_clean(exclude=["title", "width", "height"])
    assert read(Letter.objects.get().data) == b"new"
    assert not any(old.iterdir())


def test_a_file_that_a_transaction_comes_to_name_is_not_deleted(name: str, old: Path) -> None:
    """The one who deletes waits for it."""
    letter = row_of(name)
    other = connections["replica"]
    with transaction.atomic(using="replica"):
        Letter(data=name).save(using="replica")
        with connections["default"].cursor() as cursor:
            cursor.execute("set lock_timeout = 100")
        letter.delete()  # what waits in vain leaves the file
    other.close()
    connections["default"].close()
    assert (old / name).exists()
    Letter.objects.get().delete()
    assert not (old / name).exists()


def test_an_image_keeps_its_dimensions(old: Path) -> None:
    path = put(old, "scans/a.png", image(30, 20).read())
    letter = row_of("", scan="scans/a.png", width=30, height=20)
    assert (letter.scan.width, letter.scan.height) == (30, 20)
    letter.scan = image(4, 5)
    letter.save()
    assert (letter.width, letter.height) == (4, 5)
    assert not path.exists()


def test_a_form_shows_keeps_and_replaces_it(name: str, old: Path) -> None:
    letter = row_of(name)
    form_class = modelform_factory(Letter, fields=["title", "data"])
    assert f"/{name}" in str(form_class(instance=letter)["data"])
    form = form_class({"title": "kept"}, instance=letter)
    assert form.is_valid(), form.errors
    form.save()
    assert (old / name).exists()
    form = form_class({"title": "cleared", "data-clear": "on"}, instance=Letter.objects.get())
    assert form.is_valid(), form.errors
    form.save()
    assert not (old / name).exists()


def test_a_row_that_is_saved_to_another_database_names_the_same_old_file(name: str, old: Path) -> None:
    letter = row_of(name)
    letter.save(using="other")
    assert Letter.objects.using("other").get().data.name == name
    assert read(Letter.objects.using("other").get().data) == b"old"
    Letter.objects.get().delete()
    assert (old / name).exists()
    Letter.objects.using("other").get().delete()
    assert not (old / name).exists()


@pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)
def test_a_row_goes_to_another_database_and_its_old_file_stays_for_it(name: str, old: Path) -> None:
    row_of(name)
    to_other = ["letters.Letter", "--from", "default", "--to", "other"]
    call_command("largeobjects", "transfer", *to_other, "--yes", verbosity=0)
    assert not Letter.objects.exists()
    assert read(Letter.objects.using("other").get().data) == b"old"
    assert (old / name).exists()


@pytest.mark.parametrize("how", ["replaced", "deleted", "moved"])
def test_a_field_s_default_stays_at_its_old_place(how: str, name: str, old: Path, catalogue: bool) -> None:
    put(old, "defaults/none.txt")
    put(old, name)
    crate = Crate()
    crate.data.name = name
    crate.save()
    assert crate.other.name == "defaults/none.txt"
    if how == "replaced":
        crate.other = upload()
        crate.save()
    elif how == "deleted":
        crate.delete()
    elif catalogue:
        assert "the old file stays" in move("letters.Crate.other", "--delete-source")
    assert read(Crate().other) == b"old"


@pytest.fixture
def sqlite(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A database of another kind, which has letters, too; their new files are on PostgreSQL."""
    # One in memory Django would not close.
    databases = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "sqlite")}}
    monkeypatch.setitem(connections.settings, "sqlite", connections.configure_settings(databases)["default"])
    storage = TransitionalStorage(DbFileStorage(alias="default"), "old")
    monkeypatch.setattr(Letter._meta.get_field("data"), "storage", storage)
    with connections["sqlite"].schema_editor() as editor:
        editor.create_model(Letter)
    yield "sqlite"
    connections["sqlite"].close()
    del connections["sqlite"]


def test_rows_on_a_database_of_another_kind_keep_an_old_file(name: str, old: Path, sqlite: str) -> None:
    letter = Letter(data=name)
    letter.save(using=sqlite)
    row_of(name).delete()
    assert (old / name).exists()
    letter.data = None
    letter.save()
    assert not (old / name).exists()


@pytest.mark.parametrize("why", ["it does not answer", "its rows may be hidden"])
def test_a_database_whose_rows_cannot_be_seen_keeps_an_old_file(
    why: str, name: str, old: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    letter = row_of(name)
    sql("alter table letters_parcel force row level security, enable row level security", using="other")
    try:
        if why == "it does not answer":
            connections["other"].close()
            monkeypatch.setitem(connections["other"].settings_dict, "PORT", "1")
        letter.delete()
    finally:
        monkeypatch.undo()
        sql("alter table letters_parcel no force row level security, disable row level security", using="other")
    assert (old / name).exists()
    [record] = caplog.records
    assert f"kept the old file {name!r}" in record.message
