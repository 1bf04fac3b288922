"""``erase`` is killed at random moments, and run again: the receipt says of each file once that it was erased.

``PG_LO_TEST_ERASE`` says how many letters there are, and how many kills: ``5000,50``.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest
from django.core.files.base import ContentFile
from django.db import connections

from pg_lo_storage.maintenance.receipts import read
from tests.catalogue.support import run
from tests.erasing.desk.models import Letter, Version
from tests.erasing.support import kinds

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(3_600), pytest.mark.once]

ROOT: Final = Path(__file__).parents[2]
LETTERS, KILLS = (int(number) for number in os.environ.get("PG_LO_TEST_ERASE", "40,2").split(","))
COMMAND: Final = ["largeobjects", "erase", "desk.Letter", "--where", "pk__isnull=false", "--yes"]
# Small batches, with a pause at each place where the process may end.
CHILD: Final = """
import sys, time, random
import django
from django.core.management import execute_from_command_line

django.setup()
from pg_lo_storage.maintenance import erasing, receipts

erasing.MOST = int(sys.argv.pop(1))
write = receipts.Receipt.write
def pausing(self, *kind, **values):
    time.sleep(random.random() / 100)
    write(self, *kind, **values)
    time.sleep(random.random() / 20)
receipts.Receipt.write = pausing
execute_from_command_line(sys.argv)
"""


def start(path: Path, most: int) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(most), *COMMAND, "--receipt", str(path), "--skip-checks"],
        cwd=ROOT,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "DJANGO_SETTINGS_MODULE": "tests.erasing.settings"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def batches(path: Path) -> int:
    return path.read_bytes().count(b'{"kind": "batch"') if path.exists() else 0


def test_each_file_is_once_in_the_receipt_however_often_it_is_killed(tmp_path: Path) -> None:
    names = [str(Letter.objects.create(data=ContentFile(b"data", "a.txt")).data.name) for _ in range(LETTERS)]
    Version.objects.create(data=names[0])
    path, chance, most = tmp_path / "receipt", random.Random(7), max(2, LETTERS // KILLS // 8)
    connections.close_all()
    for _ in range(KILLS):
        with start(path, most) as process:
            target = batches(path) + chance.randrange(1, 3)
            while batches(path) < target and process.poll() is None:
                time.sleep(0.001)
            time.sleep(chance.random() / 15)
            process.send_signal(signal.SIGKILL)
            process.communicate()
    with start(path, 1_000) as process:
        _, error = process.communicate()
    assert (process.returncode, error) == (1, ""), error
    outcome: dict[int, str] = {}
    states: dict[int, list[tuple[str, str]]] = {}
    for record in read(path):
        if record["kind"] == "batch":
            states[record["batch"]] = [(file["name"], file["state"]) for file in record["files"]]
        elif record["kind"] in {"committed", "undone"}:
            outcome[record["batch"]] = record["kind"]
    assert outcome.keys() == states.keys()
    found = Counter(file for batch, kind in outcome.items() if kind == "committed" for file in states[batch])
    assert found == Counter({(names[0], "kept"): 1} | {(name, "erased"): 1 for name in names[1:]})
    assert run("select count(*) from pg_largeobject_metadata") == [(1,)]
    assert not Letter.objects.exists()
    assert kinds(path)[-1] == "end"
    sys.stdout.write(f"{LETTERS} letters, {KILLS} kills; batches: {Counter(outcome.values())}\n")
