"""A visitor who talks HTTP to the project's server."""

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from example.demo.files import MB
from example.webserver import HOST

ANSWER_SECONDS = 60


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
