"""The bytes of an answer, read batch by batch: each by one statement, on a connection that is then given back."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Final, LiteralString, TypeAlias

from pg_lo_storage.aio.base import AsyncLargeObjectDriver
from pg_lo_storage.aio.registry import find_async_driver
from pg_lo_storage.catalogued import streamed_version
from pg_lo_storage.drivers.base import MAX_BLOCK, LargeObjectDriver
from pg_lo_storage.drivers.queries import Rows, Statement
from pg_lo_storage.drivers.registry import get_driver
from pg_lo_storage.drivers.values import as_bytes
from pg_lo_storage.exceptions import LargeObjectConflict
from pg_lo_storage.http.answer import Answer
from pg_lo_storage.http.batches import in_batches
from pg_lo_storage.http.facts import FileFacts
from pg_lo_storage.http.statements import perform, perform_async

__all__ = ["AsyncConnect", "Connect", "abody", "body"]

Connect: TypeAlias = Callable[[], AbstractContextManager[object]]
"""Opens a connection, or takes one of a pool: ``pool.connection``, ``engine.connect``."""

AsyncConnect: TypeAlias = Callable[[], AbstractAsyncContextManager[object]]
"""The same, with ``async with``."""

# Of a task that nobody else holds, the event loop keeps no more than a weak reference.
_under_way: Final[set[asyncio.Future[bytes]]] = set()


def body(connect: Connect, facts: FileFacts, answer: Answer) -> Iterator[bytes]:
    """Return the blocks of the answer's body, the first of which is read now: before the client is promised anything.

    Each block of at most 1 MB is one statement on a connection of its own ``with connect()``. In between there is
    neither a connection nor a transaction, however slowly the client reads. Where the file has become shorter, or is no
    longer the catalogue's version that was promised, the error comes out of the iterator: the server cuts the
    connection, and the client knows that it has not got it all.

    :raises LargeObjectNotFound: there is no such object.
    :raises LargeObjectConflict: it is not as the facts say.
    """
    blocks = _read_in_batches(connect, facts, answer)
    return itertools.chain([next(blocks, b"")], blocks)


async def abody(connect: Connect | AsyncConnect, facts: FileFacts, answer: Answer) -> AsyncIterator[bytes]:
    """:func:`body`, awaited; a connection whose calls are not awaited is used in a thread.

    ``connect`` is called in a thread in any case; what it gives is entered in the event loop, if by ``async with``.
    """
    blocks = _aread_in_batches(connect, facts, answer)
    return _chained(await anext(blocks, b""), blocks)


async def _chained(first: bytes, blocks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    del first  # a slow client's download is to take one block of memory, not two
    async for block in blocks:
        yield block


def _read_in_batches(connect: Connect, facts: FileFacts, answer: Answer) -> Iterator[bytes]:
    for batch in in_batches(answer.pieces, MAX_BLOCK):
        if isinstance(batch, bytes):
            yield batch
            continue
        with connect() as connection:
            data = _read(get_driver(connection), facts, batch)
        yield data


async def _aread_in_batches(connect: Connect | AsyncConnect, facts: FileFacts, answer: Answer) -> AsyncIterator[bytes]:
    for batch in in_batches(answer.pieces, MAX_BLOCK):
        if isinstance(batch, bytes):
            yield batch
            continue
        # Always in a thread, since an engine may connect in this very call.
        done = await asyncio.to_thread(_read_unless_awaited, connect, facts, batch)
        yield done if isinstance(done, bytes) else await _finished(_read_awaited(done, facts, batch))


def _read_unless_awaited(
    connect: Connect | AsyncConnect, facts: FileFacts, wanted: range
) -> bytes | AbstractAsyncContextManager[object]:
    opening = connect()
    if isinstance(opening, AbstractAsyncContextManager):
        return opening
    with opening as connection:
        return _read(get_driver(connection), facts, wanted)


async def _finished(reading: Coroutine[object, object, bytes]) -> bytes:
    """Await a batch that is read to its end even if this is cancelled.

    A client that leaves cancels, under Starlette again at each ``await``, so that a connection could not be given back.
    """
    task = asyncio.ensure_future(reading)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return await asyncio.shield(task)


async def _read_awaited(opening: AbstractAsyncContextManager[object], facts: FileFacts, wanted: range) -> bytes:
    async with opening as connection:
        if (driver := find_async_driver(connection)) is not None:
            return await _aread(driver, facts, wanted)
        # nullcontext() is of both kinds.
        return await asyncio.to_thread(_read, get_driver(connection), facts, wanted)


def _read(driver: LargeObjectDriver, facts: FileFacts, wanted: range) -> bytes:
    if facts.catalogue is not None:
        return perform(driver, _of_version(facts, wanted, facts.catalogue))
    return _complete(facts, wanted, driver.get(facts.oid, wanted.start, len(wanted)))


async def _aread(driver: AsyncLargeObjectDriver, facts: FileFacts, wanted: range) -> bytes:
    if facts.catalogue is not None:
        return await perform_async(driver, _of_version(facts, wanted, facts.catalogue))
    return _complete(facts, wanted, await driver.get(facts.oid, wanted.start, len(wanted)))


def _of_version(facts: FileFacts, wanted: range, table: LiteralString) -> Statement[bytes]:
    def joined(rows: Rows) -> bytes:
        return _complete(facts, wanted, b"".join(as_bytes(value) for (value,) in rows))

    return streamed_version(facts.oid, facts.version or "", wanted.start, len(wanted), joined, table=table)


def _complete(facts: FileFacts, wanted: range, data: bytes) -> bytes:
    if len(data) != len(wanted):
        message = f"large object {facts.oid} was changed, replaced or deleted while it was served"
        raise LargeObjectConflict(message, oid=facts.oid)
    return data
