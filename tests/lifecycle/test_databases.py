"""A file is on the database of its row: of the one that is saved to, and of the one that was read from."""

import copy
import pickle
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import IntegrityError, connections, transaction
from django.db.models import Prefetch
from django.db.models.signals import post_init
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.fields import prefetch_stored_files
from pg_lo_storage.storage import DbFileIO, db_file_storage
from tests.lifecycle.papers.models import Archived, Contract, Enclosure, Folder, Lent, Letter, Paper, Picture, Remote
from tests.lifecycle.support import FILES, check, column, image, read, sql, upload
from tests.storage.support import LARGE, content

pytestmark = pytest.mark.usefixtures("catalogue")


@contextmanager
def rolled_back(using: str) -> Generator[None]:
    with transaction.atomic(using=using):
        yield
        transaction.set_rollback(True, using=using)


def nothing_but(catalogue: bool, *, default: tuple[bytes, ...] = (), other: tuple[bytes, ...] = ()) -> None:
    """Check what rows and files there are on both databases."""
    check(*default, catalogue=catalogue, using="default")
    check(*other, catalogue=catalogue, using="other")


def paper(using: str = "other", data: bytes = b"first") -> Paper:
    return Paper.objects.using(using).create(data=upload(data))


def same_name() -> tuple[Paper, Paper]:
    """Return a row on each database, whose files have one name."""
    here = paper("default", b"here")
    there = Paper.objects.using("other").create(pk=here.pk)
    loid = here.data.loid
    with transaction.atomic(using="other"), DbFileIO(loid or 0, "xb", "a.pdf", alias="other") as file:
        file.write(b"there")
    sql("update papers_paper set data = %s", here.data.name, using="other")
    there.refresh_from_db()
    return here, there


def test_a_row_is_created_with_its_file(catalogue: bool) -> None:
    row = paper()
    assert read(row.data) == read(Paper.objects.using("other").get().data) == b"first"
    nothing_but(catalogue, other=(b"first",))


def test_a_rollback_leaves_neither(catalogue: bool) -> None:
    with rolled_back("other"):
        paper()
        Paper(title="by save").save(using="other")
    assert not Paper.objects.using("other").exists()
    nothing_but(catalogue)


def test_a_file_is_replaced_cleared_and_deleted(catalogue: bool) -> None:
    row = paper()
    row.data = upload(b"second")
    row.save()
    nothing_but(catalogue, other=(b"second",))
    row.data.save("c.pdf", upload(b"third"))
    nothing_but(catalogue, other=(b"third",))
    row.data = None
    row.save()
    nothing_but(catalogue)
    row.data = upload(b"fourth")
    row.save()
    row.data.delete()
    nothing_but(catalogue)
    row.data = upload(b"fifth")
    row.save()
    row.delete()
    nothing_but(catalogue)


def test_a_file_is_given_up_at_once(catalogue: bool) -> None:
    here, there = same_name()
    there.data.delete(save=False)
    there.save()
    nothing_but(catalogue, default=(b"here",))
    here.data.delete(save=False)
    here.save()
    nothing_but(catalogue)


def test_one_name_on_two_databases_is_two_files(catalogue: bool) -> None:
    here, there = same_name()
    assert (read(here.data), read(there.data)) == (b"here", b"there")
    assert (here.data.size, there.data.size) == (4, 5)
    Paper.objects.using("other").all().delete()
    nothing_but(catalogue, default=(b"here",))
    assert read(Paper.objects.get().data) == b"here"


def test_the_name_of_another_databases_file_is_not_the_same(catalogue: bool) -> None:
    here, there = same_name()
    there.data = here.data
    there.save()
    assert (read(here.data), read(there.data)) == (b"here", b"here")
    nothing_but(catalogue, default=(b"here",), other=(b"here",))


@pytest.mark.parametrize("size", [10, LARGE])
def test_a_copy_takes_its_file_along(catalogue: bool, size: int) -> None:
    data = content(size)
    row = paper("default", data)
    name = row.data.name
    row.pk = None
    row.save(using="other")
    nothing_but(catalogue, default=(data,), other=(data,))
    Paper.objects.all().delete()
    nothing_but(catalogue, other=(data,))
    assert read(row.data) == read(Paper.objects.using("other").get().data) == data
    assert row.data.name != name or row.data.loid
    row.delete()
    nothing_but(catalogue)


def test_a_copy_has_the_original_name_and_type(catalogue: bool) -> None:
    file: ContentFile[bytes] = ContentFile(b"%PDF", name="A report.pdf")
    vars(file)["content_type"] = "application/pdf"
    row = Paper.objects.create(data=file)
    said = row.data.original_name, row.data.content_type, row.data.sha256
    row.save(using="other")
    again = Paper.objects.using("other").get().data
    assert (again.original_name, again.content_type, again.sha256) == said
    assert (row.data.original_name, row.data.content_type) == said[:2]
    assert (said[0] == "A report.pdf") == catalogue


def test_saved_to_another_database_under_its_key_it_is_a_copy_too(catalogue: bool) -> None:
    row = paper("default")
    row.save(using="other")
    nothing_but(catalogue, default=(b"first",), other=(b"first",))
    row.data = upload(b"second")
    row.save()
    nothing_but(catalogue, default=(b"first",), other=(b"second",))
    row.save(using="default")
    nothing_but(catalogue, default=(b"second",), other=(b"second",))


def test_a_save_of_other_columns_elsewhere_loads_no_file(catalogue: bool) -> None:
    row = paper("default", b"first")
    Paper.objects.using("other").create(pk=row.pk)
    found = Paper.objects.defer("data").get()
    found.title = "saved"
    with CaptureQueriesContext(connections["default"]) as captured:
        found.save(using="other", update_fields=["title"])
    assert not [query for query in captured.captured_queries if "papers_paper" in query["sql"]]
    assert Paper.objects.using("other").get().title == "saved"
    nothing_but(catalogue, default=(b"first",))


def test_a_copy_with_a_new_file_leaves_the_first_where_it_is(catalogue: bool) -> None:
    row = paper("default", b"first")
    row.data = upload(b"second")
    row.save(using="other")
    nothing_but(catalogue, default=(b"first",), other=(b"second",))


def test_a_copy_replaces_what_the_row_there_had(catalogue: bool) -> None:
    row = paper("default", b"new")
    Paper.objects.using("other").create(pk=row.pk, data=upload(b"old"))
    row.save(using="other")
    nothing_but(catalogue, default=(b"new",), other=(b"new",))


def test_a_copy_that_fails_leaves_the_instance_as_it_was(catalogue: bool) -> None:
    row = paper("default")
    with rolled_back("other"):
        row.save(using="other")
    nothing_but(catalogue, default=(b"first",))
    row = Paper.objects.get()
    vars(row)["count"] = "many"
    with pytest.raises(ValueError, match="expected a number"):
        row.save(using="other")
    nothing_but(catalogue, default=(b"first",))
    assert row.data.read() == read(row.data) == b"first"
    row.count = 1
    row.save()
    row.save(using="other")
    nothing_but(catalogue, default=(b"first",), other=(b"first",))


def test_a_copy_of_a_missing_file_is_refused(catalogue: bool) -> None:
    row = paper("default")
    db_file_storage.delete(str(row.data.name))
    with pytest.raises(LargeObjectNotFound):
        row.save(using="other")
    assert not Paper.objects.using("other").exists()
    assert not column(FILES, using="other")
    row.data = None
    row.save()
    nothing_but(catalogue)


def test_a_file_that_only_part_of_a_save_left_behind_is_still_the_first_databases(catalogue: bool) -> None:
    row = paper("default", b"here")
    Paper.objects.using("other").create(pk=row.pk, data=upload(b"there"))
    row.save(using="other", update_fields=["title"])
    assert read(row.data) == b"here"
    nothing_but(catalogue, default=(b"here",), other=(b"there",))
    row.save()
    nothing_but(catalogue, default=(b"here",), other=(b"here",))


def test_an_empty_file_that_part_of_a_save_left_out_replaces_later(catalogue: bool) -> None:
    row = Paper.objects.create()
    Paper.objects.using("other").create(pk=row.pk, data=upload(b"there"))
    row.save(using="other", update_fields=["title"])
    nothing_but(catalogue, other=(b"there",))
    row.save()
    nothing_but(catalogue)


def test_a_file_stored_before_its_row_goes_where_the_row_goes(catalogue: bool) -> None:
    row = Paper()
    row.data.save("a.pdf", upload(b"first"), save=False)
    row.save(using="other")
    nothing_but(catalogue, other=(b"first",))
    row = Paper.objects.using("other").get()
    row.data.save("a.pdf", upload(b"second"), save=False)
    row.save(using="default")
    nothing_but(catalogue, default=(b"second",), other=(b"first",))


def test_a_row_in_two_tables(catalogue: bool) -> None:
    row = Contract.objects.using("other").create(data=upload(b"data"), signed=upload(b"signed"))
    nothing_but(catalogue, other=(b"data", b"signed"))
    row = Contract.objects.using("other").get()
    row.save(using="default")
    nothing_but(catalogue, default=(b"data", b"signed"), other=(b"data", b"signed"))
    Contract.objects.using("other").all().delete()
    nothing_but(catalogue, default=(b"data", b"signed"))
    row.signed = upload(b"again")
    row.save()
    nothing_but(catalogue, default=(b"data", b"again"))


def test_an_image_takes_its_dimensions_along() -> None:
    row = Picture.objects.using("other").create(image=image(3, 4))
    row = Picture.objects.using("other").get()
    row.save(using="default")
    found = Picture.objects.get()
    assert (found.width, found.height, found.image.width) == (3, 4, 3)
    assert read(found.image) == read(row.image)
    Picture.objects.using("other").all().delete()
    assert read(row.image) == read(found.image)


def by_deferring(using: str) -> Paper:
    return Paper.objects.using(using).defer("data").get()


def by_refreshing(using: str) -> Paper:
    row = Paper.objects.using("default" if using == "other" else "other").get()
    row.refresh_from_db(using=using)
    return row


def by_copying(using: str) -> Paper:
    return copy.copy(Paper.objects.using(using).get())


def by_pickling(using: str) -> Paper:
    row = Paper.objects.using(using).get()
    row.data  # noqa: B018 -- it makes the file
    again: Paper = pickle.loads(pickle.dumps(row))
    return again


def by_relation(using: str) -> Paper:
    enclosure = Enclosure.objects.using(using).create(loose=Paper.objects.using(using).get())
    found = Enclosure.objects.using(using).select_related("loose").get(pk=enclosure.pk)
    assert found.loose
    return found.loose


def by_prefetching(using: str) -> Paper:
    folder = Folder.objects.create()
    Folder.objects.using("other").create(pk=folder.pk)
    Paper.objects.using(using).update(folder=folder.pk)
    found = Folder.objects.prefetch_related(Prefetch("paper_set", Paper.objects.using(using), to_attr="papers")).get(
        pk=folder.pk
    )
    paper: Paper = vars(found)["papers"][0]
    return paper


def by_iterating(using: str) -> Paper:
    return next(Paper.objects.using(using).iterator())


def by_raw_query(using: str) -> Paper:
    return Paper.objects.using(using).raw("select * from papers_paper")[0]


@pytest.mark.parametrize(
    "load",
    [
        by_deferring,
        by_refreshing,
        by_copying,
        by_pickling,
        by_relation,
        by_prefetching,
        by_iterating,
        by_raw_query,
    ],
)
def test_a_file_is_read_where_its_row_was(catalogue: bool, load: Callable[[str], Paper]) -> None:
    same_name()
    assert read(load("other").data) == b"there"
    assert read(load("default").data) == b"here"
    row = load("other")
    row.data = upload(b"new")
    row.save()
    assert {b"here", b"new"} == {read(row.data) for using in ("default", "other") for row in Paper.objects.using(using)}
    nothing_but(catalogue, default=(b"here",), other=(b"new",))


def test_a_copy_made_before_a_row_moved_has_the_first_file(catalogue: bool) -> None:
    row = paper("default")
    row.data  # noqa: B018 -- it makes the file
    before = copy.copy(row)
    row.save(using="other")
    row.data = upload(b"second")
    row.save()
    assert read(before.data) == b"first"
    before.data = upload(b"third")
    before.save()
    nothing_but(catalogue, default=(b"third",), other=(b"second",))


def test_entries_of_many_databases_are_loaded_at_once(catalogue: bool) -> None:
    same_name()
    rows = [*Paper.objects.all(), *Paper.objects.using("other")]
    prefetch_stored_files(rows, "data")
    with connections["default"].execute_wrapper(refuse), connections["other"].execute_wrapper(refuse):
        sizes = [row.data.entry.size if row.data.entry else None for row in rows]
    assert sizes[0] == (4 if catalogue else None)
    assert [row.data.size for row in rows] == [4, 5]


def refuse(*_args: object) -> None:
    pytest.fail("a statement was executed")


BULK: dict[str, Callable[[Paper], object]] = {
    "bulk_create": lambda row: Paper.objects.using("other").bulk_create([Paper(data=row.data)]),
    "bulk_create of the same": lambda row: Paper.objects.using("other").bulk_create([row]),
    "update": lambda row: Paper.objects.using("other").update(data=row.data),
    "bulk_update": lambda row: Paper.objects.using("other").bulk_update([row], ["data"]),
}


@pytest.mark.parametrize("write", BULK.values(), ids=BULK)
def test_statements_for_many_rows_name_no_file_of_another_database(
    catalogue: bool, write: Callable[[Paper], object]
) -> None:
    row = paper("default")
    Paper.objects.using("other").create(pk=row.pk)
    with pytest.raises(ValueError, match=r"on the database 'default'.*save\(using='other'\)"):
        write(row)
    nothing_but(catalogue, default=(b"first",))


def test_a_plain_name_is_of_the_database_that_it_is_written_to(catalogue: bool) -> None:
    row = paper("other")
    Paper.objects.using("other").bulk_create([Paper(data=row.data.name)])
    Paper.objects.using("other").filter(pk=row.pk).delete()
    nothing_but(catalogue, other=(b"first",))
    with pytest.raises(LargeObjectNotFound):
        Paper.objects.bulk_create([Paper(data=row.data.name)])
    with pytest.raises(LargeObjectNotFound):
        Paper.objects.create(data=row.data.name)
    nothing_but(catalogue, other=(b"first",))


def test_forms_look_for_the_file_where_the_row_is(catalogue: bool) -> None:
    row = paper("other")
    row.full_clean()
    other = Paper(data=row.data.name)
    with pytest.raises(ValidationError, match="There is no stored file"):
        other.full_clean()
    other = Paper(data=row.data)
    other.full_clean()
    nothing_but(catalogue, other=(b"first",))


def test_a_row_that_restores_an_older_version_is_of_its_database() -> None:
    row = paper("other")
    Paper(pk=row.pk, data="").save_base(raw=True, using="other")
    with pytest.raises(LargeObjectNotFound):
        Paper(pk=paper("other", b"second").pk, data="4200000000.pdf").save_base(raw=True, using="other")
    assert not column(FILES)


def test_an_alias_of_the_storage_decides(catalogue: bool) -> None:
    row = Remote.objects.create(data=upload(b"first"))
    assert not column(FILES)
    row.save(using="other")
    assert read(row.data) == b"first"
    assert len(column(FILES, using="other")) == 1
    Remote.objects.all().delete()
    check(b"first", catalogue=catalogue, using="other")


@pytest.mark.parametrize("name", ["PG_LO_STORAGE_DB_FOR_READ", "PG_LO_STORAGE_DB_FOR_WRITE"])
def test_the_settings_decide(catalogue: bool, name: str) -> None:
    with override_settings(**{name: "default"}):
        row = paper("other")
        assert len(column(FILES)) == 1
        assert not column(FILES, using="other")
        assert read(row.data) == read(Paper.objects.using("other").get().data) == b"first"
        row.data = None
        row.save()
        nothing_but(catalogue)


def test_other_fields_and_the_storage_itself_go_on_as_they_are(catalogue: bool) -> None:
    row = Archived.objects.using("other").create(plain=upload(b"plain"))
    assert len(column(FILES)) == 1
    with row.plain.open() as file:
        assert file.read() == b"plain"
    db_file_storage.delete(str(row.plain.name))
    lent = Lent.objects.using("other").create(data=upload(b"lent"))
    with lent.data.open() as file:
        assert file.read() == b"lent"
    nothing_but(catalogue)


def test_a_file_of_a_field_that_is_elsewhere_is_copied_too(catalogue: bool) -> None:
    remote = Remote.objects.create(data=upload(b"first"))
    row = Paper.objects.create(data=remote.data)
    check(b"first", catalogue=catalogue)
    assert read(row.data) == read(remote.data) == b"first"
    remote.delete()
    nothing_but(catalogue, default=(b"first",))
    remote = Remote.objects.create(data=row.data)
    row.delete()
    assert read(remote.data) == b"first"
    check(catalogue=catalogue)


def test_a_key_that_stands_after_the_file(catalogue: bool) -> None:
    row = Letter.objects.using("other").create(code="a", data=upload(b"first"))
    row = Letter.objects.using("other").get()
    row.save(using="default")
    row.delete()
    nothing_but(catalogue, other=(b"first",))


def test_rows_of_any_database_keep_a_file_that_an_alias_has_elsewhere(catalogue: bool) -> None:
    with override_settings(PG_LO_STORAGE_DB_FOR_WRITE="default"):
        row = paper("default")
        Paper.objects.using("other").create(pk=row.pk, data=row.data)
        row.data.delete()
        assert len(column(FILES)) == 1
        row.delete()
        assert read(Paper.objects.using("other").get().data) == b"first"
        Paper.objects.using("other").all().delete()
        nothing_but(catalogue)


class NotThere:
    """Allows papers on one database only."""

    def allow_migrate(self, db: str, *_: object, **_hints: object) -> bool:
        return db == "default"


def test_where_the_routers_allow_no_rows_none_are_looked_for(catalogue: bool) -> None:
    with override_settings(PG_LO_STORAGE_DB_FOR_WRITE="default", DATABASE_ROUTERS=[NotThere()]):
        row = paper("default")
        Paper.objects.using("other").create(pk=row.pk, data=row.data)
        with connections["other"].execute_wrapper(refuse):
            row.delete()
        assert not column(FILES)
    Paper.objects.using("other").all().delete()
    nothing_but(catalogue)


def test_a_database_that_does_not_answer_keeps_the_file(caplog: pytest.LogCaptureFixture) -> None:
    gone = connections.settings["other"] | {"NAME": "no_such_database"}
    connections.settings["gone"] = connections.configure_settings({"default": gone, "gone": gone})["gone"]
    try:
        with override_settings(PG_LO_STORAGE_DB_FOR_WRITE="default"):
            paper("default").delete()
        assert len(column(FILES)) == 1
        assert "does not answer" in caplog.text
    finally:
        del connections["gone"], connections.settings["gone"]


def test_the_database_of_a_related_row_is_not_that_of_a_new_rows_name(catalogue: bool) -> None:
    folder = Folder.objects.create()
    Folder.objects.using("other").create(pk=folder.pk)
    there = paper("other")
    row = Paper(folder=folder, data=there.data.name)
    assert row._state.db == "default"
    row.save(using="other")
    assert row.data.name == there.data.name
    nothing_but(catalogue, other=(b"first",))


def test_a_file_that_is_open_is_closed_when_its_row_moves(catalogue: bool) -> None:
    row = paper("default")
    opened = row.data.open().file
    row.save(using="other")
    assert opened.closed
    nothing_but(catalogue, default=(b"first",), other=(b"first",))


def two_pictures() -> Picture:
    """Return a row on another database, with no dimensions, whose image has the name of a larger one on the first."""
    here = Picture.objects.create(image=image(7, 8))
    Picture.objects.using("other").create(pk=here.pk)
    with transaction.atomic(using="other"), DbFileIO(here.image.loid or 0, "xb", "a.png", alias="other") as file:
        file.write(image(3, 4).read())
    sql("update papers_picture set image = %s, width = null, height = null", here.image.name, using="other")
    return here


def test_an_image_is_measured_on_its_database_while_its_row_is_loaded() -> None:
    here = two_pictures()
    found = Picture.objects.using("other").get()
    assert (found.width, found.height) == (3, 4)
    db_file_storage.delete(str(here.image.name))
    found = Picture.objects.using("other").get()
    assert (found.width, found.height) == (3, 4)


def test_receivers_of_an_instance_that_is_loaded_read_its_file_on_its_database() -> None:
    same_name()
    found: list[bytes] = []

    def receive(instance: Paper, **_signal: object) -> None:
        found.append(read(instance.data))

    post_init.connect(receive, sender=Paper)
    try:
        for using in ("default", "other"):
            Paper.objects.using(using).get()
    finally:
        post_init.disconnect(receive, sender=Paper)
    assert found == [b"here", b"there"]


def test_what_was_refreshed_in_part_keeps_its_other_files_where_they_are(catalogue: bool) -> None:
    same_name()
    row = Paper.objects.get()
    row.refresh_from_db(using="other", fields=["title"])
    assert read(row.data) == b"here"
    row.save()
    nothing_but(catalogue, default=(b"here",), other=(b"here",))
    row = Paper.objects.get()
    row.refresh_from_db(using="other", fields=["data"])
    assert read(row.data) == b"here"
    nothing_but(catalogue, default=(b"here",), other=(b"here",))


def test_an_upload_goes_where_its_instance_was_refreshed_in_part(catalogue: bool) -> None:
    same_name()
    row = Paper.objects.get()
    row.data = upload(b"new")
    row.refresh_from_db(using="other", fields=["title"])
    row.save()
    nothing_but(catalogue, default=(b"here",), other=(b"new",))


def test_a_move_that_is_rolled_back_may_be_undone_or_done_again(catalogue: bool) -> None:
    row = paper("default")
    for using in ("default", "other"):
        with rolled_back("other"):
            row.save(using="other")
            with rolled_back("other"):  # a later savepoint, after which nobody knows what stands
                pass
            row.title = "twice"
            row.save()
        row.title = using
        row.save(using=using)
        assert read(row.data) == b"first"
    nothing_but(catalogue, default=(b"first",), other=(b"first",))
    row.data = upload(b"second")
    row.save()
    nothing_but(catalogue, default=(b"first",), other=(b"second",))


def test_what_a_rolled_back_move_left_is_still_left(catalogue: bool) -> None:
    row = paper("default")
    row.data.save("b.pdf", upload(b"second"), save=False)
    with rolled_back("other"):
        row.save(using="other")
    row.refresh_from_db(using="default")
    row.title = "saved"
    row.save()
    nothing_but(catalogue, default=(b"first",))


@pytest.mark.once
def test_what_a_rolled_back_move_left_goes_when_it_is_done_again(catalogue: bool) -> None:
    row = paper("default")
    row.data.save("b.pdf", upload(b"second"), save=False)
    with rolled_back("other"):
        row.save(using="other")
    row.save(using="other")
    nothing_but(catalogue, default=(b"first",), other=(b"second",))


@pytest.mark.once
def test_a_move_that_stands_is_not_done_again(catalogue: bool) -> None:
    row = paper("default")
    with transaction.atomic(using="other"):
        row.save(using="other")
        name = row.data.name
        row.title = "twice"
        row.save()
        assert row.data.name == name
        with rolled_back("other"):  # a later savepoint, after which nobody knows what stands
            pass
        row.title = "thrice"
        row.save()
        assert row.data.name == name
    nothing_but(catalogue, default=(b"first",), other=(b"first",))


@pytest.mark.once
def test_what_is_given_to_an_instance_after_a_rolled_back_move_is_what_is_saved(catalogue: bool) -> None:
    row, there = paper("default"), paper("other", b"there")
    with rolled_back("other"):
        row.save(using="other")
    row.data = "12.pdf"
    with pytest.raises(LargeObjectNotFound):
        row.save(using="other")
    row.data = there.data.name
    row.save(using="other")
    assert row.data.name == there.data.name
    nothing_but(catalogue, default=(b"first",), other=(b"there",))


@pytest.mark.once
def test_an_upload_by_the_name_of_a_copy_that_was_rolled_back_is_saved(catalogue: bool) -> None:
    row = paper("default")
    with rolled_back("other"):
        row.save(using="other")
    row.data = upload(b"second", row.data.name or "")
    row.save(using="other")
    nothing_but(catalogue, default=(b"first",), other=(b"second",))


@pytest.mark.once
def test_what_another_instance_replaced_since_a_move_stays(catalogue: bool) -> None:
    row = paper("default")
    with transaction.atomic(using="other"):
        row.save(using="other")
    theirs = Paper.objects.using("other").get()
    theirs.data = upload(b"theirs")
    theirs.save()
    row.title = "saved"
    row.save()
    nothing_but(catalogue, default=(b"first",), other=(b"theirs",))


@pytest.mark.once
def test_a_row_on_another_database_than_its_file_is_saved_to_a_third(catalogue: bool) -> None:
    """The file stays where the storage has it, and the row there comes to name it."""
    row = Remote.objects.using("default").create(data=upload(b"here"))
    Remote.objects.using("other").create(pk=row.pk, data=upload(b"there"))
    row.save(using="other")
    assert read(Remote.objects.using("other").get().data) == b"here"
    nothing_but(catalogue, other=(b"here",))


@pytest.mark.once
def test_a_row_that_fails_leaves_no_file_on_another_database(catalogue: bool) -> None:
    row = Remote.objects.using("other").create(data=upload(b"first"))
    with pytest.raises(IntegrityError):
        Remote.objects.using("default").create(pk=Remote.objects.using("default").create().pk, data=upload(b"second"))
    assert read(row.data) == b"first"
    nothing_but(catalogue, other=(b"first",))


@pytest.mark.once
def test_a_file_on_another_database_than_its_row_is_given_up_at_once(catalogue: bool) -> None:
    row = Remote.objects.using("default").create(data=upload())
    row.data.delete(save=False)
    nothing_but(catalogue)


@pytest.mark.once
def test_what_no_row_named_yet_is_given_up_with_what_one_names(catalogue: bool) -> None:
    row = paper("default")
    row.data.save("b.pdf", upload(b"second"), save=False)
    row.data = db_file_storage.save("c.pdf", upload(b"third"))
    row.data.delete()
    nothing_but(catalogue)


@pytest.mark.once
def test_a_row_that_was_refreshed_from_elsewhere_takes_its_file_there(catalogue: bool) -> None:
    row = Remote.objects.using("default").create(data=upload(b"here"))
    Remote.objects.using("other").create(pk=row.pk, data=upload(b"there"))
    row.refresh_from_db(using="other", fields=["id"])
    row.save()
    assert read(Remote.objects.using("other").get().data) == b"here"
    nothing_but(catalogue, other=(b"here",))


@pytest.mark.once
def test_a_second_file_stays_where_it_is_when_the_first_is_refreshed_from_elsewhere() -> None:
    row = Paper.objects.using("default").create(data=upload(b"here"), scan=image(1, 1))
    Paper.objects.using("other").create(pk=row.pk, data=upload(b"there"), scan=image(2, 2))
    scanned = read(row.scan)
    row.refresh_from_db(using="other", fields=["data"])
    assert read(row.data) == b"there"
    assert read(row.scan) == scanned
