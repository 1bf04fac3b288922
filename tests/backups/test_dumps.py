"""What ``pg_dump`` keeps and leaves out, and what ``pg_restore`` does with the files."""

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from example.cluster import Cluster
from tests.backups.conftest import Fresh, connect, execute, page
from tests.backups.papers import look
from tests.fixtures.connections import RawConnection, run
from tests.fixtures.tools import Tool

pytestmark = [pytest.mark.server_tools, pytest.mark.once]

Dump = Callable[..., Path]

RESTORE = ("pg_restore", "--no-owner", "--exit-on-error")
SECTIONS = ("pre-data", "data", "post-data")
RESTORES: dict[str, tuple[str, list[tuple[str, ...]]]] = {
    "custom, by two jobs": ("-Fc", [(*RESTORE, "-j2")]),
    "tar": ("-Ft", [RESTORE]),
    "directory, by two jobs": ("-Fd", [(*RESTORE, "-j2")]),
    "plain": ("-Fp", [("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-f")]),
    "in a single transaction": ("-Fc", [(*RESTORE, "--single-transaction")]),
    "in three sections": ("-Fc", [(*RESTORE, f"--section={section}") for section in SECTIONS]),
}


@pytest.mark.parametrize("how", RESTORES)
def test_a_dump_is_one_moment_of_what_others_write(
    cluster: Cluster, dump: Dump, tool: Tool, fresh: Fresh, how: str
) -> None:
    form, restores = RESTORES[how]
    path = dump(form)
    with fresh() as name:
        for program, *options in restores:
            tool(program, "-d", cluster.dsn(name), *options, path)
        assert look(name)


def test_two_dumps_are_two_moments(cluster: Cluster, dump: Dump, tool: Tool, fresh: Fresh) -> None:
    with fresh() as name:
        tool(*RESTORE, "-d", cluster.dsn(name), dump("-Fc", "-B"))
        tool(*RESTORE, "-d", cluster.dsn(name), dump("-Fc", "-b", "--table=django_session", "--data-only"))
        with pytest.raises((AssertionError, FileNotFoundError)):
            look(name)


def test_data_only_has_the_files_too(cluster: Cluster, dump: Dump, tool: Tool, fresh: Fresh) -> None:
    path = dump("-Fc")
    with fresh() as name:
        superuser = ("pg_restore", "--exit-on-error", "-d", cluster.dsn(name, "postgres"))
        tool(*superuser, "--schema-only", path)
        tool(*superuser, "--data-only", "--disable-triggers", path)
        assert look(name)


@pytest.fixture(scope="module")
def file(cluster: Cluster, fresh: Fresh) -> Iterator[tuple[str, int]]:
    """A database with a table and an object, and this one's oid."""
    with fresh() as name, closing(connect(cluster, name, "app")) as connection:
        execute(connection, "create table paper as select 1 as id")
        [(oid,)] = run(connection, "select lo_from_bytea(0, 'content')::int8")
        yield name, oid


def rows_of(table: str) -> list[tuple[str, ...]]:
    """Return the cells of the page's table that has this heading."""
    [found] = re.findall(rf"^ *\| *{re.escape(table)} .*\n *\|[-|]+\|\n((?: *\|.*\n)+)", page(), re.MULTILINE)
    return [tuple(cell.strip() for cell in line.strip(" |").split("|")) for line in found.splitlines()]


def test_options_of_pg_dump_that_leave_the_files_out(cluster: Cluster, tool: Tool, file: tuple[str, int]) -> None:
    dsn = cluster.dsn(file[0], "postgres")
    for options, rows, files in rows_of("option"):
        for option in re.findall(r"`([^`]+)`", options.replace("none", "`-v`")):
            named = re.sub("TABLE", "paper", re.sub("SCHEMA", "public", option))
            said = tool("pg_dump", *named.split(), "-d", dsn)
            assert ("lowrite" in said) is (files == "yes"), option
            excluded = ("paper" in named and "exclude" in named) or "exclude-schema" in named
            assert ("COPY public.paper" in said) is (rows == "yes" and not excluded), option


def test_pg_restore_with_a_table_or_a_schema_leaves_them_out(
    cluster: Cluster, tool: Tool, file: tuple[str, int], fresh: Fresh, tmp_path: Path
) -> None:
    tool("pg_dump", "-Fc", "-f", tmp_path / "dump", "-d", cluster.dsn(file[0]))
    for options, objects in {"": 1, "--schema-only": 0, "--table=paper": 0, "--schema=public": 0}.items():
        with fresh() as name, closing(connect(cluster, name)) as connection:
            tool(*RESTORE, "-d", cluster.dsn(name), *options.split(), tmp_path / "dump")
            assert run(connection, "select count(*) from pg_largeobject_metadata") == [(objects,)], options
            assert run(connection, "select to_regclass('paper') is not null") == [(True,)]


def test_a_role_that_may_not_read_one_object_has_no_dump(
    cluster: Cluster, tool: Tool, file: tuple[str, int], tmp_path: Path
) -> None:
    name, oid = file
    with closing(connect(cluster, name)) as connection:
        execute(connection, "create role reader login", "grant pg_read_all_data to reader")
    with pytest.raises(subprocess.CalledProcessError, match="pg_dump") as raised:
        tool("pg_dump", "-Fc", "-f", tmp_path / "dump", "-d", cluster.dsn(name, "reader"))
    assert f"permission denied for large object {oid}" in raised.value.stderr
    assert (tmp_path / "dump").exists()


OURS, THEIRS = b"the dump's", b"another's " * 1000
# What the object has then, and whether the dump's table is there.
TAKEN = {
    "": (OURS + THEIRS[len(OURS) :], True),
    "--exit-on-error": (THEIRS, True),
    "--single-transaction": (THEIRS, False),
    "--clean --if-exists": (OURS, True),
}


@pytest.mark.parametrize("options", TAKEN)
def test_a_restore_where_the_oid_is_taken(
    cluster: Cluster, tool: Tool, fresh: Fresh, tmp_path: Path, options: str
) -> None:
    assert [f"`{name}`" if name else "no further option" for name in TAKEN] == [
        name for name, _ in rows_of("`pg_restore` with")
    ]
    content, has_table = TAKEN[options]
    unlinks = options.startswith("--clean")
    with fresh() as name, closing(connect(cluster, name, "app")) as connection:
        execute(connection, "create table paper as select 1 as id")
        [(oid,)] = run(connection, "select lo_from_bytea(0, convert_to(%s, 'utf8'))::int8", [OURS.decode()])
        tool("pg_dump", "-Fc", "-f", tmp_path / "dump", "-d", cluster.dsn(name))
        execute(connection, "drop table paper")
        put(connection, oid)
        others = put(connection)
        with nullcontext() if unlinks else pytest.raises(subprocess.CalledProcessError, match="pg_restore"):
            tool("pg_restore", "--no-owner", *options.split(), "-d", cluster.dsn(name), tmp_path / "dump")
        assert run(connection, "select to_regclass('paper') is not null") == [(has_table,)]
        found = dict(
            run(connection, "select oid::int8, convert_from(lo_get(oid), 'utf8') from pg_largeobject_metadata")
        )
        assert found == {oid: content.decode(), others: THEIRS.decode()}


def put(connection: RawConnection, oid: int = 0) -> int:
    """Make another's object, with that oid where one is given."""
    run(connection, "select lo_unlink(oid) from pg_largeobject_metadata where oid = %s", [oid])
    [(made,)] = run(connection, "select lo_from_bytea(%s, convert_to(%s, 'utf8'))::int8", [oid, THEIRS.decode()])
    return int(made)


def test_a_single_transaction_takes_a_lock_for_each_owner_it_sets(
    cluster: Cluster, tool: Tool, fresh: Fresh, tmp_path: Path
) -> None:
    count = 2_000  # of max_locks_per_transaction = 10 and max_connections = 20
    with fresh() as name, closing(connect(cluster, name, "app")) as connection:
        run(connection, "select lo_create(0) from generate_series(1, %s)", [count])
        tool("pg_dump", "-Fc", "-f", tmp_path / "dump", "-d", cluster.dsn(name))
    restore = ("pg_restore", "--single-transaction", tmp_path / "dump")
    with fresh() as name, closing(connect(cluster, name)) as connection:
        with pytest.raises(subprocess.CalledProcessError, match="pg_restore") as raised:
            tool(*restore, "-d", cluster.dsn(name, "postgres"))
        assert "out of shared memory" in raised.value.stderr
        assert run(connection, "select count(*) from pg_largeobject_metadata") == [(0,)]
        tool(*restore, "--no-owner", "-d", cluster.dsn(name))
        owners = "select pg_get_userbyid(lomowner)::text, count(*) from pg_largeobject_metadata group by 1"
        assert run(connection, owners) == [("app", count)]
