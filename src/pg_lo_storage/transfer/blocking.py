"""The functions of :mod:`pg_lo_storage.transfer` on a connection whose calls return when they are done."""

import contextlib
import operator
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TypeVar

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import MAX_BLOCK, MAX_SIZE, AccessMode, LargeObjectDriver, Sink
from pg_lo_storage.drivers.bulk import stream_descriptor, write_through
from pg_lo_storage.drivers.digest import Digest
from pg_lo_storage.drivers.guarded import GuardedDescriptor
from pg_lo_storage.drivers.sql import SQLDriver
from pg_lo_storage.drivers.transactions import begins_by_itself, transaction
from pg_lo_storage.drivers.values import BLOCK
from pg_lo_storage.io import LargeObjectIO
from pg_lo_storage.transfer.content import Content, blocks_of, is_apart
from pg_lo_storage.transfer.copying import STEP, copy_step
from pg_lo_storage.transfer.files import StrPath, replacing
from pg_lo_storage.transfer.saved import Saved

__all__ = ["copy", "lo_export", "lo_import", "load", "save", "save_with_digest"]

T = TypeVar("T")
Progress = Callable[[int, int], object]


def save(driver: LargeObjectDriver, content: Content, sink: Sink | None = None) -> int:
    """See :func:`pg_lo_storage.save`; ``sink`` is handed all blocks."""
    blocks = blocks_of(content)
    first = bytes(next(blocks, b""))
    second = next(blocks, None)
    if second is None:
        if sink is not None:
            sink(first)
        return driver.from_bytes(first)
    with unit(driver) as created:
        oid = driver.create()
        created.append(oid)
        descriptor = driver.open(oid, AccessMode.WRITE)
        blocks = chain((first, second), blocks)
        write_through(descriptor, blocks, sink, apart=is_apart(content))
        descriptor.close()
    return oid


def save_with_digest(driver: LargeObjectDriver, content: Content) -> Saved:
    """See :func:`pg_lo_storage.save`, with ``digest=True``."""
    digest = Digest()
    oid = save(driver, content, digest.update)
    return Saved(oid, digest.size, digest.hexdigest())


def load(driver: LargeObjectDriver, oid: int) -> bytes:
    """See :func:`pg_lo_storage.load`."""
    data = driver.get(oid, 0, BLOCK + 1)
    if len(data) <= BLOCK:
        return data
    with unit(driver), LargeObjectIO(driver, oid) as file:
        return file.read()


def copy(driver: LargeObjectDriver, oid: int) -> int:
    """See :func:`pg_lo_storage.copy`."""
    oid = operator.index(oid)
    with unit(driver) as created:
        if isinstance(sql := driver.sql, SQLDriver):
            return _copy_in_server(sql, oid, created)
        source = driver.open(oid, AccessMode.READ)
        created.append(driver.create())
        target = driver.open(created[0], AccessMode.WRITE)
        target.write_all(source.chunks(BLOCK))
        target.close()
        source.close()
        return created[0]


def lo_export(driver: LargeObjectDriver, oid: int, path: StrPath, progress: Progress | None) -> int:
    """See :func:`pg_lo_storage.lo_export`."""
    with (
        unit(driver),
        replacing(path) as target,
        contextlib.closing(driver.open(operator.index(oid), AccessMode.READ)) as source,
    ):
        total, done = source.seek(0, os.SEEK_END), 0
        source.seek(0)
        # The file is written while the server sends, but progress() may use the connection.
        step = MAX_SIZE if progress is None else MAX_BLOCK
        while done < total:
            done += stream_descriptor(source, step, target.write)
            if progress is not None:
                progress(done, total)
    return done


def lo_import(
    driver: LargeObjectDriver,
    path: StrPath,
    progress: Progress | None,
    save: Callable[[LargeObjectDriver, Content], T],
) -> T:
    """See :func:`pg_lo_storage.lo_import`; ``save`` is one of the two above."""
    with Path(path).open("rb") as file:
        return save(driver, file if progress is None else _reported(file, progress))


@contextmanager
def unit(driver: LargeObjectDriver) -> Generator[list[int]]:
    """Do all of the block or nothing; yield a list for the oids that it creates.

    In autocommit the block is a transaction. The caller's transaction goes on in any case: in it a failure unlinks what
    was created.
    """
    created: list[int] = []
    if not begins_by_itself(driver):
        with transaction(driver):
            yield created
        return
    try:
        yield created
    except BaseException:
        for oid in created:
            # Where the transaction has failed, or the connection is lost, the object is gone as well.
            with contextlib.suppress(Exception):
                driver.unlink(oid)
        raise


def _copy_in_server(driver: SQLDriver, oid: int, created: list[int]) -> int:
    source = GuardedDescriptor(oid, *driver.open_descriptor(oid, AccessMode.READ))
    copied = driver.create()
    created.append(copied)
    target = GuardedDescriptor(copied, *driver.open_descriptor(copied, AccessMode.WRITE))
    size = step = driver.perform(copy_step(source, target))
    while step == STEP:
        step = driver.perform(copy_step(source, target))
        size += step
    if driver.perform(target.seek(0, os.SEEK_END)) < size:
        driver.perform(target.truncate(size))
    for descriptor in (source, target):
        driver.perform(descriptor.close())
    return copied


def _reported(file: BinaryIO, progress: Progress) -> Iterator[Buffer]:
    total, done = os.fstat(file.fileno()).st_size, 0
    while block := file.read(MAX_BLOCK):
        yield block
        done += len(block)
        progress(done, max(done, total))  # only a regular file has a size
