"""Files move while others use their rows, and the database has rules of its own: what cannot move now is told."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest
from django.apps import apps
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.core.management import CommandError
from django.db import DatabaseError, OperationalError, connections, models, transaction
from django.db.migrations.state import ProjectState
from typing_extensions import override

from example.cluster import Server
from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.lifecycle.old_files import delete_unnamed
from pg_lo_storage.maintenance import moves
from pg_lo_storage.maintenance.move_places import Elsewhere, LargeObjects
from pg_lo_storage.operations import ManageLargeObjects
from pg_lo_storage.storage import DbFileStorage, TransitionalStorage
from tests.fixtures.connections import INSTALLED, open_connection, run
from tests.lifecycle.guards import without_catalogue_s_table
from tests.lifecycle.sessions import Session
from tests.lifecycle.support import read, sql, upload
from tests.moving.letters.models import OLD, Letter
from tests.moving.support import put, row_of
from tests.moving.test_moves import count_objects, listed, move, names

WITH_CATALOGUE = pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True)


@WITH_CATALOGUE
def test_a_row_that_another_transaction_has_is_left_for_the_next_run(
    old: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moves, "PATIENCE", 0.1)
    for name in ("a.pdf", "b.pdf"):
        put(old, name)
        row_of(name)
    with closing(open_connection(INSTALLED[0], server.dsn())) as other:
        run(other, "update letters_letter set title = 'in use' where data = 'a.pdf' returning id")
        said = move("letters.Letter.data", "--delete-source", status=1)
        assert "'a.pdf': failed: OperationalError: canceling statement due to lock timeout" in said
        assert (names()[0], listed(old)) == ("a.pdf", ["a.pdf"])
        other.commit()
    move("letters.Letter.data", "--delete-source")
    assert [read(letter.data) for letter in Letter.objects.all()] == [b"old", b"old"]
    assert set(Letter.objects.values_list("title", flat=True)) == {"", "in use"}
    assert listed(old) == []


def while_saving(
    monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object], kind: type[Storage] = DbFileStorage
) -> None:
    """Do something once the first file is stored, before its row gets the new name."""
    saved, undone = kind.save, [meanwhile]

    def save(self: Storage, name: str, content: Any, max_length: int | None = None) -> str:
        stored = saved(self, name, content, max_length)
        if undone:
            undone.pop()()
        return stored

    monkeypatch.setattr(kind, "save", save)


@WITH_CATALOGUE
def test_a_row_that_another_has_changed_meanwhile_is_left(
    old: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.pdf", "b.pdf"):
        put(old, name)
        row_of(name)
    with closing(open_connection(INSTALLED[0], server.dsn(), autocommit=True)) as other:
        update = "update letters_letter set data = 'c.pdf' where data = 'b.pdf' returning id"
        while_saving(monkeypatch, lambda: run(other, update))
        said = move("letters.Letter.data", "--delete-source")
    assert "1 files of 1 rows, 3 bytes, moved" in said
    assert (names()[1], listed(old), count_objects()) == ("c.pdf", ["b.pdf"], 1)


@WITH_CATALOGUE
def test_a_lost_connection_is_said_to_be_lost_and_nothing_has_moved(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.pdf", "b.pdf"):
        put(old, name)
        row_of(name)
    with monkeypatch.context() as patched:
        while_saving(patched, lambda: sql("select pg_terminate_backend(pg_backend_pid())"))
        with pytest.raises((CommandError, DatabaseError), match=r"terminat|closed|lost"):
            move("letters.Letter.data", "--delete-source")
    connections["default"].close()
    assert (names(), listed(old), count_objects()) == (["a.pdf", "b.pdf"], ["a.pdf", "b.pdf"], 0)
    move("letters.Letter.data", "--delete-source")
    assert [read(letter.data) for letter in Letter.objects.all()] == [b"old", b"old"]


@WITH_CATALOGUE
def test_what_ended_the_connection_is_told_before_that_no_other_comes(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(old, "a.pdf")
    row_of("a.pdf")

    def lose() -> None:
        refused = Mock(side_effect=OperationalError("no server"))
        patched.setattr(connections["default"], "get_new_connection", refused)
        sql("select pg_terminate_backend(pg_backend_pid())")

    with monkeypatch.context() as patched:
        while_saving(patched, lose)
        with pytest.raises(CommandError, match=r"^[^\n]*terminat[^\n]*; then: no server$"):
            move("letters.Letter.data", "--delete-source")
    connections["default"].close()
    assert (names(), listed(old), count_objects()) == (["a.pdf"], ["a.pdf"], 0)


@WITH_CATALOGUE
def test_what_the_database_refuses_undoes_one_file(old: Path) -> None:
    for name in ("a.pdf", "b.txt"):
        put(old, name)
        row_of(name)
    sql("alter table letters_letter add constraint no_text check (data not like '%.txt' or data = 'b.txt')")
    try:
        said = move("letters.Letter.data", "--delete-source", status=1)
    finally:
        sql("alter table letters_letter drop constraint no_text")
    assert "'b.txt': failed: IntegrityError: " in said
    assert "no_text" in said
    assert (names()[1], listed(old), count_objects()) == ("b.txt", ["b.txt"], 1)


@WITH_CATALOGUE
def test_whatever_the_session_s_isolation_level_sources_go(old: Path) -> None:
    put(old, "a.pdf")
    row_of("a.pdf")
    sql("set session characteristics as transaction isolation level repeatable read")
    try:
        move("letters.Letter.data", "--delete-source")
        move("letters.Letter.data", "--to", "old", "--delete-source")
    finally:
        connections["default"].close()
    assert read(Letter.objects.get().data) == b"old"
    assert not count_objects()


@WITH_CATALOGUE
def test_where_nothing_may_be_written_that_is_said_in_a_line(old: Path) -> None:
    put(old, "a.pdf")
    row_of("a.pdf")
    sql("set default_transaction_read_only = on")
    try:
        with pytest.raises(CommandError, match=r"^[^\n]*read-only[^\n]*$"):
            move("letters.Letter.data")
    finally:
        connections["default"].close()


@pytest.fixture
def _triggers(catalogue: bool) -> Iterator[None]:
    """Triggers on letters; without the catalogue its table is away."""
    operation, state = ManageLargeObjects("letter", "data"), ProjectState.from_apps(apps)
    with ExitStack() as stack:
        if not catalogue:
            stack.enter_context(without_catalogue_s_table("default"))
        with connections["default"].schema_editor() as editor:
            operation.database_forwards("letters", editor, state, state)
        yield
        with connections["default"].schema_editor() as editor:
            operation.database_backwards("letters", editor, state, state)
        connections["default"].close()


def moved(*, out: bool, delete: bool) -> set[str]:
    """Move all letters' files, as the command does, which is there with the app only; return what became of them."""
    field = cast("models.FileField", Letter._meta.get_field("data"))
    new, old = LargeObjects(OLD, "default", OLD.legacy), Elsewhere(OLD.legacy)
    source, target = (new, old) if out else (old, new)
    work = moves.FileMove(Letter, field, "default", source, target, delete_source=delete)
    return {step.outcome for step in work.run()}


@pytest.mark.usefixtures("_triggers")
@pytest.mark.parametrize("delete", [False, True], ids=["stay", "go"])
def test_triggers_let_files_go_out_and_in(old: Path, delete: bool) -> None:
    for content in (b"first", b"second"):
        Letter.objects.create(data=upload(content))
    row_of(names()[0])
    assert moved(out=True, delete=delete) == {"moved"}
    assert count_objects() == (0 if delete else 2)
    assert moved(out=False, delete=delete) == {"moved"}
    assert [read(letter.data) for letter in Letter.objects.order_by("pk")] == [b"first", b"second", b"first"]
    assert count_objects() == (2 if delete else 4)
    assert bool([path for path in old.rglob("*") if path.is_file()]) is not delete


@pytest.mark.usefixtures("_triggers")
def test_triggers_do_not_take_an_old_file_for_somebody_s_object(old: Path) -> None:
    [(oid,)] = sql("select lo_from_bytea(0, 'of another application')")
    put(old, f"{oid}.pdf")
    row_of(f"{oid}.pdf")
    assert moved(out=False, delete=True) == {"moved"}
    assert bytes(sql("select lo_get(%s)", oid)[0][0]) == b"of another application"


@WITH_CATALOGUE
def test_files_on_another_database_than_their_rows(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = TransitionalStorage(DbFileStorage(alias="other"), "old")
    monkeypatch.setattr(Letter._meta.get_field("data"), "storage", storage)
    for name in ("a.pdf", "b.txt"):
        put(old, name)
        row_of(name)

    def on_other() -> int:
        return int(sql("select count(*) from pg_largeobject_metadata", using="other")[0][0])

    sql("alter table letters_letter add constraint no_text check (data not like '%.txt' or data = 'b.txt')")
    try:
        move("letters.Letter.data", "--delete-source", status=1)
    finally:
        sql("alter table letters_letter drop constraint no_text")
    assert (listed(old), count_objects(), on_other()) == (["b.txt"], 0, 1)
    move("letters.Letter.data", "--delete-source")
    assert (listed(old), count_objects(), on_other()) == ([], 0, 2)
    assert [read(letter.data) for letter in Letter.objects.all()] == [b"old", b"old"]
    move("letters.Letter.data", "--to", "old", "--delete-source")
    assert (count_objects(), on_other()) == (0, 0)
    assert [read(letter.data) for letter in Letter.objects.all()] == [b"old", b"old"]


@pytest.fixture
def session(old: Path) -> Iterator[Session]:
    """Another session; there is an old file that no row names."""
    put(old, "7.pdf")
    with Session() as session:
        yield session


def name_it() -> None:
    Letter.objects.create(data="7.pdf")


def delete_it(storage: Storage) -> bool:
    return delete_unnamed("default", storage, "7.pdf")


@WITH_CATALOGUE
def test_who_deletes_an_old_file_waits_for_who_comes_to_name_it(session: Session, old: Path) -> None:
    with transaction.atomic():
        name_it()
        started = session.start(lambda: delete_it(storages["old"]))
        assert session.waits(started)
    assert started.result(timeout=30) is False
    assert listed(old) == names() == ["7.pdf"]


@WITH_CATALOGUE
def test_who_comes_to_name_an_old_file_waits_for_who_deletes_it(session: Session, old: Path) -> None:
    started: list[Future[None]] = []

    class Watched(FileSystemStorage):
        @override
        def delete(self, name: str) -> None:
            started.append(session.start(name_it))
            assert session.waits(started[0])
            super().delete(name)

    assert delete_it(Watched(old))
    with pytest.raises(LargeObjectNotFound):
        started[0].result(timeout=30)
    assert listed(old) == names() == []


@WITH_CATALOGUE
@pytest.mark.parametrize("out", [False, True], ids=["in", "out"])
def test_who_replaces_a_file_that_moves_waits_until_its_row_has_the_new_name(
    session: Session, old: Path, monkeypatch: pytest.MonkeyPatch, out: bool
) -> None:
    put(old, "a.pdf")
    letter = Letter.objects.create(data=upload()) if out else row_of("a.pdf")
    started: list[Future[None]] = []
    waited: list[bool] = []

    def replace() -> None:
        letter.data = upload(b"theirs")
        letter.save()

    def meanwhile() -> None:
        started.append(session.start(replace))
        waited.append(session.waits(started[0]))

    while_saving(monkeypatch, meanwhile, FileSystemStorage if out else DbFileStorage)
    move("letters.Letter.data", "--delete-source", *(["--to", "old"] if out else []))
    started[0].result(timeout=30)
    assert waited == [True]
    assert read(Letter.objects.get().data) == b"theirs"
    assert count_objects() == 1
