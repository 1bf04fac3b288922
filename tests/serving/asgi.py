"""Clients of the ASGI application within the test's process, who read as slowly as a test wants."""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from django.core.asgi import get_asgi_application

from pg_lo_storage.serving import readers


class SlowClient:
    """Asks for a path, and takes each part of the body when it is let to."""

    def __init__(self, path: str, **headers: str) -> None:
        self._scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        }
        self._requested = False
        self._left = asyncio.Event()
        self._may_read = asyncio.Event()
        self.has_begun = asyncio.Event()
        self.status = 0
        self.body = b""
        self.task = asyncio.ensure_future(get_asgi_application()(self._scope, self._receive, self._send))

    def read_all(self) -> None:
        """Take whatever comes from now on."""
        self._may_read.set()

    def leave(self) -> None:
        """Close the connection."""
        self._left.set()

    async def _receive(self) -> dict[str, Any]:
        if self._requested:
            await self._left.wait()
            return {"type": "http.disconnect"}
        self._requested = True
        return {"type": "http.request", "body": b""}

    async def _send(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            return
        self.has_begun.set()
        await self._may_read.wait()
        self.body += message.get("body", b"")


async def get(path: str, **headers: str) -> SlowClient:
    """Return a client that has read the whole answer."""
    client = SlowClient(path, **headers)
    client.read_all()
    await client.task
    return client


def wait_for_readers() -> None:
    """Wait until the threads that read blocks have closed their connections."""
    for thread in threading.enumerate():
        if thread.name == readers.THREAD_NAME:
            thread.join(10)
            assert not thread.is_alive()
