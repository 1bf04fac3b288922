"""A Python binary file over one large object; the contract is that of https://docs.python.org/3/library/io.html."""

import errno
import io
import operator
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, SupportsIndex

from typing_extensions import Buffer, override

from pg_lo_storage.drivers.base import MAX_SIZE
from pg_lo_storage.drivers.values import BLOCK, byte_view
from pg_lo_storage.exceptions import LargeObjectTooLarge, StaleLargeObject
from pg_lo_storage.io.binary import BinaryFile
from pg_lo_storage.io.buffered import BufferedLargeObject
from pg_lo_storage.io.lifetime import Lifetime, OfTransaction
from pg_lo_storage.io.modes import BinaryMode, Mode, parse_mode
from pg_lo_storage.io.opening import open_large_object

if TYPE_CHECKING:
    from pg_lo_storage.drivers.base import LargeObject, LargeObjectDriver

__all__ = ["BinaryMode", "LargeObjectIO"]


class LargeObjectIO(BinaryFile):
    """A large object as a binary file, readable, writable and seekable as its mode says.

    ``oid=0`` with ``wb``, ``ab`` or ``xb`` creates an object; ``w`` does **not** truncate an existing one,
    :meth:`truncate` does. ``x`` takes oid 0 or a free oid.

    Reads are buffered, writes are sent at once. Opened in a transaction, or for writing, the file belongs to the
    current transaction and raises :exc:`StaleLargeObject` when that, or the savepoint it was opened under, is
    over. Opened for reading in autocommit it belongs to none: each batch is a statement of its own.

    Raises :exc:`ValueError` for a mode that is none, or that cannot create where ``oid`` is 0;
    :exc:`LargeObjectNotFound`, :exc:`LargeObjectExists`; :exc:`NoTransactionError` for writing in autocommit.
    """

    __module__ = "pg_lo_storage.io"

    _opened = False
    _abandoned = False

    def __init__(self, driver: "LargeObjectDriver", oid: SupportsIndex = 0, mode: BinaryMode = "rb") -> None:
        self._open(driver, operator.index(oid), parse_mode(mode))

    def _open(self, driver: "LargeObjectDriver", oid: int, mode: Mode) -> None:
        oid, descriptor = open_large_object(driver, oid, mode)
        opened = BufferedLargeObject(driver, oid, descriptor)
        if mode.kind == "a":
            opened.moved(opened.end())
        self._set_up(oid, mode, opened, OfTransaction(driver, oid) if descriptor else Lifetime())

    def _set_up(self, oid: int, mode: Mode, opened: BufferedLargeObject, lifetime: Lifetime) -> None:
        self._mode = mode
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._oid = oid
        self._object = opened
        self._lifetime = lifetime
        self._opened = True

    @property
    def oid(self) -> int:
        """The large object's oid."""
        return self._oid

    @property
    @override
    def name(self) -> str:
        """The oid as a string: what libraries that ask a file for its name are given."""
        return str(self._oid)

    @property
    def size(self) -> int:
        """The object's size in bytes, as the server has it now; the position stays."""
        with self._lock:
            self._check()
            return self._object.end()

    @override
    def __repr__(self) -> str:
        state = " closed" if self.closed else ""
        return f"<{type(self).__module__}.{type(self).__qualname__} oid={self._oid} mode={self.mode!r}{state}>"

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
        """Return what is buffered, or else of one block, up to ``size`` bytes."""
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
        """Read into ``buffer`` what is buffered, or else of one block; return the number of bytes."""
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
                limit -= len(part) if limit > 0 else 0
                if part.endswith(b"\n"):
                    break
        return b"".join(parts)

    def chunks(self, size: int = BLOCK) -> Iterator[bytes]:
        """Yield the rest of the file in blocks of ``size`` bytes; the last may be shorter."""
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
                message = f"{len(view)} bytes at {position} exceed what a large object can hold, {MAX_SIZE} bytes"
                raise LargeObjectTooLarge(message, oid=self._oid)
            self._before_change()
            self._object.write(descriptor, view)
            return len(view)

    @override
    def writelines(self, lines: Iterable[Buffer], /) -> None:
        # Lines are short and every write is a query: they go out in blocks, as a buffered file's do.
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
            self._check_position(target)
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
            self._check_position(length)
            self._object.drop()
            self._before_change()
            descriptor.truncate(length)
            return length

    @override
    def close(self) -> None:
        if self.closed:
            return
        super().close()
        descriptor, self._object.descriptor = self._object.descriptor, None
        self._object.drop()
        if descriptor is None or self._abandoned or self._pid != os.getpid():
            return
        in_flight = sys.exception()
        try:
            descriptor.close()
        except Exception as error:
            # Everything written is at the server already; what must not be lost is the error in flight.
            if in_flight is None:
                raise
            in_flight.add_note(f"closing {self!r} failed as well: {error}")

    # Bound here: module globals may be gone when the interpreter shuts down.
    def __del__(self, _is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        forgotten = self._opened and not self.closed and not self._abandoned
        if forgotten and not _is_finalizing() and self._pid == os.getpid():
            self._dealloc_warn(self)

    def _dealloc_warn(self, source: object) -> None:
        # The collector may run inside any query: from here on nothing reaches the database. BufferedReader,
        # BufferedWriter and TextIOWrapper call this before they flush and close a forgotten file.
        if self._abandoned:
            return
        self._abandoned = True
        if self._pid != os.getpid():
            return  # the parent's file, and its pending bytes, are no concern of a child's
        warnings.warn(f"unclosed file {source!r}", ResourceWarning, stacklevel=2, source=source)

    def _check(self) -> None:
        """Raise ValueError where the file is closed, StaleLargeObject where its lifetime is over."""
        self._check_open()
        if self._abandoned:
            return
        if self._pid != os.getpid():
            message = f"large object {self._oid} was opened by another process: open it again in this one"
            raise StaleLargeObject(message, oid=self._oid)
        self._lifetime.check()

    def _before_change(self) -> None:
        """Called before what is sent to the server changes the object."""

    def _check_readable(self, operation: str) -> None:
        self._check()
        if not self._mode.readable:
            raise io.UnsupportedOperation(operation)

    def _check_writable(self, operation: str) -> "LargeObject":
        self._check()
        if not self._mode.writable or (descriptor := self._object.descriptor) is None:
            raise io.UnsupportedOperation(operation)
        return descriptor

    def _target(self, operation: str, buffer: Buffer) -> memoryview:
        target = memoryview(buffer)
        if target.readonly:
            message = f"{operation}() argument must be read-write bytes-like object, not one that is read-only"
            raise TypeError(message)
        with self._lock:
            self._check_readable(operation)
        return target.cast("B") if target.nbytes else memoryview(bytearray())

    def _check_position(self, position: int) -> None:
        if position < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if position > MAX_SIZE:
            message = f"position {position} exceeds what a large object can hold, {MAX_SIZE} bytes"
            raise LargeObjectTooLarge(message, oid=self._oid)
