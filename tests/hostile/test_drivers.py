"""Whoever may create in a schema of the path gets none of the package's calls: not a byte, and no code is run."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, LiteralString

import pytest

from example.cluster import Server
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.drivers import AccessMode, LargeObjectDriver, get_driver
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.transfer import blocking
from tests.drivers.support import execute
from tests.fixtures.connections import INSTALLED, Connect, RawConnection, open_connection
from tests.hostile.overloads import SCHEMA, create_overloads, functions_in, operators_in

SMALL, LARGE = b"small", bytes(range(256)) * 20_000
PATHS = {"first": f"{SCHEMA}, public", "before pg_catalog": f"{SCHEMA}, pg_catalog, public"}


def use_driver(driver: LargeObjectDriver) -> None:
    oid = driver.from_bytes(SMALL)
    assert driver.exists(oid)
    assert driver.size(oid) == 5
    driver.put(oid, 5, b" more")
    assert driver.get(oid, 0, 100) == b"small more"
    other = driver.create()
    descriptor = driver.open(other, AccessMode.READ_WRITE)
    assert descriptor.write(LARGE) == len(LARGE)
    assert descriptor.write_all([SMALL, LARGE]) == len(LARGE) + 5
    assert descriptor.seek(-5, 2) == descriptor.seek(0, 1)
    descriptor.truncate(len(LARGE))
    descriptor.seek(0)
    assert descriptor.read(len(LARGE)) == LARGE
    descriptor.seek(0)
    assert b"".join(descriptor.chunks(300_000)) == LARGE
    descriptor.close()
    assert driver.unlink(oid)
    assert driver.unlink(other)
    assert driver.create(other) == other


def use_files(driver: LargeObjectDriver) -> None:
    for data in (SMALL, LARGE):
        with LargeObjectIO(driver, mode="wb+") as file:
            file.write(data)
            file.seek(0)
            assert file.read() == data
        with LargeObjectIO(driver, file.oid, "ab") as appended:
            appended.write(SMALL)
        with LargeObjectIO(driver, file.oid) as read:
            assert read.readline() + read.read() == data + SMALL
            read.seek(8 << 30)
            assert read.read() == b""


def use_transfer(driver: LargeObjectDriver, folder: Path) -> None:
    for data in (SMALL, LARGE):
        oid = blocking.save(driver, data)
        copied = blocking.copy(driver, oid)
        assert blocking.load(driver, copied) == data
        blocking.lo_export(driver, oid, folder / "exported", None)
        assert blocking.lo_import(driver, folder / "exported", None)


def use_fsspec(connection: Any) -> None:
    fs = PgLoFileSystem(connection=connection, skip_instance_cache=True)
    name = fs.pipe_file("new", LARGE)
    assert fs.cat_file(name) == LARGE
    assert fs.cat_file(name, 5, 10) == LARGE[5:10]
    assert {entry["size"] for entry in fs.ls("") if entry["name"] == name} == {len(LARGE)}
    with fs.open(name, "ab") as file:
        file.write(SMALL)
    assert fs.size(name) == len(LARGE) + 5
    fs.cp_file(name, "new")
    fs.rm_file(name)


def use_all(connection: RawConnection, folder: Path) -> None:
    driver = get_driver(connection)
    use_driver(driver)
    use_files(driver)
    use_transfer(driver, folder)
    use_fsspec(connection)


@pytest.fixture(scope="module")
def statements(server: Server, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the package sends, recorded on an undisturbed session: of which there are to be hostile overloads."""
    recorded: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for driver_class in {type(get_driver(it)) for it in _connections(server)}:
            for method in ("execute", "execute_streaming"):
                patch.setattr(driver_class, method, _recording(getattr(driver_class, method), recorded))
        for connection in _connections(server):
            use_all(connection, tmp_path_factory.mktemp("recorded"))
    return recorded


def _connections(server: Server) -> Iterator[RawConnection]:
    for name in INSTALLED:
        with closing(open_connection(name, server.dsn())) as connection:
            yield connection


def _recording(method: Callable[..., Any], recorded: list[str]) -> Callable[..., Any]:
    def record(self: SQLDriver, query: LiteralString, *args: Any) -> Any:
        recorded.append(query)
        return method(self, query, *args)

    return record


@pytest.fixture(scope="module")
def overloads(server: Server, statements: list[str]) -> Iterator[int]:
    """Overloads of all that the statements mention."""
    if not {"postgres", "stranger"} <= set(server.roles):
        pytest.skip("PG_LO_TEST_DSN gives no superuser to make the overloads as")
    with closing(open_connection(INSTALLED[0], server.dsn(user="postgres"), autocommit=True)) as superuser:
        yield create_overloads(superuser, functions_in(statements), operators_in(statements))
        execute(superuser, f"drop schema {SCHEMA} cascade")


def test_there_are_overloads_of_what_the_statements_mention(statements: list[str], overloads: int) -> None:
    assert {"lo_open", "loread", "lo_get", "lo_from_bytea", "generate_series"} <= functions_in(statements)
    assert {"=", "<=", "||", "-", "*"} <= operators_in(statements)
    assert overloads > 1000


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_an_overload_is_called_by_whom_names_no_schema(connect: Connect, overloads: int, path: str) -> None:
    assert overloads
    connection = connect()
    execute(connection, f"set search_path = {path}")
    for query in ("select lo_create(0)", "select 'text'::text || 1", "select 1::oid = 1"):
        with pytest.raises(Exception, match="stranger"):
            execute(connection, query)
        connection.rollback()
        execute(connection, f"set search_path = {path}")


@pytest.mark.parametrize("autocommit", [False, True])
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_no_overload_is_called(
    connect: Connect, overloads: int, tmp_path: Path, path: str, *, autocommit: bool
) -> None:
    assert overloads
    connection = connect(autocommit=autocommit)
    # psycopg2's lobject has libpq look up its functions once, by a query of libpq's own.
    execute(connection, "begin" if autocommit else "select 1")
    driver = get_driver(connection)
    driver.open(driver.create(), AccessMode.WRITE).write(LARGE)
    execute(connection, f"set search_path = {path}")
    use_driver(driver)
    use_files(driver)
    execute(connection, "commit")
    use_transfer(driver, tmp_path)
    use_fsspec(connection)
