"""Runs ``manage.py largeobjects`` again and again, each time in a child of its own.

The argument says what the database has at the beginning. Reads a task as JSON from each line of standard input: the
``port`` and the ``database``, the ``arguments``, the ``folder`` for what it prints (``stdout``, ``stderr``), and for a
byte of each statement before it is sent (``statements``), and which statement waits at the ``gate`` of the folder, if
any. Says the exit status.
"""

import json
import os
import random
import sys
import traceback
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import django
from django.conf import settings
from django.core.management import call_command, execute_from_command_line
from django.db import connections

from example.cluster import keyword_string
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.databases.watching import OfDjangosStatements
from pg_lo_storage.maintenance import moves, repairs
from tests.fixtures.connections import INSTALLED, open_connection

FILES: Final = 110
DAMAGED: Final = 8  # of each kind
LETTERS: Final = 12
_BATCH: Final = 4


def plant_damage() -> None:
    """Make files with damage of every kind."""
    from tests.damage.planting import CATALOGUE, TABLES, Damage

    database = connections["default"].settings_dict
    parameters = {"host": database["HOST"], "port": database["PORT"], "dbname": database["NAME"], "user": "postgres"}
    with closing(open_connection(INSTALLED[0], keyword_string(parameters), autocommit=True)) as superuser:
        damage = Damage(FILES, superuser)
        damage.each = DAMAGED
        damage.plant()
        # No table has room, should the disk be full.
        for table in (*TABLES, CATALOGUE):
            superuser.cursor().execute(f'vacuum full "{table}"')


def plant_letters() -> None:
    """Make rows that name old files."""
    from tests.moving.support import row_of

    for number in range(LETTERS):
        row_of(f"{number}.txt")


def content_of(number: int) -> bytes:
    """Return the content of a letter's file."""
    chance = random.Random(number)
    return b"%d," % number * chance.choice([1, 5_000, 120_000])


PLANTS: Final[dict[str, tuple[str, Callable[[], None]]]] = {
    "damage": ("tests.damage.shelf", plant_damage),
    "letters": ("tests.moving.letters", plant_letters),
}


def take_small_steps() -> None:
    """Have transactions end after a few files, so that some come before a crash and some after."""
    for kind in repairs.Mender.__subclasses__() + repairs.EntryMender.__subclasses__():
        kind.most = min(kind.most, _BATCH)
    moves.__dict__["_SECONDS"] = 0.01


def work(task: dict[str, Any]) -> int:
    """Run the command; return its exit status."""
    connections["default"].settings_dict |= {"PORT": task["port"], "NAME": task["database"]}
    folder = Path(task["folder"])
    statements, *streams = (
        os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for name in ("statements", "stdout", "stderr")
    )
    for number, stream in enumerate(streams, 1):
        os.dup2(stream, number)
    run = DatabaseDriver.run

    def tell() -> None:
        os.write(statements, b".")
        if os.fstat(statements).st_size == task["gate"]:
            (folder / "gate").read_bytes()  # somebody opens and closes it

    def telling(self: DatabaseDriver, *arguments: Any, **options: Any) -> Any:
        tell()
        return run(self, *arguments, **options)

    def telling_of_djangos(execute: Callable[..., object], *arguments: object) -> object:
        tell()
        return execute(*arguments)

    DatabaseDriver.run = telling  # type: ignore[method-assign]  # the process ends
    connections["default"].execute_wrappers.append(OfDjangosStatements(telling_of_djangos))
    try:
        execute_from_command_line(["manage.py", "largeobjects", *task["arguments"], "--skip-checks"])
    except SystemExit as error:
        return int(error.code or 0)
    except BaseException:  # noqa: BLE001 -- said as Python does
        traceback.print_exc()
        return 70
    return 0


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    app, plant = PLANTS[sys.argv[1]]
    settings.INSTALLED_APPS = ["django.contrib.contenttypes", "pg_lo_storage", app]
    django.setup()
    call_command("migrate", verbosity=0, run_syncdb=True)
    plant()
    take_small_steps()
    connections.close_all()
    say("ready")
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = work(json.loads(line))
            sys.stdout.flush()
            os._exit(status)
        _, status = os.waitpid(child, 0)
        say(str(os.waitstatus_to_exitcode(status)))


if __name__ == "__main__":
    main()
