"""Two sessions with the same file: one waits for the other, and what is committed in the end fits together."""

import random
from collections.abc import Callable, Iterator
from functools import partial

import pytest
from django.db import OperationalError, models, transaction

from pg_lo_storage.exceptions import LargeObjectNotFound
from pg_lo_storage.lifecycle.saves import RowSave
from tests.lifecycle.guards import EVERY_GUARD
from tests.lifecycle.papers.models import Paper, Version
from tests.lifecycle.sessions import Session
from tests.lifecycle.support import FILES, check, column, entries, named, upload


@pytest.fixture
def other() -> Iterator[Session]:
    with Session() as session:
        yield session


def replace(row: Paper, content: bytes = b"second") -> None:
    row.data = upload(content)
    row.save()


def share(row: Paper) -> None:
    Version.objects.create(data=row.data)


def delete(row: Paper) -> None:
    row.delete()


def clear(row: Paper) -> None:
    row.data = None
    row.save()


def copy(row: Paper) -> None:
    row.pk = None
    row._state.adding = True
    row.save()


ACTIONS: tuple[Callable[[Paper], None], ...] = (replace, share, delete, clear, copy)


@EVERY_GUARD
@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        (replace, replace, [b"second"]),
        (replace, delete, []),
        (clear, replace, [b"second"]),
        (share, delete, [b"first"]),
        (share, replace, [b"first", b"second"]),
        (copy, delete, [b"first"]),
        (delete, delete, []),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_second_waits_for_the_first(
    first: Callable[[Paper], None],
    second: Callable[[Paper], None],
    left: list[bytes],
    other: Session,
    catalogue: bool,
) -> None:
    Paper.objects.create(data=upload())
    mine, theirs = Paper.objects.get(), Paper.objects.get()
    with transaction.atomic():
        first(mine)
        started = other.start(lambda: second(theirs))
        assert other.waits(started)
    started.result(timeout=30)
    check(*left, catalogue=catalogue)


@EVERY_GUARD
@pytest.mark.parametrize("unlink", [replace, clear, delete])
@pytest.mark.parametrize("name", [share, copy])
def test_who_comes_to_name_a_file_that_goes_is_refused(
    unlink: Callable[[Paper], None], name: Callable[[Paper], None], other: Session, catalogue: bool
) -> None:
    Paper.objects.create(data=upload())
    mine, theirs = Paper.objects.get(), Paper.objects.get()
    with transaction.atomic():
        unlink(mine)
        started = other.start(lambda: name(theirs))
        assert other.waits(started)
    with pytest.raises((LargeObjectNotFound, OperationalError)):
        started.result(timeout=30)
    check(*([b"second"] if unlink is replace else []), catalogue=catalogue)


def test_who_comes_to_name_a_file_that_stays_may(other: Session, catalogue: bool) -> None:
    Paper.objects.create(data=upload())
    mine, theirs = Paper.objects.get(), Paper.objects.get()
    with transaction.atomic():
        delete(mine)
        started = other.start(lambda: share(theirs))
        assert other.waits(started)
        transaction.set_rollback(True)
    started.result(timeout=30)
    check(b"first", catalogue=catalogue)


def test_the_last_of_two_rows_takes_the_file_along(other: Session, catalogue: bool) -> None:
    mine = Paper.objects.create(data=upload())
    theirs = Version.objects.create(data=mine.data)
    with transaction.atomic():
        mine.delete()
        started = other.start(theirs.delete)
        assert other.waits(started)
    started.result(timeout=30)
    check(catalogue=catalogue)


def test_a_stale_instance_does_not_name_what_is_gone(other: Session, catalogue: bool) -> None:
    Paper.objects.create(data=upload())
    mine, theirs = Paper.objects.get(), Paper.objects.get()
    with transaction.atomic():
        replace(mine)
        theirs.title = "other"
        started = other.start(theirs.save)
        assert other.waits(started)
    started.result(timeout=30)
    check(b"second", catalogue=catalogue)
    assert Paper.objects.get().title == "other"


def test_a_row_that_comes_goes_and_comes_again_leaves_no_file(
    other: Session, catalogue: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A save that was to insert the row finds another one each time that it is about to write."""
    key = Paper.objects.create().pk
    Paper.objects.all().delete()
    look: Callable[..., object] = vars(RowSave)["_look"]
    looks = list[object]()

    def gated(self: RowSave, model: type[models.Model], pk: object) -> object:
        if len(looks) in {1, 2}:
            other.do(Paper.objects.all().delete)
        looks.append(look(self, model, pk))
        if len(looks) < 4:
            other.do(partial(Paper(pk=key, data=upload(b"of the other")).save, force_insert=True))
        return looks[-1]

    monkeypatch.setattr(RowSave, "_look", gated)
    Paper(pk=key, data=upload(b"mine")).save()
    assert [row is None for row in looks] == [True, True, True, False]
    check(b"mine", catalogue=catalogue)


def test_a_save_does_not_look_for_ever_for_a_row_that_comes_and_goes(
    other: Session, catalogue: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = Paper.objects.create().pk
    look: Callable[..., object] = vars(RowSave)["_look"]

    def gated(self: RowSave, model: type[models.Model], pk: object) -> object:
        other.do(Paper.objects.all().delete)
        found = look(self, model, pk)
        other.do(partial(Paper(pk=key, data=upload(b"of the other")).save, force_insert=True))
        return found

    monkeypatch.setattr(RowSave, "_look", gated)
    Paper(pk=key, data=upload(b"mine")).save()
    check(b"mine", unnamed=[b"of the other"], catalogue=catalogue)


Plan = list[tuple[Callable[[Paper], None], Paper]]


def plan(chance: random.Random) -> Plan:
    """Choose one or two things to do to rows, each session with instances of its own."""
    rows = list(Paper.objects.order_by("pk"))[-3:]
    return [(chance.choice(ACTIONS), chance.choice(rows)) for _ in range(chance.randint(1, 2))]


def carry_out(steps: Plan) -> str:
    """Do all or nothing; return the error that said so."""
    try:
        with transaction.atomic():
            for action, row in steps:
                if row.pk is not None:
                    action(row)
    except (LargeObjectNotFound, OperationalError) as error:
        return str(error)
    return ""


def test_sixty_interleavings_leave_neither_orphans_nor_dangling_names(other: Session, catalogue: bool) -> None:
    for seed in range(60):
        chance = random.Random(seed)
        Paper.objects.create(data=upload(b"%d" % seed))
        mine, theirs = plan(chance), plan(chance)
        started = other.start(partial(carry_out, theirs))
        for error in (carry_out(mine), started.result(timeout=30)):
            assert not error or "deadlock" in error or "no such file any more" in error
        objects = column(FILES)
        assert objects == named(), seed
        assert entries() == (objects if catalogue else set())
