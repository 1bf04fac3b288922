"""Run a private PostgreSQL server until standard input ends, then stop it and remove its folder.

Each line on standard input has the server crash and start again.

:mod:`example.cluster` starts this file as a process of its own. However the parent ends, by Ctrl-C, SIGTERM
or SIGKILL, its end of the pipe closes with it, and no server or folder stays behind.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

SETUP = """
create role app login;
create role stranger login;
create database app owner app;
create database other owner app;
create database third owner app;
\\connect app
revoke create on schema public from public;
grant all on schema public to app with grant option;
\\connect other
revoke create on schema public from public;
grant all on schema public to app with grant option;
\\connect third
revoke create on schema public from public;
grant all on schema public to app with grant option;
"""
START_SECONDS = 60
STOP_SECONDS = 20


class Postgres:
    """The programs of one server installation, run on one folder as an ordinary user of the system."""

    def __init__(self, folder: Path, bindir: Path) -> None:
        self._folder = folder
        self.data = folder / "data"
        self._log = folder / "server.log"
        self._environment = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
        self._user, self._group, self._groups = _ordinary_user()
        if self._user is not None:
            shutil.chown(folder, self._user, self._group)
        self.bindir = self._runnable(bindir)

    def _runnable(self, bindir: Path) -> Path:
        try:
            self.run([bindir / "postgres", "--version"])
        except PermissionError:
            # The ordinary user cannot enter root's home or a private checkout, where a wheel's files are.
            return _copy(bindir.parent, self._folder / "programs") / bindir.name
        return bindir

    def initialise(self, *options: str) -> None:
        """Create the data folder."""
        self.run(
            [
                *(self.bindir / "initdb", "-D", self.data),
                *("--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", *options),
            ]
        )

    def copy(self, origin: str) -> None:
        """Make the data folder that of a standby, of the primary of a connection string, or a copy of a folder."""
        if Path(origin).is_dir():
            self.run(["cp", "-R", origin, self.data])
        else:
            self.back_up(origin, "--write-recovery-conf")

    def back_up(self, server: str, *options: str) -> None:
        """Make the data folder a base backup of the server of a connection string."""
        self.run(
            [self.bindir / "pg_basebackup", "-D", self.data, "-d", server, "--checkpoint=fast", "--no-sync", *options]
        )

    def start(self, options: Sequence[str]) -> tuple[subprocess.Popen[bytes], int]:
        """Start the server with more options; return it with its port, once it takes connections."""
        for _ in range(3):  # another process may take the port that was free a moment ago
            port = _free_port()
            argv: list[str | Path] = [
                *(self.bindir / "postgres", "-D", self.data, "-k", self._folder),
                *("-h", "127.0.0.1", "-p", str(port), "-N", "100", "-F"),
                *options,
            ]
            with self._log.open("wb") as log:
                server = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    env=self._environment,
                    user=self._user,
                    group=self._group,
                    extra_groups=self._groups,
                )
            if self._is_ready(server):
                return server, port
        raise RuntimeError(f"the server did not start:\n{self._log.read_text(errors='replace')}")

    def _is_ready(self, server: subprocess.Popen[bytes]) -> bool:
        status = self.data / "postmaster.pid"
        deadline = time.monotonic() + START_SECONDS
        while server.poll() is None:
            if status.exists() and status.read_text().rstrip().endswith("ready"):
                return True
            if time.monotonic() > deadline:
                stop(server)
                break
            time.sleep(0.02)
        return False

    def set_up(self, port: int) -> None:
        """Create the roles and the databases, as superuser."""
        self.run(
            [
                *(self.bindir / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1"),
                *("-h", self._folder, "-p", str(port), "-U", "postgres", "-d", "postgres"),
            ],
            SETUP,
        )

    def run(self, argv: Sequence[str | Path], stdin: str = "") -> None:
        """Run a program as that user, in the folder."""
        result = subprocess.run(
            argv,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            cwd=self._folder,
            env=self._environment,
            user=self._user,
            group=self._group,
            extra_groups=self._groups,
        )
        if result.returncode:
            raise RuntimeError(f"{argv[0]} failed:\n{result.stdout}{result.stderr}")


def _copy(installation: Path, target: Path) -> Path:
    """Copy a server out of a wheel, where its libraries are in a folder beside the package."""
    package = installation.parent
    libraries = package.with_name(f"{package.name}.libs")
    copy = target / package.name / installation.name
    shutil.copytree(installation, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    return copy


def _ordinary_user() -> tuple[int | None, int | None, list[int] | None]:
    """Return whom the server runs as; PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None, None, None
    import pwd

    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return entry.pw_uid, entry.pw_gid, []
    raise RuntimeError("root cannot run PostgreSQL, and there is neither a user 'postgres' nor 'nobody'")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server, cutting its connections."""
    server.send_signal(signal.SIGINT)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGQUIT)
        server.wait()


def _exit(_number: int, _frame: FrameType | None) -> None:
    sys.exit(1)


def main(bindir: Path, origin: str, options: Sequence[str]) -> None:
    """Serve, as a copy where there is an ``origin``; one line of JSON on standard output says where, once ready."""
    # The finally clauses below are to run whatever ends this process.
    signal.signal(signal.SIGTERM, _exit)
    with tempfile.TemporaryDirectory(prefix="pg-lo-") as name:
        folder = Path(name)
        postgres = Postgres(folder, bindir)
        if origin:
            postgres.copy(origin)
        else:
            postgres.initialise()
        server, port = postgres.start(options)
        try:
            if not origin:
                postgres.set_up(port)
            print(json.dumps({"folder": name, "port": port, "pid": server.pid}), flush=True)
            for _ in sys.stdin:
                server.send_signal(signal.SIGQUIT)  # what "pg_ctl stop -m immediate" sends
                server.wait()
                server, port = postgres.start(options)
                print(json.dumps({"folder": name, "port": port, "pid": server.pid}), flush=True)
        finally:
            stop(server)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
