"""Files with ASGI alone: ``DSN=dbname=app uvicorn --lifespan=off example.web.asgi_files:app``."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from psycopg.rows import class_row
from psycopg_pool import AsyncConnectionPool

from example.web import FACTS
from pg_lo_storage.exceptions import LargeObjectConflict, LargeObjectNotFound, LargeObjectPermissionDenied
from pg_lo_storage.http import Answer, FileFacts, abody, answer
from pg_lo_storage.names import parse_name

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
pool = AsyncConnectionPool(os.environ.get("DSN", ""), open=False)


async def app(scope: Message, receive: Receive, send: Send) -> None:
    await pool.open()
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    blocks: AsyncIterator[bytes] | None = None
    try:
        facts = await find(scope["path"].removeprefix("/files/"))
        made = answer(scope["method"], headers, facts)
        blocks = await abody(pool.connection, facts, made)
    except (LookupError, LargeObjectNotFound, LargeObjectPermissionDenied):
        made = Answer(404, {"Content-Length": "0"})
    except LargeObjectConflict:
        made = Answer(503, {"Content-Length": "0", "Retry-After": "1"})
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in made.headers.items()]
    await send({"type": "http.response.start", "status": made.status, "headers": fields})
    async with asyncio.TaskGroup() as group:
        # A server goes on taking blocks for a client that has left.
        sending = group.create_task(send_all(blocks, send))
        leaving = group.create_task(until_it_leaves(receive, sending))
        sending.add_done_callback(lambda _: leaving.cancel())


async def send_all(blocks: AsyncIterator[bytes] | None, send: Send) -> None:
    if blocks is not None:
        async for block in blocks:
            await send({"type": "http.response.body", "body": block, "more_body": True})
    await send({"type": "http.response.body"})


async def until_it_leaves(receive: Receive, sending: "asyncio.Task[None]") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    sending.cancel()


async def find(name: str) -> FileFacts:
    async with pool.connection() as connection, connection.cursor(row_factory=class_row(FileFacts)) as cursor:
        if (facts := await (await cursor.execute(FACTS, [parse_name(name)])).fetchone()) is None:
            raise LookupError(name)
        return facts
