"""Large reads and writes through what a driver or a descriptor offers: one statement, or one call for each block."""

import functools
from collections.abc import Iterable, Iterator
from typing import Protocol, cast

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import (
    MAX_BLOCK,
    LargeObject,
    LargeObjectDriver,
    Sink,
    StreamingDriver,
    StreamingLargeObject,
)
from pg_lo_storage.drivers.values import BLOCK, kept

__all__ = ["Receiver", "blocks_of", "get_start", "stream", "stream_descriptor", "streams", "write_through"]


class Receiver:
    """Counts the bytes of blocks and passes them to another sink, until that raises; it never raises itself."""

    def __init__(self, sink: Sink, *, with_empty: bool = False) -> None:
        self._sink = sink
        self._with_empty = with_empty
        self.total: int = 0
        self.failure: BaseException | None = None
        """What the other sink raised. It waits here: a statement stopped half-way would abort the transaction."""

    def __call__(self, block: Buffer) -> None:
        """Take a block; an empty one is passed on only with ``with_empty``."""
        size = memoryview(block).nbytes
        if self.failure is None and (size or self._with_empty):
            self.total += size
            try:
                self._sink(block)
            except BaseException as error:  # noqa: BLE001 -- raised when the statement has ended
                self.failure = error


class _Writing(Protocol):
    def write_through(self, blocks: Iterable[Buffer], sink: Sink | None = None, *, apart: bool = False) -> int: ...


@functools.cache
def streams(kind: type, other: str, method: str = "stream") -> bool:
    """Tell whether a type has the ``method``, which does as the type's method ``other`` does, only faster.

    A subclass with an ``other`` of its own, one that decrypts for example, does not inherit the method.
    """
    definer = next((base for base in kind.__mro__ if {method, other} & vars(base).keys()), kind)
    return method in vars(definer)


def stream(driver: LargeObjectDriver, oid: int, offset: int, size: int, sink: Sink, *, block: int = BLOCK) -> int:
    """Do as :meth:`StreamingDriver.stream`, by :meth:`LargeObjectDriver.get` where the driver has no such method."""
    if streams(type(driver), "get"):
        return cast("StreamingDriver", driver).stream(oid, offset, size, sink, block)
    done = 0
    step = min(block, MAX_BLOCK)
    while True:
        data = driver.get(oid, offset + done, min(step, size - done))
        if data:
            sink(data)
        done += len(data)
        if len(data) < step or done == size:
            return done


def get_start(driver: LargeObjectDriver, oid: int, whole: int, start: int) -> tuple[int, bytes, tuple[object, ...]]:
    """Return an object's size and, of one up to ``whole`` bytes, its content, of a larger one ``start`` bytes."""
    size = driver.size(oid)
    return size, driver.get(oid, 0, size if size <= whole else start), ()


def blocks_of(driver: LargeObjectDriver, oid: int, offset: int, block: int, count: int) -> list[bytes]:
    """Return ``count`` blocks of ``block`` bytes; fewer, and a shorter last one, at the end."""
    blocks: list[bytes] = []
    stream(driver, oid, offset, block * count, lambda data: blocks.append(bytes(data)), block=block)
    return blocks


def stream_descriptor(descriptor: LargeObject, size: int, sink: Sink) -> int:
    """Do as :meth:`StreamingLargeObject.stream`, by :meth:`LargeObject.chunks` where it has no such method."""
    if streams(type(descriptor), "read"):
        return cast("StreamingLargeObject", descriptor).stream(size, sink)
    whole, rest = divmod(size, BLOCK)
    done = 0
    for data in descriptor.chunks(BLOCK, whole):
        sink(data)
        done += len(data)
    if rest and done == size - rest:
        data = descriptor.read(rest)
        sink(data)
        done += len(data)
    return done


def write_through(
    descriptor: LargeObject, blocks: Iterable[Buffer], sink: Sink | None = None, *, apart: bool = False
) -> int:
    """Do as :meth:`LargeObject.write_all`, and hand each block to ``sink``, if it can be while the server writes it.

    ``apart`` says that taking a block uses no connection; then a result may be pending meanwhile.
    """
    if streams(type(descriptor), "write_all", "write_through"):
        return cast("_Writing", descriptor).write_through(blocks, sink, apart=apart)
    return descriptor.write_all(blocks if sink is None else _handed_on(blocks, sink))


def _handed_on(blocks: Iterable[Buffer], sink: Sink) -> Iterator[Buffer]:
    for block in blocks:
        data = kept(block)
        sink(data)
        yield data
