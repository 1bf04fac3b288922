"""Who changes anything on a standby is told that it is read-only: by the drivers, files and whole files."""

import errno
import importlib
import io
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import pg_lo_storage
from example.cluster import Cluster
from example.drivers.lo_pg8000 import Pg8000Driver
from pg_lo_storage.drivers import LargeObjectDriver, get_driver
from pg_lo_storage.exceptions import LargeObjectReadOnly
from pg_lo_storage.io import BinaryMode, LargeObjectIO
from tests.drivers.support import WRITE, content, driver_error, execute
from tests.fixtures.connections import Connect, RawConnection, run
from tests.standby.conftest import wait_for

pytestmark = pytest.mark.server_tools

MUCH = bytes(300_000)  # which each driver sends in a way of its own
FREE = 4_000_000_000


def _in_file(mode: BinaryMode, use: Callable[[LargeObjectIO], object]) -> Callable[[LargeObjectDriver, int], None]:
    def call(driver: LargeObjectDriver, oid: int) -> None:
        with LargeObjectIO(driver, oid, mode) as file:
            use(file)

    return call


CHANGES: dict[str, Callable[[LargeObjectDriver, int], object]] = {
    "create": lambda driver, _: driver.create(),
    "create with an oid": lambda driver, _: driver.create(FREE),
    "from_bytes": lambda driver, _: driver.from_bytes(b"data"),
    "put": lambda driver, oid: driver.put(oid, 0, b"data"),
    "write": lambda driver, oid: driver.open(oid, WRITE).write(b"data"),
    "write much": lambda driver, oid: driver.open(oid, WRITE).write(MUCH),
    "write_all": lambda driver, oid: driver.open(oid, WRITE).write_all([MUCH, b"data", MUCH]),
    "truncate": lambda driver, oid: driver.open(oid, WRITE).truncate(1),
    "extend": lambda driver, oid: driver.open(oid, WRITE).truncate(100),
    "unlink": lambda driver, oid: driver.unlink(oid),
    "a new file": lambda driver, _: LargeObjectIO(driver, mode="wb"),
    "a new file with an oid": lambda driver, _: LargeObjectIO(driver, FREE, "xb"),
    "write to a file": _in_file("r+b", lambda file: file.write(b"data")),
    "append to a file": _in_file("ab", lambda file: file.write(MUCH)),
    "truncate a file": _in_file("r+b", lambda file: file.truncate(0)),
}
# These need no transaction.
ALONE = ["create", "create with an oid", "from_bytes", "put", "unlink"]

WHOLE_FILES: dict[str, Callable[[RawConnection, int, Path], object]] = {
    "save": lambda connection, _oid, _path: pg_lo_storage.save(connection, b"data"),
    "save much": lambda connection, _oid, _path: pg_lo_storage.save(connection, io.BytesIO(10 * MUCH)),
    "copy": lambda connection, oid, _path: pg_lo_storage.copy(connection, oid),
    "lo_import": lambda connection, _oid, path: pg_lo_storage.lo_import(connection, path),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data.txt"
    path.write_bytes(MUCH)
    return path


def test_it_is_a_standby_that_streams_and_reads(connect: Connect, primary: Cluster, standby: Cluster) -> None:
    oid = get_driver(connect(dsn=primary.dsn(), autocommit=True)).from_bytes(b"made later")
    wait_for(standby, primary)
    connection = connect(dsn=standby.dsn())
    assert run(connection, "select pg_is_in_recovery()") == [(True,)]
    assert content(get_driver(connection), oid) == pg_lo_storage.load(connection, oid) == b"made later"


@pytest.mark.parametrize("call", CHANGES.values(), ids=CHANGES)
def test_a_change_is_refused_as_read_only(
    on_standby: RawConnection, oid: int, call: Callable[[LargeObjectDriver, int], object]
) -> None:
    with pytest.raises(LargeObjectReadOnly) as caught:
        call(get_driver(on_standby), oid)
    assert caught.value.errno == errno.EROFS
    assert caught.value.oid in {oid, FREE, None}
    assert isinstance(caught.value.__cause__, driver_error(on_standby))
    on_standby.rollback()
    assert content(get_driver(on_standby), oid) == b"content"


@pytest.mark.parametrize("name", ALONE)
def test_so_it_is_in_autocommit(connect: Connect, standby: Cluster, oid: int, name: str) -> None:
    driver = get_driver(connect(dsn=standby.dsn(), autocommit=True))
    with pytest.raises(LargeObjectReadOnly):
        CHANGES[name](driver, oid)
    assert content(driver, oid) == b"content"


@pytest.mark.parametrize("call", WHOLE_FILES.values(), ids=WHOLE_FILES)
@pytest.mark.parametrize("autocommit", [False, True])
def test_whole_files_are_refused_as_read_only(
    on_standby: RawConnection,
    oid: int,
    path: Path,
    call: Callable[[RawConnection, int, Path], object],
    autocommit: bool,
) -> None:
    on_standby.autocommit = autocommit
    with pytest.raises(LargeObjectReadOnly):
        call(on_standby, oid, path)


def test_unlinking_what_is_not_there_is_no_change(on_standby: RawConnection) -> None:
    assert not get_driver(on_standby).unlink(FREE)


@pytest.mark.once
@pytest.mark.parametrize("call", CHANGES.values(), ids=CHANGES)
def test_a_driver_of_somebody_elses_refuses_as_well(
    standby: Cluster, oid: int, call: Callable[[LargeObjectDriver, int], object]
) -> None:
    pg8000: Any = importlib.import_module("pg8000.dbapi")
    connection = pg8000.connect(
        user="app", database="app", unix_sock=f"{standby.folder}/.s.PGSQL.{standby.port}", password=None
    )
    with closing(connection), pytest.raises(LargeObjectReadOnly):
        call(Pg8000Driver(connection), oid)


def test_after_its_promotion_the_same_connection_writes(connect: Connect, primary: Cluster, oid: int) -> None:
    with Cluster(primary.bindir, primary=primary) as standby:
        connection = connect(dsn=standby.dsn())
        driver = get_driver(connection)
        for name in ("unlink", "write much"):
            with pytest.raises(LargeObjectReadOnly):
                CHANGES[name](driver, oid)
            connection.rollback()
        execute(connect(dsn=standby.dsn(user="postgres"), autocommit=True), "select pg_promote()")
        CHANGES["write much"](driver, oid)
        assert content(driver, oid) == MUCH
        assert driver.unlink(oid)
        connection.commit()
