"""A descriptor of the current transaction, driven by the server's SQL functions."""

import io
import operator
from collections.abc import Iterable, Iterator, Sequence
from typing import ClassVar, Final, Protocol, TypeAlias, TypeVar

from typing_extensions import Buffer

from pg_lo_storage.drivers.base import MAX_BLOCK, MAX_SIZE, AccessMode, Sink
from pg_lo_storage.drivers.bulk import Receiver
from pg_lo_storage.drivers.guarded import IN_FAILED_TRANSACTION, GuardedDescriptor, rows_of_batch
from pg_lo_storage.drivers.queries import Statement
from pg_lo_storage.drivers.sources import Source, parts_of
from pg_lo_storage.drivers.values import BATCH, BLOCK, byte_view, check_block, check_offset
from pg_lo_storage.exceptions import LargeObjectTooLarge, StaleLargeObject

__all__ = ["SQLLargeObject"]

# Bytes that are read, or sent, without a wait, where no more than a block is in memory at a time. Not all: to keep the
# transaction usable, the rest passes after a sink has failed.
_STEP: Final = 64 * 1024 * 1024

T = TypeVar("T")
Part: TypeAlias = bytes | memoryview


class RunsStatements(Protocol):
    """What a descriptor needs of the driver that opened it, a :class:`SQLDriver`."""

    @property
    def in_transaction(self) -> bool:
        """See :attr:`SQLDriver.in_transaction`."""
        ...

    @property
    def autocommit(self) -> bool:
        """See :attr:`SQLDriver.autocommit`."""
        ...

    @property
    def is_streaming(self) -> bool:
        """See :attr:`SQLDriver.is_streaming`."""
        ...

    def sqlstate(self, error: Exception, /) -> str | None:
        """See :meth:`SQLDriver.sqlstate`."""
        ...

    def perform(self, statement: Statement[T], /) -> T:
        """See :meth:`SQLDriver.perform`."""
        ...

    def perform_all(self, statements: Iterable[Statement[T]], /) -> list[T]:
        """See :meth:`SQLDriver.perform_all`."""
        ...

    def perform_streaming(self, statement: Statement[T], sink: Sink, /) -> T:
        """See :meth:`SQLDriver.perform_streaming`."""
        ...


class SQLLargeObject:
    """A descriptor of the current transaction, driven by SQL; see :class:`LargeObject`."""

    _batch_of_a_write: ClassVar[int] = BATCH

    def __init__(self, driver: RunsStatements, oid: int, mode: AccessMode, descriptor: tuple[int, str]) -> None:
        self._driver = driver
        self._oid = oid
        self._writable = bool(AccessMode.WRITE & mode)
        self._statements = GuardedDescriptor(oid, *descriptor)
        self.fd: int = self._statements.fd
        self._closed = False

    @property
    def oid(self) -> int:
        """The object's oid."""
        return self._oid

    def read(self, size: int) -> bytes:
        """See :meth:`LargeObject.read`."""
        if size <= BLOCK:
            return self._perform(self._statements.read(check_block(size), 1))[0]
        content = io.BytesIO()  # whose getvalue() makes no copy
        self.stream(size, content.write)
        return content.getvalue()

    def stream(self, size: int, sink: Sink) -> int:
        """See :meth:`StreamingLargeObject.stream`."""
        receiver = Receiver(sink)
        done = 0
        while done < size:
            self.check_usable()
            # Rows that are not handed on one by one are in memory all at once.
            step = min(size - done, BATCH if size <= BATCH or not self._driver.is_streaming else _STEP)
            self._driver.perform_streaming(self._statements.stream(step), receiver)
            done += step
            if receiver.total < done:
                break
        return receiver.total

    def chunks(self, size: int, count: int | None = None) -> Iterator[bytes]:
        """See :meth:`LargeObject.chunks`."""
        batch = rows_of_batch(size)
        done = 0
        while count is None or done < count:
            rows = batch if count is None else min(batch, count - done)
            blocks = self._blocks(size, rows)
            blocks.reverse()
            while blocks:
                block = blocks.pop()
                if block:
                    yield block
                if len(block) < size or not size:
                    return
            done += rows

    def write(self, data: Buffer) -> int:
        """See :meth:`LargeObject.write`."""
        self._check_writable()
        view = byte_view(data)
        if not view:
            self.tell()  # nothing to send, but a stale descriptor must not go unnoticed
        if len(view) > MAX_BLOCK:
            self._check_room(len(view), self.tell())
        for start in range(0, len(view), self._batch_of_a_write):
            part = view[start : start + self._batch_of_a_write]
            self._write_batch(parts_of(part), len(part))
        return len(view)

    def write_all(self, blocks: Iterable[Buffer]) -> int:
        """See :meth:`LargeObject.write_all`."""
        return self.write_through(blocks)

    def write_through(self, blocks: Iterable[Buffer], sink: Sink | None = None, *, apart: bool = False) -> int:
        """See :func:`bulk.write_through`."""
        self._check_writable()
        position = self.tell()
        source = Source(blocks, lambda size, taken: self._check_room(size, position + taken))
        while not source.is_at_end:
            try:
                if apart:
                    self._write_batch(source.take(_STEP), None, sink)
                else:
                    # Whoever yields the blocks may use the connection: all come before the first is sent.
                    batch = list(source.take(BATCH))
                    self._write_batch(batch, sum(map(len, batch)), sink)
            except Exception as error:
                if source.failure is None:
                    raise
                source.failure.add_note(f"writing the blocks before failed as well: {error}")
        if source.failure is not None:
            raise source.failure
        return source.taken

    def seek(self, offset: int, whence: int = 0) -> int:
        """See :meth:`LargeObject.seek`."""
        if whence not in {0, 1, 2}:
            message = f"whence value {whence} unsupported"
            raise ValueError(message)
        offset = operator.index(offset)
        if whence == 0:
            return self._seek(check_offset(offset, self._oid), 0)
        if not offset:
            return self._seek(0, whence)
        # The target is computed first: if it is out of range, the server would abort the transaction.
        position = self.tell()
        base = position if whence == 1 else self._seek(0, 2)
        try:
            target = check_offset(base + offset, self._oid)
        except (ValueError, LargeObjectTooLarge):
            self._seek(position, 0)
            raise
        return self._seek(target, 0)

    def _seek(self, offset: int, whence: int) -> int:
        return self._perform(self._statements.seek(offset, whence))

    def tell(self) -> int:
        """See :meth:`LargeObject.tell`."""
        return self._perform(self._statements.tell())

    def truncate(self, size: int) -> None:
        """See :meth:`LargeObject.truncate`."""
        self._check_writable()
        self._perform(self._statements.truncate(size))

    def close(self) -> None:
        """See :meth:`LargeObject.close`."""
        if self._closed:
            return
        self._closed = True
        if self._driver.in_transaction:
            self._close_descriptor()

    def _close_descriptor(self) -> None:
        try:
            self._driver.perform(self._statements.close())
        except Exception as error:
            if self._driver.sqlstate(error) != IN_FAILED_TRANSACTION:
                raise

    def _blocks(self, size: int, count: int) -> list[bytes]:
        if count == 1:
            return self._perform(self._statements.read(size, 1))
        blocks: list[bytes] = []
        self.check_usable()
        self._driver.perform_streaming(
            self._statements.read_rows(size, count), lambda block: blocks.append(bytes(block))
        )
        return blocks

    def _write_batch(self, batch: Iterable[Part], size: int | None, sink: Sink | None = None) -> None:
        """Write parts that have ``size`` bytes together; ``None`` says that they have room, however many they are."""
        self.check_usable()
        if isinstance(batch, Sequence) and len(batch) == 1 and sink is None:
            self._driver.perform(self._statements.write(batch[0]))
        else:
            self._driver.perform_all(self._writes(batch, size or 0, sink))

    def _writes(self, batch: Iterable[Part], more: int, sink: Sink | None) -> Iterator[Statement[None]]:
        for part in batch:
            more = max(0, more - len(part))
            yield self._statements.write(part, more)
            if sink is not None:
                sink(part)  # the server is writing it

    def _check_room(self, size: int, position: int) -> None:
        # This comes before the first of several blocks: if one has no room, a shorter one after it might have.
        if position + size > MAX_SIZE:
            raise self._statements.too_large(size)

    def _check_writable(self) -> None:
        if not self._writable:
            self.tell()  # stale comes first
            raise self._statements.not_writable()

    def _perform(self, statement: Statement[T]) -> T:
        self.check_usable()
        return self._driver.perform(statement)

    def check_usable(self) -> None:
        """Raise StaleLargeObject if that is known without asking the server."""
        if self._closed or not self._driver.in_transaction:
            raise self.stale()

    def stale(self) -> StaleLargeObject:
        """Return the error of a descriptor that is closed or whose transaction is over."""
        return self._statements.stale()
