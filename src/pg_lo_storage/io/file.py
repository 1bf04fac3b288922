"""A Python binary file over one large object; the contract is that of https://docs.python.org/3/library/io.html."""

import operator
import os
from collections.abc import Iterable, Iterator
from typing import SupportsIndex

from typing_extensions import Buffer, override

from pg_lo_storage.drivers.base import MAX_SIZE
from pg_lo_storage.drivers.values import BLOCK, byte_view
from pg_lo_storage.io.lifecycle import OpenFile
from pg_lo_storage.io.limits import check_position, no_room

__all__ = ["LargeObjectIO"]


class LargeObjectIO(OpenFile):
    """A large object as a binary file, readable, writable and seekable as its mode says.

    ``oid=0`` with ``wb``, ``ab`` or ``xb`` creates an object; ``w`` does **not** truncate an existing one,
    :meth:`truncate` does. ``x`` takes oid 0 or a free oid.

    Reads are buffered, writes are sent at once. A file opened in a transaction, or for writing, is valid until that
    transaction, or the savepoint it was opened under, is over. A file opened for reading in autocommit belongs to no
    transaction: each batch is a statement of its own.

    :raises ValueError: the mode is invalid, or cannot create and ``oid`` is 0.
    :raises LargeObjectNotFound: there is no such object.
    :raises LargeObjectExists: the mode is ``x``, and ``oid`` is taken.
    :raises NoTransactionError: it is opened for writing in autocommit.
    :raises StaleLargeObject: it is used when its transaction or savepoint is over.
    """

    __module__ = "pg_lo_storage.io"

    @property
    def size(self) -> int:
        """The object's size in bytes, as the server has it now; the position stays."""
        with self._lock:
            self._check()
            return self._object.end()

    @override
    def read(self, size: SupportsIndex | None = -1, /) -> bytes:
        with self._lock:
            self._check_readable("read")
            limit = -1 if size is None else operator.index(size)
            if limit < -1:
                message = "read length must be non-negative or -1"
                raise ValueError(message)
            return self._object.read_rest() if limit < 0 else self._object.read(limit)

    @override
    def readall(self) -> bytes:
        return self.read()

    def read1(self, size: SupportsIndex | None = -1, /) -> bytes:
        """Return up to ``size`` bytes that are buffered, or else of the next block."""
        limit = -1 if size is None else operator.index(size)
        with self._lock:
            self._check_readable("read1")
            if limit and not self._object.buffered:
                self._object.fill()
            return self._object.take(self._object.buffered if limit < 0 else limit)

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        target = self._target("readinto", buffer)
        data = self.read(len(target))
        target[: len(data)] = data
        return len(data)

    def readinto1(self, buffer: Buffer, /) -> int:
        """Read into ``buffer`` what is buffered, or else from the next block; return the number of bytes."""
        target = self._target("readinto1", buffer)
        data = self.read1(len(target))
        target[: len(data)] = data
        return len(data)

    @override
    def readline(self, size: SupportsIndex | None = -1, /) -> bytes:
        parts: list[bytes] = []
        with self._lock:
            self._check_readable("readline")
            limit = -1 if size is None else operator.index(size)
            while limit and (self._object.buffered or self._object.fill()):
                part = self._object.take_line(limit)
                parts.append(part)
                limit -= len(part)  # what is negative stays so
                if part.endswith(b"\n"):
                    break
        return b"".join(parts)

    def chunks(self, size: int = BLOCK) -> Iterator[bytes]:
        """Yield the rest of the file in blocks of ``size`` bytes; the last may be shorter.

        :raises ValueError: ``size`` is not positive.
        """
        if size <= 0:
            message = f"a block has at least one byte, not {size}"
            raise ValueError(message)
        with self._lock:
            self._object.expect_sequence()
        while block := self.read(size):
            yield block

    @override
    def write(self, data: Buffer, /) -> int:
        with self._lock:
            descriptor = self._check_writable("write")
            view = byte_view(data)
            if self._abandoned:
                return len(view)
            if self._mode.kind == "a":
                self._object.position = self._object.end()
            position = self._object.position
            if position + len(view) > MAX_SIZE:
                raise no_room(len(view), position, self._oid)
            self._before_change()
            self._object.write(descriptor, view)
            return len(view)

    @override
    def writelines(self, lines: Iterable[Buffer], /) -> None:
        # Every write is a query: short lines go out in blocks, as a buffered file's do.
        with self._lock:
            self._check_writable("writelines")
        block = bytearray()
        try:
            for line in lines:
                block += byte_view(line)
                if len(block) >= BLOCK:
                    pending, block = block, bytearray()
                    self.write(pending)
        except BaseException as error:
            try:
                self.write(block)
            except Exception as second:  # noqa: BLE001 -- the first error is the one to raise
                error.add_note(f"writing the lines before failed as well: {second}")
            raise
        self.write(block)

    @override
    def seek(self, offset: SupportsIndex, whence: int = os.SEEK_SET, /) -> int:
        target, whence = operator.index(offset), operator.index(whence)
        with self._lock:
            self._check()
            if whence == os.SEEK_CUR:
                target += self._object.position
            elif whence == os.SEEK_END:
                target += self._object.end()
            elif whence != os.SEEK_SET:
                message = f"whence value {whence} unsupported"
                raise ValueError(message)
            check_position(target, self._oid)
            self._object.seek(target)
            return target

    @override
    def tell(self) -> int:
        with self._lock:
            self._check()
            return self._object.position

    @override
    def truncate(self, size: SupportsIndex | None = None, /) -> int:
        with self._lock:
            descriptor = self._check_writable("truncate")
            length = self._object.position if size is None else operator.index(size)
            check_position(length, self._oid)
            self._object.drop()
            self._before_change()
            descriptor.truncate(length)
            return length

    def _before_change(self) -> None:
        """Called before a statement that changes the object."""

    def _target(self, operation: str, buffer: Buffer) -> memoryview:
        target = memoryview(buffer)
        if target.readonly:
            message = f"{operation}() argument must be read-write bytes-like object, not one that is read-only"
            raise TypeError(message)
        with self._lock:
            self._check_readable(operation)
        return target.cast("B") if target.nbytes else memoryview(bytearray())
