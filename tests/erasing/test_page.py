"""The commands of docs/erasure.md run, and bytes remain where the page says, for as long as it says."""

import os
import random
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connections

from example.cluster import Server
from tests.erasing.desk.models import Customer, Letter
from tests.erasing.support import largeobjects, letter
from tests.fixtures.connections import INSTALLED, RawConnection, open_connection, run

pytestmark = [pytest.mark.django_db(transaction=True, databases=["default", "other"]), pytest.mark.once]

PAGE = (Path(__file__).parents[2] / "docs" / "erasure.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (.*)$", PAGE, re.MULTILINE)


@pytest.fixture
def superuser(server: Server) -> Iterator[RawConnection]:
    if server.bindir is None:
        pytest.skip("PG_LO_TEST_DSN gives no files of the server")
    with closing(open_connection(INSTALLED[0], server.dsn("app", "postgres"), autocommit=True)) as connection:
        yield connection


def test_the_commands_erase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    letter(customer=Customer.objects.create(name="Ann"))
    letter(owner=User.objects.create_user("ann"))
    commands = [command for command in COMMANDS if command.startswith("python manage.py largeobjects ")]
    counts = list[int]()
    for command in commands:
        arguments = shlex.split(command.replace("shop.", "desk."))[3:]
        assert largeobjects(*arguments)[0] == 0
        counts.append(Letter.objects.count())
    assert counts == [2, 1, 0, 0]


def test_the_bytes_remain_as_the_page_says(superuser: RawConnection, server: Server) -> None:
    rows = [random.Random(n).randbytes(2_048) for n in range(40)]
    [(folder,)] = run(superuser, "show data_directory")

    def is_in_table() -> bool:
        superuser.cursor().execute("checkpoint")
        [(file,)] = run(superuser, "select pg_relation_filepath('pg_largeobject')")
        return rows[20] in Path(folder, file).read_bytes()

    superuser.cursor().execute("vacuum full pg_largeobject")  # no free space of earlier tests
    letter(b"".join(rows), customer=Customer.objects.create(name="Ann"))
    letter(random.Random(50).randbytes(2_000))  # so that the first one's pages are not the last
    assert is_in_table()
    largeobjects("erase", "desk.Letter", "--where", "customer__name=Ann", "--yes")
    assert is_in_table()
    log = [path.read_bytes() for path in Path(folder, "pg_wal").iterdir() if path.is_file()]
    assert any(row in segment for row in rows for segment in log)
    connections["default"].close()
    environment = os.environ | {"PATH": f"{server.bindir}:{os.environ['PATH']}"}
    parameters = server.parameters()
    environment |= {"PGHOST": parameters["host"], "PGPORT": str(parameters["port"]), "PGUSER": "postgres"}
    remains = list[bool]()
    for command in (command for command in COMMANDS if not command.startswith("python ")):
        subprocess.run(shlex.split(command.replace(" shop", " app")), check=True, env=environment)
        remains.append(is_in_table())
    assert remains == [True, False, False]
