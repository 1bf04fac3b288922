"""What README.md says of PostgreSQL's own programs, shown with those programs."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.files.base import ContentFile

from example.cluster import Server
from pg_lo_storage.databases import DatabaseDriver
from pg_lo_storage.drivers import get_driver
from pg_lo_storage.names import parse_name
from pg_lo_storage.storage import db_file_storage
from tests.fixtures.connections import Connect, run
from tests.fixtures.tools import Tool

pytestmark = [pytest.mark.server_tools, pytest.mark.django_db(transaction=True)]

CONTENT = bytes(range(256)) * 5_000


def test_a_dump_restores_a_file_under_its_name(server: Server, tool: Tool, tmp_path: Path) -> None:
    name = db_file_storage.save("letter.pdf", ContentFile(CONTENT))
    tool("pg_dump", "-Fc", "-f", tmp_path / "dump", "-d", server.dsn())
    db_file_storage.delete(name)
    assert not db_file_storage.exists(name)
    tool("pg_restore", "--clean", "--if-exists", "--no-owner", "-d", server.dsn(), tmp_path / "dump")
    with db_file_storage.open(name) as file:
        assert file.read() == CONTENT


def test_a_dump_of_some_tables_has_no_files(
    server: Server, tool: Tool, count_large_objects: Callable[..., int]
) -> None:
    db_file_storage.save("letter.pdf", ContentFile(CONTENT))
    assert count_large_objects() == 1
    assert "lo_create" not in tool("pg_dump", "-t", "auth_user", "-d", server.dsn())
    assert "lo_create" in tool("pg_dump", "-d", server.dsn())


@pytest.fixture
def vacuumlo(server: Server, tool: Tool) -> Callable[[], str]:
    """Run ``vacuumlo`` on the database ``app``."""
    return lambda: tool("vacuumlo", server.dsn())


def test_vacuumlo_leaves_catalogued_files_alone(
    vacuumlo: Callable[[], str], large_objects: Callable[..., set[int]]
) -> None:
    names = [db_file_storage.save("a.txt", ContentFile(content)) for content in (b"small", b"", CONTENT)]
    nobodys = DatabaseDriver("default").from_bytes(b"of no row")
    vacuumlo()
    assert large_objects() == {parse_name(name) for name in names}
    assert nobodys not in large_objects()
    assert all(db_file_storage.verify(name) for name in names)


@pytest.mark.usefixtures("catalogue")
def test_without_the_catalogue_vacuumlo_keeps_only_what_a_column_of_type_oid_names(
    vacuumlo: Callable[[], str], connect: Connect
) -> None:
    lost, kept = (db_file_storage.save("a.txt", ContentFile(b"content")) for _ in range(2))
    connection = connect(autocommit=True)
    cursor = connection.cursor()
    cursor.execute(f"create table kept as select {parse_name(kept)}::oid as loid")
    try:
        vacuumlo()
    finally:
        cursor.execute("drop table kept")
        cursor.close()
    assert db_file_storage.exists(kept)
    assert not db_file_storage.exists(lost)


def test_lz4_compressed_pages_are_read_back(connect: Connect) -> None:
    connection = connect()
    run(connection, "select set_config('default_toast_compression', 'lz4', true)")
    driver = get_driver(connection)
    oid = driver.from_bytes(CONTENT)
    connection.commit()
    assert driver.get(oid, 0, len(CONTENT)) == CONTENT
