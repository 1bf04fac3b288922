"""Rows go with their files, in batches; a file that another row names stays, and is told of."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from django.apps import apps
from django.core.files.base import ContentFile
from django.db import connections, transaction
from django.db.migrations.state import ProjectState

from pg_lo_storage.exceptions import LargeObjectPermissionDenied
from pg_lo_storage.maintenance import erasing
from pg_lo_storage.maintenance.erasing import CannotErase
from pg_lo_storage.operations import ManageLargeObjects
from pg_lo_storage.storage import db_file_storage
from tests.catalogue.support import run, saved, uncatalogued
from tests.erasing.desk.models import DISK, Bill, Customer, Letter, Moving, Note, Page, Remote, Slip, Version
from tests.erasing.support import erase, examine, files, letter, page, query, states
from tests.fixtures.connections import Connect
from tests.storage.support import loid_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])


def oids(using: str = "default") -> set[int]:
    return {oid for (oid,) in run("select oid::int8 from pg_largeobject_metadata", using=using)}


@pytest.fixture
def triggers() -> Iterator[None]:
    """Triggers on letters, which unlink what their rows named."""
    operation, state = ManageLargeObjects("letter", "data"), ProjectState.from_apps(apps)
    with connections["default"].schema_editor() as editor:
        operation.database_forwards("desk", editor, state, state)
    yield
    with connections["default"].schema_editor() as editor:
        operation.database_backwards("desk", editor, state, state)
    connections["default"].close()


def test_rows_go_with_their_files_and_what_goes_by_cascade(catalogue: bool) -> None:
    customer = Customer.objects.create(name="gone")
    going, staying = letter(customer=customer), letter()
    page(going)
    note = Note.objects.create(letter=going)
    [step] = examine(query(Customer, name="gone"))
    assert step.rows == Counter({"desk.Customer": 1, "desk.Letter": 1, "desk.Page": 1})
    assert Letter.objects.count() == 2
    [done] = erase(query(Customer, name="gone"))
    assert done == step
    assert done.updated == Counter({"desk.Note.letter": 1})
    assert {file.state for file in done.files} == {"erased"}
    assert list(Letter.objects.all()) == [staying]
    assert not Page.objects.exists()
    note.refresh_from_db()
    assert note.letter is None
    assert oids() == {loid_of(str(staying.data.name))}
    assert catalogue is not None


def test_what_is_known_of_a_file_is_told(catalogue: bool) -> None:
    row = letter(b"content")
    name = str(row.data.name)
    [file] = files(erase(query(Letter)))
    assert (file.database, file.name, file.oid, file.size) == ("default", name, loid_of(name), 7)
    assert file.rows == [("desk_letter", "data", str(row.pk))]
    if catalogue:
        assert (file.original_name, file.content_type) == ("letter.pdf", "application/pdf")
        assert file.sha256 == hashlib.sha256(b"content").hexdigest()
        assert file.created_at is not None


def test_a_field_that_leaves_its_files_alone_has_them_erased_too(catalogue: bool) -> None:
    Letter.objects.create(plain=saved())
    assert set(states(erase(query(Letter))).values()) == {"erased"}
    assert not oids()
    assert catalogue is not None


@pytest.mark.usefixtures("triggers")
def test_triggers_may_unlink_them_first() -> None:
    name = str(letter().data.name)
    assert states(erase(query(Letter))) == {name: "erased"}
    assert not oids()


def test_a_file_that_another_row_names_stays_until_that_row_goes(catalogue: bool) -> None:
    row = letter()
    name = str(row.data.name)
    version = Version.objects.create(data=name)
    for steps in (examine(query(Letter)), erase(query(Letter))):
        [file] = files(steps)
        assert (file.state, file.why) == ("kept", f"named by desk_version {version.pk} data")
    assert not Letter.objects.exists()
    assert db_file_storage.exists(name)
    assert states(erase(query(Version))) == {name: "erased"}
    assert not oids()
    assert catalogue is not None


def test_rows_that_share_a_file_take_it_along_together(catalogue: bool) -> None:
    name = str(letter().data.name)
    Letter.objects.create(data=name)
    assert states(examine(query(Letter))) == {name: "erased"}
    [file] = files(erase(query(Letter)))
    assert (file.state, len(file.rows)) == ("erased", 2)
    assert catalogue is not None


def test_text_that_is_no_name_is_none_of_ours() -> None:
    Version.objects.create(data="a letter of 12 pages")
    assert not files(erase(query(Version)))


def test_a_file_that_is_missing_is_said_to_be() -> None:
    run("insert into desk_letter (data) values ('4000000000.pdf')")
    assert states(examine(query(Letter))) == {"4000000000.pdf": "missing"}
    assert states(erase(query(Letter))) == {"4000000000.pdf": "missing"}


def test_another_applications_object_is_left() -> None:
    name = f"{uncatalogued()}.pdf"
    run("insert into desk_letter (data) values (%s)", name)
    assert states(erase(query(Letter))) == {name: "left"}
    assert oids()


def test_files_of_other_storages_are_left_and_told(catalogue: bool) -> None:
    run("insert into desk_remote (disk) values ('scans/a.pdf')")
    assert states(examine(query(Remote))) == {"scans/a.pdf": "left"}
    assert states(erase(query(Remote))) == {"scans/a.pdf": "left"}
    assert catalogue is not None


def test_files_that_have_not_moved_yet_go_from_their_old_place(catalogue: bool) -> None:
    moved = Moving.objects.create(data=ContentFile(b"new", "a.pdf"))
    names = [DISK.save(f"letters/{n}.pdf", ContentFile(b"old")) for n in range(2)]
    for name in names:
        run("insert into desk_moving (data) values (%s)", name)
    Version.objects.create(data=names[1])
    assert {file.size for file in files(examine(query(Moving)))} == {3}
    assert all(map(DISK.exists, names))
    done = {str(moved.data.name): "erased", names[0]: "erased", names[1]: "kept"}
    assert states(erase(query(Moving))) == done
    assert [DISK.exists(name) for name in names] == [False, True]
    assert not oids()
    assert catalogue is not None


def test_a_file_on_another_database_goes_after_the_commit(catalogue: bool) -> None:
    row = Remote.objects.create(data=ContentFile(b"far", "a.pdf"))
    name = str(row.data.name)
    assert states(examine(query(Remote))) == {name: "erased"}
    assert oids("other")
    [file] = files(erase(query(Remote)))
    assert (file.state, file.database, file.size) == ("erased", "other", 3)
    assert not oids("other")
    assert catalogue is not None


def test_rows_of_another_database_are_found_there(catalogue: bool) -> None:
    Letter.objects.using("other").create(data=ContentFile(b"far", "a.pdf"))
    letter()
    [file] = files(erase(query(Letter, "other")))
    assert (file.state, file.database) == ("erased", "other")
    assert not oids("other")
    assert len(oids()) == 1
    assert catalogue is not None


def test_what_is_protected_is_refused(catalogue: bool) -> None:
    bill = Bill.objects.create(letter=letter())
    for act in (examine, erase):
        with pytest.raises(CannotErase, match=rf"such as desk\.Bill {bill.pk}"):
            act(query(Letter))
    assert Letter.objects.exists()
    assert catalogue is not None


def test_no_transaction_has_too_many_files(monkeypatch: pytest.MonkeyPatch, catalogue: bool) -> None:
    monkeypatch.setattr(erasing, "MOST", 4)
    customer = Customer.objects.create(name="a")
    for _ in range(5):
        row = letter(customer=customer)
        for _ in range(3):
            page(row)
    steps = erase(query(Customer))
    assert max(len(step.files) for step in steps) <= 4
    assert sum((step.rows for step in steps), Counter[str]()) == Counter(
        {"desk.Customer": 1, "desk.Letter": 5, "desk.Page": 15}
    )
    assert not oids()
    assert catalogue is not None


def test_a_row_that_no_longer_is_what_was_asked_for_stays() -> None:
    """Before the rows are locked another session may change them."""
    row = letter(customer=Customer.objects.create(name="a"))

    def first(execute: Callable[..., object], sql: str, *context: object) -> object:
        if "FOR UPDATE" in sql:
            execute("UPDATE desk_customer SET name = 'b'", None, *context[1:])
        return execute(sql, *context)

    with connections["default"].execute_wrapper(first):
        assert erase(query(Letter, customer__name="a")) == []
    assert Customer.objects.get().name == "b"
    assert list(Letter.objects.all()) == [row]


def test_keys_of_several_columns(monkeypatch: pytest.MonkeyPatch, catalogue: bool) -> None:
    monkeypatch.setattr(erasing, "MOST", 2)
    for number in range(5):
        Slip.objects.create(drawer=f"d{number % 2}", number=number, data=ContentFile(b"slip", "slip.txt"))
    rows = query(Slip, number__lt=4)
    assert [step.rows["desk.Slip"] for step in examine(rows)] == [2, 2]
    steps = erase(rows)
    assert sorted(key for file in files(steps) for _, _, key in file.rows) == ["d0, 0", "d0, 2", "d1, 1", "d1, 3"]
    assert [slip.pk for slip in Slip.objects.all()] == [("d0", 4)]
    assert oids() == {slip.data.loid for slip in Slip.objects.all()}
    assert catalogue is not None


def test_what_may_not_be_unlinked_undoes_its_batch(connect: Connect) -> None:
    name = str(letter().data.name)
    superuser = connect(user="postgres", autocommit=True)
    superuser.cursor().execute(f"alter large object {loid_of(name)} owner to postgres")
    with pytest.raises(LargeObjectPermissionDenied):
        erase(query(Letter))
    assert Letter.objects.get().data.name == name


def test_it_wants_a_transaction_of_its_own() -> None:
    letter()
    with transaction.atomic(), pytest.raises(RuntimeError):
        erase(query(Letter))
    assert Letter.objects.exists()
