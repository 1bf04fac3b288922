"""Which oids of a dump are taken, whatever its format: archives through pg_restore, plain ones as they are."""

import gzip
import io
import json
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final
from unittest.mock import Mock

import pytest
from django.core.management import CommandError, call_command
from pytest_django import DjangoDbBlocker

from example.cluster import Server
from pg_lo_storage.maintenance.dumps import oids_in
from tests.catalogue.support import run, saved, uncatalogued
from tests.fixtures.tools import Tool
from tests.storage.support import loid_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

OIDS: Final = (700_001, 700_002, 700_005, 4_294_967_295)
TRAPS: Final = (
    "SELECT pg_catalog.lo_create('111');",
    "it's\nSELECT pg_catalog.lo_create('222');\n'",
    "\\.\nSELECT pg_catalog.lo_create('333');\nCOPY t FROM stdin;\n",
)
FORMATS: Final = {
    "custom": ("-Fc",),
    "directory": ("-Fd",),
    "tar": ("-Ft",),
    "plain": ("-Fp",),
    "inserts": ("-Fp", "--inserts"),
    "gzip": ("-Fp", "-Z5"),
    "clean": ("-Fp", "--clean", "--if-exists"),
}
Dump = Callable[[str], Path]


@pytest.fixture(scope="module")
def dump(
    server: Server,
    tool: Tool,
    django_db_setup: None,  # noqa: ARG001 -- the tables
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Dump]:
    """Dump, by a name of ``FORMATS``, a database with objects, and with rows and a function that seem to make some."""
    folder = tmp_path_factory.mktemp("dumps")
    with django_db_blocker.unblock():
        for oid in OIDS:
            uncatalogued(b"x" * 5_000, oid)
        run('create table traps ("it\'s" text)')
        for trap in TRAPS:
            run("insert into traps values (%s)", trap)
        run("create function trap() returns text language sql as $$ select 'it''s';\nSELECT lo_create('444'); $$")
        run("comment on function trap() is %s", TRAPS[1])

        @cache
        def dump(name: str) -> Path:
            tool("pg_dump", *FORMATS[name], "-f", folder / name, "-d", server.dsn())
            return folder / name

        for name in FORMATS:
            dump(name)
        run("drop table traps")
        run("drop function trap")
        yield dump


@pytest.fixture
def pg_restore(server: Server) -> str:
    return f"{server.bindir}/pg_restore"


def restore_check(*arguments: object) -> tuple[int, list[str]]:
    stdout = io.StringIO()
    status = 0
    try:
        call_command("largeobjects", "restore-check", *map(str, arguments), stdout=stdout)
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, stdout.getvalue().splitlines()


@pytest.mark.parametrize("name", FORMATS)
def test_the_oids_of_a_dump_are_found(dump: Dump, name: str, pg_restore: str) -> None:
    assert sorted(oids_in(dump(name), pg_restore)) == list(OIDS)


@pytest.mark.parametrize("name", ["custom", "plain"])
def test_what_is_taken_is_named_with_whom_it_is(dump: Dump, name: str, pg_restore: str) -> None:
    entry = saved("letter.pdf")
    run("update pg_lo_storage_file set loid = %s", OIDS[2])
    uncatalogued(b"", OIDS[2])
    uncatalogued(b"", OIDS[0])
    assert loid_of(entry) not in OIDS
    path = dump(name)
    status, lines = restore_check(path, "--pg-restore", pg_restore)
    assert status == 1
    assert sorted(lines) == [
        "default: 2 of the 4 objects in " + f"{path} have an oid that is taken",
        "default: 700001 is taken by an object of the role app, which the catalogue does not know",
        "default: 700005 is taken by the file 700005.pdf, 'letter.pdf', of the role app",
    ]
    _, lines = restore_check(path, "--pg-restore", pg_restore, "--json")
    assert [json.loads(line)["oid"] for line in lines] == [700_001, 700_005]


def test_where_none_is_taken_the_status_is_0(dump: Dump, pg_restore: str) -> None:
    path = dump("directory")
    uncatalogued()
    assert restore_check(path, "--pg-restore", pg_restore) == (
        0,
        [f"default: 0 of the 4 objects in {path} have an oid that is taken"],
    )


def test_a_dump_without_objects_has_none(server: Server, tool: Tool, tmp_path: Path, pg_restore: str) -> None:
    tool("pg_dump", "-Fc", "--no-blobs", "-f", tmp_path / "dump", "-d", server.dsn())
    assert list(oids_in(tmp_path / "dump", pg_restore)) == []


def test_what_is_no_dump_is_an_error(dump: Dump, tmp_path: Path, pg_restore: str) -> None:
    whole = dump("custom").read_bytes()
    packed, text = dump("gzip").read_bytes(), dump("plain").read_bytes()
    for name, content in {
        "text": b"my letter\n",
        "empty": b"",
        "cut": whole[:400],
        "cut text": text[: len(text) // 2],
        "packed": packed[: len(packed) // 2],
        "nothing": gzip.compress(b"my letter\n"),
        "archive in gzip": gzip.compress(whole),
        "zstd": b"\x28\xb5\x2f\xfd...",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CommandError):
            restore_check(tmp_path / name, "--pg-restore", pg_restore)
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(CommandError):
            restore_check(path, "--pg-restore", pg_restore)


def test_archives_want_pg_restore_and_plain_dumps_do_not(dump: Dump, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", Mock(return_value=None))
    with pytest.raises(CommandError, match="pg_restore is not found"):
        restore_check(dump("tar"))
    assert restore_check(dump("plain"))[0] == 0


def test_who_has_enough_of_a_dump_waits_for_no_program(tmp_path: Path) -> None:
    program, path = tmp_path / "pg_restore", tmp_path / "dump"
    program.write_text(
        "#!/bin/sh\n"
        "case $1 in --list) echo '1; 2613 700001 BLOB 700001 app';;"
        " *) echo \"SELECT pg_catalog.lo_create('700001');\"; exec sleep 1000;; esac\n"
    )
    program.chmod(0o700)
    path.write_bytes(b"PGDMP")
    with closing(oids_in(path, str(program))) as found:
        assert next(found) == 700_001


def test_names_of_several_lines_hide_no_object(tmp_path: Path) -> None:
    """As where several databases are dumped into one file: rows stand before the next one's objects."""
    path = tmp_path / "dump"
    path.write_text(
        "--\n-- PostgreSQL database cluster dump\n--\n"
        'COPY public."a\nb (" ("c\nd") FROM stdin;\n'
        "it's\nSELECT pg_catalog.lo_create('1');\n\\.\n"
        "CREATE TABLE public.\"COPY t FROM stdin;\nSELECT pg_catalog.lo_create('2');\n\" (\n    e text\n);\n"
        "SELECT pg_catalog.lo_create('3');\n"
        "-- PostgreSQL database cluster dump complete\n"
    )
    assert list(oids_in(path)) == [3]


def test_a_large_plain_dump_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    with path.open("wb") as file:
        file.write(b"--\n-- PostgreSQL database dump\n--\n\n")
        for oid in range(1, 30_001):
            file.write(b"SELECT pg_catalog.lo_create('%d');\n" % oid)
        file.write(b"INSERT INTO t VALUES ('" + b"x" * 40_000_000 + b"');\nSELECT pg_catalog.lo_create('30001');\n")
        file.write(b"--\n-- PostgreSQL database dump complete\n--\n")
    tracemalloc.start()
    try:
        assert sum(1 for _ in oids_in(path)) == 30_001
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
