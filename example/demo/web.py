"""A real server process with the project, and a visitor who talks HTTP to it."""

import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from example.demo.files import MB, ROOT

HOST = "127.0.0.1"
STOP_SECONDS = 10
ANSWER_SECONDS = 60


class WebServer:
    """gunicorn with the project, on a free port of this machine, until the block ends."""

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        # The port is bound before the server runs: nobody can take it in between, and there is nothing to
        # wait for. Closed here, it refuses connections as soon as the server is gone.
        with socket.create_server((HOST, 0), backlog=64) as listener:
            self.port: int = listener.getsockname()[1]
            descriptor = listener.fileno()
            argv = ["gunicorn", "--config", "python:example.project.gunicorn_settings"]
            self._process = subprocess.Popen(
                [sys.executable, "-m", *argv, "--bind", f"fd://{descriptor}", "example.project.wsgi"],
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=self._log,
                cwd=ROOT,
                env={key: value for key, value in os.environ.items() if key != "GUNICORN_CMD_ARGS"},
                pass_fds=[descriptor],
                # Ctrl-C in a terminal is for the demo, which stops the server.
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

    def log(self) -> str:
        """Return what the server had to say."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def visitor(self) -> "Visitor":
        """Return a visitor without cookies."""
        return Visitor(self.port)


class Visitor:
    """A browser as far as the demo needs one: it keeps cookies and fills in the login form."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: SimpleCookie = SimpleCookie()

    def log_in(self, username: str, password: str) -> bool:
        """Log in through the form and tell whether it succeeded."""
        with self.request("GET", "/login/") as response:
            token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', response.read().decode())
        form = {
            "username": username,
            "password": password,
            "csrfmiddlewaretoken": token[1] if token else "",
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        with self.request("POST", "/login/", headers, urlencode(form)) as response:
            return response.status == 302 and "sessionid" in self._cookies

    @contextmanager
    def request(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: str | None = None
    ) -> Generator[HTTPResponse]:
        """Send a request; the answer's body is there until the block ends."""
        cookies = "; ".join(f"{name}={cookie.value}" for name, cookie in self._cookies.items())
        connection = HTTPConnection(HOST, self._port, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, path, body, {**(headers or {}), "Cookie": cookies})
            response = connection.getresponse()
            for cookie in response.headers.get_all("Set-Cookie", []):
                self._cookies.load(cookie)
            yield response
        finally:
            connection.close()


def blocks(response: HTTPResponse) -> Iterator[bytes]:
    """Yield the body, a bounded block at a time."""
    while block := response.read(MB):
        yield block
