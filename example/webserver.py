"""A real web server process, for the demo and the site."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
STOP_SECONDS = 10


class WebServer:
    """gunicorn with an application of the examples, on a port of this machine, until the block ends.

    ``application`` is a module's name, ``port`` 0 for any that is free. Where ``loud`` its log goes to standard error.
    """

    def __init__(self, application: str, port: int = 0, *, loud: bool = False) -> None:
        self._application = application
        self.port = port
        self._loud = loud

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        # The port is bound before the server runs: nobody can take it in between, and there is nothing to
        # wait for. Closed here, it refuses connections as soon as the server is gone.
        with socket.create_server((HOST, self.port), backlog=64) as listener:
            self.port = int(listener.getsockname()[1])
            descriptor = listener.fileno()
            argv = ["gunicorn", "--config", "python:example.gunicorn_settings"]
            self._process = subprocess.Popen(
                [sys.executable, "-m", *argv, "--bind", f"fd://{descriptor}", self._application],
                stdin=subprocess.DEVNULL,
                stdout=None if self._loud else self._log,
                stderr=None if self._loud else self._log,
                cwd=ROOT,
                env={key: value for key, value in os.environ.items() if key != "GUNICORN_CMD_ARGS"},
                pass_fds=[descriptor],
                # Ctrl-C in a terminal is for the program that started the server, and stops it.
                start_new_session=True,
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def wait(self) -> int:
        """Wait until the server ends by itself; return its exit status."""
        return self._process.wait()

    def log(self) -> str:
        """Return what the server had to say."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")
