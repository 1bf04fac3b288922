"""What takes the place of dead rows, who may, and what waits for it."""

import re
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module

import pytest

from example.cluster import Cluster
from pg_lo_storage.drivers import AccessMode, get_driver
from tests.backups.conftest import Fresh, connect, execute, page
from tests.backups.papers import look, writers
from tests.fixtures.connections import INSTALLED, RawConnection, open_connection, run
from tests.fixtures.tools import Tool

pytestmark = [pytest.mark.server_tools, pytest.mark.once]

SIZE = "select pg_relation_size('pg_largeobject')"
Error: type[Exception] = import_module(INSTALLED[0]).Error


@pytest.fixture
def name(fresh: Fresh) -> Iterator[str]:
    """An empty database."""
    with fresh() as name:
        yield name


@pytest.fixture
def owner(cluster: Cluster, name: str) -> Iterator[RawConnection]:
    """Its owner, connected to it."""
    with closing(connect(cluster, name, "app")) as connection:
        yield connection


def put_files(connection: RawConnection) -> None:
    run(connection, "select lo_from_bytea(0, convert_to(repeat(n::text, 50000), 'utf8')) from generate_series(1, 20) n")


def unlink_files(connection: RawConnection) -> None:
    run(connection, "select lo_unlink(oid) from pg_largeobject_metadata")


def test_new_files_take_the_place_of_dead_ones(owner: RawConnection) -> None:
    put_files(owner)
    [(size,)] = run(owner, SIZE)
    run(owner, "select lo_create(1)")
    unlink_files(owner)
    put_files(owner)
    assert run(owner, SIZE) > [(size,)]
    unlink_files(owner)
    execute(owner, "vacuum pg_largeobject")
    put_files(owner)
    assert run(owner, SIZE) < [(2 * size,)]


def test_all_of_it_is_given_back_by_the_databases_owner(owner: RawConnection) -> None:
    put_files(owner)
    unlink_files(owner)
    execute(owner, "vacuum full pg_largeobject")
    assert run(owner, SIZE) == [(0,)]


def test_as_another_role_vacuumdb_does_nothing_and_says_so_by_a_warning(
    cluster: Cluster, tool: Tool, name: str, owner: RawConnection
) -> None:
    put_files(owner)
    unlink_files(owner)
    [(size,)] = run(owner, SIZE)
    tool("vacuumdb", "--full", "--table=pg_largeobject", "-d", cluster.dsn(name, "stranger"))
    assert run(owner, SIZE) == [(size,)]
    tool("vacuumdb", "--table=pg_largeobject", "-d", cluster.dsn(name))
    assert run(owner, SIZE) == [(0,)]


def test_nobody_loses_anything_by_it(cluster: Cluster) -> None:
    with writers("source") as work, closing(connect(cluster, "app", "app")) as connection:
        for _ in range(5):
            execute(connection, "vacuum full pg_largeobject")
            assert look("source")
            work.wait_for(1)
    assert look("source")


def test_it_waits_for_a_transaction_that_has_used_a_file(cluster: Cluster, name: str, owner: RawConnection) -> None:
    driver = get_driver(owner)
    oid = driver.from_bytes(b"content" * 1000)
    with closing(open_connection(INSTALLED[0], cluster.dsn(name))) as other:
        file = get_driver(other).open(oid, AccessMode.READ)
        assert file.read(7) == b"content"
        execute(owner, "set lock_timeout = '50ms'")
        with pytest.raises(Error, match="lock timeout"):
            execute(owner, "vacuum full pg_largeobject")
        assert file.read(7) == b"content"
        other.commit()
        execute(owner, "set lock_timeout = 0", "vacuum full pg_largeobject")
    assert driver.get(oid, 0, 7) == b"content"


def test_only_a_superuser_sets_the_threshold_and_no_dump_has_it(
    cluster: Cluster, tool: Tool, name: str, owner: RawConnection
) -> None:
    [block] = re.findall(r"-- a superuser\n(.*?)```", page(), re.DOTALL)
    statements = block.strip().split("\n")
    settings = "select array_to_string(reloptions, ',') from pg_class where relname = 'pg_largeobject'"
    with pytest.raises(Error, match="permission denied"):
        execute(owner, *statements)
    assert run(owner, settings) == [(None,)]
    with closing(connect(cluster, name)) as superuser:
        execute(superuser, *statements)
    assert run(owner, settings) == [("autovacuum_vacuum_scale_factor=0.02",)]
    assert "scale_factor" not in tool("pg_dump", "-d", cluster.dsn(name))


def test_the_index_is_a_superusers_to_make_anew(cluster: Cluster, name: str, owner: RawConnection) -> None:
    reindex, concurrently = (f"reindex index {word} pg_largeobject_loid_pn_index" for word in ("", "concurrently"))
    with pytest.raises(Error, match=r"must be owner|permission denied"):
        execute(owner, reindex)
    with closing(connect(cluster, name)) as superuser:
        execute(superuser, reindex)
        with pytest.raises(Error, match="cannot reindex system catalogs concurrently"):
            execute(superuser, concurrently)


def test_logical_replication_has_no_large_objects(cluster: Cluster) -> None:
    with closing(connect(cluster, "app")) as connection:
        execute(connection, "create publication everything for all tables")
        run(connection, "select pg_create_logical_replication_slot('changes', 'pgoutput')")
        try:
            execute(connection, "begin", "insert into invoices_note (id, text) values (-1, 'changed')")
            run(connection, "select lo_unlink(lo_from_bytea(0, 'content'))")
            execute(connection, "delete from invoices_note where id = -1", "commit")
            changes = """select data from pg_logical_slot_get_binary_changes(
                'changes', null, null, 'proto_version', '1', 'publication_names', 'everything')"""
            messages = [bytes(data) for (data,) in run(connection, changes)]
        finally:
            run(connection, "select pg_drop_replication_slot('changes')")
            execute(connection, "drop publication everything")
    # Of begin, relation, insert, delete and commit the second names the only table that there is.
    assert b"".join(message[:1] for message in messages) == b"BRIDC"
    assert b"\0invoices_note\0" in messages[1]
