"""The commands and queries of docs/operations.md do what the page says."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import chdir, closing
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connections

from example.cluster import Cluster
from pg_lo_storage.names import parse_name
from tests.backups.conftest import connect, execute, page
from tests.fixtures.connections import run
from tests.fixtures.server import known_as
from tests.invoices.models import Invoice

pytestmark = [pytest.mark.server_tools, pytest.mark.once]

QUERY = re.compile(r"^```sql\n-- ([^:\n]+): [^\n]*\n(.*?);\n```", re.MULTILINE | re.DOTALL)
CONTENT = b"%PDF-1.7 " * 1000


def commands(heading: str) -> list[str]:
    """Return the commands below a heading."""
    [text] = re.findall(rf"^##+ {heading}\n(.*?)(?=^##|\Z)", page(), re.MULTILINE | re.DOTALL)
    return re.findall(r"^ *\$ (.*)$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def shop(cluster: Cluster) -> Iterator[str]:
    """A database ``shop`` with a file ``march.pdf``, and databases that the page's commands make; the file's oid."""
    with closing(connect(cluster)) as connection:
        execute(
            connection,
            "alter role app createdb replication",
            "grant execute on function pg_create_restore_point to app",
            "create database shop owner app template migrated",
        )
        with known_as("shop", cluster, "shop"), known_as("drill", cluster, "drill"):
            row = Invoice.objects.using("shop").create(data=ContentFile(CONTENT, "march.pdf"))
            yield str(parse_name(row.data.name or ""))
        execute(connection, *(f"drop database if exists {name}" for name in ("shop", "scratch", "restored")))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture
def shell(cluster: Cluster, shop: str, folder: Path) -> "Shell":
    return Shell(cluster, shop, folder)


class Shell:
    """Runs the page's commands in one folder, as the database's owner."""

    def __init__(self, cluster: Cluster, oid: str, folder: Path) -> None:
        self._oid, self.folder = oid, folder
        there = {"PGHOST": str(cluster.folder), "PGPORT": str(cluster.port), "PGUSER": "app", "PGDATABASE": "shop"}
        self._environment = {**os.environ, **there, "PATH": f"{cluster.bindir}:{os.environ['PATH']}"}

    def run(self, command: str) -> str:
        if command.startswith("python manage.py "):
            with chdir(self.folder):
                call_command(*shlex.split(command)[2:])
            connections["drill"].close()
            return ""
        command = command.replace("16394", self._oid).replace("pg_basebackup", "pg_basebackup --no-sync")
        result = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            check=False,
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self._environment,
        )
        assert not result.returncode, f"{command}: {result.stderr}"
        return result.stdout

    def file(self) -> bytes:
        return (self.folder / "march.pdf").read_bytes()


def test_one_file_comes_out_of_a_directory(shell: Shell, shop: str) -> None:
    [dump] = commands("Dumps")
    shell.run(dump)
    find, take, *_ = commands("One file out of a dump")
    assert [line.split("\t")[0] for line in shell.run(find).splitlines()] == [shop]
    shell.run(take)
    assert shell.file() == CONTENT


def test_one_file_comes_out_of_any_dump(shell: Shell) -> None:
    (shell.folder / "march.pdf").unlink(missing_ok=True)
    for command in commands("One file out of a dump")[2:]:
        shell.run(command)
    assert shell.file() == CONTENT


@pytest.mark.parametrize("heading", ["Restore", "Base backups and points in time", "A drill"])
def test_the_other_commands_run(shell: Shell, heading: str) -> None:
    for command in commands(heading):
        shell.run(command)


@pytest.mark.usefixtures("shop")
def test_each_query_is_answered_to_whom_the_page_says(cluster: Cluster) -> None:
    roles = {"any role": "stranger", "a role with pg_monitor": "monitor"}
    with closing(connect(cluster, "shop")) as connection:
        execute(connection, "create role monitor login in role pg_monitor")
    queries = QUERY.findall(page())
    assert {who for who, _ in queries} == set(roles)
    for who, query in queries:
        with closing(connect(cluster, "shop", roles[who])) as connection:
            rows = run(connection, query)
            assert not any("insufficient privilege" in str(value) for row in rows for value in row), query
            if "pg_stat_replication" not in query and "slots" not in query and "blocking" not in query:
                assert rows, query


@pytest.mark.usefixtures("shop")
def test_the_commands_of_each_month_find_nothing() -> None:
    [text] = re.findall(r"^## Each month\n(.*?)^## ", page(), re.MULTILINE | re.DOTALL)
    found = re.findall(r"`manage\.py (largeobjects [^`]+)`", text)
    assert len(found) == 3
    for command in found:
        call_command(*command.split(), "--database", "shop")
