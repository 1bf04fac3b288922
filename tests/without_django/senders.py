"""The examples of ``example/web`` within the test's process, and how a request gets to them."""

import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any, Final
from wsgiref.util import setup_testing_defaults

from psycopg_pool import ConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pg_lo_storage.contrib.starlette import LargeObjectResponse
from pg_lo_storage.http import FileFacts
from pg_lo_storage.testing.portal import Portal
from tests.serving.reference import Sent

MODULES: Final = {
    "FastAPI": "example.web.fastapi_files",
    "Flask": "example.web.flask_files",
    "ASGI": "example.web.asgi_files",
    "WSGI": "example.web.wsgi_files",
}
NAMES: Final = [*MODULES, "Starlette, in threads"]
SPELLED: Final = {"Etag": "ETag"}

Send = Callable[..., Sent]


@contextmanager
def sending(name: str, dsn: str) -> Generator[Send]:
    """Start an example; what is given asks it: method, path, headers, content."""
    os.environ["DSN"] = dsn
    sys.modules.pop(MODULES.get(name, ""), None)  # with the pool that it had
    if name in {"Flask", "WSGI"}:
        module = importlib.import_module(MODULES[name])
        yield lambda *asked: ask_wsgi(module.app, *asked)
        module.pool.close()
        return
    with Portal() as portal:
        stack = AsyncExitStack()
        if name == "FastAPI":
            app = importlib.import_module(MODULES[name]).app
            portal.call(stack.enter_async_context(app.router.lifespan_context(app)))
        elif name == "ASGI":
            module = importlib.import_module(MODULES[name])
            app = module.app
            stack.push_async_callback(module.pool.close)
        else:
            pool = ConnectionPool[Any](dsn, open=True)
            app = threaded(pool)
            stack.callback(pool.close)
        yield lambda *asked: portal.call(ask_asgi(app, *asked))
        portal.call(stack.aclose())


def threaded(pool: ConnectionPool[Any]) -> Starlette:
    """Make an application over connections that are not awaited."""
    facts = importlib.import_module("example.web").FACTS

    def download(request: Request) -> Response:
        from psycopg.rows import class_row

        from pg_lo_storage.names import parse_name

        with pool.connection() as connection, connection.cursor(row_factory=class_row(FileFacts)) as cursor:
            found = cursor.execute(facts, [parse_name(request.path_params["number"])]).fetchone()
            return Response(status_code=404) if found is None else LargeObjectResponse(pool.connection, found)

    return Starlette(routes=[Route("/files/{number}", download)])


def ask_wsgi(app: Any, method: str, path: str, headers: Mapping[str, str] | None = None, content: bytes = b"") -> Sent:
    """Ask as a server does, which also closes what it sends."""
    import io

    environ: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "CONTENT_LENGTH": str(len(content))}
    environ["wsgi.input"] = io.BytesIO(content)
    setup_testing_defaults(environ)
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in (headers or {}).items()}
    started = list[Any]()

    def start_response(status: str, fields: list[tuple[str, str]], _error: object = None) -> None:
        started.append((int(status[:3]), fields))

    blocks: Iterable[bytes] = app(environ, start_response)
    try:
        received = b"".join(blocks)
    finally:
        getattr(blocks, "close", lambda: None)()
    status, fields = started[-1]
    return Sent(status, spelled(fields), received)


async def ask_asgi(
    app: Any, method: str, path: str, headers: Mapping[str, str] | None = None, content: bytes = b""
) -> Sent:
    """Ask as a server does, with a client that stays to the end."""
    asked = [(name.encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    messages, begun, never = list[Any](), list[bool](), asyncio.Event()

    async def receive() -> dict[str, Any]:
        if begun:
            await never.wait()
        begun.append(True)
        return {"type": "http.request", "body": content}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await app(scope(method, path, asked), receive, send)
    start, *bodies = messages
    fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]]
    return Sent(start["status"], spelled(fields), b"".join(message.get("body", b"") for message in bodies))


def scope(method: str, path: str, headers: list[tuple[bytes, bytes]], spec_version: str = "2.3") -> dict[str, Any]:
    """Return what a server says of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": spec_version},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": None,
        "server": ("localhost", 80),
    }


def spelled(fields: list[tuple[str, str]]) -> dict[str, str]:
    """Return the headers, none of which comes twice, spelled as in the RFC."""
    titles = [name.title() for name, _ in fields]
    assert len(titles) == len(set(titles))
    assert all("\r" not in value and "\n" not in value for _, value in fields)
    return {SPELLED.get(title, title): value for title, (_, value) in zip(titles, fields, strict=True)}
