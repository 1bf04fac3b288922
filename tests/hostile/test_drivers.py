"""Whoever may create in a schema of the path gets none of the package's calls: not a byte, and no code is run."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from example.cluster import Server
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.drivers import AccessMode, get_driver
from tests.drivers.support import execute
from tests.fixtures.connections import INSTALLED, Connect, RawConnection, open_connection
from tests.hostile.overloads import PATHS, SCHEMA, create_overloads, functions_in, operators_in
from tests.hostile.uses import LARGE, recording, use_driver, use_files, use_fsspec, use_transfer


def use_all(connection: RawConnection, folder: Path) -> None:
    driver = get_driver(connection)
    use_driver(driver)
    use_files(driver)
    use_transfer(driver, folder)
    use_fsspec(PgLoFileSystem(connection=connection, skip_instance_cache=True))


@pytest.fixture(scope="module")
def statements(server: Server, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What the package sends, recorded on an undisturbed session: of which there are to be hostile overloads."""
    recorded: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for driver_class in {type(get_driver(it)) for it in _connections(server)}:
            for method in ("execute", "execute_streaming"):
                patch.setattr(driver_class, method, recording(getattr(driver_class, method), recorded))
        for connection in _connections(server):
            use_all(connection, tmp_path_factory.mktemp("recorded"))
    return recorded


def _connections(server: Server) -> Iterator[RawConnection]:
    for name in INSTALLED:
        with closing(open_connection(name, server.dsn())) as connection:
            yield connection


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
    use_fsspec(PgLoFileSystem(connection=connection, skip_instance_cache=True))
