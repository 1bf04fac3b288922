"""The proxy before the server, which delays, and counts round trips."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self


class Wire:
    """Passes all on, each way later by so many microseconds, until the block ends."""

    def __init__(self, program: Path, upstream: Mapping[str, str], microseconds: int = 0) -> None:
        host, port = upstream["host"], upstream["port"]
        address = f"{host}/.s.PGSQL.{port}" if host.startswith("/") else port
        self._argv = [str(program), str(microseconds), address]
        self._upstream = dict(upstream)

    @property
    def parameters(self) -> dict[str, str]:
        """The connection parameters that lead through the proxy; TLS could not be read."""
        return self._upstream | {
            "host": "127.0.0.1",
            "port": self._port,
            "sslmode": "disable",
            "gssencmode": "disable",
        }

    def round_trips(self) -> int:
        """Return how many there were so far: one for each statement, or each pipeline's synchronisation."""
        return int(self._ask("\n"))

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._port = self._ask("").strip()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def _ask(self, line: str) -> str:
        assert self._process.stdin  # noqa: S101 -- pipes were asked for
        assert self._process.stdout  # noqa: S101
        self._process.stdin.write(line)
        self._process.stdin.flush()
        return self._process.stdout.readline()
