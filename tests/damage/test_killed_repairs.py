"""``repair`` is killed at random moments, and run again: it ends as if nothing had happened.

``PG_LO_TEST_DAMAGE`` says how many files there are, and how many kills: ``50000,50``.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest
from django.db import connections

from tests.damage.planting import CATALOGUE, Damage, state
from tests.damage.support import as_found, findings, misread
from tests.fixtures.connections import RawConnection, run

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "other"]),
    pytest.mark.timeout(3_600),
]

ROOT: Final = Path(__file__).parents[2]
KILLS: Final = int(os.environ.get("PG_LO_TEST_DAMAGE", "").partition(",")[2] or 2)
SETTINGS: Final = "tests.damage.settings"
KINDS: Final = ["--extensions", "--entries", "--sizes", "--digests", "--orphans", "--dangling", "null"]
COMMAND: Final = ["largeobjects", "repair", *KINDS, "--older-than", "1d", "--database", "default", "--yes"]
NAME: Final = "killed_repairs"
"""Tells the child's backends from those that other tests may have left open."""
# Small batches, with a pause in each, so that kills come within them and in between.
CHILD: Final = """
import sys, time, random
import django
from django.core.management import execute_from_command_line

django.setup()
from pg_lo_storage.maintenance import repairs

most, change = int(sys.argv.pop(1)), {}
for kind in repairs.Mender.__subclasses__() + repairs.EntryMender.__subclasses__():
    kind.most = min(kind.most, most)
    if "change" in vars(kind):
        def later(self, batch, change=kind.change):
            done = change(self, batch)
            time.sleep(random.random() / 100)
            return done
        kind.change = later
execute_from_command_line(sys.argv)
"""


def start(most: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(most), *COMMAND, "--skip-checks"],
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "tests.damage.settings",
            "PGAPPNAME": NAME,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_the_end_of_backends(superuser: RawConnection) -> None:
    """A backend goes on for a moment when its client was killed."""
    connections.close_all()
    while run(superuser, f"select 1 from pg_stat_activity where application_name = '{NAME}'"):
        time.sleep(0.01)


def test_it_ends_in_the_same_state_however_often_it_is_killed(damage: Damage) -> None:
    before = state(damage.superuser)
    chance, killed, finished = random.Random(7), 0, 0
    findings_before = sum(len(found) for found in damage.by_kind.values())
    step = max(4, findings_before // KILLS)
    while killed < KILLS:
        with start(step // 4) as process:
            assert process.stdout
            for _ in range(chance.randrange(1, step)):
                if not process.stdout.readline():
                    break
            time.sleep(chance.random() / 50)
            finished += process.poll() is not None
            process.send_signal(signal.SIGKILL)
            process.communicate()
        killed += 1
        wait_for_the_end_of_backends(damage.superuser)
    with start(1_000) as process:
        printed, error = process.communicate()
    assert (process.returncode, error) == (1, ""), error
    after = state(damage.superuser)
    gone = damage.oids("orphan", "role")
    assert after.objects == {oid: found for oid, found in before.objects.items() if oid not in gone}
    found = {as_found(finding) for finding in findings() + misread()}
    left = {each for each in damage.by_kind["dangling"] if each.table in {"shelf_contract", "public.shelf_scan"}}
    left |= damage.by_kind["name"] | damage.by_kind["role"] | damage.by_kind["shared"]
    left |= {each for each in damage.by_kind["orphan"] if int(each.key[0][1]) not in gone}
    assert found == left
    entries = damage.oids("entry") | gone
    assert {row["loid"] for row in after.tables[CATALOGUE]} == (
        {row["loid"] for row in before.tables[CATALOGUE] if int(row["loid"]) not in entries}
        | {str(oid) for oid in damage.oids("uncatalogued")}
    )
    untouched = set(before.tables) - {CATALOGUE, "Shelf Book", "shelf_volume", "shelf_sheet", "shelf_version"}
    assert {table: after.tables[table] for table in untouched} == {table: before.tables[table] for table in untouched}
    sys.stdout.write(f"{damage.count} files, {killed} kills, {finished} after its end; {printed.splitlines()[-1]}\n")
