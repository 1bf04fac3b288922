"""The functions of :mod:`pg_lo_storage.transfer` on a connection whose calls are awaited."""

import asyncio
import operator
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from typing_extensions import Buffer

from pg_lo_storage.aio.base import AsyncLargeObjectDriver
from pg_lo_storage.aio.cancellation import cleaned_up, completed
from pg_lo_storage.aio.io import AsyncLargeObjectIO
from pg_lo_storage.aio.opening import begins_by_itself, transaction
from pg_lo_storage.aio.sql import AsyncSQLDriver
from pg_lo_storage.drivers.base import MAX_BLOCK, AccessMode
from pg_lo_storage.drivers.digest import Digest
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.transfer.content import AsyncContent, async_blocks_of
from pg_lo_storage.transfer.copying import STEP, copy_step
from pg_lo_storage.transfer.files import StrPath, replacing
from pg_lo_storage.transfer.saved import Saved

__all__ = ["copy", "lo_export", "lo_import", "load", "save", "save_with_digest"]

T = TypeVar("T")
Progress = Callable[[int, int], object]


async def save(driver: AsyncLargeObjectDriver, content: AsyncContent) -> int:
    """See :func:`pg_lo_storage.save`."""
    blocks = async_blocks_of(content)
    first = bytes(await anext(blocks, b""))
    second = await anext(blocks, None)
    if second is None:
        # After a cancellation half-way nobody would know the oid of an object that was created.
        oid, cancellation = await completed(driver.from_bytes(first))
        if cancellation is not None:
            await _unlink(driver, [oid])
            raise cancellation
        return oid
    async with unit(driver) as created:
        oid = await _created(driver, created)
        descriptor = await driver.open(oid, AccessMode.WRITE)
        await descriptor.write(first)
        await descriptor.write(second)
        await descriptor.write_all(blocks)
        await descriptor.close()
    return oid


async def save_with_digest(driver: AsyncLargeObjectDriver, content: AsyncContent) -> Saved:
    """See :func:`pg_lo_storage.save`, with ``digest=True``."""
    digest = Digest()
    oid = await save(driver, digest.of_awaited(async_blocks_of(content)))
    return Saved(oid, digest.size, digest.hexdigest())


async def load(driver: AsyncLargeObjectDriver, oid: int) -> bytes:
    """See :func:`pg_lo_storage.load`."""
    data = await driver.get(oid, 0, BLOCK + 1)
    if len(data) <= BLOCK:
        return data
    async with unit(driver), AsyncLargeObjectIO(driver, oid) as file:
        return await file.read()


async def copy(driver: AsyncLargeObjectDriver, oid: int) -> int:
    """See :func:`pg_lo_storage.copy`."""
    oid = operator.index(oid)
    async with unit(driver) as created:
        if isinstance(sql := driver.sql, AsyncSQLDriver):
            return await _copy_in_server(sql, oid, created)
        source = await driver.open(oid, AccessMode.READ)
        target = await driver.open(await _created(driver, created), AccessMode.WRITE)
        await target.write_all(source.chunks(BLOCK))
        await target.close()
        await source.close()
        return created[0]


async def lo_export(driver: AsyncLargeObjectDriver, oid: int, path: StrPath, progress: Progress | None) -> int:
    """See :func:`pg_lo_storage.lo_export`."""
    async with unit(driver), AsyncLargeObjectIO(driver, oid) as source:
        with replacing(path) as target:
            total, done = await source.size(), 0
            async for block in source.aiter_chunks(MAX_BLOCK):
                done += await asyncio.to_thread(target.write, block)
                if progress is not None:
                    progress(done, total)
    return done


async def lo_import(
    driver: AsyncLargeObjectDriver,
    path: StrPath,
    progress: Progress | None,
    save: Callable[[AsyncLargeObjectDriver, AsyncContent], Coroutine[object, object, T]],
) -> T:
    """See :func:`pg_lo_storage.lo_import`; ``save`` is one of the two above."""
    # After a cancellation half-way nobody would close the file.
    opened, cancellation = await completed(asyncio.to_thread(Path(path).open, "rb"))
    with opened as file:
        if cancellation is not None:
            raise cancellation
        return await save(driver, file if progress is None else _reported(file, progress))


@asynccontextmanager
async def unit(driver: AsyncLargeObjectDriver) -> AsyncGenerator[list[int], None]:
    """Do all of the block or nothing; yield a list for the oids that it creates.

    In autocommit the block is a transaction. The caller's transaction goes on in any case: in it a failure unlinks what
    was created. A cancellation is such a failure, up to and including the COMMIT.
    """
    created: list[int] = []
    if await begins_by_itself(driver):
        try:
            yield created
        except BaseException:
            await _unlink(driver, created)
            raise
        return
    begun = transaction(driver)
    await begun.__aenter__()
    try:
        yield created
    except BaseException as error:
        await cleaned_up(_exited(begun, error))
        raise
    _, cancellation = await completed(_exited(begun))
    if cancellation is not None:
        await _unlink(driver, created)
        raise cancellation


async def _exited(begun: AbstractAsyncContextManager[object], error: BaseException | None = None) -> None:
    if error is None:
        await begun.__aexit__(None, None, None)
    else:
        await begun.__aexit__(type(error), error, error.__traceback__)


async def _created(driver: AsyncLargeObjectDriver, created: list[int]) -> int:
    """Create an object, and tell the unit its oid even if the call is cancelled."""
    oid, cancellation = await completed(driver.create())
    created.append(oid)
    if cancellation is not None:
        raise cancellation
    return oid


async def _unlink(driver: AsyncLargeObjectDriver, oids: list[int]) -> None:
    for oid in oids:
        await cleaned_up(driver.unlink(oid))


async def _copy_in_server(driver: AsyncSQLDriver, oid: int, created: list[int]) -> int:
    source = await driver.open_descriptor(oid, AccessMode.READ)
    copied = await _created(driver, created)
    target = await driver.open_descriptor(copied, AccessMode.WRITE)
    size = step = await driver.perform(copy_step(source, target))
    while step == STEP:
        step = await driver.perform(copy_step(source, target))
        size += step
    if await driver.perform(target.seek(0, os.SEEK_END)) < size:
        await driver.perform(target.truncate(size))
    for descriptor in (source, target):
        await driver.perform(descriptor.close())
    return copied


async def _reported(file: BinaryIO, progress: Progress) -> AsyncIterator[Buffer]:
    total, done = os.fstat(file.fileno()).st_size, 0
    while block := await asyncio.to_thread(file.read, MAX_BLOCK):
        yield block
        done += len(block)
        progress(done, max(done, total))  # only a regular file has a size
