"""What is left after what is done to a row, by whom the files are looked after; all asked in SQL."""

from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

import pytest
from django.db import IntegrityError, models, transaction

from pg_lo_storage.storage import db_file_storage
from tests.lifecycle.guards import EVERY_GUARD, FIELD
from tests.lifecycle.papers.models import Contract, Draft, Folder, Letter, Order, Paper, Receipt, Remote, Version
from tests.lifecycle.support import check, empty_tables, sql, upload


class Stop(Exception):
    """What a block is left with, to roll it back."""


class Case(NamedTuple):
    """Something that is done to rows, and the contents of the files that are there afterwards."""

    do: Callable[[], object]
    named: tuple[bytes, ...]
    unnamed: tuple[bytes, ...] = ()
    """Of those that no row names any more, where only the fields look after them: Python did not see it."""
    using: str = "default"


CASES: dict[str, Case] = {}


def case(*named: bytes, unnamed: tuple[bytes, ...] = (), using: str = "default") -> Callable[..., Callable[[], object]]:
    def add(do: Callable[[], object]) -> Callable[[], object]:
        CASES[do.__name__] = Case(do, named, unnamed, using)
        return do

    return add


def paper() -> Paper:
    """Return a row as it is loaded."""
    Paper.objects.create(data=upload(b"first"))
    return Paper.objects.get()


@case(b"first")
def save_unchanged() -> None:
    paper().save()


@case(b"first")
def save_unchanged_after_create() -> None:
    Paper.objects.create(data=upload(b"first")).save()


@case(b"first")
def save_other_fields() -> None:
    row = paper()
    row.title = "other"
    row.save()
    row.save(update_fields=["title"])


@case(b"first")
def save_without_the_changed_file() -> None:
    row = paper()
    row.data = None
    row.save(update_fields=["title"])


@case(b"first")
def save_deferred() -> None:
    paper()
    row = Paper.objects.defer("data").get()
    row.title = "other"
    row.save()


@case(b"first")
def assign_the_same() -> None:
    row = paper()
    row.data = row.data.name
    row.save()


@case(b"second")
def replace() -> None:
    row = paper()
    row.data = upload(b"second")
    row.save()


@case(b"second")
def replace_by_update_fields() -> None:
    row = paper()
    row.data = upload(b"second")
    row.save(update_fields=["data"])


@case(b"second")
def replace_deferred() -> None:
    paper()
    row = Paper.objects.only("title").get()
    row.data = upload(b"second")
    row.save()


@case(b"third")
def replace_twice_in_a_transaction() -> None:
    row = paper()
    with transaction.atomic():
        for content in (b"second", b"third"):
            row.data = upload(content)
            row.save()


@case(b"third")
def replace_through_another_instance() -> None:
    row, other = paper(), Paper.objects.get()
    other.data = upload(b"second")
    other.save()
    row.data = upload(b"third")
    row.save()


@case(b"second")
def save_a_stale_instance() -> None:
    row, other = paper(), Paper.objects.get()
    other.data = upload(b"second")
    other.save()
    row.save()


@case(b"second")
def replace_through_the_field() -> None:
    paper().data.save("b.pdf", upload(b"second"))


@case(b"second")
def replace_through_update_or_create() -> None:
    Paper.objects.update_or_create(pk=paper().pk, defaults={"data": upload(b"second")})


@case()
def clear() -> None:
    row = paper()
    row.data = None
    row.save()


@case()
def clear_with_an_empty_name() -> None:
    row = paper()
    row.data = ""
    row.save()


@case()
def clear_through_the_field() -> None:
    paper().data.delete()


@case()
def delete() -> None:
    paper().delete()


@case()
def delete_an_instance_that_was_not_loaded() -> None:
    Paper(id=paper().pk).delete()


@case()
def delete_after_another_instance_replaced_it() -> None:
    row = paper()
    Paper.objects.get().data.save("b.pdf", upload(b"second"))
    row.delete()


@case(b"kept")
def queryset_delete() -> None:
    Paper.objects.create(title="kept", data=upload(b"kept"))
    for content in (b"first", b"second"):
        Paper.objects.create(data=upload(content))
    Paper.objects.exclude(title="kept").delete()


@case(b"second", unnamed=(b"first",))
def update() -> None:
    row = paper()
    Paper.objects.filter(pk=row.pk).update(data=db_file_storage.save("b.pdf", upload(b"second")))


@case(unnamed=(b"first",))
def update_to_none() -> None:
    paper()
    Paper.objects.update(data=None)


@case(b"second", unnamed=(b"first",))
def bulk_update() -> None:
    row = paper()
    row.data = db_file_storage.save("b.pdf", upload(b"second"))
    Paper.objects.bulk_update([row], ["data"])


@case(b"first", b"second")
def bulk_create() -> None:
    names = [db_file_storage.save("a.pdf", upload(content)) for content in (b"first", b"second")]
    Paper.objects.bulk_create([Paper(data=name) for name in names])


@case()
def cascade() -> None:
    folder = Folder.objects.create()
    Paper.objects.create(folder=folder, data=upload(b"first"), scan=upload(b"scan"))
    Draft.objects.create(folder=folder, data=upload(b"second"))
    Contract.objects.create(folder=folder, data=upload(b"third"), signed=upload(b"fourth"))
    folder.delete()


@case(unnamed=(b"first",))
def raw_delete() -> None:
    paper()
    sql("delete from papers_paper")


@case(b"second", unnamed=(b"first",))
def raw_update() -> None:
    paper()
    sql("update papers_paper set data = %s", db_file_storage.save("b.pdf", upload(b"second")))


@case(unnamed=(b"first", b"second"))
def truncate() -> None:
    paper()
    Contract.objects.create(signed=upload(b"second"))
    sql("truncate papers_paper cascade")


@case(b"first")
def truncate_where_another_table_names_it() -> None:
    Version.objects.create(data=paper().data)
    sql("truncate papers_paper cascade")


@case(b"first")
def copy_a_row() -> None:
    row = paper()
    row.pk = None
    row.save()


@case(b"first")
def copy_a_row_and_delete_the_first() -> None:
    first, second = paper(), Paper.objects.get()
    second.pk = None
    second.save()
    first.delete()


@case(b"first")
def copy_a_row_whose_file_has_no_extension_and_delete_the_first() -> None:
    first = Paper.objects.create(data=upload(b"first", "none"))
    Paper.objects.create(data=first.data.name)
    first.delete()


@case(b"first", b"second")
def copy_a_row_whose_column_has_an_odd_name_and_replace_its_file() -> None:
    first = Order.objects.create(data=upload(b"first"))
    Order.objects.create(data=first.data.name)
    first.data = upload(b"second")
    first.save()


@case(b"second")
def replace_and_delete_where_the_column_has_an_odd_name() -> None:
    for row in [Order.objects.create(data=upload(b"first")) for _ in range(2)]:
        row.data = upload(b"second")
        row.save()
    Order.objects.earliest("pk").delete()


@case()
def delete_an_instance_whose_file_was_given_up() -> None:
    row = paper()
    row.data = None
    row.delete()


@case()
def delete_an_instance_whose_file_was_to_be_replaced() -> None:
    row = paper()
    row.data = upload(b"second")
    row.delete()


@case(b"first", b"second")
def copy_a_row_and_replace_its_file() -> None:
    row = paper()
    row.pk = None
    row.data = upload(b"second")
    row.save()


@case()
def copy_a_row_and_delete_both() -> None:
    row = paper()
    row.pk = None
    row.save()
    Paper.objects.all().delete()


@case(b"first")
def copy_to_another_table() -> None:
    row = paper()
    Version.objects.create(data=row.data)
    row.data = None
    row.save()


@case(b"second", b"signed")
def replace_one_of_two() -> None:
    Contract.objects.create(data=upload(b"first"), signed=upload(b"signed"))
    row = Contract.objects.get()
    row.data = upload(b"second")
    row.save()


@case(b"first")
def clear_one_of_two_that_are_the_same() -> None:
    row = paper()
    row.scan = row.data.name
    row.save()
    row.data = None
    row.save()


@case(b"second", b"fourth")
def replace_both_files_of_a_child() -> None:
    Contract.objects.create(data=upload(b"first"), signed=upload(b"third"))
    row = Contract.objects.get()
    row.data, row.signed = upload(b"second"), upload(b"fourth")
    row.save()


@case()
def delete_a_child() -> None:
    Contract.objects.create(data=upload(b"first"), signed=upload(b"second")).delete()


@case()
def delete_a_parent() -> None:
    Contract.objects.create(data=upload(b"first"), signed=upload(b"second"))
    Paper.objects.get().delete()


@case(b"first")
def delete_a_child_and_keep_its_parent() -> None:
    Contract.objects.create(data=upload(b"first"), signed=upload(b"second")).delete(keep_parents=True)


@case(b"first", b"second")
def make_a_child_of_a_parent() -> None:
    child = Contract(paper_ptr=(row := paper()))
    vars(child).update({name: value for name, value in vars(row).items() if name != "_state"})
    child.signed = upload(b"second")
    child.save()


@case(b"second")
def replace_in_a_proxy() -> None:
    paper()
    row = Draft.objects.get()
    row.data = upload(b"second")
    row.save()


@case()
def delete_a_proxy() -> None:
    paper()
    Draft.objects.get().delete()


@case(b"second")
def replace_where_the_base_is_abstract() -> None:
    row = Letter.objects.create(code="a", data=upload(b"first"))
    row.data = upload(b"second")
    row.save()


@case()
def delete_where_the_key_is_a_uuid() -> None:
    row = Receipt.objects.create(data=upload(b"first"))
    row.data = upload(b"second")
    row.save()
    Receipt.objects.get().delete()


@case(b"first")
def rollback() -> None:
    row = paper()
    with suppress(Stop), transaction.atomic():
        row.data = upload(b"second")
        row.save()
        row.delete()
        raise Stop


@case()
def rollback_of_a_new_row() -> None:
    with suppress(Stop), transaction.atomic():
        paper()
        raise Stop


@case(b"first", b"third")
def savepoint_rollback() -> None:
    row = paper()
    with transaction.atomic():
        with suppress(Stop), transaction.atomic():
            row.data = upload(b"second")
            row.save()
            Paper.objects.all().delete()
            raise Stop
        Paper.objects.create(data=upload(b"third"))


@case(b"second")
def savepoint_rollback_of_a_second_replacement() -> None:
    row = paper()
    with transaction.atomic():
        row.data = upload(b"second")
        row.save()
        with suppress(Stop), transaction.atomic():
            row.data = upload(b"third")
            row.save()
            raise Stop


@case(b"first")
def exception_in_save() -> None:
    row = paper()
    row.data = upload(b"second")
    vars(row)["folder_id"] = -1
    with pytest.raises(IntegrityError):
        row.save()  # and its COMMIT


@case(b"first")
def exception_in_save_before_its_statement() -> None:
    row = paper()
    row.data = upload(b"second")
    vars(row)["count"] = "many"
    with pytest.raises(ValueError, match="expected a number"):
        row.save()


@case(b"second", using="other")
def second_database_replace() -> None:
    row = Remote.objects.using("other").create(data=upload(b"first"))
    row.data = upload(b"second")
    row.save()


@case(b"kept", using="other")
def second_database_delete() -> None:
    for content in (b"first", b"kept"):
        Remote.objects.using("other").create(data=upload(content))
    Remote.objects.using("other").earliest("pk").delete()


@case(b"first", using="other")
def second_database_copy() -> None:
    row = Remote.objects.using("other").create(data=upload(b"first"))
    row.pk = None
    row.save()
    Remote.objects.using("other").earliest("pk").delete()


@case(unnamed=(b"first",), using="other")
def second_database_raw_delete() -> None:
    Remote.objects.using("other").create(data=upload(b"first"))
    sql("delete from papers_remote", using="other")


if hasattr(models, "DB_CASCADE"):
    from tests.lifecycle.papers.models import Slip

    @case(unnamed=(b"first",))
    def db_cascade() -> None:
        folder = Folder.objects.create()
        Slip.objects.create(folder=folder, data=upload(b"first"))
        folder.delete()


@EVERY_GUARD
def test_files_follow_their_rows(guard: str, catalogue: bool, subtests: pytest.Subtests) -> None:
    for name, case in CASES.items():
        with subtests.test(name):
            case.do()
            check(*case.named, unnamed=case.unnamed if guard == FIELD else (), catalogue=catalogue, using=case.using)
        empty_tables()
