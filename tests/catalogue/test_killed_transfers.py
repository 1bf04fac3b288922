"""``manage.py largeobjects transfer`` is killed at random moments, and run again.

``PG_LO_TEST_TRANSFER`` says how many files there are, and how many kills: ``5000,20``.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from tests.catalogue.support import run
from tests.invoices.models import Invoice

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "other"])

ROOT = Path(__file__).parents[2]
FILES, KILLS = map(int, os.environ.get("PG_LO_TEST_TRANSFER", "240,4").split(","))
BATCH = FILES // (10 * KILLS) or 1  # each kill comes after some of these
# It waits between the two commits, as on a slow network, so that some kills come then.
CHILD = f"""
import random, sys, time
import django
from django.core.management import execute_from_command_line

django.setup()
from pg_lo_storage.maintenance.transfers import Transfer

leave = Transfer._leave

def leave_later(*args):
    time.sleep(random.random() * {BATCH} / 50)
    leave(*args)

Transfer._leave = leave_later
execute_from_command_line(sys.argv)
"""
DIGESTS = (
    "select id, encode(sha256(lo_get(split_part(data, '.', 1)::oid)), 'hex'),"
    " encode(sha256(lo_get(split_part(elsewhere, '.', 1)::oid)), 'hex') from invoices_invoice order by id"
)


def start() -> "subprocess.Popen[str]":
    """Start the command, which says one line more than it has moved batches."""
    command = ["largeobjects", "transfer", "--from", "default", "--to", "other", "invoices.Invoice"]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *command, "--batch-size", str(BATCH), "--skip-checks"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def digests(using: str) -> dict[int, tuple[str, str]]:
    """Return the digests of the stored files by the keys of their rows."""
    return {pk: (data, elsewhere) for pk, data, elsewhere in run(DIGESTS, using=using)}


def objects(using: str) -> int:
    """Return how many objects there are; each has its entry, and each entry its object."""
    [(count, alike)] = run(
        "select count(*), bool_and(m.oid is not null and f.loid is not null) from pg_largeobject_metadata as m"
        " full join pg_lo_storage_file as f on f.loid = m.oid",
        using=using,
    )
    assert alike in {True, None}
    return int(count)


@pytest.mark.timeout(900)
def test_each_row_and_file_is_there_once_however_often_it_is_killed() -> None:
    draw = random.Random(FILES)  # the moments are not the same all the same
    wanted: dict[int, tuple[str, str]] = {}
    for n in range(FILES // 2):
        contents = [draw.randbytes(300_000 if n % 40 == 0 else draw.randrange(2_000)) for _ in range(2)]
        row = Invoice(
            **dict(zip(("data", "elsewhere"), (ContentFile(data, "a.pdf") for data in contents), strict=True))
        )
        row.save(using="default")
        wanted[row.pk] = (hashlib.sha256(contents[0]).hexdigest(), hashlib.sha256(contents[1]).hexdigest())
    killed = both = 0
    while killed < KILLS:
        with start() as process:
            assert process.stdout
            for _ in range(draw.randrange(1, 6)):
                process.stdout.readline()
            time.sleep(draw.random() * BATCH / 20)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL
        killed += 1
        there, here = digests("other"), digests("default")
        assert there | here == wanted
        both += len(there.keys() & here.keys())
    assert killed
    with start() as process:
        printed, error = process.communicate()
    assert (process.returncode, error) == (0, ""), error
    sys.stdout.write(f"{FILES} files, {killed} kills, {both} rows found on both sides; {printed.splitlines()[-1]}\n")
    assert (digests("default"), objects("default")) == ({}, 0)
    assert (digests("other"), objects("other")) == (wanted, FILES)
