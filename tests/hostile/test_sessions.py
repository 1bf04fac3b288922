"""A session is its user's: what the package writes and reads depends on nothing that is set or registered there."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, LiteralString

import pytest

from example.cluster import Server
from pg_lo_storage.contrib.fsspec import PgLoFileSystem
from pg_lo_storage.drivers import MAX_SIZE, get_driver
from pg_lo_storage.drivers.reading import get_start
from tests.drivers.support import execute
from tests.fixtures.connections import Connect, RawConnection
from tests.hostile.registrations import WRITTEN, register, registered_everywhere
from tests.hostile.uses import LARGE, SMALL, use_driver, use_files, use_fsspec, use_transfer
from tests.transfer.conftest import KINDS, open_place
from tests.transfer.places import Place

ENCODINGS = ["SQL_ASCII", "LATIN1", "SJIS", "EUC_JP", "UTF8"]


def use_all(connection: RawConnection, folder: Path, *, autocommit: bool) -> None:
    driver = get_driver(connection)
    execute(connection, "begin" if autocommit else "select 1")
    use_driver(driver)
    use_files(driver)
    execute(connection, "commit")
    use_transfer(driver, folder)
    use_fsspec(PgLoFileSystem(connection=connection, skip_instance_cache=True))


@pytest.fixture(params=["the connection", "everything"])
def registering(request: pytest.FixtureRequest, driver_name: str) -> Iterator[str]:
    """Whether adapters are registered on each connection, or on everything."""
    with registered_everywhere(driver_name) if request.param == "everything" else nullcontext():
        yield request.param


@pytest.mark.parametrize("autocommit", [False, True])
def test_adapters_that_are_registered_do_not_matter(
    connect: Connect, registering: str, tmp_path: Path, *, autocommit: bool
) -> None:
    connection = connect(autocommit=autocommit)
    if registering == "the connection":
        register(connection, written=WRITTEN)
    use_all(connection, tmp_path, autocommit=autocommit)


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, server: Server) -> Iterator[Place]:
    """A connection of each kind, not in autocommit, that has adapters of its user's."""
    for place in open_place(request.param, server, autocommit=False):
        register(place.connection, written=WRITTEN)
        yield place


def test_adapters_do_not_matter_where_calls_are_awaited(place: Place, tmp_path: Path) -> None:
    use_driver(place.driver)
    use_files(place.driver)
    for data in (SMALL, LARGE):
        copied = place.copy(place.save(data))
        assert place.load(copied) == data
        assert place.lo_export(copied, tmp_path / "exported") == len(data)
        assert place.load(place.lo_import(tmp_path / "exported")) == data


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_client_s_encoding_does_not_matter(connect: Connect, server: Server, tmp_path: Path, encoding: str) -> None:
    use_all(connect(dsn=f"{server.dsn()} client_encoding={encoding}"), tmp_path, autocommit=False)


def test_text_comes_as_text_from_a_session_that_has_no_encoding(connect: Connect, server: Server) -> None:
    driver = get_driver(connect(dsn=f"{server.dsn()} client_encoding=SQL_ASCII"))
    assert driver.sql is not None
    for kind in ("text", "varchar", "name"):
        query: LiteralString = f"select %s::{kind}, convert_from(%s::bytea, 'UTF8')::{kind}"
        assert driver.sql.execute(query, ["æ文", memoryview("æ文".encode())]) == [("æ文", "æ文")]


@pytest.fixture
def without_encoding(server: Server, connect: Connect) -> Iterator[str]:
    """A database whose text is in no encoding that the server knows."""
    if "postgres" not in server.roles:
        pytest.skip("PG_LO_TEST_DSN gives no superuser, who makes the database")
    superuser = connect(dsn=server.dsn(user="postgres"), autocommit=True)
    making = "create database unencoded owner app template template0 encoding 'SQL_ASCII' locale 'C'"
    execute(superuser, making)
    yield server.dsn("unencoded")
    execute(superuser, "drop database unencoded with (force)")


def test_text_that_is_in_no_encoding_is_read_as_far_as_it_can_be(connect: Connect, without_encoding: str) -> None:
    driver: Any = get_driver(connect(dsn=without_encoding))
    text: LiteralString = "convert_from(%s::bytea, 'SQL_ASCII')"
    params = (memoryview("æ".encode() + b"\xff"),)
    assert driver.sql.execute(f"select {text}, -1, null::text", params) == [("æ\N{REPLACEMENT CHARACTER}", -1, None)]
    small = get_start(driver.from_bytes(SMALL), MAX_SIZE, 0, text, params=params, columns=(str,))
    assert driver.sql.perform(small) == (len(SMALL), SMALL, ("æ\N{REPLACEMENT CHARACTER}",))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_comes_with_a_small_file_does_not_depend_on_the_encoding(
    connect: Connect, server: Server, encoding: str
) -> None:
    driver: Any = get_driver(connect(dsn=f"{server.dsn()} client_encoding={encoding}"))
    text = "café" if encoding in {"SQL_ASCII", "LATIN1", "UTF8"} else "文書"
    values = (text, -1, 0, 2**62)
    more: LiteralString = "%s::text, %s::int8, %s::int8, %s::int8"
    small = get_start(driver.from_bytes(SMALL), MAX_SIZE, 0, more, params=values, columns=(str, int, int, int))
    assert driver.sql.perform(small) == (len(SMALL), SMALL, values)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("catalogue", [True], indirect=True)
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("extension", [".txt", ".æ", ".文書"])
def test_names_are_listed_in_any_encoding(
    connect: Connect, server: Server, catalogue: bool, encoding: str, extension: str
) -> None:
    assert catalogue
    outside = connect(autocommit=True)
    oid = get_driver(outside).from_bytes(SMALL)
    entering = (
        "insert into pg_lo_storage_file (loid, extension, original_name, content_type, created_at, modified_at)"
        " values (%s, %s, '', '', now(), now())"
    )
    execute(outside, entering, [oid, extension])
    fs = PgLoFileSystem(connection=connect(dsn=f"{server.dsn()} client_encoding={encoding}"), skip_instance_cache=True)
    assert fs.ls("", detail=False) == [f"{oid}{extension}"]
    assert fs.cat_file(f"{oid}{extension}") == SMALL
