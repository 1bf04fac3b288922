"""A pgbouncer of these tests' own, which Debian's package has."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from example.cluster import Cluster, keyword_string
from tests.fixtures.connections import INSTALLED, open_connection

USER: Final = "postgres"
"""Whom it runs as where the tests run as root, which it refuses."""


class Bouncer:
    """Pools connections to servers, each under a name, from ``with`` until its block ends."""

    def __init__(self, mode: str, *servers: tuple[str, Cluster], size: int = 1) -> None:
        self._mode = mode
        self._servers = dict(servers)
        self._size = size

    def __enter__(self) -> Self:
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program, "install pgbouncer"
        self.version = _version_of(program)
        self._folder = Path(tempfile.mkdtemp(prefix="bouncer"))
        self._folder.chmod(0o755)
        as_user = ["-u", USER] if os.geteuid() == 0 else []
        if as_user:
            shutil.chown(self._folder, USER)
        self._configure()
        self._log = (self._folder / "log").open("wb")
        self._process = subprocess.Popen(
            [program, *as_user, self._folder / "pgbouncer.ini"], stdout=self._log, stderr=self._log
        )
        while not self._is_ready():
            assert self._process.poll() is None, (self._folder / "log").read_text()
        return self

    def _is_ready(self) -> bool:
        with socket.socket(socket.AF_UNIX) as connection:
            return connection.connect_ex(str(self._folder / ".s.PGSQL.6432")) == 0

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()  # what its versions do at other signals differs, such as to wait for clients
        self._process.wait()
        self._log.close()
        shutil.rmtree(self._folder)

    def parameters(self, name: str) -> dict[str, str]:
        """Return libpq's connection parameters to the server of that name."""
        return {"host": str(self._folder), "port": "6432", "dbname": name, "user": "app"}

    def dsn(self, name: str) -> str:
        """Return a connection string to the server of that name."""
        return keyword_string(self.parameters(name))

    def point(self, name: str, server: Cluster) -> None:
        """Send new connections to another server; whoever waits for one goes there."""
        self._servers[name] = server
        self._configure()
        connection = open_connection(INSTALLED[0], self.dsn("pgbouncer"), autocommit=True)
        cursor = connection.cursor()
        cursor.execute("reload")
        connection.close()

    def _configure(self) -> None:
        (self._folder / "pgbouncer.ini").write_text(
            f"[databases]\n{_lines(self._servers)}\n[pgbouncer]\nlisten_port = 6432\nauth_type = any\n"
            f"unix_socket_dir = {self._folder}\nadmin_users = app\npool_mode = {self._mode}\n"
            # Servers that are lost are tried again at once.
            f"default_pool_size = {self._size}\nserver_login_retry = 0.1\nserver_lifetime = 3600\n"
            + ("max_prepared_statements = 100\n" if self.version >= (1, 21) else "")
        )


def _lines(servers: Mapping[str, Cluster]) -> str:
    return "\n".join(
        f"{name} = host={server.folder} port={server.port} dbname=app user=app" for name, server in servers.items()
    )


def _version_of(program: str) -> tuple[int, int]:
    said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout
    found = re.search(r"PgBouncer (\d+)\.(\d+)", said)
    assert found, said
    return int(found[1]), int(found[2])
