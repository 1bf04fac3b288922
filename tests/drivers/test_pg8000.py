"""The example driver for pg8000: it is found, and it keeps the contract of a driver."""

import importlib
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from example.cluster import Server
from example.drivers.lo_pg8000 import Pg8000Driver
from pg_lo_storage.drivers import AccessMode, LargeObjectDriver, get_driver, register_driver, registry
from pg_lo_storage.exceptions import StaleLargeObject
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.testing import DriverConformance, OpenSession
from tests.drivers.support import ALL_BYTES
from tests.testing.sessions import RawSession

pytestmark = pytest.mark.once

PACKAGE = Path(__file__).parents[2] / "example" / "drivers"


class Connections:
    """Opens pg8000's connections to the tests' server, and closes them all."""

    def __init__(self, server: Server) -> None:
        parameters = server.parameters()
        host, port = parameters.get("host") or "localhost", parameters.get("port") or "5432"
        self._dbapi = importlib.import_module("pg8000.dbapi")
        self._arguments: dict[str, Any] = {
            "user": parameters.get("user", "app"),
            "database": parameters["dbname"],
            "password": parameters.get("password"),
        }
        if host.startswith("/"):
            self._arguments["unix_sock"] = f"{host}/.s.PGSQL.{port}"
        else:
            self._arguments |= {"host": host, "port": int(port)}
        self.lost: type[Exception] = self._dbapi.InterfaceError
        self._opened = ExitStack()

    def open(self, *, autocommit: bool = False) -> Any:
        connection = self._dbapi.connect(**self._arguments)
        connection.autocommit = autocommit
        self._opened.callback(self._close, connection)
        return connection

    def close(self) -> None:
        self._opened.close()

    def _close(self, connection: Any) -> None:
        # pg8000 refuses to close a second time.
        if connection._usock is not None:
            connection.close()


@pytest.fixture
def connections(server: Server) -> Iterator[Connections]:
    connections = Connections(server)
    yield connections
    connections.close()


class TestPg8000Driver(DriverConformance[Pg8000Driver]):
    @pytest.fixture
    def open_session(self, connections: Connections) -> OpenSession[Pg8000Driver]:
        def open_session(*, autocommit: bool = False) -> RawSession[Pg8000Driver]:
            connection = connections.open(autocommit=autocommit)
            return RawSession(connection, Pg8000Driver(connection))

        return open_session


def test_it_is_a_file_of_python(connections: Connections) -> None:
    connection = connections.open()
    driver: LargeObjectDriver = Pg8000Driver(connection)
    with LargeObjectIO(driver, mode="wb+") as file:
        file.write(ALL_BYTES * 5000)
        file.seek(-3, 2)
        assert file.read() == ALL_BYTES[-3:]
    connection.commit()
    assert driver.get(file.oid, 0, 1 << 24) == ALL_BYTES * 5000


def test_a_per_cent_sign_is_doubled_whether_there_are_parameters_or_not(connections: Connections) -> None:
    driver = Pg8000Driver(connections.open())
    assert driver.execute("select 7 %% %s::int4", (4,)) == [(3,)]
    assert driver.execute("select 7 %% 4") == [(3,)]


@pytest.mark.parametrize("how", ["closed", "lost"])
def test_a_connection_that_is_no_more_is_in_no_transaction(connections: Connections, how: str) -> None:
    connection = connections.open()
    driver = Pg8000Driver(connection)
    descriptor = driver.open(driver.from_bytes(ALL_BYTES), AccessMode.READ)
    if how == "closed":
        connection.close()
    else:
        [(pid,)] = driver.execute("select pg_backend_pid()")
        Pg8000Driver(connections.open(autocommit=True)).execute("select pg_terminate_backend(%s::int4, 10000)", (pid,))
        with pytest.raises(connections.lost):
            descriptor.read(1)
    assert not driver.in_transaction
    with pytest.raises(StaleLargeObject):
        descriptor.read(1)
    descriptor.close()


def test_it_can_be_registered(connections: Connections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict[str, Any]())
    monkeypatch.setattr(sys, "path", [str(PACKAGE), *sys.path])
    register_driver("pg8000.dbapi.Connection", "lo_pg8000.Pg8000Driver")
    found = type(get_driver(connections.open()))
    assert (found.__module__, found.__name__) == ("lo_pg8000", "Pg8000Driver")


def test_its_package_makes_it_known_by_an_entry_point(tmp_path: Path) -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = ["[pg_lo_storage.drivers]", *map(" = ".join, project["entry-points"]["pg_lo_storage.drivers"].items())]
    distribution = tmp_path / "pg_lo_storage_pg8000-1.dist-info"
    distribution.mkdir()
    (distribution / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text("\n".join(lines))
    program = (
        "import pg8000.dbapi\nfrom pg_lo_storage.drivers import get_driver\n"
        "connection = object.__new__(pg8000.dbapi.Connection)\nprint(type(get_driver(connection)))"
    )
    path = os.pathsep.join([str(tmp_path), str(PACKAGE)])
    printed = subprocess.check_output([sys.executable, "-c", program], env=os.environ | {"PYTHONPATH": path}, text=True)
    assert printed == "<class 'lo_pg8000.Pg8000Driver'>\n"
