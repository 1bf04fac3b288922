"""``move`` is interrupted at random moments, and run again: at each moment every row's file is at one place, whole.

``PG_LO_TEST_MOVES`` says how many files there are, and how many interruptions of each kind: ``2000,50``.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest
from django.core.management import call_command
from django.db import connections

from pg_lo_storage.lifecycle import old_files
from pg_lo_storage.maintenance import moves
from pg_lo_storage.storage import db_file_storage
from tests.fixtures.connections import Connect, RawConnection, run
from tests.fixtures.losing import Lose
from tests.lifecycle.support import FILES, column, entries, read
from tests.moving.letters.models import Letter
from tests.moving.library import COUNT
from tests.moving.support import THEN, put, row_of
from tests.moving.test_moves import move as run_move

KILLS: Final = int(os.environ.get("PG_LO_TEST_MOVES", "").partition(",")[2] or 3)
NAME: Final = "killed_moves"
COMMAND: Final = ["largeobjects", "move", "letters.Letter.data", "--from", "old", "--delete-source", "--yes"]

pytestmark = [
    pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True),
    pytest.mark.timeout(120 + COUNT + 20 * KILLS),
]


def move(told: int) -> None:
    """Move all files, in a process of its own, which tells of each step and ends where it fails."""
    steps = moves.FileMove.run

    def telling(self: moves.FileMove) -> Iterator[moves.Step]:
        for step in steps(self):
            os.write(told, b".")
            yield step

    os.environ["PGAPPNAME"] = NAME
    moves.FileMove.run = telling  # type: ignore[method-assign]  # the process ends
    with suppress(BaseException):
        call_command(*COMMAND, verbosity=0)


def interrupted(interrupt: Callable[[int], object], steps: int, delay: float) -> None:
    """Have a child move files, and interrupt it once it has done so many steps."""
    connections.close_all()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        move(writer)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as told:
        told.read(steps)
        time.sleep(delay)
        interrupt(child)
        os.waitpid(child, 0)


def kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)


def backends(connection: RawConnection) -> list[int]:
    return [pid for (pid,) in run(connection, "select pid from pg_stat_activity where application_name = %s", [NAME])]


@pytest.mark.parametrize("loses", ["process", "connection"])
def test_every_file_is_whole_at_one_place_however_often_it_is_interrupted(
    loses: str, old: Path, connect: Connect
) -> None:
    superuser, chance = connect(user="postgres", autocommit=True), random.Random(loses)
    contents = [b"%d," % number * chance.choice([1, 5_000, 120_000]) for number in range(COUNT)]
    for number, content in enumerate(contents):
        put(old, f"{number}.txt", content)
        row_of(f"{number}.txt")

    def lose_the_connection(_child: int) -> None:
        for pid in backends(superuser):
            run(superuser, "select pg_terminate_backend(%s)", [pid])

    def check() -> int:
        """Look whether all is there; return how many files are large objects."""
        while backends(superuser):
            time.sleep(0.001)
        letters = list(Letter.objects.order_by("pk"))
        assert [read(letter.data) for letter in letters] == contents
        new = {int(str(letter.data.name).partition(".")[0]) for letter in letters if not is_old(letter)}
        assert column(FILES) == entries() == new
        return len(new)

    def is_old(letter: Letter) -> bool:
        return (old / str(letter.data.name)).exists()

    done = [0]
    for _ in range(KILLS):
        steps = chance.randint(1, max(1, COUNT // KILLS))
        interrupted(kill if loses == "process" else lose_the_connection, steps, chance.random() / 100)
        done.append(check())
    assert done == sorted(done)
    assert done[1] > 0
    with suppress(SystemExit):
        call_command(*COMMAND, verbosity=0)
    assert check() == COUNT
    # An old file is deleted after the commit: what was interrupted in between left it, and no row names it.
    left = {path.name for path in old.rglob("*") if path.is_file()}
    assert len(left) < COUNT
    assert not Letter.objects.filter(data__in=left).exists()
    for letter in Letter.objects.all():
        entry = db_file_storage.entry(str(letter.data.name))
        assert (entry.created_at, db_file_storage.verify(str(letter.data.name))) == (THEN, True)


def test_a_connection_that_is_lost_after_the_commit_is_told_in_a_line_and_the_old_file_stays(
    old: Path, lose: Lose, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = put(old, "a.txt")
    row_of("a.txt")
    look: Callable[..., object] = vars(old_files)["existing_columns"]

    def look_too_late(*arguments: object, **options: object) -> object:
        lose()
        return look(*arguments, **options)

    monkeypatch.setattr(old_files, "existing_columns", look_too_late)
    assert "'a.txt': moved: the old file stays: OperationalError" in run_move(*COMMAND[2:-1])
    assert caplog.records == []
    assert path.exists()
    assert read(Letter.objects.get().data) == b"old"
