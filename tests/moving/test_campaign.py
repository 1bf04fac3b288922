"""Files of an installed library move in and out again, while a client asks a real server, and the command is killed.

``PG_LO_TEST_MOVES`` says how many files there are, and ``PG_LO_TEST_MOVE_KILLS`` how often it is killed each way.
"""

import http.client
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import db_file_storage
from tests.lifecycle.support import read, sql
from tests.moving.letters.models import Fax, Letter
from tests.moving.library import Answer, Client, real_files
from tests.moving.support import THEN, put
from tests.moving.test_moves import count_objects, move
from tests.serving.servers import serving

pytestmark = [
    pytest.mark.parametrize("catalogue", [True], ids=["catalogue"], indirect=True),
    pytest.mark.timeout(3_600),
]

ROOT: Final = Path(__file__).parents[2]
KILLS: Final = int(os.environ.get("PG_LO_TEST_MOVE_KILLS", "1"))
# Small transactions, with a pause in each, so that kills come within them and in between.
CHILD: Final = """
import random, sys, time
import django
from django.core.management import execute_from_command_line

django.setup()
from pg_lo_storage.maintenance import moves

moves._SECONDS, moved = 0.05, moves.FileMove._move
def later(self, name, keys):
    step = moved(self, name, keys)
    time.sleep(random.random() / 50)
    return step
moves.FileMove._move = later
execute_from_command_line(sys.argv)
"""


@pytest.fixture
def files(old: Path) -> dict[int, bytes]:
    """The contents of files in the old place by the keys of their rows, each of a day of its own."""
    found: dict[int, bytes] = {}
    for n, (path, content) in enumerate(real_files().items()):
        put(old, f"library/{path}", content, THEN + timedelta(days=n))
        [(key,)] = sql(
            "insert into letters_letter (title, changed, data) values (%s, '2020-01-01', %s) returning id",
            str(n),
            f"library/{path}",
        )
        found[int(key)] = content
    return found


def child(old: Path, *arguments: str) -> "subprocess.Popen[str]":
    command = ["largeobjects", "move", "letters.Letter.data", *arguments, "--yes", "--json", "--skip-checks"]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *command],
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "tests.moving.settings",
            "PG_LO_TEST_OLD": str(old),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def move_and_kill(old: Path, count: int, *arguments: str) -> int:
    """Move all files, in spite of a kill for each of some parts; return how often it came before the end."""
    chance, killed = random.Random(7), 0
    for _ in range(KILLS):
        with child(old, *arguments) as process:
            assert process.stdout
            for _ in range(chance.randrange(1, count // (KILLS + 1))):
                if not process.stdout.readline():
                    break
            time.sleep(chance.random() / 20)
            killed += process.poll() is None
            process.send_signal(signal.SIGKILL)
            process.communicate()
    move("letters.Letter.data", *arguments)
    return killed


@pytest.mark.once
def test_a_live_site_serves_every_file_at_every_moment(old: Path, files: dict[int, bytes]) -> None:
    with serving("moving", PG_LO_TEST_OLD=str(old)) as server:

        def ask(key: int, headers: dict[str, str]) -> Answer | None:
            with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
                connection.request("GET", f"/{key}/", headers=headers)
                response = connection.getresponse()
                try:
                    return Answer(response.status, response.read(), response.headers["ETag"])
                except (http.client.IncompleteRead, ConnectionError):
                    return None

        client = Client(ask, files)
        with client.asking():
            killed = move_and_kill(old, len(files), "--from", "old", "--delete-source")
            letters = list(Letter.objects.order_by("pk"))
            assert {letter.pk: read(letter.data) for letter in letters} == files
            assert all(parse_name(letter.data.name) for letter in letters)
            times = [THEN + timedelta(days=n) for n in range(len(files))]
            assert [letter.data.created_at for letter in letters] == times
            assert all(db_file_storage.verify(str(letter.data.name)) for letter in letters)
            assert count_objects() == len(files)
            # What a kill kept from being deleted stays, and nothing names it.
            left = [path for path in old.rglob("*") if path.is_file()]
            assert len(left) <= killed * 20
            for path in left:
                path.unlink()
            killed += move_and_kill(old, len(files), "--to", "old", "--delete-source")
        assert client.wrong == [], server.log
    letters = list(Letter.objects.order_by("pk"))
    assert {letter.pk: (old / str(letter.data.name)).read_bytes() for letter in letters} == files
    moments = [(old / str(letter.data.name)).stat().st_mtime for letter in letters]
    assert moments == pytest.approx([moment.timestamp() for moment in times], abs=1e-5)
    assert count_objects() == 0
    assert len([path for path in old.rglob("*") if path.is_file()]) <= len(files) + killed
    assert client.asked > len(files)
    sys.stdout.write(f"{len(files)} files, {killed} kills, {client.asked} requests, {client.cut} cut\n")


def test_a_column_of_bytes_moves_in_and_out_again(tmp_path: Path) -> None:
    found = real_files()
    rows = [Fax(content=content, filename=Path(path).name) for path, content in found.items()]
    Fax.objects.bulk_create(rows)
    move("letters.Fax.data", "--from-binary", "content", "--name", "filename", "--delete-source")
    faxes = list(Fax.objects.order_by("pk"))
    assert [read(fax.data) for fax in faxes] == list(found.values())
    assert [fax.data.original_name for fax in faxes] == [Path(path).name for path in found]
    assert {fax.content for fax in faxes} == {None}
    move("letters.Fax.data", "--to", "disk", "--delete-source")
    names = list(Fax.objects.order_by("pk").values_list("data", flat=True))
    assert [(tmp_path / "disk" / str(name)).read_bytes() for name in names] == list(found.values())
    assert count_objects() == 0
